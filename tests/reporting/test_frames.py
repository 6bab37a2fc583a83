import math

import numpy as np

from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.circuit_table import confirmed_frame
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.reporting.documents import pareto_document, trial_document
from faqnas_optuna.reporting.frames import front_frame, trials_frame
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state


def test_a_frame_of_the_front_is_its_document(search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    rows, entries = front_frame(state).to_dict("records"), pareto_document(state)["front"]
    for row, entry in zip(rows, entries, strict=True):
        # All plain values of the document, except for the balanced accuracy and others that this study lacks.
        plain = {name for name, value in entry.items() if isinstance(value, int | float)}
        assert {"trial", "quantum_flops", "classical_flops", "effective_parameters", "val_accuracy", "val_error"} <= plain
        assert {name: row[name] for name in plain} == {name: entry[name] for name in plain}
        assert row["circuit"] == entry["effective"]["summary"]
        assert (row["digest"], row["summary"]) == (entry["circuit"], entry["canonical"]["summary"])
        assert (row["cheapest"], row["cheapest_flops"]) == (
            entry["effective"]["cheapest"],
            entry["effective"]["cheapest_flops"],
        )
        assert {gene: row[gene] for gene in entry["genome"]} == entry["genome"]
        # A single training has no interval.
        assert math.isnan(row["val_accuracy_low"]) and math.isnan(row["val_accuracy_high"])


def test_a_frame_has_the_values_of_the_listing_of_a_trial(search_of_eight: Search) -> None:
    for row in trials_frame(read_state(search_of_eight)).to_dict("records"):
        listing = trial_document(search_of_eight, row["trial"])
        low, high = listing["val_accuracy_wilson"]
        assert (row["val_accuracy_wilson_low"], row["val_accuracy_wilson_high"]) == (low, high)
        names = ("quantum_flops_profiler", "quantum_flops_analytic", "effective_flops_profiler", "effective_flops_analytic")
        for name in (*names, "generation"):
            assert row[name] == listing[name]


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
            name = control["model"]
            assert row[name] == control["test_accuracy"]
            for value in ("difference", "p", "p_holm", "rank_biserial", "parameters"):
                assert row[f"{name}_{value}"] == control[value]
            # Equal differences have no interval.
            ends = control["difference_interval"] or [math.nan, math.nan]
            assert np.array_equal([row[f"{name}_difference_low"], row[f"{name}_difference_high"]], ends, equal_nan=True)
        for baseline in document["baselines"]:
            name = baseline["baseline"].replace("-", "_")
            assert (row[name], row[f"{name}_parameters"]) == (baseline["test_accuracy"], baseline["parameters"])
    assert {"linear_p", "mlp_difference_low", "svm_grid"} <= {*confirmed_frame(document)}
    # A control that equals every circuit is not trained; its columns are there nevertheless, without values.
    circuits = [entry | {"controls": [c for c in entry["controls"] if c["model"] != "mlp"]} for entry in document["circuits"]]
    frame = confirmed_frame(document | {"circuits": circuits})
    assert list(frame) == list(confirmed_frame(document)) and frame[["mlp", "mlp_p"]].isna().all(axis=None)
