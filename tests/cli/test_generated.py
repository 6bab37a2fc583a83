"""Generated data, in every place that accepts a data set."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from faqnas_optuna import load_table, search
from faqnas_optuna.data.generated_names import Recipe
from faqnas_optuna.errors import DataError
from faqnas_optuna.study.study import check_name, default_name

Cli = Callable[..., tuple[int, str, str]]

TINY = ("--population", "4", "--generations", "1", "--epochs", "1")


def test_a_search_over_generated_data_goes_all_the_way(cli_here: Cli, tmp_path: Path) -> None:
    code, out, err = cli_here("start", "two-curves:samples=60,features=4,noise=0.010", *TINY, "--json")
    assert code == 0, err
    document, study, dataset = json.loads(out), "two-curves-features-4-samples-60", "two-curves:features=4,samples=60"
    assert (document["study"], document["dataset"]) == (study, dataset)
    # Another spelling of the same data selects the same study; other data do not.
    code, out, err = cli_here("start", "--dataset", "two-curves:features=04,samples=60,degree=5", *TINY, "--json")
    assert (code, json.loads(out)["study"]) == (0, study), err
    code, _, err = cli_here("start", "two-curves:features=4,samples=60,seed=1", "--study", study, *TINY)
    assert (
        code == 3
        and "dataset: stored two-curves:features=4,samples=60, requested two-curves:features=4,samples=60,seed=1" in err
    )

    code, out, err = cli_here("confirm", study, "--top", "1", "--repeats", "2", "--epochs", "1", "--json")
    assert code == 0 and json.loads(out)["dataset"] == dataset, err
    code, out, err = cli_here("export", study, "--out", "model", "--json")
    assert code == 0, err
    right = sum(part["right"] for part in json.loads(out)["accuracies"].values())
    raw = Recipe.read(dataset).make()
    frame = pd.DataFrame(raw["x"], columns=raw["columns"]).assign(target=raw["classes"][raw["y"]])
    frame.to_csv(tmp_path / "curves.csv", index=False)
    code, out, err = cli_here("predict", "model", "curves.csv")
    assert code == 0 and err.splitlines()[-1].startswith(f"{right} of 60 right")
    assert out.splitlines()[0] == "label,p_-1,p_1"


def test_a_study_file_names_them_with_components(cli_here: Cli, tmp_path: Path) -> None:
    (tmp_path / "arms.toml").write_text('dataset = "spirals:samples=90,classes=3"\n[data]\npca = 2\n')
    assert cli_here("start", "--config", "arms.toml", *TINY)[0] == 0
    document = json.loads(cli_here("show", "spirals-samples-90", "--json")[1])
    assert document["settings"]["dataset"] == "spirals:samples=90" and document["settings"]["data"]["pca"] == 2
    (tmp_path / "arms.toml").write_text('dataset = "spirals:arms=3"\n')
    code, out, err = cli_here("start", "--config", "arms.toml", *TINY)
    assert (code, out) == (2, "")
    assert err == "Error: spirals: unknown parameter 'arms'; choose from features, samples, classes, turns, noise, seed\n"


@pytest.mark.slow
def test_a_table_of_them_has_a_name_that_every_file_system_takes(cli_here: Cli, tmp_path: Path) -> None:
    small = ("--fraction", "0.001", "--repeats", "1", "--workers", "1", "--epochs", "1")
    code, _, err = cli_here("enumerate", "bars-and-stripes:samples=40,height=2,width=2", *small)
    assert code == 0, err
    table = load_table(tmp_path / "bars-and-stripes-samples-40-height-2-width-2.table.parquet")
    assert table.document["dataset"] == "bars-and-stripes:samples=40,height=2,width=2"
    assert table.document["classes"] == ["bars", "stripes"]


def test_a_program_searches_over_them(storage_url: str) -> None:
    study = search(
        "hidden-manifold:samples=60,manifold=6", storage=storage_url, population=4, generations=1, epochs=1, check=False
    )
    assert (study.name, study.config.dataset) == ("hidden-manifold-samples-60", "hidden-manifold:samples=60")
    with pytest.raises(DataError, match="hidden-manifold: manifold is a whole number from 1 to 100; it is '0'"):
        search("hidden-manifold:manifold=0", storage=storage_url)


def test_all_their_keys_are_told(cli_here: Cli) -> None:
    code, out, err = cli_here("datasets", "spirals:features=20")
    assert (code, err) == (0, "")
    assert out.startswith("spirals:features=20: 1,500 samples (900 train, 300 validation, 300 test), 20 features\n")
    assert out.splitlines()[2] == (
        "Always predicting the majority class gives an accuracy of 0.333 (train), 0.333 (validation), 0.333 (test)."
    )
    assert [line.split()[:2] for line in out.splitlines()[3:]] == [
        ["parameter", "value"],
        ["features", "20"],
        ["samples", "1500"],
        ["classes", "3"],
        ["turns", "1.0"],
        ["noise", "0.16"],
        ["seed", "0"],
    ]
    document = json.loads(cli_here("datasets", "spirals:features=20", "--json")[1])
    assert document["keys"][4] == {"key": "noise", "value": 0.16, "meaning": "standard deviation of the noise"}
    assert json.loads(cli_here("datasets", "iris", "--json")[1])["keys"] == []


@pytest.mark.parametrize("command", ["start", "enumerate", "datasets"])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("two-curves:features=1", "two-curves: features is a whole number from 2 to 1,000; it is '1'"),
        ("two-curve:noise=0.1", "unknown data set 'two-curve': did you mean 'two-curves'?"),
        (
            "wine:seed=1",
            "wine:seed=1: only generated data sets have parameters; write wine, or use one of linearly-separable, ",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(cli_here: Cli, tmp_path: Path, command: str, name: str, error: str) -> None:
    code, out, err = cli_here(command, name)
    assert (code, out) == (2, "") and err.startswith(f"Error: {error}") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_every_one_of_them_gives_a_study_a_name() -> None:
    for name in ("two-curves:offset=1e-05", "two-curves:features=1000,samples=10000,degree=100,offset=0.123456789,noise=0.1"):
        check_name(default_name(Recipe.read(name).name))
    assert default_name("two-curves:offset=1e-05") == "two-curves-offset-1e-05"
