"""Finalists under noise: the noise model, simulation, evaluation, report and figure."""
