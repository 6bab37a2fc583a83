"""Results of an experiment: a row per data set, method and rule, with nested intervals and paired comparisons.

The trainings of a confirmation are nested in a search, the searches in a split. The results of one split share its samples, so
they are not independent. The mean over each split is therefore one value, and intervals and comparisons are computed
from these values: with equally many searches per split, their variance is that of the splits plus those of searches and
trainings, each divided by its number. With a single split the values are the means of its searches, and the results are valid
for this split alone.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev
from typing import Any

from faqnas_optuna.confirmation.baselines import Baseline, Model
from faqnas_optuna.experiments.plan import Cell, Experiment
from faqnas_optuna.training.statistics import Comparison, bounded_interval, compare, holm, smallest_possible

CONTROLS = tuple(model for model in Model if model is not Model.CIRCUIT)
CLASSICAL_CONTROL = Model.MLP
"""Control that every row is compared with: whether the circuit adds anything to a classical network of at most its size."""


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """Confirmed circuit that a rule picked from one study."""

    cell: Cell
    rule: str
    test_score: float
    """Mean over the trainings of the confirmation."""
    search_estimate: float
    quantum_flops: int
    parameters: int
    """Number of parameters that affect the output."""
    baselines: Mapping[str, float]
    """Test scores of the controls and classical models, by name."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Paired comparison of a row with another result for the same splits."""

    other: str
    comparison: Comparison
    p_holm: float
    """p with Holm's correction over all comparisons of the table."""
    smallest_p_holm: float
    """Smallest corrected p that this number of values can reach."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Results of one method on one data set, for one rule."""

    dataset: str
    method: str
    rule: str
    studies: int
    """Number of confirmed studies."""
    planned: int
    values: tuple[float, ...]
    """Independent values: the mean test score of each split or, with a single split, of each search."""
    interval: tuple[float, float] | None
    """95 % t interval of their mean; None with a single value, and if all are equal."""
    search_estimate: float
    quantum_flops: float
    parameters: float
    baselines: Mapping[str, float]
    """Mean test scores of the controls and classical models that every study has, by name."""
    differences: tuple[Difference, ...]

    @property
    def test_score(self) -> float:
        """Mean test score."""
        return fmean(self.values)

    def difference(self, other: str) -> Difference | None:
        """Return the comparison with another method or control; None if the two were not compared."""
        return next((difference for difference in self.differences if difference.other == other), None)


@dataclass(frozen=True, kw_only=True)
class ExperimentResults:
    """Rows of the table of an experiment."""

    experiment: Experiment
    score: str
    """Name of the test score."""
    rows: tuple[Row, ...]

    @property
    def unit(self) -> str:
        """Noun for an independent value: a split or, with a single split, the seed of a search."""
        return "split" if self.experiment.file.splits > 1 else "seed"


def summarise(experiment: Experiment, results: Sequence[CellResult], *, score: str) -> ExperimentResults:
    """Return the table of an experiment.

    Args:
        results: Results of the studies that are confirmed so far.
        score: Name of the test score.
    """
    # In the order of the file, whatever the order in which studies were completed.
    by_row: defaultdict[tuple[str, str, str], list[CellResult]] = defaultdict(list)
    for result in results:
        by_row[result.cell.dataset, result.cell.method, result.rule].append(result)
    keys = product(experiment.datasets, experiment.file.methods, map(str, experiment.rules))
    rows = {key: by_row[key] for key in keys if by_row[key]}
    compared = _compare(experiment, rows)
    return ExperimentResults(
        experiment=experiment,
        score=score,
        rows=tuple(_row(experiment, key, members, compared[key]) for key, members in rows.items()),
    )


def unit_means(experiment: Experiment, values: Mapping[tuple[int, int], float]) -> dict[int, float]:
    """Return the independent values by split or, with a single split, by seed.

    Args:
        values: Value of each search by split and seed.
    """
    file = experiment.file
    # Keys are sorted, so that values are in one order however the results were read.
    if file.splits == 1:
        return {seed: value for (_, seed), value in sorted(values.items())}
    by_split: defaultdict[int, list[float]] = defaultdict(list)
    for (split, _), value in sorted(values.items()):
        by_split[split].append(value)
    # A mean over fewer searches would have another variance: an unfinished split counts when it is complete.
    return {split: fmean(members) for split, members in by_split.items() if len(members) == file.seeds}


def _row(
    experiment: Experiment, key: tuple[str, str, str], members: Sequence[CellResult], differences: tuple[Difference, ...]
) -> Row:
    dataset, method, rule = key
    # Before the first split is complete, its searches show what is there, without an interval.
    values = tuple(_values(experiment, members).values())
    studies = len(members)
    members = _of_complete_splits(experiment, members) or members
    displayed = values or (fmean(result.test_score for result in members),)
    names = [name for name in (*CONTROLS, *Baseline) if all(name in result.baselines for result in members)]
    return Row(
        dataset=dataset,
        method=method,
        rule=rule,
        studies=studies,
        planned=experiment.file.splits * experiment.file.seeds,
        values=displayed,
        interval=bounded_interval(fmean(values), stdev(values), len(values)) if len(values) > 1 else None,
        search_estimate=fmean(result.search_estimate for result in members),
        quantum_flops=fmean(result.quantum_flops for result in members),
        parameters=fmean(result.parameters for result in members),
        baselines={str(name): fmean(result.baselines[name] for result in members) for name in names},
        differences=differences,
    )


def _of_complete_splits(experiment: Experiment, members: Sequence[CellResult]) -> list[CellResult]:
    """Return the results that the independent values consist of."""
    counts = Counter(result.cell.split for result in members)
    is_single = experiment.file.splits == 1
    return [result for result in members if is_single or counts[result.cell.split] == experiment.file.seeds]


def _values(experiment: Experiment, members: Sequence[CellResult], baseline: str | None = None) -> dict[int, float]:
    """Return the independent values of a row, or those of one of its baselines where every study has it."""
    # A baseline may be missing where it was not chosen, or where its data are too large.
    scores = {
        (result.cell.split, result.cell.seed): result.test_score if baseline is None else result.baselines[baseline]
        for result in members
        if baseline is None or baseline in result.baselines
    }
    return unit_means(experiment, scores)


def _compare(
    experiment: Experiment, rows: Mapping[tuple[str, str, str], Sequence[CellResult]]
) -> dict[tuple[str, str, str], tuple[Difference, ...]]:
    """Compare every row with the reference method and the classical control, and correct p over the whole table."""
    comparisons: dict[tuple[tuple[str, str, str], str], Comparison] = {}
    for key, members in rows.items():
        dataset, method, rule = key
        own = _values(experiment, members)
        others = {str(CLASSICAL_CONTROL): _values(experiment, members, CLASSICAL_CONTROL)}
        if method != experiment.reference:
            others[experiment.reference] = _values(experiment, rows.get((dataset, experiment.reference, rule), ()))
        for name, other in others.items():
            pairs = sorted(own.keys() & other.keys())
            if len(pairs) > 1:
                comparisons[key, name] = compare([own[unit] for unit in pairs], [other[unit] for unit in pairs])
    corrected = holm([comparison.p for comparison in comparisons.values()])
    # All differences may be non-zero after further splits, so the pairs count, not the non-zero differences.
    smallest = smallest_possible([comparison.pairs for comparison in comparisons.values()])
    differences: defaultdict[tuple[str, str, str], tuple[Difference, ...]] = defaultdict(tuple)
    for ((key, name), comparison), p, least in zip(comparisons.items(), corrected, smallest, strict=True):
        differences[key] += (Difference(other=name, comparison=comparison, p_holm=p, smallest_p_holm=least),)
    return differences


def results_of(cell: Cell, picks: Mapping[str, int], document: Mapping[str, Any]) -> list[CellResult]:
    """Return the results of one study.

    Args:
        picks: Trial that each rule selects.
        document: A `confirmation_document`.
    """
    key = f"test_{cell.config.score.key}"
    # By trial: two rules may select the same circuit, which is confirmed once.
    circuits = {circuit["trial"]: circuit for circuit in document["circuits"]}
    classical = {baseline["baseline"]: baseline[key] for baseline in document["baselines"]}
    return [
        CellResult(
            cell=cell,
            rule=rule,
            test_score=circuit[key],
            search_estimate=circuit[f"val_{cell.config.score.key}"],
            quantum_flops=circuit["quantum_flops"],
            parameters=circuit["parameters"],
            baselines={**{control["model"]: control[key] for control in circuit["controls"]}, **classical},
        )
        for rule, trial in picks.items()
        if (circuit := circuits.get(trial))
    ]
