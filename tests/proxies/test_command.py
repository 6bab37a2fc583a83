import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna.data.splits import DataSplits
from studies.proxies import judging, sampling
from studies.proxies.judging import PROXIES
from studies.proxies.sampling import read_values, trained_circuits, write_values
from tests.support.benchmarks import made_up_table
from tests.support.modules import RunModule
from tests.support.modules import module_here as module_here

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def proxies(module_here: RunModule) -> Cli:
    """Run `python -m studies.proxies` in this process."""
    return partial(module_here, "studies.proxies")


@pytest.mark.slow
def test_values_are_computed(proxies: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = trained_circuits()[:3]
    monkeypatch.setattr(sampling, "trained_circuits", lambda: few)
    code, out, err = proxies("compute", "--out", "values.parquet")
    assert (code, out) == (0, "") and "wrote values.parquet" in err
    digests, values = read_values(tmp_path / "values.parquet")
    assert digests == tuple(circuit.digest for circuit in few) and set(values) == set(PROXIES)


@pytest.mark.slow
def test_a_table_is_judged(proxies: Cli, iris: DataSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A tenth of the work: the proxy that predicts does so clearly.
    monkeypatch.setattr(judging, "RESAMPLES", 50)
    monkeypatch.setattr(judging, "REPEATS", 2)
    generator = np.random.default_rng(0)
    circuits = trained_circuits()
    columns = {name: generator.random(len(circuits)).tolist() for name in PROXIES}
    # The gradient variance predicts, all other proxies are noise.
    quality = dict(zip(circuits, columns["gradient_variance"], strict=True))
    table = made_up_table(
        tmp_path / "iris.parquet",
        iris,
        lambda trained, shape: (
            np.array([20 * quality[circuit] for circuit in trained])[:, None, None, None] + generator.integers(0, 3, shape)
        ),
        seeds=3,
    )
    digests = [circuit.digest for circuit in circuits]
    write_values({"circuit": digests} | columns, tmp_path / "values.parquet")
    code, out, err = proxies("judge", str(table.file), "--values", "values.parquet", "--out", "proxies.md", "--json")
    assert code == 0 and "wrote proxies.md and proxies.svg" in err
    (result,) = json.loads(out)["tables"]
    assert result["verdicts"]["correlation"] == {
        name: "holds" if name == "gradient_variance" else "does not hold" for name in PROXIES
    }
    assert set(result["verdicts"]["gain"].values()) == {"holds"}
    assert result["verdicts"]["safe"]["gradient_variance"] == "holds"
    text = (tmp_path / "proxies.md").read_text()
    correlation = result["correlations"]["all"]["raw"]["gradient_variance"]["validation 5"]
    assert f"| gradient variance | {correlation['value']:.2f} ({correlation['low']:.2f} to" in text and "(proxies.svg)" in text
    assert (tmp_path / "proxies.svg").read_text().count("gradient variance") == 1


REFUSED: dict[tuple[str, ...], str] = {
    ("judge", "--out", "proxies.txt"): "--out must end with .md; it is proxies.txt",
    ("judge", "--out", "absent/proxies.md"): "absent/proxies.md: directory absent does not exist; create it first",
    ("compute", "--out", "values.csv"): "--out must end with .parquet; it is values.csv",
    ("judge", "absent"): "there is no bundled table of 'absent'",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_refusals(arguments: tuple[str, ...], proxies: Cli) -> None:
    code, out, err = proxies(*arguments)
    assert (code, out) == (2, "") and REFUSED[arguments] in err and len(err.splitlines()) == 1


@pytest.mark.slow
def test_values_of_other_circuits_are_refused(proxies: Cli, tmp_path: Path) -> None:
    columns = {"circuit": ["0" * 12]} | {name: [0.5] for name in PROXIES}
    write_values(columns, tmp_path / "values.parquet")
    code, out, err = proxies("judge", "iris", "--values", "values.parquet")
    assert (code, out) == (2, "") and "--values must have all effective circuits once; values.parquet has others" in err
