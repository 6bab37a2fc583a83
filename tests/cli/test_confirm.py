"""`confirm`, and other commands applied to a confirmation."""

import json
import os
import re
import signal
from collections.abc import Callable

import optuna
import pytest

from faqnas_optuna.confirmation import objective
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.baselines import ConfirmationResult, Model, confirm_once
from faqnas_optuna.confirmation.opening import open_study
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import TrainingError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.stopping import StopReason
from tests.conftest import load_confirmation, reason_of, successful

Cli = Callable[..., tuple[int, str, str]]
SMALL = ("--trials", "5", "--epochs", "1", "--repeats", "2")


@pytest.fixture
def stored(confirmed: Confirmation, cli_here: Cli) -> Cli:
    """Return the command line, next to a study and its finished confirmation."""
    return cli_here


ONE_CHOICE = "--trials, --top and --pick each select circuits; give only one of them"
ITSELF = r"'iris.confirm' is a confirmation of circuits of 'iris'; .*: faqnas-optuna confirm iris --trials N,N$"
REFUSED = {
    ("iris", "--trials", "5", "--top", "1"): (2, ONE_CHOICE),
    ("iris", "--top", "1", "--pick", "knee"): (2, ONE_CHOICE),
    ("iris", "--trials", "5", "--pick", "best"): (2, ONE_CHOICE),
    ("iris", "--trials", "x"): (2, "--trials must be a list of trial numbers such as 19,48; it is 'x'"),
    ("iris", "--trials", "4,"): (2, "--trials must be a list of trial numbers such as 19,48; it is '4,'"),
    ("iris", "--trials", "-1"): (2, "--trials must be a list of trial numbers such as 19,48; it is '-1'"),
    ("iris", "--trials", "8"): (2, "study 'iris' has no trial 8; it has 0 to 7"),
    ("iris", "--top", "0"): (2, "--top.*0 is not in the range"),
    ("iris", "--epochs", "3"): (3, "study 'iris.confirm' exists with other settings: epochs: stored 2, requested 3; .* --name"),
    ("iris", "--repeats", "2"): (
        3,
        "study 'iris.confirm' exists with other settings: repeats: stored 3, requested 2; use",
    ),
    ("iris", "--baselines", "mlp,knn"): (2, "unknown baseline 'knn'; choose from linear, .*, svm-grid, or none"),
    ("iris", "--baselines", "mlp"): (3, "baselines: stored linear,.*,svm-grid, requested mlp; use the stored values, or"),
    ("iris", "--name", "iris"): (3, "study 'iris' is not a confirmation; choose another name with --name"),
    ("iris", "--name", ""): (2, "a study's name has .*; it is ''"),
    ("iris", "--detach", "--dask", "tcp://127.0.0.1:1"): (2, "--detach starts no workers but --dask says where"),
    ("iris.confirm",): (2, ITSELF),
    ("iris.confirm", "--trials", "0"): (2, ITSELF),
    ("irs",): (2, r"there is no study 'irs': did you mean 'iris'\?"),
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_confirmed_is_one_line(stored: Cli, arguments: tuple[str, ...]) -> None:
    (code, message), (ended, out, err) = REFUSED[arguments], stored("confirm", *arguments)
    assert (ended, out) == (code, "")
    assert re.search(message, err.splitlines()[-1])
    assert [study["study"] for study in json.loads(stored("status", "--json")[1])["studies"]] == ["iris", "iris.confirm"]


CHOSEN: dict[tuple[str, ...], list[int]] = {
    # The front is sorted by accuracy, best first; --trials keeps its order.
    (): [0, 4, 5],
    ("--top", "2"): [0, 4],
    ("--top", "9"): [0, 4, 5],
    ("--pick", "best"): [0],
    ("--trials", "5, 1,5"): [5, 1],
}


@pytest.mark.parametrize("chosen", CHOSEN, ids=" ".join)
def test_the_circuits_that_are_asked_for_are_confirmed(stored: Cli, storage_url: str, chosen: tuple[str, ...]) -> None:
    assert stored("confirm", "iris", *chosen, "--name", "new", "--detach")[0] == 0
    confirmation = load_confirmation(open_storage(storage_url), "new")
    assert [finalist.trial for finalist in confirmation.plan.finalists] == CHOSEN[chosen]
    assert (confirmation.config.training.epochs, confirmation.config.training.repeats) == (50, 10)


def test_a_choice_in_the_environment_is_beaten_by_what_is_typed(
    stored: Cli, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAQNAS_PICK", "best")
    for name, chosen in {"ruled": (), "top": ("--top", "2"), "trials": ("--trials", "1,2")}.items():
        assert stored("confirm", "iris", *chosen, "--name", name, "--detach")[0] == 0
    monkeypatch.setenv("FAQNAS_TRIALS", "3")
    code, _, err = stored("confirm", "iris", "--name", "both", "--detach")
    assert code == 2 and ONE_CHOICE in err
    assert stored("confirm", "iris", "--pick", "knee", "--name", "picked", "--detach")[0] == 0
    plans = [load_confirmation(open_storage(storage_url), name).plan for name in ("ruled", "top", "trials", "picked")]
    assert [[finalist.trial for finalist in confirms.finalists] for confirms in plans if confirms] == [[0], [0, 4], [1, 2], [4]]


def test_baselines_are_chosen(stored: Cli) -> None:
    command = ("confirm", "iris", *SMALL, "--name", "few", "--baselines", "logistic,mlp")
    code, out, err = stored(*command, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert [control["model"] for control in document["circuits"][0]["controls"]] == ["mlp"]
    assert [entry["baseline"] for entry in document["baselines"]] == ["logistic"]
    assert document["baselines_chosen"] == ["mlp", "logistic"] and document["baselines_skipped"] == {}
    # The choice is stored, so it need not be repeated.
    code, out, err = stored("confirm", "iris", "--name", "few", *SMALL, "--json")
    assert (code, err) == (0, "") and json.loads(out) == document | {"seconds": 0}


def test_a_circuit_is_confirmed_without_baselines(stored: Cli) -> None:
    files = ("--latex", "alone.tex", "--plot", "alone.svg", "--csv", "alone.csv")
    code, out, err = stored("confirm", "iris", *SMALL, "--name", "alone", "--baselines", "none", *files)
    assert code == 0, err
    assert "Trial 5 is not compared with a control." in out
    assert "classical model" not in out and "p with" not in out and "Skipped" not in out


def test_a_detached_confirmation_waits_for_workers(stored: Cli) -> None:
    waits = "study new is waiting for workers: faqnas-optuna worker new\n"
    assert stored("confirm", "iris", "--name", "new", "--detach") == (0, "", waits)
    code, out, err = stored("confirm", "iris", "--name", "new", "--detach", "--json")
    assert (code, err) == (0, waits)
    assert json.loads(out) == json.loads(stored("status", "new", "--json")[1])
    (study,) = json.loads(out)["studies"]
    assert (study["study"], study["confirms"], study["state"], study["trials"]["successful"]) == ("new", "iris", "idle", 0)
    # A stopped confirmation resumes when `confirm` is run again.
    assert (
        stored("stop", "new")[1]
        == "study new is stopping; running trials will finish. Continue with: faqnas-optuna resume new\n"
    )
    assert stored("confirm", "iris", "--name", "new", "--detach") == (0, "", waits)
    assert json.loads(stored("status", "new", "--json")[1])["studies"][0]["state"] == "idle"


def test_what_is_confirmed_is_shown_again_as_it_was(stored: Cli, confirmed: Confirmation) -> None:
    code, out, err = stored("confirm", "iris", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(confirmation_document(confirmed))) | {"seconds": 0}
    # Nothing was run, so the time is the integer 0, not a measurement.
    assert out.endswith('"seconds": 0\n}\n')
    # A smaller confirmation than the stored one gives the same document.
    assert stored("confirm", "iris", "--trials", "4", "--epochs", "2", "--repeats", "3", "--json") == (0, out, "")
    assert len(successful(confirmed)) == 45


def test_another_circuit_and_another_seed_go_on_with_it(stored: Cli, confirmed: Confirmation) -> None:
    code, out, err = stored("confirm", "iris", "--trials", "2", "--json")
    assert code == 0, err
    before, document = confirmation_document(confirmed), json.loads(out)
    assert [entry["trial"] for entry in document["circuits"]] == [5, 4, 0, 2]
    accuracies = [[entry["test_accuracies"] for entry in result["circuits"][:3]] for result in (before, document)]
    assert accuracies[0] == accuracies[1]
    code, out, err = stored("confirm", "iris", "--top", "1", "--repeats", "4", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert {len(entry["test_accuracies"]) for entry in document["circuits"]} == {4}
    assert document["trainings"]["done"] == document["trainings"]["needed"]


def test_others_commands_know_a_confirmation(stored: Cli, confirmed: Confirmation) -> None:
    code, out, _ = stored("stop", "iris.confirm")
    assert code == 0 and out.startswith("study iris.confirm is finished: all trainings are done (20")
    message = "study iris.confirm is finished: all trainings are done. Continue with: faqnas-optuna confirm iris\n"
    assert stored("worker", "iris.confirm") == (0, "", message)
    table = stored("status")[1].splitlines()
    assert table[2].split() == ["iris.confirm", "–", "45", "–", "–", "–", "finished"]
    (study,) = json.loads(stored("status", "iris.confirm", "--json")[1])["studies"]
    assert (study["confirms"], study["generations"], study["front"], study["state"]) == ("iris", None, None, "finished")
    code, out, err = stored("resume", "iris.confirm", "--generations", "3")
    assert (code, out) == (2, "")
    assert err == "Error: study 'iris.confirm' is a confirmation, which has no generations; leave out --generations\n"
    code, out, err = stored("resume", "iris.confirm", "--trials", "3")
    assert (code, out) == (2, "")
    assert err == "Error: study 'iris.confirm' is a confirmation, which needs all its trainings; leave out --trials\n"
    code, out, err = stored("start", "iris", "--study", "iris.confirm", "--epochs", "2", "--repeats", "3")
    assert (code, out) == (3, "")
    assert err == "Error: study 'iris.confirm' is a confirmation, not a search; choose another name with --study\n"
    before = confirmation_document(confirmed)["circuits"]
    code, out, _ = stored("resume", "iris.confirm", "--json")
    assert (code, json.loads(out)["circuits"]) == (0, json.loads(json.dumps(before)))
    assert len(successful(confirmed)) == 45


def test_a_worker_of_all_studies_serves_a_confirmation_beside_a_search(stored: Cli, storage_url: str) -> None:
    search = ("--population", "2", "--generations", "1", "--epochs", "1")
    assert stored("start", "iris", "--study", "search", *search, "--detach")[0] == 0
    assert stored("confirm", "iris", *SMALL, "--name", "new", "--detach")[0] == 0
    assert stored("stop", "iris")[0] == 0
    code, out, err = stored("worker", "--until-idle")
    assert (code, out) == (0, ""), err
    storage = open_storage(storage_url)
    reasons = [reason_of(open_study(storage, name)) for name in ("search", "new")]
    assert reasons == [StopReason.GENERATIONS, StopReason.CONFIRMED]
    assert confirmation_document(load_confirmation(storage, "new"))["trainings"]["done"] == 13


def failing(*models: Model) -> Callable[..., ConfirmationResult]:
    """Return a training function that fails for `models`."""

    def confirm(model: Model, *others: object, **options: object) -> ConfirmationResult:
        if model in models:
            raise TrainingError("the loss is nan")
        return confirm_once(model, *others, **options)  # type: ignore[arg-type]  # as it was called

    return confirm


def test_a_training_that_fails_is_told_and_tried_again(stored: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "confirm_once", failing(Model.LINEAR))
    code, out, err = stored("confirm", "iris", *SMALL, "--name", "new", "--json")
    assert code == 0
    number = int(re.findall(r"^trial (\d+) failed: TrainingError: the loss is nan$", err, re.MULTILINE)[0])
    document = json.loads(out)
    assert document["trainings"] == {"needed": 13, "done": 11, "running": 0, "waiting": 0, "failed": 2}
    assert [control["model"] for control in document["circuits"][0]["controls"]] == ["embedding", "separable", "mlp"]
    code, out, _ = stored("show", "new", str(number))
    assert code == 0
    values = dict(re.split(r" {2,}", line) for line in out.splitlines())
    assert (values["state"], values["failure"]) == ("fail", "TrainingError: the loss is nan")
    assert (values["model"], values["network"]) == ("linear", "linear, 3 wide")
    assert "finished, 2 failed" in stored("status", "new")[1]
    assert (
        stored("confirm", "iris", *SMALL, "--name", "new")[1].splitlines()[-1]
        == "2 trainings failed; repeat the command to retry."
    )
    monkeypatch.setattr(objective, "confirm_once", confirm_once)
    code, out, _ = stored("resume", "new", "--json")
    assert code == 0
    assert json.loads(out)["trainings"] == {"needed": 13, "done": 13, "running": 0, "waiting": 0, "failed": 0}
    assert "failed." not in stored("confirm", "iris", *SMALL, "--name", "new")[1]


def test_a_confirmation_in_which_all_fails_says_so(stored: Cli, monkeypatch: pytest.MonkeyPatch, storage_url: str) -> None:
    monkeypatch.setattr(objective, "confirm_once", failing(*Model))
    code, out, err = stored("confirm", "iris", *SMALL, "--name", "new")
    assert (code, out) == (5, "")
    # Four consecutive failures, the population, end it before the classical models are reached.
    message = (
        "study 'new' has confirmed no circuit, and 4 of its trials have failed; see the last with: faqnas-optuna show new 3"
    )
    assert err.splitlines()[-1] == f"Error: {message}"
    assert reason_of(load_confirmation(open_storage(storage_url), "new")) is StopReason.FAILURES


def before(model: Model, act: Callable[[], None]) -> Callable[..., ConfirmationResult]:
    """Return a training function that calls `act` before training `model`."""

    def confirm(trained: Model, *others: object, **options: object) -> ConfirmationResult:
        if trained is model:
            act()
        return confirm_once(trained, *others, **options)  # type: ignore[arg-type]  # as it was called

    return confirm


def test_ctrl_c_shows_what_there_is_and_how_to_go_on(stored: Cli, monkeypatch: pytest.MonkeyPatch, storage_url: str) -> None:
    interrupting = before(Model.LINEAR, lambda: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr(objective, "confirm_once", interrupting)
    code, out, err = stored("confirm", "iris", *SMALL, "--name", "new")
    assert code == 130
    assert "SIGINT: finishing the running trial; signal again to abandon it" in err
    assert err.splitlines()[-1] == "interrupted; finished trials are kept. Continue with: faqnas-optuna resume new"
    # Two trainings are done: those of the circuit and of its first control.
    assert out.startswith("trial  test accuracy")
    assert out.splitlines()[-1] == "11 of 13 trainings are not finished yet."
    search = load_confirmation(open_storage(storage_url), "new")
    assert (len(successful(search)), reason_of(search)) == (2, None)
    monkeypatch.setattr(objective, "confirm_once", confirm_once)
    assert stored("resume", "new")[0] == 0
    assert (len(successful(search)), reason_of(search)) == (13, StopReason.CONFIRMED)


def test_a_confirmation_that_is_deleted_ends_its_workers(
    stored: Cli, monkeypatch: pytest.MonkeyPatch, storage_url: str
) -> None:
    deleting = before(Model.EMBEDDING, lambda: optuna.delete_study(study_name="new", storage=storage_url))
    monkeypatch.setattr(objective, "confirm_once", deleting)
    code, out, err = stored("confirm", "iris", *SMALL, "--name", "new")
    assert (code, out) == (2, "")
    message = "Error: study 'new' was deleted; list the remaining studies with: faqnas-optuna status"
    assert err.splitlines()[-1] == message


def test_what_was_confirmed_outlives_its_search(stored: Cli, confirmed: Confirmation) -> None:
    optuna.delete_study(study_name="iris", storage=confirmed.study._storage)
    code, out, err = stored("confirm", "iris")
    assert (code, out) == (2, "")
    assert "there is no study 'iris'" in err
    assert stored("resume", "iris.confirm", "--json")[0] == 0
