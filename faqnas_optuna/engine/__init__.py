"""How a circuit is simulated and trained: kernels in numpy and numba alone."""
