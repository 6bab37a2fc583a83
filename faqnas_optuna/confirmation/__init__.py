"""Retraining of selected circuits from new seeds, judged on the test part beside baselines."""
