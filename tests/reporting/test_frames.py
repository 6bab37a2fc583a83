import math

from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.circuit_table import confirmed_frame
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.reporting.documents import pareto_document
from faqnas_optuna.reporting.frames import front_frame, trials_frame
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state


def test_a_frame_of_the_front_is_its_document(search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    rows, entries = front_frame(state).to_dict("records"), pareto_document(state)["front"]
    for row, entry in zip(rows, entries, strict=True):
        for name in ("trial", "quantum_flops", "val_accuracy", "parameters"):
            assert row[name] == entry[name]
        assert row["circuit"] == entry["effective"]["summary"]
        assert {gene: row[gene] for gene in entry["genome"]} == entry["genome"]
        # A single training has no interval.
        assert math.isnan(row["val_accuracy_low"]) and math.isnan(row["val_accuracy_high"])


def test_a_frame_of_trials_knows_clones_once(search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    frame = trials_frame(state)
    assert len(frame) == len({trial.user_attrs["circuit"] for trial in search_of_eight.study.trials})
    assert list(frame["trial"]) == sorted(trial.number for trial in state.by_circuit.values())
    assert set(frame.loc[frame["on_front"], "trial"]) == {candidate.trial for candidate in state.front}


def test_a_frame_of_a_confirmation_is_its_document(confirmed: Confirmation) -> None:
    document = confirmation_document(confirmed)
    for row, entry in zip(confirmed_frame(document).to_dict("records"), document["circuits"], strict=True):
        assert [row["test_accuracy_low"], row["test_accuracy_high"]] == entry["test_accuracy_interval"]
        assert (row["search_estimate"], row["circuit"]) == (entry["val_accuracy"], entry["effective"])
        for control in entry["controls"]:
            assert row[control["model"]] == control["test_accuracy"]
