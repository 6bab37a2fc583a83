"""How good a circuit is: the hybrid network, its training, and what that is worth."""
