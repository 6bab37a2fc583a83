"""Numba's registries, filled when this module is imported.

A process fills them with the first kernel that it compiles or finds on disk, which takes half a second. Processes that are
forked from one that has imported this module have them already.
"""

from numba.core.registry import cpu_target

cpu_target.target_context.refresh()
cpu_target.typing_context.refresh()
