"""Finalists under noise: noise models, simulation, evaluation, report and figure."""
