"""A schema, inferred from the training data and applied to other samples in any format: the meaning of a sample never depends
on the samples next to it."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faqnas_optuna.config import DataConfig
from faqnas_optuna.data.reading import read_source
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.data.user_data import load_file
from faqnas_optuna.models.trained_model import TrainedModel
from tests.support.models import model_for
from tests.support.sampling import mostly_slow

ROWS = 60


def patients() -> pd.DataFrame:
    """Return text columns of every kind whose inferred type would differ if inferred from some of the rows."""
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "ward": random.choice(["007", "012", "A12", "B3"], ROWS),
            "smokes": random.choice(["true", "false", "unknown"], ROWS),
            "grade": random.choice(["1", "2", "high", "low"], ROWS),
            "stay": random.choice(["3", "12", "4.5", ""], ROWS),
            "treated": random.choice(["True", "FALSE"], ROWS),
            "weight": [f"{value:.2f}" for value in random.normal(70, 9, ROWS)],
            "note": random.choice(["yes, at once", 'a "quoted" word', "größer"], ROWS),
            "outcome": random.choice(["01", "1", "ill"], ROWS),
        }
    )


def with_commas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers with decimal commas, as a German spreadsheet writes them."""
    return frame.assign(**{name: frame[name].str.replace(".", ",") for name in ("stay", "weight")})


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "d.csv": lambda frame, path: frame.to_csv(path, index=False),
    "semicolons.csv": lambda frame, path: with_commas(frame).to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
    "d.tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "d.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "wide.csv": lambda frame, path: frame.to_csv(path, index=False, encoding="utf-16"),
    "d.parquet": lambda frame, path: frame.to_parquet(path),
    "typed.parquet": lambda frame, path: typed(frame).to_parquet(path),
}


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return numbers and truth values in their own dtypes, and a pandas categorical."""
    return frame.assign(
        weight=pd.to_numeric(frame["weight"]),
        stay=pd.to_numeric(frame["stay"]),
        treated=frame["treated"].str.lower() == "true",
        ward=frame["ward"].astype("category"),
    )


FRAMES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas, typed": typed,
    "Arrow": lambda frame: pyarrow.Table.from_pandas(typed(frame)),
    "numpy": lambda frame: frame.drop(columns="outcome").to_numpy(object),
    "polars": lambda frame: pytest.importorskip("polars").from_pandas(typed(frame)),
}


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> DataSplits:
    path = tmp_path_factory.mktemp("data") / "patients.csv"
    patients().to_csv(path, index=False)
    return load_file(path, DataConfig(target="outcome"), seed=0)


@pytest.fixture(scope="module")
def model(splits: DataSplits) -> TrainedModel:
    return model_for(splits)


@pytest.fixture(scope="module")
def probabilities(model: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray[Any, Any]:
    path = tmp_path_factory.mktemp("data") / "patients.csv"
    patients().to_csv(path, index=False)
    return model.predict_proba(model.table(read_source(path)))


def test_what_each_column_is(splits: DataSplits) -> None:
    kinds = {name: str(kind) for name, kind in splits.schema.kinds.items()}
    assert kinds == {
        "ward": "category",
        "smokes": "category",
        "grade": "category",
        "stay": "number",
        "treated": "boolean",
        "weight": "number",
        "note": "category",
        "outcome": "label",
    }
    assert splits.classes == ("01", "1", "ill")


@pytest.mark.parametrize("name", mostly_slow(WRITERS))
@given(rows=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_of_any_file_are_predicted_as_in_the_whole(
    name: str, rows: list[int], model: TrainedModel, probabilities: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    path = tmp_path / name
    WRITERS[name](patients().iloc[rows], path)
    assert np.array_equal(model.predict_proba(model.table(read_source(path))), probabilities[rows])


@pytest.mark.parametrize("library", mostly_slow(FRAMES))
@given(rows=st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_any_rows_of_any_frame_are_predicted_as_in_the_whole(
    library: str, rows: list[int], model: TrainedModel, probabilities: np.ndarray[Any, Any]
) -> None:
    data = FRAMES[library](patients().replace("", None).iloc[rows])
    assert np.array_equal(model.predict_proba(data), probabilities[rows])


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_holds_the_same_data_set(name: str, splits: DataSplits, tmp_path: Path) -> None:
    WRITERS[name](patients(), tmp_path / name)
    other = load_file(tmp_path / name, DataConfig(target="outcome"), seed=0)
    assert other.schema == splits.schema and other.classes == splits.classes
    assert np.array_equal(other.train.x, splits.train.x) and np.array_equal(other.test.y, splits.test.y)


@pytest.mark.parametrize("test_rows", [slice(40, 60), slice(40, 41)])
def test_a_test_file_is_read_by_the_schema_of_the_training_file(test_rows: slice, tmp_path: Path) -> None:
    frame = patients()
    frame.loc[40:, "ward"] = "007"
    frame[:40].to_csv(tmp_path / "a.csv", index=False)
    frame[test_rows].to_parquet(tmp_path / "b.parquet")
    config = DataConfig(target="outcome", test_file="b.parquet")
    splits = load_file(tmp_path / "a.csv", config, seed=0, test_path=tmp_path / "b.parquet")
    place = splits.preprocessing.categories[0].values.index("007")
    width = len(splits.preprocessing.numbers.names)
    assert (splits.test.x[:, width + place] == 1).all()


def test_groups_are_the_same_in_both_files(tmp_path: Path) -> None:
    """Check that 007 is the same text in both files, not the number 7, with a group X in one of them only."""
    frame = patients().assign(patient=[f"{row // 2:03}" for row in range(ROWS)])
    frame[:40].assign(patient=[*frame["patient"][:39], "X"]).to_csv(tmp_path / "a.csv", index=False)
    frame[38:].to_csv(tmp_path / "b.csv", index=False)
    config = DataConfig(target="outcome", groups="patient", test_file="b.csv")
    with pytest.raises(Exception, match="a group of samples is in two parts"):
        load_file(tmp_path / "a.csv", config, seed=0, test_path=tmp_path / "b.csv")


def test_gzip_by_its_own_tool_is_read(tmp_path: Path, splits: DataSplits) -> None:
    patients().to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "D.CSV.GZ").write_bytes(gzip.compress((tmp_path / "d.csv").read_bytes()))
    assert np.array_equal(load_file(tmp_path / "D.CSV.GZ", DataConfig(target="outcome"), seed=0).test.x, splits.test.x)
