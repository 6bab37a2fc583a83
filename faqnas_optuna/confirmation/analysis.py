"""What a confirmation has shown: each finalist on the test part, beside what the search believed and beside its controls."""

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
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import NoSuccessfulTrialError, StudyNotFoundError
from faqnas_optuna.reporting.documents import SCHEMA_VERSION, canonical, provenance
from faqnas_optuna.reporting.front_plot import ConfirmedError
from faqnas_optuna.study.metadata import Finalist
from faqnas_optuna.study.state import read_state
from faqnas_optuna.study.status import stop_document
from faqnas_optuna.training.scoring import balanced_accuracy, recalls
from faqnas_optuna.training.statistics import Comparison, bounded_interval, compare, holm, kendall_tau, smallest_possible

SIGNIFICANT = 0.05
AGAINST = {
    Model.LINEAR: "no circuit at all",
    Model.EMBEDDING: "its embedding alone",
    Model.SEPARABLE: "itself without entanglers",
    Model.MLP: "a classical network of as many parameters",
}
"""The controls, to be read after "over" or "than"."""


@dataclass(frozen=True, kw_only=True)
class NetworkResults:
    """What the trainings of one network came to."""

    by_seed: Mapping[int, FrozenTrial]

    @classmethod
    def of(cls, trials: Iterable[FrozenTrial]) -> "NetworkResults":
        """The first successful training from each seed."""
        by_seed: dict[int, FrozenTrial] = {}
        for trial in trials:
            by_seed.setdefault(trial.user_attrs["seed"], trial)
        return cls(by_seed=dict(sorted(by_seed.items())))

    def scores(self, score: Score) -> dict[int, float]:
        """On the test part, by seed."""
        kept = {seed: trial.user_attrs for seed, trial in self.by_seed.items()}
        if score is Score.ACCURACY:
            return {seed: attributes["test_accuracy"] for seed, attributes in kept.items()}
        return {seed: balanced_accuracy(attributes["confusion"]) for seed, attributes in kept.items()}

    def summary(self) -> dict[str, Any]:
        """By either score its mean and interval; confusion and recalls."""
        counted = {trial.user_attrs["parameters"] for trial in self.by_seed.values()}
        confusions = [trial.user_attrs["confusion"] for trial in self.by_seed.values()]
        # Over all seeds together.
        confusion = np.sum(confusions, axis=0).tolist()
        return {
            "parameters": max(counted),
            **self._judged(Score.ACCURACY),
            **self._judged(Score.BALANCED),
            "confusion": confusion,
            "recalls": list(recalls(confusion)),
        }

    def _judged(self, score: Score) -> dict[str, Any]:
        values, name = list(self.scores(score).values()), f"test_{score.key}"
        return {
            name: fmean(values),
            f"{name}_std": stdev(values) if len(values) > 1 else None,
            f"{name}_interval": interval_of(values),
            name.replace("accuracy", "accuracies"): values,
        }

    def curves(self, epochs: int) -> dict[str, Any]:
        """Means over the seeds, epoch by epoch."""
        trials, names = self.by_seed.values(), ("losses", "validation_accuracies")
        kept = {name: [trial.user_attrs[name] for trial in trials] for name in names}
        means = {name: np.mean(curves, axis=0).round(6).tolist() for name, curves in kept.items()}
        return {"epochs": list(curve_epochs(epochs)), **means}


def interval_of(values: Sequence[float]) -> list[float] | None:
    """Return the 95 % interval of the mean of accuracies, within 0 and 1; None of a single one, and of equal ones."""
    return _interval(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def _interval(mean: float, deviation: float | None, count: int) -> list[float] | None:
    ends = None if deviation is None else bounded_interval(mean, deviation, count)
    return None if ends is None else list(ends)


def confirmation_document(confirmation: Confirmation) -> dict[str, Any]:
    """All that a confirmation has shown so far.

    Raises:
        NoSuccessfulTrialError: nothing yet.
    """
    plan = confirmation.plan
    trials = confirmation.trials()
    by_network: defaultdict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if confirmation.has_result(trial):
            by_network[trial.user_attrs["network"]].append(trial)
    trained = {network: NetworkResults.of(found) for network, found in by_network.items()}
    finalists = [finalist for finalist in plan.finalists if finalist.networks[Model.CIRCUIT] in trained]
    if not finalists:
        raise _nothing_confirmed(confirmation)
    finalists.sort(key=lambda finalist: (finalist.cost, finalist.trial))
    circuits = [_circuit(finalist, trained, confirmation.config) for finalist in finalists]
    _adjust(circuits)
    for entry in circuits:
        entry["message"] = told(entry)
    score = confirmation.config.score
    estimate, confirmed = ([entry[f"{part}_{score.key}"] for entry in circuits] for part in ("val", "test"))
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
        "trainings": confirmation.trainings(trials),
        "circuits": circuits,
        "baselines": [_baseline(name, trained[name]) for name in plan.baselines if name in trained],
        "baselines_skipped": [str(name) for name in Baseline if name not in plan.baselines],
        "kendall_tau": kendall_tau(estimate, confirmed),
        "provenance": provenance(confirmation),
    }


def confirmed_errors(confirmation: Confirmation | None) -> dict[str, ConfirmedError]:
    """What has been shown so far of circuits that were trained several times, for figures: by digest of the circuit as
    suggested."""
    if confirmation is None:
        return {}
    try:
        with confirmation.existing():
            circuits = confirmation_document(confirmation)["circuits"]
    except (NoSuccessfulTrialError, StudyNotFoundError):
        return {}
    name = f"test_{confirmation.config.score.key}"
    errors = {}
    for entry in circuits:
        if entry[f"{name}_std"] is not None:
            low, high = entry[f"{name}_interval"] or (entry[name], entry[name])
            errors[entry["circuit"]] = ConfirmedError(error=1 - entry[name], low=1 - high, high=1 - low)
    return errors


def _nothing_confirmed(confirmation: Confirmation) -> NoSuccessfulTrialError:
    name, errors = confirmation.name, read_state(confirmation).errors
    if not errors:
        return NoSuccessfulTrialError(f"study {name!r} has confirmed no circuit yet; see", command=f"status {name}")
    told = f"study {name!r} has confirmed no circuit, and {len(errors)} of its trials have failed; see the last with"
    return NoSuccessfulTrialError(told, command=f"show {name} {errors[-1]}")


def _circuit(finalist: Finalist, trained: Mapping[str, NetworkResults], config: StudyConfig) -> dict[str, Any]:
    circuit, gates = finalist.genome.circuit, EffectiveGates(circuit=finalist.genome.circuit)
    own, (estimate, deviation, count) = trained[finalist.networks[Model.CIRCUIT]], finalist.search_estimate
    summary, score = own.summary(), config.score
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
        "optimism": estimate - summary[f"test_{score.key}"],
        "curves": own.curves(config.training.epochs),
        "controls": [
            _control(Model(model), network, own, trained[network], score)
            for model, network in finalist.networks.items()
            if model != Model.CIRCUIT and network in trained
        ],
    }


def _control(model: Model, network: str, circuit: NetworkResults, control: NetworkResults, score: Score) -> dict[str, Any]:
    """What a control has shown, and what the circuit adds to it by the study's score."""
    seeds = sorted(circuit.by_seed.keys() & control.by_seed.keys())
    pairs = [[found.scores(score)[seed] for seed in seeds] for found in (circuit, control)]
    compared = compare(*pairs) if len(seeds) > 1 else None
    return {"model": str(model), "network": network, **control.summary(), **_compared(compared)}


def _compared(found: Comparison | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys(("difference", "difference_interval", "p", "smallest_p", "rank_biserial", "pairs"))
    values = asdict(found)
    ends = values.pop("interval")
    return values | {"difference_interval": None if ends is None else list(ends)}


def _adjust(circuits: Sequence[dict[str, Any]]) -> None:
    """Apply Holm's correction over the finalists, for each control, to p and to the smallest p that so many seeds can give."""
    for model in AGAINST:
        family = [control for entry in circuits for control in entry["controls"] if control["model"] == model]
        compared = [control for control in family if control["p"] is not None]
        adjusted = holm([control["p"] for control in compared])
        smallest = smallest_possible([control["pairs"] for control in compared])
        for control in family:
            control |= {"p_holm": None, "smallest_p_holm": None}
        for control, p, least in zip(compared, adjusted, smallest, strict=True):
            control |= {"p_holm": p, "smallest_p_holm": least}


def _baseline(name: str, found: NetworkResults) -> dict[str, Any]:
    summary = found.summary()
    kept = ("parameters", "test_accuracy", "test_balanced_accuracy", "confusion", "recalls")
    return {"baseline": str(Baseline(name)), **{key: summary[key] for key in kept}}


def told(entry: Mapping[str, Any]) -> str:
    """Return a sentence on how a circuit compares with each of its controls, and on what its seeds could have shown."""
    name, compared = f"Trial {entry['trial']}", [control for control in entry["controls"] if control["p_holm"] is not None]
    if not compared:
        return f"{name} is not compared with its controls yet."
    shown = [control for control in compared if is_shown(control)]
    more = [_by(control) for control in shown if control["difference"] > 0]
    less = [_by(control) for control in shown if control["difference"] < 0]
    undecided = [control for control in compared if control not in shown]
    parts = []
    if more:
        parts.append(f"adds {_listed(more)}")
    if less:
        parts.append(f"falls short of {_listed(less)}")
    if undecided:
        parts.append(_undecided(undecided))
    return f"{name} {'; it '.join(parts)}."


def _undecided(controls: Sequence[Mapping[str, Any]]) -> str:
    """Return a part of a sentence on differences that are not significant.

    Absence of evidence is no result: the smallest possible p says whether there could have been any.
    """
    than = _listed([f"{AGAINST[Model(control['model'])]} ({_difference(control)})" for control in controls])
    seeds, least = max(control["pairs"] for control in controls), min(control["smallest_p_holm"] for control in controls)
    if least >= SIGNIFICANT:
        return f"cannot be shown to be better or worse than {than} with {seeds} seeds, which give no p below {least:.3f}"
    return f"is not shown to be better or worse than {than}, where {seeds} seeds could give a p of {least:.3f}"


def _difference(control: Mapping[str, Any]) -> str:
    """Return a difference with its interval and p."""
    ends, p = control["difference_interval"], f"p {control['p_holm']:.3f}"
    spread = "with every seed" if ends is None else f"{ends[0]:+z.3f} to {ends[1]:+z.3f}"
    return f"{control['difference']:+z.3f}, {spread}, {p}"


def is_shown(control: Mapping[str, Any]) -> bool:
    """Whether a difference is significant, and the ranks, of which p is, speak for the same side as the mean."""
    return bool(control["p_holm"] < SIGNIFICANT and control["difference"] * control["rank_biserial"] > 0)


def _by(control: Mapping[str, Any]) -> str:
    sign = 1 if control["difference"] > 0 else -1
    spread = "with every seed"
    if ends := control["difference_interval"]:
        low, high = sorted(sign * end for end in ends)
        spread = f"{low:z.3f} to {high:z.3f}"
    what, by = AGAINST[Model(control["model"])], f"{abs(control['difference']):.3f}"
    uncertain = f"({spread}, p {control['p_holm']:.3f})"
    return f"{by} {uncertain} over {what}" if sign > 0 else f"{what} by {by} {uncertain}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
