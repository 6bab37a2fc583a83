"""Hybrid networks, their training, and the values of a trained circuit."""
