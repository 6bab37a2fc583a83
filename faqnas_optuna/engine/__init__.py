"""Fast engine: simulation and training of circuits by kernels that need only numpy and numba."""
