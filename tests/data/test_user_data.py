"""User data, compared with scikit-learn and pandas."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from faqnas_optuna.config import DataConfig
from faqnas_optuna.data.frames import as_frame
from faqnas_optuna.data.limits import MAX_COLUMNS
from faqnas_optuna.data.named import load
from faqnas_optuna.data.preprocessing import Preprocessing, RawFeatures
from faqnas_optuna.data.reading import Source, read_source
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.data.user_data import load_file, splits_of
from faqnas_optuna.errors import DataError
from tests.conftest import copy_database
from tests.support.sampling import mostly_slow

ROWS = 200


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    """Return numbers, categories and truth values, some of them missing."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "age": random.integers(20, 90, ROWS).astype(float),
            "bmi": random.normal(26, 4, ROWS).round(1),
            "site": random.choice(["Bern", "Graz", "Wien"], ROWS),
            "smokes": random.choice([True, False], ROWS),
            "patient": np.arange(ROWS) // 4,
            "outcome": random.choice(["well", "ill", "worse"], ROWS, p=[0.6, 0.3, 0.1]),
        }
    )
    frame.loc[::9, "age"] = np.nan
    frame.loc[::7, "site"] = None
    return frame


def split(frame: pd.DataFrame, seed: int = 0, **settings: Any) -> DataSplits:
    config = DataConfig(target="outcome", **settings)
    return splits_of(Source(frame=as_frame(frame)), "outcome", config, name="patients.csv", seed=seed)


def parts(splits: DataSplits) -> dict[str, np.ndarray[Any, Any]]:
    return {"train": splits.train.y, "validation": splits.validation.y, "test": splits.test.y}


@pytest.mark.parametrize("components", [None, 3])
def test_features_are_those_of_a_column_transformer(patients: pd.DataFrame, components: int | None) -> None:
    # A column of row numbers identifies the samples of each part.
    marked = patients.assign(row=np.arange(ROWS, dtype=float)).drop(columns="patient")
    place = list(split(marked).preprocessing.numbers.names).index("row")
    scaling = split(marked).preprocessing.numbers
    rows = {
        name: np.round(part.x[:, place] * scaling.deviations[place] + scaling.means[place]).astype(int)
        for name, part in (("train", split(marked).train), ("test", split(marked).test))
    }
    x = marked.drop(columns="outcome").assign(smokes=marked["smokes"].astype(float))
    numbers = ["age", "bmi", "smokes", "row"]
    theirs: Any = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)), ["site"]),
        ]
    )
    x["site"] = x["site"].astype(object).where(x["site"].notna(), np.nan)
    if components:
        theirs = make_pipeline(theirs, PCA(components, whiten=True, svd_solver="full"))
    theirs.fit(x.iloc[rows["train"]])
    ours = split(marked, pca=components)
    for name, part in (("train", ours.train), ("test", ours.test)):
        assert part.x == pytest.approx(theirs.transform(x.iloc[rows[name]]), abs=1e-5)


def test_what_was_fitted_can_be_kept_as_json(patients: pd.DataFrame) -> None:
    fitted = split(patients, groups="patient", pca=2).preprocessing
    again = Preprocessing.from_json(json.loads(json.dumps(fitted.to_json())))
    table = RawFeatures(numbers=np.array([[np.nan, 20.0, 1.0]]), texts=np.array([["Rom"]], object))
    assert np.array_equal(again.apply(table), fitted.apply(table))
    assert again.apply(table).dtype == np.float32 and again.n_features == 2


def test_parts_are_stratified_and_classes_in_order(patients: pd.DataFrame) -> None:
    splits = split(patients)
    assert splits.classes == ("ill", "well", "worse")
    total = patients["outcome"].value_counts().sort_index().to_numpy()
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert np.abs(np.bincount(parts(splits)[name]) - share * total).max() <= 1.5


@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_divided(patients: pd.DataFrame, seed: int) -> None:
    marked = patients.assign(number=patients["patient"].astype(float))
    splits = split(marked, seed, groups="patient")
    scaling = splits.preprocessing.numbers
    place = list(scaling.names).index("number")
    groups_of_parts = [
        set(np.round(part.x[:, place] * scaling.deviations[place] + scaling.means[place]).astype(int).tolist())
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert set.union(*groups_of_parts) == set(patients["patient"]) and sum(map(len, groups_of_parts)) == len(
        set(patients["patient"])
    )
    assert "patient" not in scaling.names
    assert [len(part.y) for part in (splits.train, splits.validation, splits.test)] == pytest.approx([120, 40, 40], abs=12)


def test_a_split_of_ones_own_is_kept(patients: pd.DataFrame) -> None:
    where = np.array(["train", "test", "train", "validation", "train"] * (ROWS // 5))
    splits = split(patients.assign(split=where))
    assert {name: len(y) for name, y in parts(splits).items()} == {"train": 120, "validation": 40, "test": 40}
    codes = patients["outcome"].map({"ill": 0, "well": 1, "worse": 2}).to_numpy()
    assert all(np.array_equal(y, codes[where == name]) for name, y in parts(splits).items())
    drawn = split(patients.assign(split=np.where(where == "validation", "train", where)))
    assert {name: len(y) for name, y in parts(drawn).items()} == {"train": 120, "validation": 40, "test": 40}
    assert np.array_equal(drawn.test.y, splits.test.y)
    # Common spellings of the names of parts are accepted.
    spelled = pd.Series(where).map({"train": "Training ", "validation": "dev", "test": " TEST"})
    assert np.array_equal(split(patients.assign(Split=spelled)).test.y, splits.test.y)
    with pytest.raises(DataError, match="row 1 has 'yes' .*rename the column if it means something else"):
        split(patients.assign(split=np.where(where == "test", "no", "yes")))


def test_a_group_in_two_parts_is_refused(patients: pd.DataFrame) -> None:
    where = np.where(np.arange(ROWS) % 2, "train", "test")
    with pytest.raises(DataError, match="in two parts, which --groups does not allow"):
        split(patients.assign(split=where), groups="patient")


def test_a_file_may_hold_the_test_part(patients: pd.DataFrame, tmp_path: Path) -> None:
    patients[:150].to_csv(tmp_path / "a.csv", index=False)
    patients[150:].to_csv(tmp_path / "b.csv", index=False)
    config = DataConfig(target="outcome", test_file="b.csv")
    splits = load_file(tmp_path / "a.csv", config, seed=0, test_path=tmp_path / "b.csv")
    assert [splits.classes[index] for index in splits.test.y] == patients["outcome"][150:].tolist()
    # Columns that are not features may be missing from the test file.
    left_out = DataConfig(target="outcome", test_file="b.csv", drop=("patient",))
    patients[150:].drop(columns="patient").to_csv(tmp_path / "b.csv", index=False)
    assert np.array_equal(load_file(tmp_path / "a.csv", left_out, seed=0, test_path=tmp_path / "b.csv").test.y, splits.test.y)
    patients[150:].drop(columns="bmi").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="in only one of the data and .*: bmi; give both the same columns"):
        load_file(tmp_path / "a.csv", config, seed=0, test_path=tmp_path / "b.csv")


def test_every_kind_of_file_holds_the_same(patients: pd.DataFrame, tmp_path: Path) -> None:
    whole = patients.drop(columns=["site", "smokes", "patient"])
    whole.to_csv(tmp_path / "d.csv", index=False)
    whole.to_csv(tmp_path / "semicolons.csv", index=False, sep=";", encoding="utf-8-sig")
    whole.to_parquet(tmp_path / "d.parquet")
    np.savez(tmp_path / "d.npz", x=whole[["age", "bmi"]], y=whole["outcome"].to_numpy(str))
    config = DataConfig(target="outcome")
    first = load_file(tmp_path / "d.csv", config, seed=0)
    for name, settings in (("semicolons.csv", config), ("d.parquet", config), ("d.npz", DataConfig())):
        other = load_file(tmp_path / name, settings, seed=0)
        assert np.array_equal(other.train.x, first.train.x) and np.array_equal(other.test.y, first.test.y)
        assert other.classes == first.classes


def test_what_was_done_is_told(patients: pd.DataFrame) -> None:
    frame = patients.assign(constant=1, row=np.arange(ROWS)).rename(columns={"bmi": "Unnamed: 0"})
    columns = split(frame, drop=("smokes",), groups="patient").columns
    assert columns["smokes"] == "left out with --drop" and columns["Unnamed: 0"] == "left out: unnamed column"
    assert columns["patient"] == "group: all samples of a group are in the same part; not a feature"
    assert columns["constant"] == "number, constant in the training part: always 0"
    assert columns["row"] == "number, standardised" and columns["outcome"] == "label"
    assert columns["site"].startswith("category, one-hot of 3 values; 29 missing: ")
    assert columns["age"].startswith("number, standardised; 23 missing: ")


def test_of_many_columns_is_told_together() -> None:
    values = np.random.default_rng(0).normal(size=(40, 80))
    values[:, 70] = 1
    frame = pd.DataFrame(values).rename(columns=str).assign(y=["a", "b"] * 20)
    assert dict(splits_of(Source(frame=frame), "y", DataConfig(), name="wide.csv", seed=0).columns) == {
        "0 … 69": "70 columns, each number, standardised",
        "70": "number, constant in the training part: always 0",
        "71 … 79": "9 columns, each number, standardised",
        "y": "label",
    }
    frame = frame.rename(columns=lambda name: name if name == "y" else f"{'long ' * 200}{name}")
    frame[frame.columns[:-1:2]] = 1
    with pytest.raises(DataError, match=r"wide.csv: the description of its columns takes \d+,\d+ characters, and the maximum"):
        splits_of(Source(frame=frame), "y", DataConfig(), name="wide.csv", seed=0)


def test_a_file_of_a_thousand_columns_is_read(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(MAX_COLUMNS)]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join("1" * MAX_COLUMNS) + "\n")
    assert list(read_source(tmp_path / "wide.csv").frame.columns) == names


def test_the_fingerprint_sees_values_parts_and_names_alone(patients: pd.DataFrame, tmp_path: Path) -> None:
    first = split(patients).fingerprint
    assert split(patients.copy()).fingerprint == first
    changed = patients.copy()
    changed.loc[3, "bmi"] += 1e-9
    assert split(changed).fingerprint != first != split(patients, seed=1).fingerprint
    assert split(patients.rename(columns={"bmi": "BMI"})).fingerprint != first


def test_classes_may_be_numbers_or_truth_values(patients: pd.DataFrame) -> None:
    numbers = patients.assign(outcome=np.arange(ROWS) % 12)
    assert split(numbers).classes == tuple(range(12))
    assert split(patients.assign(outcome=patients["smokes"])).classes == (False, True)


def test_named_data_may_be_projected() -> None:
    splits = load("digits", seed=0, pca=8)
    plain = load("digits", seed=0)
    theirs = PCA(8, whiten=True, svd_solver="full").fit(plain.train.x.astype(np.float64))
    assert splits.n_features == 8 and splits.fingerprint == plain.fingerprint
    correlations = np.abs(np.corrcoef(splits.test.x.T, theirs.transform(plain.test.x.astype(np.float64)).T)[:8, 8:].diagonal())
    assert correlations.min() > 0.999
    with pytest.raises(DataError, match="--pca 5 is too large for 90 samples of 4 features; use at most 4"):
        load("iris", seed=0, pca=5)


TINY = ("--population", "4", "--generations", "1", "--epochs", "1")


def test_a_study_finds_its_file_again(
    patients: pd.DataFrame, tmp_path: Path, empty_database: Path, cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    copy_database(empty_database, tmp_path / "faqnas.db")
    file = tmp_path / "my patients.csv"
    patients.to_csv(file, index=False)
    start = ("start", "my patients.csv", "--target", "outcome", "--groups", "patient")
    assert cli_here(*start, *TINY)[0] == 0
    code, out, _ = cli_here("show", "my-patients")
    assert code == 0 and str(file) in out and "one-hot of 3 values; 29 missing" in out
    (tmp_path / "elsewhere").mkdir()
    file.rename(moved := tmp_path / "elsewhere" / file.name)
    code, _, err = cli_here("resume", "my-patients", "--generations", "2")
    assert code == 2 and "cannot find my patients.csv in" in err and "--data-dir" in err
    assert cli_here("resume", "my-patients", "--generations", "2", "--data-dir", "elsewhere")[0] == 0
    code, out, _ = cli_here(
        "confirm", "my-patients", "--top", "1", "--repeats", "2", "--epochs", "1", "--data-dir", "elsewhere"
    )
    assert code == 0 and "test samples that the search did not use" in out
    moved.write_text(moved.read_text().replace("Bern", "Basel"))
    code, _, err = cli_here("resume", "my-patients", "--generations", "3", "--data-dir", "elsewhere")
    assert code == 3 and "fingerprint: stored" in err and ", here " in err


REAL = {
    "datasets/fair/fair.csv": "rate_marriage",
    "datasets/modechoice/modechoice.csv": "choice",
    "datasets/heart/heart.csv": "censors",
    "datasets/anes96/anes96.csv": "'vote'",
    "genmod/tests/results/stata_lbw_glm.csv": "low",
}
"""Targets in data files of statsmodels, some with unusual separators and quotes."""


@pytest.mark.parametrize("name", mostly_slow(REAL))
def test_real_files_are_searched_over_by_one_command(
    name: str, tmp_path: Path, empty_database: Path, cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    copy_database(empty_database, tmp_path / "faqnas.db")
    (package,) = (Path(place) for place in find_spec("statsmodels").submodule_search_locations)  # type: ignore[union-attr]
    code, out, err = cli_here("start", str(package / name), "--target", REAL[name], *TINY, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["study"] == Path(name).stem and document["front"]


def test_datasets_tells_what_a_search_would_do(
    patients: pd.DataFrame, tmp_path: Path, cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    patients.to_csv(tmp_path / "p.csv", index=False)
    code, out, _ = cli_here("datasets", "p.csv", "--target", "outcome", "--groups", "patient", "--json")
    document = json.loads(out)
    assert code == 0 and document["samples"] == ROWS and document["columns"]["smokes"] == "boolean, standardised"
    assert {entry["class"]: entry["samples"] for entry in document["classes"]} == patients["outcome"].value_counts().to_dict()
    code, _, err = cli_here("datasets", "p.csv")
    assert code == 2 and "Name it with --target: age, bmi, site, smokes, patient, outcome" in err
    code, _, err = cli_here("datasets", "p.csv", "--target", "outcme")
    assert code == 2 and "did you mean 'outcome'?" in err
    code, _, err = cli_here("start", "wine", "--target", "outcome")
    assert code == 2 and "data.target applies to data files; 'wine' is not a file" in err
