"""Trained networks outside a study: retraining, folder format, export, prediction, estimator."""
