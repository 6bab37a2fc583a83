"""Damage to one study in the database, with a healthy study beside it."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faqnas_optuna.config import SearchConfig
from faqnas_optuna.dashboard.watching import StudyWatcher
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import create, load
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.training import evaluation
from tests.conftest import cheap_values, copy_database, reason_of, run_trials, small_config
from tests.support.crew import instant_evaluation
from tests.support.sampling import mostly_slow

Cli = Callable[..., tuple[int, str, str]]

OF_TRIAL_3 = "WHERE trial_id = (SELECT trial_id FROM trials WHERE study_id = 1 AND number = 3)"
FIRST_THREE = "SELECT trial_id FROM trials WHERE study_id = 1 AND number < 3"
DISTRIBUTION = '{"name": "NoSuchDistribution", "attributes": {}}'


def user_attribute(name: str, text: str) -> str:
    return f"UPDATE trial_user_attributes SET value_json = '{text}' {OF_TRIAL_3} AND \"key\" = '{name}'"


def study_attribute(name: str, text: str) -> str:
    return f"INSERT OR REPLACE INTO study_user_attributes (study_id, \"key\", value_json) VALUES (1, '{name}', '{text}')"


SEEN_BY_ALL = {
    "no values": (f"DELETE FROM trial_values {OF_TRIAL_3}", "trial 3 has the values None"),
    "one value": (f"DELETE FROM trial_values {OF_TRIAL_3} AND objective = 1", r"trial 3 has the values \[[\d.]+\]"),
    "null": (f"UPDATE trial_values SET value = NULL {OF_TRIAL_3}", "trial 3 cannot be read: TypeError"),
    "text value": (f"UPDATE trial_values SET value = 'much' {OF_TRIAL_3}", "trial 3 has the values .'much'"),
    "infinite": (f"UPDATE trial_values SET value = NULL, value_type = 'INF_POS' {OF_TRIAL_3}", "trial 3 has the values .inf"),
    "no parameters": (
        f"DELETE FROM trial_params {OF_TRIAL_3}",
        "trial 3: a genome must have all nine genes of the paper; it lacks depth",
    ),
    "no gene": (
        f"DELETE FROM trial_params {OF_TRIAL_3} AND param_name = 'depth'",
        "trial 3: a genome must have all nine genes of the paper; it lacks depth",
    ),
    "no such choice": (f"UPDATE trial_params SET param_value = 99 {OF_TRIAL_3}", "trial 3 cannot be read: IndexError"),
    "distribution": (f"UPDATE trial_params SET distribution_json = '{DISTRIBUTION}' {OF_TRIAL_3}", "trial 3 cannot be read"),
    "state": ("UPDATE trials SET state = 'LOST' WHERE study_id = 1 AND number = 3", "'LOST' is not among"),
    "time": ("UPDATE trials SET datetime_complete = 'noon' WHERE study_id = 1 AND number = 3", "noon"),
    "text accuracy": (user_attribute("val_accuracy", '"high"'), "trial 3 has 'high' as its val_accuracy"),
    "list circuit": (user_attribute("circuit", "[1]"), r"trial 3 has \[1\] as its circuit"),
    "number worker": (user_attribute("worker", "5"), "trial 3 has 5 as its worker"),
    "broken attribute": (user_attribute("worker", "{"), "trial 3 cannot be read: JSONDecodeError"),
    "no accuracy": (
        f"DELETE FROM trial_user_attributes {OF_TRIAL_3} AND \"key\" = 'val_accuracy'",
        "trial 3 has no val_accuracy",
    ),
    "generation": (
        f"UPDATE trial_system_attributes SET value_json = '\"first\"' {OF_TRIAL_3}",
        "trial 3 has 'first' as its generation",
    ),
    "no directions": ("DELETE FROM study_directions WHERE study_id = 1", "its directions are: none"),
    "other direction": (
        "UPDATE study_directions SET direction = 'MAXIMIZE' WHERE study_id = 1 AND objective = 1",
        "its directions are: minimize, maximize",
    ),
    "broken description": (study_attribute("faqnas", "{"), "attribute 'faqnas' is not JSON"),
    "number description": (study_attribute("faqnas", "5"), "attribute 'faqnas' holds"),
    "empty description": (study_attribute("faqnas", "{}"), "attribute 'faqnas' holds KeyError"),
    "setting": (
        "UPDATE study_user_attributes SET value_json = json_set(value_json, '$.config.training.epochs', 'many')"
        " WHERE study_id = 1 AND \"key\" = 'faqnas'",
        "attribute 'faqnas' holds .*epochs",
    ),
    "sizes": (
        "UPDATE study_user_attributes SET value_json = json_remove(value_json, '$.sizes.validation')"
        " WHERE study_id = 1 AND \"key\" = 'faqnas'",
        "attribute 'faqnas' holds KeyError..validation",
    ),
}
SEEN_BY_STATUS = {
    "broken stop": (study_attribute("stop", "{"), "attribute 'stop' is not JSON"),
    "resumed": (study_attribute("resumed", "5"), "attribute 'resumed' holds"),
}
SEEN_BY_WORKERS = {
    "closed generation": (study_attribute("generation:0", '"x"'), "attribute 'generation:0' holds"),
    "parents": (
        "INSERT INTO study_system_attributes (study_id, \"key\", value_json) VALUES (1, 'x', '{')",
        "attribute 'x' is not JSON",
    ),
}


@pytest.fixture(scope="module")
def database_of_two(iris: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a database with two running studies of three generations of four: `bad` has eight trials, `good` four."""
    file = tmp_path_factory.mktemp("two") / "faqnas.db"
    storage = open_storage(f"sqlite:///{file}", create=True)
    for name, count in (("bad", 8), ("good", 4)):
        search = create(storage, name, small_config(search=SearchConfig(population=4, generations=3, patience=9)), iris)
        run_trials(search, count, cheap_values)
    return file


@pytest.fixture
def two(database_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that damages `bad` in a copy of the database; trials in this process train nothing."""
    copy_database(database_of_two, tmp_path / "faqnas.db")
    monkeypatch.setattr(evaluation, "prepare", lambda _engines: None)
    monkeypatch.setattr(evaluation, "evaluate", lambda circuit, _splits, _config: instant_evaluation(circuit))

    def execute(statement: str) -> None:
        with closing(sqlite3.connect(tmp_path / "faqnas.db")) as connection, connection:
            assert connection.execute(statement).rowcount > 0

    return execute


def assert_refused(result: tuple[int, str, str], reason: str) -> None:
    """Check for exit code 3 and a one-line error with the study's name, the damage and the remedy."""
    code, out, err = result
    assert (code, out, err.count("\n")) == (3, "", 1), result
    assert re.match(f"Error: study 'bad' is damaged in the database: .*{reason}.*; restore a backup of the database", err), err


@pytest.mark.parametrize("damage", mostly_slow(SEEN_BY_ALL | SEEN_BY_STATUS))
def test_who_looks_at_all_leaves_out_a_damaged_study(
    two: Callable[[str], None], storage_url: str, cli_here: Cli, damage: str
) -> None:
    statement, reason = (SEEN_BY_ALL | SEEN_BY_STATUS)[damage]
    two(statement)
    code, out, err = cli_here("status")
    assert (code, err) == (0, ""), err
    assert re.search(r"^good +1/3 +4 ", out, re.MULTILINE), out
    assert re.search(f"^skipping study bad: study 'bad' is damaged .*{reason}", out, re.MULTILINE), out
    document = json.loads(cli_here("status", "--json")[1])
    assert [study["study"] for study in document["studies"]] == ["good"]
    (left_out,) = document["left_out"]
    assert left_out["study"] == "bad" and re.search(reason, left_out["reason"])

    overview = StudyWatcher(open_storage(storage_url)).overview()
    assert [status["study"] for status in overview.studies] == ["good"]
    assert re.search(reason, overview.left_out["bad"]) and overview.study_ids.keys() == {"bad", "good"}
    assert [study.study_name for study in open_storage(storage_url).get_all_studies()][-1] == "good"

    assert cli_here("pareto", "good")[0] == 0
    commands: list[tuple[str, ...]] = [("status", "bad"), ("resume", "bad")]
    if damage in SEEN_BY_ALL:
        commands += [("pareto", "bad"), ("show", "bad", "0"), ("worker", "bad"), ("export", "bad", "--out", "model")]
    for command in commands:
        assert_refused(cli_here(*command), reason)


@pytest.mark.parametrize("damage", mostly_slow(SEEN_BY_ALL | SEEN_BY_STATUS | SEEN_BY_WORKERS))
def test_a_worker_of_all_serves_the_healthy(two: Callable[[str], None], storage_url: str, cli_here: Cli, damage: str) -> None:
    statement, reason = (SEEN_BY_ALL | SEEN_BY_STATUS | SEEN_BY_WORKERS)[damage]
    two(statement)
    code, _, err = cli_here("worker", "--until-idle")
    assert code == 0, err
    (warning,) = [line for line in err.splitlines() if line.startswith("skipping")]
    assert re.match(f"skipping study bad: study 'bad' is damaged .*{reason}", warning), warning
    assert "Traceback" not in err
    assert reason_of(load(open_storage(storage_url), "good")) is StopReason.GENERATIONS


@pytest.mark.parametrize(
    ("statement", "is_noticed"),
    [
        ("DELETE FROM trials WHERE study_id = 1 AND number IN (1, 2, 6)", True),
        (f"DELETE FROM trial_user_attributes WHERE trial_id IN ({FIRST_THREE})", True),
        # The results remain but no longer count towards any generation.
        (f"DELETE FROM trial_system_attributes WHERE trial_id IN ({FIRST_THREE})", False),
    ],
    ids=["rows", "attributes", "generations"],
)
def test_a_search_makes_up_for_trials_that_were_deleted(
    two: Callable[[str], None], storage_url: str, cli_here: Cli, statement: str, is_noticed: bool
) -> None:
    two(statement)
    code, _, err = cli_here("resume", "bad")
    assert code == 0, err
    message = "study bad: 3 trials or their results are missing from the database; other trials replace them"
    assert (message in err.splitlines()) is is_noticed
    search = load(open_storage(storage_url), "bad")
    state = read_state(search)
    assert reason_of(search) is StopReason.GENERATIONS
    assert {generation: state.generation_sizes[generation] for generation in range(3)} == {0: 4, 1: 4, 2: 4}
    # Eight trials of the first two generations, three replacements, and four of the last generation.
    assert max(trial.number for trial in search.trials()) == 14
    document = json.loads(cli_here("show", "bad", "14", "--json")[1])
    assert (document["trial"], document["state"]) == (14, "complete")
