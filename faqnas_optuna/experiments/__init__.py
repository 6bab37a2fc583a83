"""Experiments: tables over data sets, methods, splits and seeds, from studies of one database."""
