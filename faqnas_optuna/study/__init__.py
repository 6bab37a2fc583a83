"""A search as an Optuna study: sampler, metadata, state and decisions."""
