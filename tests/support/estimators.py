"""Data and checks for scikit-learn's estimators."""

from typing import Any

import numpy as np
import pandas as pd

NOT_EXACT = {
    "check_sample_weight_equivalence_on_dense_data": "with mini-batches, a weight of 2 equals two samples only on average",
}
"""Checks of scikit-learn that its own stochastic classifiers do not pass either, with the reasons."""


def mixed(samples: int = 60) -> tuple[pd.DataFrame, Any]:
    """Return samples with columns of each kind and missing values, and their classes."""
    generator = np.random.default_rng(0)
    y = np.tile(["ill", "well"], samples // 2)
    size = generator.normal(size=samples) + (y == "ill")
    ward = np.where(y == "ill", generator.choice(["A", "B"], samples), generator.choice(["B", "C"], samples)).astype(object)
    size[3], ward[5] = np.nan, None
    frame = pd.DataFrame(
        {
            "size": size,
            "ward": ward,
            "smokes": generator.choice([True, False], samples),
            "name": [f"patient {number}" for number in range(samples)],
            "seen": pd.date_range("2024-01-01", periods=samples),
        }
    )
    return frame, y
