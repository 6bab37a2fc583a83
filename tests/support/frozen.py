"""Exclusion of all objects so far from garbage collections; the last import of the process from which workers are forked."""

import gc

# A collection in a forked process would write to every object and so copy the memory of its parent.
gc.freeze()
