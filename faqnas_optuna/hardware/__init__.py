"""Quantum devices and the cost of circuits on them: routing, gates, success probability and time."""
