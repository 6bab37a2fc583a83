"""Data frames of scikit-learn's data sets, and one of mixed columns with missing values."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from sklearn.datasets import load_wine


def named(loader: Callable[..., Any]) -> pd.DataFrame:
    """Return a data set of scikit-learn with the names of its classes as target."""
    bunch = loader(as_frame=True)
    return bunch.data.assign(target=bunch.target_names[bunch.target])


def mixed() -> pd.DataFrame:
    """Return Wine with a categorical column, and with missing values in it and in a numeric one."""
    frame = named(load_wine).rename(columns={"target": "cultivar"})
    frame["colour"] = frame.pop("color_intensity").map(lambda value: "dark, red" if value > 5 else "light")
    # At different rows, so that some samples lack both values.
    frame.loc[::7, "colour"] = None
    frame.loc[::5, "ash"] = None
    return frame
