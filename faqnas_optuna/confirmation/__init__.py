"""Retraining of selected circuits from new random seeds, and their evaluation on the test part beside baselines."""
