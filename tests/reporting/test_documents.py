import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState

from faqnas_optuna import __version__
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.circuits.genome import GENES, Genome, Rotation
from faqnas_optuna.config import CountedGates, ErrorEstimate, FlopsCounter, SearchConfig, StudyConfig
from faqnas_optuna.confirmation.opening import status_document
from faqnas_optuna.errors import NoSuccessfulTrialError, StudyNotFoundError
from faqnas_optuna.reporting.documents import front_csv, pareto_document, start_document, trial_document
from faqnas_optuna.storage.opening import batched
from faqnas_optuna.study.lifecycle import author, resume, stop
from faqnas_optuna.study.metadata import DESCRIPTION
from faqnas_optuna.study.objective import suggest
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import EXAMPLES, SelectionRule
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.status import stop_document
from faqnas_optuna.study.stopping import StopReason
from faqnas_optuna.training.values import Costs
from tests.conftest import cheap_values, run_trials, small_config
from tests.support.crew import SOON_S


@pytest.fixture
def finished(search_of_eight: Search) -> Search:
    search_of_eight.advance(read_state(search_of_eight))
    return search_of_eight


def test_the_pareto_document_has_the_designs_form(finished: Search) -> None:
    document = pareto_document(read_state(finished))
    assert {key: type(value) for key, value in document.items()} == {
        "schema_version": int,
        "study": str,
        "dataset": str,
        "score": str,
        "cost": str,
        "majority_score": float,
        "generations": int,
        "hypervolume": float,
        "linear_hypervolume": float,
        "front": list,
        "provenance": dict,
    }
    assert (document["schema_version"], document["study"], document["generations"]) == (1, "iris", 2)
    for entry in document["front"]:
        assert {key: type(value) for key, value in entry.items()} == {
            "trial": int,
            "quantum_flops": int,
            "classical_flops": int,
            "parameters": int,
            "val_accuracy": float,
            "val_accuracy_interval": type(None),
            # The trials of this study have no stored balanced accuracy.
            "val_balanced_accuracy": type(None),
            "val_balanced_accuracy_interval": type(None),
            "val_error": float,
            "genome": dict,
            "canonical": dict,
            "circuit": str,
            "effective": dict,
            "function": dict,
            "effective_parameters": int,
        }
        assert list(entry["genome"]) == list(GENES)
        assert entry["val_error"] == pytest.approx(1 - entry["val_accuracy"])
    flops = [entry["quantum_flops"] for entry in document["front"]]
    assert flops == sorted(flops)


def test_the_start_document_adds_what_the_search_took(finished: Search) -> None:
    document = start_document(read_state(finished), seconds=1.23456)
    added = {key: value for key, value in document.items() if key not in pareto_document(read_state(finished))}
    stop = added.pop("stop")
    assert stop["reason"] == "generations" and 0 <= stop["seconds"] < 24 * 3600
    assert added == {
        "seconds": 1.235,
        "trials": 8,
        "trained": 8,
        "reused": 0,
        "failed": 0,
        "given_up": 0,
        "warm_start": None,
        "checks": None,
        "stop_reason": "generations",
        "state": "finished",
        "because": "all 2 generations are done",
    }


def test_a_study_that_stopped_before_it_was_made_took_no_time_that_is_known(finished: Search) -> None:
    """Create the study after its stop, as when the clock was set back in between."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    stepped = replace(finished, description=replace(finished.description, created=later))
    assert stop_document(stepped)["stop"]["seconds"] is None
    assert stop_document(finished)["stop"]["seconds"] >= 0


def test_an_empty_study_has_no_front(new_search: Callable[..., Search]) -> None:
    search = new_search()
    with pytest.raises(NoSuccessfulTrialError, match="no successful trial yet; see: faqnas-optuna status iris"):
        pareto_document(read_state(search))
    assert search.progress(read_state(search)).best_score is None
    (status,) = status_document(search.study._storage, None)["studies"]
    volumes = status["hypervolume"], status["linear_hypervolume"]
    assert (status["front"], volumes, status["best_score"]) == (0, (0.0, 0.0), None)


def test_status_counts_trials_and_tells_of_stops(finished: Search, new_search: Callable[..., Search]) -> None:
    other = new_search(name="other")
    other.study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
    stop(other, StopReason.REQUESTED)
    first, second = status_document(finished.study._storage, None)["studies"]
    assert (first["study"], first["state"], first["stop"]["reason"]) == ("iris", "finished", "generations")
    assert first["trials"] == {"successful": 8, "running": 0, "failed": 0, "given_up": 0, "waiting": 0}
    assert (first["generations_closed"], first["generations"], first["population"]) == (2, 2, 4)
    assert (second["study"], second["stop"]["reason"], second["trials"]["running"]) == ("other", "requested", 1)


def test_progress_looks_no_further_than_the_last_generation(finished: Search) -> None:
    progress = finished.progress(read_state(finished))
    assert (progress.generation, progress.generations, progress.trials, progress.planned) == (2, 2, 8, 8)


def test_a_trial_is_shown_with_interval_and_drawing(finished: Search) -> None:
    document = trial_document(finished, 3)
    assert document["drawing"].count("<Z>") == document["genome"]["n_qubits"]
    low, high = document["val_accuracy_wilson"]
    # A single training has no t interval.
    assert document["val_accuracy_interval"] is None
    assert 0 <= low < document["val_accuracy"] < high <= 1
    with pytest.raises(StudyNotFoundError, match="no trial 8; it has 0 to 7"):
        trial_document(finished, 8)
    with pytest.raises(StudyNotFoundError, match="no trial -1"):
        trial_document(finished, -1)


def test_a_trial_is_shown_with_the_pooled_error_of_its_front(new_search: Callable[..., Search]) -> None:
    search = new_search(small_config(search=SearchConfig(population=10, front=ErrorEstimate.POOLED)))
    run_trials(search, 20, cheap_values)
    for candidate in read_state(search).front:
        assert trial_document(search, candidate.trial)["val_error"] == candidate.val_error


def test_a_trial_that_never_got_its_genes_is_shown(new_search: Callable[..., Search]) -> None:
    search = new_search()
    search.study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
    assert trial_document(search, 0) == {"schema_version": 1, "study": "iris", "trial": 0, "state": "running"}


def test_the_table_of_the_front_has_each_gene_in_a_column(finished: Search) -> None:
    document = pareto_document(read_state(finished))
    rows = list(csv.DictReader(io.StringIO(front_csv(document))))
    assert [int(row["trial"]) for row in rows] == [entry["trial"] for entry in document["front"]]
    assert {gene: rows[0][gene] for gene in GENES} == {
        gene: str(value) for gene, value in document["front"][0]["genome"].items()
    }


def test_status_tells_who_is_at_what(
    new_search: Callable[..., Search], cli_here: Callable[..., tuple[int, str, str]], storage_url: str
) -> None:
    search = new_search()
    trial, _just_begun = search.study.ask(), search.study.ask()
    genome = suggest(trial, search.config.space)
    trial.set_user_attr("worker", "elsewhere:17")
    batched(search.study).store(trial._trial_id)
    (study,) = status_document(search.study._storage, None)["studies"]
    (first, second), circuit = study["workers"], str(genome.circuit)
    assert 0 <= first.pop("heard_s_ago") < SOON_S
    assert first == {"worker": "elsewhere:17", "trial": 0, "circuit": circuit}
    assert second == {"worker": None, "trial": 1, "circuit": None, "heard_s_ago": None}
    resume(search, generations=5)
    _, out, _ = cli_here("status")
    assert re.search(rf"^elsewhere:17 +iris +0 +\d+ s ago +{re.escape(circuit)}$", out, re.MULTILINE)
    assert re.search(rf"^iris resumed 2[-0-9]+ [:0-9]+ UTC \({re.escape(author())}\)$", out, re.MULTILINE)


def test_status_of_all_names_a_study_that_it_cannot_read(
    finished: Search, new_search: Callable[..., Search], cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    study = new_search(name="newer").study
    description = study.user_attrs[DESCRIPTION]
    study.set_user_attr(DESCRIPTION, description | {"config": description["config"] | {"annealing": 3}})
    document = status_document(finished.study._storage, None)
    assert [entry["study"] for entry in document["studies"]] == ["iris"]
    (left_out,) = document["left_out"]
    assert left_out["study"] == "newer"
    code, out, err = cli_here("status")
    assert (code, err) == (0, "")
    assert f"skipping study newer: {left_out['reason']}" in out
    code, _, err = cli_here("status", "newer")
    assert (code, err) == (3, f"Error: {left_out['reason']}\n")


def test_a_study_of_before_hypervolumes_were_logarithmic_is_left_out_of_all(
    finished: Search, new_search: Callable[..., Search], cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    study = new_search(name="older").study
    entry = {name: value for name, value in study.user_attrs[DESCRIPTION].items() if name != "flops_range"}
    study.set_user_attr(DESCRIPTION, entry | {"reference_point": [1.5, 1.0]})
    reason = (
        f"study 'older' was made by an earlier faqnas-optuna, {__version__}, which defined hypervolumes differently:"
        " read it with that version, or start another study with --study"
    )
    code, out, err = cli_here("status")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("iris ")
    assert out.splitlines()[-1] == f"skipping study older: {reason}"
    for command in (("status", "older"), ("pareto", "older"), ("resume", "older"), ("worker", "older")):
        assert cli_here(*command) == (3, "", f"Error: {reason}\n")


@pytest.mark.parametrize("counter", FlopsCounter)
@pytest.mark.parametrize("of", CountedGates)
def test_what_the_cheapest_circuit_that_computes_the_same_costs_is_told(
    new_search: Callable[..., Search], cli_here: Callable[..., tuple[int, str, str]], counter: FlopsCounter, of: CountedGates
) -> None:
    config = small_config(flops=counter, gates=of)
    search = new_search(config)
    for rotation in Rotation:
        inert = {"entangler": "CZ", "topology": "circular", "depth": 2, "rotation_1": rotation, "rotation_2": "RZ"}
        others = {"n_qubits": 3, "embedding": "angle", "rotation_3": "RX", "rotation_4": "RX"}
        search.study.enqueue_trial(inert | others)
    run_trials(search, 3, cheap_values)
    for number in range(3):
        document = trial_document(search, number)
        effective, genome = document["effective"], Genome.from_params(document["genome"])
        cheapest = effective_circuit(genome.circuit)
        assert (effective["cheapest"], cheapest.depth) == (str(cheapest), 1)
        assert effective["cheapest_flops"] == Costs.of(cheapest, n_features=4, n_classes=3).quantum_flops(config)
        line = f"{cheapest} at {effective['cheapest_flops']} quantum FLOPs"
        assert re.search(rf"^  cheapest equivalent +{re.escape(line)}$", cli_here("show", "iris", str(number))[1], re.MULTILINE)


def test_of_a_trial_that_was_not_counted_the_cheapest_circuit_has_no_flops(new_search: Callable[..., Search]) -> None:
    search = new_search()
    suggest(search.study.ask(), search.config.space)
    running = search.study.ask()
    suggest(running, search.config.space)
    batched(search.study).store(running._trial_id)
    assert trial_document(search, 1)["effective"]["cheapest_flops"] is None


@pytest.mark.parametrize("rule", EXAMPLES)
def test_the_document_of_a_pick_holds_one_circuit_and_why(finished: Search, rule: str) -> None:
    state, pick = read_state(finished), SelectionRule.parse(rule)
    whole, document = pareto_document(state), pareto_document(state, pick)
    (entry,) = document["front"]
    assert entry["trial"] == pick.choose(state.front).trial
    assert document["pick"] == {"rule": rule, "why": pick.why(state.front, cost_with_name=state.study.config.cost_with_name)}
    assert document == whole | {"front": [entry], "pick": document["pick"]}
    assert "pick" not in whole and entry in whole["front"]
    assert len(list(csv.DictReader(io.StringIO(front_csv(document))))) == 1


def test_status_shows_a_stopped_study_whose_last_trials_still_run(
    new_search: Callable[..., Search], cli_here: Callable[..., tuple[int, str, str]]
) -> None:
    search = new_search()
    run_trials(search, 4, cheap_values)
    search.study.ask()
    stop(search, StopReason.REQUESTED)
    code, out, err = cli_here("status")
    assert (code, err) == (0, "")
    assert re.search(r"^iris stopped 2[-0-9]+ [:0-9]+ UTC: a user requested it \(", out, re.MULTILINE)
    assert "stopped, 1 worker\n" in out
    assert "minutes left" not in out


def test_a_study_that_was_copied_under_a_name_that_we_refuse_is_left_out_of_all(finished: Search) -> None:
    storage = finished.study._storage
    optuna.copy_study(from_study_name="iris", from_storage=storage, to_storage=storage, to_study_name="my study")
    document = status_document(storage, None)
    assert [study["study"] for study in document["studies"]] == ["iris"]
    (left_out,) = document["left_out"]
    assert left_out["study"] == "my study"
    assert left_out["reason"].startswith("a study's name has 1 to 100 letters")


def test_what_is_exported_tells_the_circuit_and_what_decided_its_values(finished: Search) -> None:
    document = pareto_document(read_state(finished))
    for entry, row in zip(document["front"], csv.DictReader(io.StringIO(front_csv(document))), strict=True):
        circuit = Genome.from_params(entry["genome"]).circuit
        assert (entry["canonical"]["summary"], row["summary"]) == (str(circuit), str(circuit))
        assert entry["canonical"]["rotations"] == row["canonical_rotations"].split() == [*circuit.rotations]
        assert entry["canonical"]["topology"] == row["canonical_topology"] == circuit.topology
        columns = {name: json.loads(row[name]) for name in ("settings", "versions")}
        assert columns == {name: document["provenance"][name] for name in columns}
        assert (row["study"], row["dataset"], row["seed"]) == ("iris", "iris", "0")
        assert (row["inert"], row["cheapest"]) == (entry["effective"]["inert"] or "", entry["effective"]["cheapest"])
        assert int(row["cheapest_flops"]) == entry["effective"]["cheapest_flops"]
    assert StudyConfig.from_settings(document["provenance"]["settings"], source="export") == finished.config
