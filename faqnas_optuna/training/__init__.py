"""Hybrid networks, their training, and the costs and scores of trained circuits."""
