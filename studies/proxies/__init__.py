"""Proxies of accuracy that need no training, compared with the accuracies in tables."""
