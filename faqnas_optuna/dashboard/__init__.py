"""The dashboard: pages of fronts in front of optuna-dashboard, and their server."""
