"""Comparison of samplers on tables and on live trainings."""
