"""Trained networks to take away: retraining, folder format, export, prediction, estimator."""
