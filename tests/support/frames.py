"""Data frames of scikit-learn's data sets, and one of mixed columns with missing values."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.datasets import load_wine


def named(loader: Callable[..., Any]) -> pd.DataFrame:
    """A data set of scikit-learn with its classes by name."""
    bunch = loader(as_frame=True)
    return bunch.data.assign(target=bunch.target_names[bunch.target])


def mixed() -> pd.DataFrame:
    """Wine with a category, and with values missing in both kinds of columns."""
    frame = named(load_wine).rename(columns={"target": "cultivar"})
    frame["colour"] = frame.pop("color_intensity").map(lambda value: "dark, red" if value > 5 else "light")
    frame.loc[::7, "colour"] = None
    frame.loc[::5, "ash"] = None
    return frame
