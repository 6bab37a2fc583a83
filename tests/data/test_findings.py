import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from faqnas_optuna.config import DataConfig, Score
from faqnas_optuna.data.duplicates import profiles, row_hashes
from faqnas_optuna.data.findings import (
    DataFinding,
    FindingKind,
    Majority,
    check,
    check_fixed,
    relevant,
    smallest_part,
    wilson_half_width,
)
from faqnas_optuna.data.named import DATASETS, load
from faqnas_optuna.data.reading import Source
from faqnas_optuna.data.user_data import splits_of
from tests.conftest import TIMEOUT_S

ROWS = 200
Y = (np.arange(ROWS) * 7 % 2).astype(np.int64)
RANDOM = np.random.default_rng(0)
MEASURED = RANDOM.normal(size=ROWS)
"""Unsuspicious column, without findings."""
SITES = np.array(["north", "south", "west", None], object)[RANDOM.integers(0, 4, ROWS)]


def parts(rows: int, *, validation: float = 0.2, test: float = 0.2) -> dict[str, NDArray[np.int64]]:
    """Return row indices of the parts: the last rows are the test part, and those before them the validation part."""
    order, n_test, n_validation = np.arange(rows), round(test * rows), round(validation * rows)
    n_train = rows - n_test - n_validation
    return {
        "train": order[:n_train],
        "validation": order[n_train : n_train + n_validation],
        "test": order[n_train + n_validation :],
    }


def findings_of(columns: Mapping[str, NDArray[Any]], y: NDArray[np.int64] = Y) -> dict[FindingKind, DataFinding]:
    """Return the findings about columns of `ROWS` samples, by kind, next to an unsuspicious column."""
    findings = check({"measured": MEASURED[: len(y)], **columns}, y, ("well", "ill"), parts(len(y)))
    by_kind = {finding.kind: finding for finding in findings}
    assert len(by_kind) == len(findings)
    return by_kind


def test_of_ordinary_columns_there_is_nothing_to_say() -> None:
    ages = RANDOM.integers(20, 90, ROWS).astype(np.float64)
    ages[::9] = np.nan
    prices = RANDOM.lognormal(10, 1, ROWS).round(2)
    assert (
        findings_of({"site": SITES, "age": ages, "price": prices, "smokes": RANDOM.integers(0, 2, ROWS).astype(np.float64)})
        == {}
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (Y.astype(np.float64), FindingKind.LABEL_COPY),
        (np.where(Y == 1, -7.5, 3.0), FindingKind.LABEL_COPY),
        (np.array(["N", "P"], object)[Y], FindingKind.LABEL_COPY),
        # More codes than classes: each code belongs to a single class.
        (Y + 2.0 * RANDOM.integers(0, 3, ROWS), FindingKind.LABEL_COPY),
        (np.arange(ROWS) + 17.0, FindingKind.COUNTER),
        (RANDOM.permutation(ROWS) + 1e9, FindingKind.IDENTIFIER),
        (np.array([f"patient {row}" for row in RANDOM.permutation(ROWS)], object), FindingKind.IDENTIFIER),
        (np.full(ROWS, 7.0), FindingKind.CONSTANT),
        # Missing texts are imputed with the most frequent one, so the column becomes constant.
        (np.array(["P", None], object)[Y], FindingKind.CONSTANT),
        (np.where(np.arange(ROWS) % 3 == 0, np.nan, 7.0), FindingKind.CONSTANT),
        (np.where(np.arange(ROWS) < 160, "a", "b").astype(object), FindingKind.CONSTANT),
        (0.1 * (1 + 1e-16 * np.arange(ROWS)), FindingKind.CONSTANT),
        ((np.arange(ROWS) == 3).astype(np.float64), FindingKind.NEAR_CONSTANT),
        (np.where(np.arange(ROWS) == 3, "rare", "usual").astype(object), FindingKind.NEAR_CONSTANT),
        (MEASURED.copy(), FindingKind.COLUMN_COPY),
        (32 - 1.8 * MEASURED, FindingKind.COLUMN_COPY),
        # Converted to other units and rounded.
        ((1.8 * MEASURED).round(3), FindingKind.COLUMN_COPY),
    ],
    ids=[
        "label",
        "label in other numbers",
        "label in letters",
        "label in more codes",
        "counter",
        "numbers of samples",
        "names of samples",
        "one number",
        "one text",
        "one number or none",
        "one text in training",
        "rounding",
        "one exception",
        "one exceptional text",
        "copy",
        "other units",
        "other units, rounded",
    ],
)
def test_a_suspicious_column_is_named(values: NDArray[Any], kind: FindingKind) -> None:
    findings = findings_of({"odd": values})
    assert list(findings) == [kind]
    assert findings[kind].columns == ("odd",)
    assert "column 'odd' " in findings[kind].message and "--drop 'odd'" in findings[kind].message


def test_codes_that_repeat_other_codes_are_named_with_them() -> None:
    renamed = np.array([{"north": 3.0, "south": 1.0, "west": 2.0, None: np.nan}[site] for site in SITES])
    findings = findings_of({"site": SITES, "number": renamed, "again": SITES.copy()})
    assert list(findings) == [FindingKind.COLUMN_COPY]
    assert findings[FindingKind.COLUMN_COPY].columns == ("number", "again")
    assert "2 columns repeat another one ('number' and 'site', 'again' and 'site')" in findings[FindingKind.COLUMN_COPY].message


def test_what_only_resembles_is_no_copy() -> None:
    almost = SITES.copy()
    almost[5] = "west" if almost[5] != "west" else "north"
    label = Y.astype(np.float64)
    label[5] = 1 - label[5]
    noisy = MEASURED + RANDOM.normal(size=ROWS) / 100
    holes = np.where(np.arange(ROWS) == 3, np.nan, MEASURED)
    assert findings_of({"site": SITES, "almost": almost, "label": label, "noisy": noisy, "holes": holes}) == {}


def test_of_few_rows_a_recoding_says_nothing() -> None:
    """Check columns of distinct values: each is a recoding of every other and determines the class."""
    y = np.arange(12) % 2
    columns = {str(place): RANDOM.normal(size=12).round(1) for place in range(5)}
    assert [finding.kind for finding in check(columns, y, (0, 1), parts(12))] == [FindingKind.SMALL_PART]


def test_nearly_all_is_nearly_all() -> None:
    """Check a counter that restarts once, an identifier with one duplicate, and the limits."""
    rows = np.arange(ROWS, dtype=np.float64)
    assert list(findings_of({"odd": np.where(rows < 160, rows, rows - 160)})) == [FindingKind.COUNTER]
    shuffled = RANDOM.permutation(ROWS).astype(np.float64)
    for twice, kinds in ((2, [FindingKind.IDENTIFIER]), (3, [])):
        values = shuffled.copy()
        values[:twice] = values[twice : 2 * twice]
        assert list(findings_of({"odd": values})) == kinds
    # 1 % of 120 training rows is one row, rounded down.
    for rare, kinds in ((1, [FindingKind.NEAR_CONSTANT]), (2, [])):
        assert list(findings_of({"odd": (rows < rare).astype(np.float64)})) == kinds


def test_many_columns_are_one_sentence() -> None:
    findings = findings_of({f"pixel {place}": np.zeros(ROWS) for place in range(8)})
    assert findings[FindingKind.CONSTANT].columns == tuple(f"pixel {place}" for place in range(8))
    assert findings[FindingKind.CONSTANT].message == (
        "columns 'pixel 0', 'pixel 1', 'pixel 2', 'pixel 3', 'pixel 4' and 3 more each have one value in the training part,"
        " from which nothing can be learned; leave them out with --drop, once for each"
    )


def test_rows_are_found_again_in_other_parts() -> None:
    values, sites = MEASURED.copy(), SITES.copy()
    # Three test rows come from the training part and one from the validation part; two validation rows from the training part.
    for copy, original in ((160, 0), (161, 1), (199, 1), (162, 120), (130, 5), (131, 6)):
        values[copy], sites[copy] = values[original], sites[original]
    # One row occurs three times within the training part.
    values[50], sites[50], values[51], sites[51] = values[20], sites[20], values[20], sites[20]
    columns = {"value": values, "site": sites}
    shared, repeated = check(columns, Y, ("well", "ill"), parts(ROWS))
    assert shared.kind is FindingKind.SHARED_ROWS and repeated.kind is FindingKind.DUPLICATE_ROWS
    assert shared.message.startswith(
        "4 of 40 test rows also occur in the training or validation part and 2 of 40 validation rows also occur in the training"
        " part, so scores on them are optimistically biased; delete the copies, or"
    )
    # The copies of row 1 are both in the test part.
    assert repeated.message.startswith("3 of 200 rows repeat another row of the same part, ")
    # A column of row numbers must not hide equal rows.
    numbered = {"row": np.arange(ROWS, dtype=np.float64), **columns}
    assert [one.message for one in check(numbered, Y, ("well", "ill"), parts(ROWS))][0::2] == [shared.message, repeated.message]


def by_sets(frame: pd.DataFrame, rows: Mapping[str, NDArray[np.int64]]) -> tuple[int, int, int]:
    """Count, with Python sets, test and validation rows that occur in an earlier part, and rows repeated within a part."""
    keys = [tuple(map(str, row)) for row in frame.itertuples(index=False)]
    of_part = {part: [keys[row] for row in chosen] for part, chosen in rows.items()}
    before = set(of_part["train"]) | set(of_part["validation"])
    return (
        sum(key in before for key in of_part["test"]),
        sum(key in of_part["train"] for key in of_part["validation"]),
        sum(len(values) - len(set(values)) for values in of_part.values()),
    )


@pytest.mark.parametrize("seed", range(20))
def test_equal_rows_are_counted_as_sets_count_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": random.integers(0, 9, 300) / 4, "b": random.normal(size=300).round(1) + 0.0})
    frame.loc[random.random(300) < 0.1, "b"] = np.nan
    frame["c"] = np.array(["x", None], object)[random.integers(0, 2, 300)]
    y = random.integers(0, 2, 300)
    rows = parts(300)
    test, validation, repeated = by_sets(frame.astype(object).where(frame.notna(), None), rows)
    columns = {"a": frame["a"].to_numpy(), "b": frame["b"].to_numpy(), "c": frame["c"].to_numpy(object, na_value=None)}
    messages = " ".join(finding.message for finding in check(columns, y, (0, 1), rows))
    assert test and validation and repeated
    for text in (f"{test} of 60 test rows", f"{validation} of 60 validation rows", f"{repeated} of 300 rows"):
        assert text in messages


def test_hashes_see_values_alone() -> None:
    """Check that -0 equals 0 and NaNs are equal, but a small change or swapped values give another hash."""
    other_nan = np.array([0x7FF8000000000123], np.uint64).view(np.float64)[0]
    rows = np.array([[0.0, 1.0, np.nan], [-0.0, 1.0, other_nan], [1.0, 0.0, np.nan], [0.0, 1.0 + 2e-16, np.nan]])
    first, second, exchanged, changed = row_hashes(rows).tolist()
    assert first == second and len({first, exchanged, changed}) == 3
    images = np.random.default_rng(1).integers(0, 2, (50_000, 20)).astype(np.float32)
    assert len(np.unique(row_hashes(images))) == len(np.unique(images, axis=0))


def test_imbalance_names_classes_scores_and_the_option() -> None:
    """Check the limit, too: a ratio of exactly nine is not a finding."""
    for ill, kinds in ((20, []), (19, [FindingKind.IMBALANCE])):
        y = np.zeros(ROWS, np.int64)
        y[:: ROWS // ill][:ill] = 1
        y[1 : ROWS - y.sum() - ROWS + ill + 1] = 1
        assert y.sum() == ill
        assert list(findings_of({}, y)) == kinds
    y = np.zeros(ROWS, np.int64)
    y[[3, 150, 199]] = 1
    (imbalance,) = check({"measured": MEASURED}, y, ("well", "ill"), parts(ROWS))
    assert imbalance.message == (
        "the classes are imbalanced: 'well' has 197 of 200 samples and 'ill' has 3 (1 of them in the test part), so always"
        " answering 'well' has an accuracy of 0.985; search by the mean recall with --score balanced"
    )
    assert relevant([imbalance], Score.ACCURACY) == (imbalance,)
    assert relevant([imbalance], Score.BALANCED) == ()


def test_the_interval_of_a_small_part_is_wilsons() -> None:
    for samples in (2, 10, 20, 100, 1000):
        low, high = binomtest(samples // 2, samples).proportion_ci(method="wilson")
        assert wilson_half_width(samples) == pytest.approx((high - low) / 2)
    assert wilson_half_width(smallest_part()) <= 0.2 < wilson_half_width(smallest_part() - 1)
    assert smallest_part() == 21


def test_small_parts_are_told_with_their_intervals() -> None:
    x, y = RANDOM.normal(size=(12, 3)), np.arange(12) % 2
    (small,) = check_fixed(x, y, (0, 1), {"train": np.arange(7), "validation": np.arange(7, 9), "test": np.arange(9, 12)})
    assert small.message == (
        "the validation part has 2 samples and the test part has 3 samples, so the 95 % confidence interval of an accuracy"
        " extends up to ±0.41 and ±0.37; collect more samples, at least 21 in each part"
    )
    assert check_fixed(RANDOM.normal(size=(105, 3)), np.arange(105) % 2, (0, 1), parts(105)) == ()


def test_the_majority_is_scikit_learns_dummy() -> None:
    random = np.random.default_rng(2)
    y = {"train": random.integers(0, 3, 100), "validation": random.integers(0, 2, 30), "test": random.integers(0, 3, 40)}
    majority = Majority.of(y)
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((100, 1)), y["train"])
    for part, labels in y.items():
        answers = dummy.predict(np.zeros((len(labels), 1)))
        assert majority.score(Score.ACCURACY, part) == pytest.approx(accuracy_score(labels, answers))
        assert majority.score(Score.BALANCED, part) == pytest.approx(balanced_accuracy_score(labels, answers))
    assert Majority.from_json(majority.to_json()) == majority
    # The scikit-learn classifier has no test part.
    assert [*Majority.of(y | {"test": np.empty(0, np.int64)}).accuracy] == ["train", "validation"]


def test_own_data_carry_their_findings() -> None:
    frame = pd.DataFrame({"row": np.arange(ROWS), "value": MEASURED, "diagnosis": np.where(Y == 1, "ill", "well"), "y": Y})
    frame["day"] = pd.date_range("2026-01-01", periods=ROWS).strftime("%Y-%m-%d")
    frame["name"] = [f"patient {number}" for number in RANDOM.permutation(ROWS)]
    splits = splits_of(Source(frame=frame), "y", DataConfig(), name="odd.csv", seed=0)
    assert [(finding.kind, finding.columns) for finding in splits.findings] == [
        (FindingKind.LABEL_COPY, ("diagnosis",)),
        (FindingKind.COUNTER, ("row",)),
        (FindingKind.DATE, ("day",)),
        (FindingKind.FREE_TEXT, ("name",)),
    ]
    assert splits.majority.accuracy == {"train": 0.5, "validation": 0.5, "test": 0.5}
    config = DataConfig(drop=("row", "diagnosis", "day", "name"))
    assert splits_of(Source(frame=frame), "y", config, name="odd.csv", seed=0).findings == ()


@pytest.mark.parametrize("name", [info.name for info in DATASETS.values() if info.source != "IDX files"])
def test_of_data_sets_with_a_name_there_is_nothing_to_say(name: str) -> None:
    assert load(name, seed=0).findings == ()


def test_generated_images_without_noise_are_few() -> None:
    shared, repeated = load("bars-and-stripes:noise=0", seed=0).findings
    assert shared.message.startswith("240 of 240 test rows also occur in the training or validation part")
    # There are only 2 (2⁴ − 1) distinct images, so each part holds nearly all of them.
    assert repeated.kind is FindingKind.DUPLICATE_ROWS and "--groups" not in shared.message


@pytest.mark.parametrize(("samples", "width"), [(100_000, 50), (100, 20_000)])
def test_the_check_takes_no_pairs(samples: int, width: int) -> None:
    """Check that ten CPU seconds suffice, far too few to compare all pairs of columns or rows."""
    random = np.random.default_rng(3)
    values = random.normal(size=(width, samples))
    values[1::2] = np.round(values[1::2])
    columns = {str(place): column for place, column in enumerate(values)}
    columns["copy"] = values[0] * 2
    began = time.process_time()
    findings = check(columns, random.integers(0, 2, samples), (0, 1), parts(samples))
    assert time.process_time() - began < 10
    assert [finding.columns for finding in findings if finding.kind is FindingKind.COLUMN_COPY] == [("copy",)]


def test_a_profile_counts_exceptions_as_the_mode_does() -> None:
    random = np.random.default_rng(4)
    for _ in range(50):
        values = np.where(random.random(80) < 0.7, 5.0, random.integers(0, 9, 80) / 2)
        values[random.random(80) < 0.1] = np.nan
        (profile,) = profiles({"one": values}, np.arange(60))
        present = values[:60][~np.isnan(values[:60])]
        assert profile.exceptions == len(present) - pd.Series(present).value_counts().max()


def test_the_module_needs_numpy_alone() -> None:
    heavy = ("pandas", "sklearn", "scipy", "torch")
    program = f"import sys, faqnas_optuna.data.findings; print(*[name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout == "\n"
