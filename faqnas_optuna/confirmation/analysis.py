"""Analysis of a confirmation: test scores of the finalists, compared with the search and with their controls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.config import Score, StudyConfig
from faqnas_optuna.confirmation.baselines import Baseline, Model, curve_epochs
from faqnas_optuna.confirmation.plan import BASELINES, LIMITS
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import NoSuccessfulTrialError, StudyNotFoundError
from faqnas_optuna.reporting.documents import SCHEMA_VERSION, canonical, provenance
from faqnas_optuna.reporting.front_plot import ConfirmedError
from faqnas_optuna.study.description import Finalist
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.status import stop_document
from faqnas_optuna.training.scoring import balanced_accuracy, recalls
from faqnas_optuna.training.statistics import Comparison, bounded_interval, compare, holm, kendall_tau, smallest_possible

SIGNIFICANT = 0.05
"""Significance level, for p with Holm's correction."""
CONTROL_NAMES = {
    Model.LINEAR: "the network without a circuit",
    Model.EMBEDDING: "its embedding alone",
    Model.SEPARABLE: "the circuit without entanglers",
    Model.MLP: "a classical network of at most the same size",
}
"""Descriptions of the controls that fit after "than" and "from"."""


@dataclass(frozen=True, kw_only=True)
class NetworkResults:
    """Results of the trainings of one network."""

    by_seed: Mapping[int, FrozenTrial]
    """Successful trials by seed, sorted."""

    @classmethod
    def of(cls, trials: Iterable[FrozenTrial]) -> "NetworkResults":
        """Return the results of successful trials of one network; of several trials with one seed, the first counts."""
        by_seed: dict[int, FrozenTrial] = {}
        for trial in trials:
            by_seed.setdefault(trial.user_attrs["seed"], trial)
        return cls(by_seed=dict(sorted(by_seed.items())))

    def scores(self, score: Score) -> dict[int, float]:
        """Return a score on the test part by seed."""
        attributes_by_seed = {seed: trial.user_attrs for seed, trial in self.by_seed.items()}
        if score is Score.ACCURACY:
            return {seed: attributes["test_accuracy"] for seed, attributes in attributes_by_seed.items()}
        return {seed: balanced_accuracy(attributes["confusion"]) for seed, attributes in attributes_by_seed.items()}

    def summary(self) -> dict[str, Any]:
        """Return the means and intervals of both scores, and the confusion matrix and recalls over all seeds."""
        parameters = {trial.user_attrs["parameters"] for trial in self.by_seed.values()}
        confusions = [trial.user_attrs["confusion"] for trial in self.by_seed.values()]
        confusion = np.sum(confusions, axis=0).tolist()
        return {
            # The number does not depend on the seed.
            "parameters": max(parameters),
            **self._score_summary(Score.ACCURACY),
            **self._score_summary(Score.BALANCED),
            "confusion": confusion,
            "recalls": list(recalls(confusion)),
        }

    def _score_summary(self, score: Score) -> dict[str, Any]:
        """Return mean, standard deviation, 95 % interval and values of a score."""
        values = list(self.scores(score).values())
        name = f"test_{score.key}"
        return {
            name: fmean(values),
            f"{name}_std": stdev(values) if len(values) > 1 else None,
            f"{name}_interval": interval_of(values),
            name.replace("accuracy", "accuracies"): values,
        }

    def curves(self, epochs: int) -> dict[str, Any]:
        """Return the learning curves, as means over the seeds.

        Args:
            epochs: Number of epochs of each training.
        """
        names = ("losses", "validation_accuracies")
        # Each array has the shape (seeds, stored epochs).
        curves = {name: [trial.user_attrs[name] for trial in self.by_seed.values()] for name in names}
        means = {name: np.mean(values, axis=0).round(6).tolist() for name, values in curves.items()}
        return {"epochs": list(curve_epochs(epochs)), **means}


def interval_of(values: Sequence[float]) -> list[float] | None:
    """Return the 95 % interval of the mean of accuracies, clipped to [0, 1]; None for a single value and for equal values.

    >>> interval_of([0.9, 0.9]) is None
    True
    """
    return _interval(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def _interval(mean: float, deviation: float | None, count: int) -> list[float] | None:
    ends = None if deviation is None else bounded_interval(mean, deviation, count)
    return None if ends is None else list(ends)


def confirmation_document(confirmation: Confirmation) -> dict[str, Any]:
    """Return the results of a confirmation so far.

    Raises:
        NoSuccessfulTrialError: No circuit has been trained yet.
    """
    plan = confirmation.plan
    # Read once, so that the counts of trainings agree with the results.
    trials = confirmation.trials()
    results = _results_by_network(confirmation, trials)
    finalists = [finalist for finalist in plan.finalists if finalist.networks[Model.CIRCUIT] in results]
    if not finalists:
        raise _nothing_confirmed(confirmation)
    finalists.sort(key=lambda finalist: (finalist.cost, finalist.trial))
    circuits = [_circuit(finalist, results, confirmation.config) for finalist in finalists]
    # The corrections need all circuits, and the sentences need the corrections.
    _add_corrected_p(circuits)
    for finalist, entry in zip(finalists, circuits, strict=True):
        entry["message"] = comparison_message(entry, has_controls=len(finalist.networks) > 1)
    score = confirmation.config.score
    chosen = BASELINES if plan.chosen is None else plan.chosen
    search_scores = [entry[f"val_{score.key}"] for entry in circuits]
    test_scores = [entry[f"test_{score.key}"] for entry in circuits]
    return {
        "schema_version": SCHEMA_VERSION,
        "study": confirmation.name,
        "confirms": plan.study,
        "dataset": confirmation.config.dataset,
        "score": str(score),
        "epochs": confirmation.config.training.epochs,
        "search_epochs": plan.epochs,
        "repeats": confirmation.config.training.repeats,
        "test_samples": confirmation.description.sizes["test"],
        "majority_score": confirmation.description.majority_score,
        **stop_document(confirmation),
        "trainings": confirmation.training_counts(trials),
        "circuits": circuits,
        "baselines": [_baseline(name, results[name]) for name in plan.baselines if name in results],
        "baselines_chosen": list(chosen),
        # With the limit that the training part exceeds.
        "baselines_skipped": {
            str(name): str(limit) for name, limit in LIMITS.items() if name in chosen and name not in plan.baselines
        },
        "kendall_tau": kendall_tau(search_scores, test_scores),
        "provenance": provenance(confirmation),
    }


def _results_by_network(confirmation: Confirmation, trials: Iterable[FrozenTrial]) -> dict[str, NetworkResults]:
    """Return the results by the description of the network, for networks with at least one successful training."""
    by_network: defaultdict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if confirmation.has_result(trial):
            by_network[trial.user_attrs["network"]].append(trial)
    return {network: NetworkResults.of(trials_of_one) for network, trials_of_one in by_network.items()}


def results_so_far(confirmation: Confirmation | None) -> dict[str, Any] | None:
    """Return the `confirmation_document` of a confirmation; None if it has no results or does not exist."""
    if confirmation is None:
        return None
    try:
        with confirmation.existing():
            return confirmation_document(confirmation)
    # The results of the search are shown all the same if the confirmation has just begun or was deleted.
    except (NoSuccessfulTrialError, StudyNotFoundError):
        return None


def confirmed_errors(confirmation: Confirmation | None) -> dict[str, ConfirmedError]:
    """Return the confirmed errors of circuits by digest, for figures."""
    return errors_by_circuit(results_so_far(confirmation))


def errors_by_circuit(document: Mapping[str, Any] | None) -> dict[str, ConfirmedError]:
    """Return the confirmed errors in a `confirmation_document` by digest; empty without a document.

    Circuits that were trained once so far are left out, since their errors have no interval.
    """
    if document is None:
        return {}
    name = f"test_{Score(document['score']).key}"
    errors = {}
    for entry in document["circuits"]:
        if entry[f"{name}_std"] is not None:
            # Equal accuracies have no interval: the bar then has no length.
            low, high = entry[f"{name}_interval"] or (entry[name], entry[name])
            errors[entry["circuit"]] = ConfirmedError(error=1 - entry[name], low=1 - high, high=1 - low)
    return errors


def _nothing_confirmed(confirmation: Confirmation) -> NoSuccessfulTrialError:
    """Return the error for a confirmation without results, with the command that shows more."""
    name = confirmation.name
    errors = read_state(confirmation).errors
    if not errors:
        return NoSuccessfulTrialError(f"study {name!r} has confirmed no circuit yet; see", command=f"status {name}")
    message = f"study {name!r} has confirmed no circuit, and {len(errors)} of its trials have failed; see the last with"
    return NoSuccessfulTrialError(message, command=f"show {name} {errors[-1]}")


def _circuit(finalist: Finalist, results: Mapping[str, NetworkResults], config: StudyConfig) -> dict[str, Any]:
    """Return the entry of a finalist, with those of its controls that have results."""
    circuit = finalist.genome.circuit
    gates = EffectiveGates(circuit=circuit)
    own = results[finalist.networks[Model.CIRCUIT]]
    estimate, deviation, count = finalist.search_estimate
    summary = own.summary()
    score = config.score
    return {
        "trial": finalist.trial,
        "circuit": circuit.digest,
        "canonical": canonical(circuit),
        "effective": str(gates),
        "quantum_flops": finalist.quantum_flops,
        **({} if finalist.neg_log_esp is None else {"neg_log_esp": finalist.neg_log_esp}),
        **summary,
        f"val_{score.key}": estimate,
        f"val_{score.key}_interval": _interval(estimate, deviation, count),
        # Positive if the search overestimated the circuit.
        "optimism": estimate - summary[f"test_{score.key}"],
        "curves": own.curves(config.training.epochs),
        "controls": [
            _control(Model(model), network, own, results[network], score)
            for model, network in finalist.networks.items()
            if model != Model.CIRCUIT and network in results
        ],
    }


def _control(model: Model, network: str, circuit: NetworkResults, control: NetworkResults, score: Score) -> dict[str, Any]:
    """Return the results of a control, and the paired comparison of the circuit with it by the study's score."""
    # Results from one seed form a pair, since both trainings begin with the same random numbers.
    seeds = sorted(circuit.by_seed.keys() & control.by_seed.keys())
    circuit_scores = circuit.scores(score)
    control_scores = control.scores(score)
    comparison = None
    if len(seeds) > 1:
        comparison = compare([circuit_scores[seed] for seed in seeds], [control_scores[seed] for seed in seeds])
    return {"model": str(model), "network": network, **control.summary(), **_comparison_values(comparison)}


def _comparison_values(comparison: Comparison | None) -> dict[str, Any]:
    """Return the values of a comparison for a document; each is None without a comparison."""
    if comparison is None:
        return dict.fromkeys(("difference", "difference_interval", "p", "smallest_p", "rank_biserial", "pairs"))
    values = asdict(comparison)
    ends = values.pop("interval")
    return values | {"difference_interval": None if ends is None else list(ends)}


def _add_corrected_p(circuits: Sequence[dict[str, Any]]) -> None:
    """Add p and the smallest possible p with Holm's correction to every control.

    The comparisons of all finalists with one kind of control are one family of tests.
    """
    for model in CONTROL_NAMES:
        family = [control for entry in circuits for control in entry["controls"] if control["model"] == model]
        tests = [control for control in family if control["p"] is not None]
        corrected = holm([control["p"] for control in tests])
        smallest = smallest_possible([control["pairs"] for control in tests])
        for control in family:
            control |= {"p_holm": None, "smallest_p_holm": None}
        for control, p, smallest_p in zip(tests, corrected, smallest, strict=True):
            control |= {"p_holm": p, "smallest_p_holm": smallest_p}


def _baseline(name: str, results: NetworkResults) -> dict[str, Any]:
    """Return the entry of a classical model. It is fitted once, so there are no intervals."""
    summary = results.summary()
    keys = ("parameters", "test_accuracy", "test_balanced_accuracy", "confusion", "recalls")
    return {"baseline": str(Baseline(name)), **{key: summary[key] for key in keys}}


def comparison_message(entry: Mapping[str, Any], *, has_controls: bool = True) -> str:
    """Return a sentence on how a circuit compares with its controls.

    Args:
        entry: Entry of the circuit in a `confirmation_document`.
        has_controls: False if none of the chosen controls differs from the circuit.
    """
    name = f"Trial {entry['trial']}"
    if not has_controls:
        return f"{name} is not compared with a control."
    tested = [control for control in entry["controls"] if control["p_holm"] is not None]
    if not tested:
        return f"{name} has not been compared with its controls yet."
    significant = [control for control in tested if is_significant(control)]
    # Each part repeats its adjective, so that no control can be read as a part of the one before.
    better = [f"better than {_by(control)}" for control in significant if control["difference"] > 0]
    worse = [f"worse than {_by(control)}" for control in significant if control["difference"] < 0]
    undecided = [control for control in tested if control not in significant]
    parts = []
    if better:
        parts.append(f"is {_enumeration(better)}")
    if worse:
        parts.append(f"is {_enumeration(worse)}")
    if undecided:
        parts.append(_undecided(undecided))
    return f"{name} {'; it '.join(parts)}."


def _undecided(controls: Sequence[Mapping[str, Any]]) -> str:
    """Return the part of a sentence on differences that are not significant."""
    names = _enumeration([f"{CONTROL_NAMES[Model(control['model'])]} ({_difference(control)})" for control in controls])
    seeds = max(control["pairs"] for control in controls)
    least = min(control["smallest_p_holm"] for control in controls)
    # Absence of evidence is not evidence of absence: with too few seeds even the clearest difference cannot be significant.
    if least >= SIGNIFICANT:
        return f"cannot differ significantly from {names} with {seeds} seeds, whose smallest possible p is {least:.3f}"
    return f"does not differ significantly from {names}, where the smallest possible p with {seeds} seeds is {least:.3f}"


def _difference(control: Mapping[str, Any]) -> str:
    """Return a signed difference with its interval and p."""
    ends = control["difference_interval"]
    # Without an interval the difference was the same with every seed.
    spread = "with every seed" if ends is None else f"{ends[0]:+z.3f} to {ends[1]:+z.3f}"
    return f"{control['difference']:+z.3f}, {spread}, p {control['p_holm']:.3f}"


def is_significant(control: Mapping[str, Any]) -> bool:
    """Return whether the circuit differs significantly from a control; False if they have not been compared yet."""
    if control["p_holm"] is None:
        return False
    # p comes from a test of ranks. If the mean points to the other side, the two contradict each other and nothing is claimed.
    return bool(control["p_holm"] < SIGNIFICANT and control["difference"] * control["rank_biserial"] > 0)


def _by(control: Mapping[str, Any]) -> str:
    """Return a control and by how much the circuit differs from it, as an unsigned difference with its interval and p."""
    sign = 1 if control["difference"] > 0 else -1
    spread = "with every seed"
    if ends := control["difference_interval"]:
        low, high = sorted(sign * end for end in ends)
        spread = f"{low:z.3f} to {high:z.3f}"
    name = CONTROL_NAMES[Model(control["model"])]
    difference = f"{abs(control['difference']):.3f}"
    uncertainty = f"({spread}, p {control['p_holm']:.3f})"
    return f"{name} by {difference} {uncertainty}"


def _enumeration(parts: Sequence[str]) -> str:
    """Return parts of a sentence joined by commas and "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
