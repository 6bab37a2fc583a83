"""Quantum devices and what a circuit costs on them: routing, gates, success probability, time."""
