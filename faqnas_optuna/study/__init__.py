"""A search as an Optuna study: its sampler, metadata, state and decisions."""
