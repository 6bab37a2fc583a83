"""Results of a comparison of search algorithms, as a document, a figure for print, and sentences."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faqnas_optuna.comparison.benchmark import Benchmark
from faqnas_optuna.comparison.judging import LOOKS, WITHIN, Contest, interval
from faqnas_optuna.comparison.live import LiveBenchmark
from faqnas_optuna.comparison.replay import TrainingBudget
from faqnas_optuna.comparison.samplers import searcher
from faqnas_optuna.confirmation.analysis import SIGNIFICANT
from faqnas_optuna.files import write_atomically
from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from faqnas_optuna.reporting.matplotlib_front import as_file, styled
from faqnas_optuna.reporting.plotly_front import check_printed
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.training.statistics import Comparison, smallest_possible

AVERAGED = (
    "achieved_hypervolume",
    "estimated_hypervolume",
    "optimism",
    "best",
    "cheapest_within_tolerance",
    "cheapest_within_tolerance_flops",
    "front",
    "circuits",
    "trainings",
    "spent",
)
"""Values that are averaged over the searches of each algorithm, with 95 % t intervals."""


def contest_document(
    contest: Contest, benchmark: Benchmark, budget: TrainingBudget, *, epochs: int, reference: str
) -> dict[str, Any]:
    """Return the results of each search algorithm, and its comparison with a reference.

    Args:
        contest: All searches.
        benchmark: Source of the values.
        budget: Budget of each search.
        epochs: Number of epochs of the trainings.
        reference: Name of the algorithm that the others are compared with.
    """
    comparisons = contest.comparisons_with(reference)
    smallest = smallest_possible([comparison.pairs for comparison, _ in comparisons.values()])
    return {
        "schema_version": SCHEMA_VERSION,
        "table": {name: benchmark.document[name] for name in ("dataset", "data_fingerprint", "protocol", "versions")},
        "live": isinstance(benchmark, LiveBenchmark),
        "epochs": epochs,
        "budget": {name: amount for name, amount in asdict(budget).items() if amount is not None},
        "searches": len(contest.searches[reference]),
        # The upper bound for the achieved hypervolume.
        "best": benchmark.best(),
        "within": WITHIN,
        "looks": [budget.amount * part / LOOKS for part in range(1, LOOKS + 1)],
        "searchers": [_searcher(contest, name) for name in contest.searches],
        "reference": reference,
        "comparisons": [
            {"searcher": name, **_comparison(comparison), "p_holm": p, "smallest_p_holm": smallest_p}
            for (name, (comparison, p)), smallest_p in zip(comparisons.items(), smallest, strict=True)
        ],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    """Return the values of a comparison, with the two ends of the interval as separate entries."""
    values = asdict(comparison)
    low, high = values.pop("interval") or (None, None)
    return values | {"low": low, "high": high}


def _searcher(contest: Contest, name: str) -> dict[str, Any]:
    """Return the entry of a search algorithm: averages, the course of the achieved hypervolume, and every search."""
    searches = contest.searches[name]
    averages: dict[str, Any] = {}
    for value in AVERAGED:
        # The achieved hypervolume has one value per look; its average is that of the end.
        values = [
            search.achieved_hypervolume[-1] if value == "achieved_hypervolume" else getattr(search, value)
            for search in searches
        ]
        averages[value] = _interval_entry(values)
    return {
        "name": name,
        "description": searcher(name).description,
        "repeats": searcher(name).repeats,
        **averages,
        "course": [_interval_entry([search.achieved_hypervolume[look] for search in searches]) for look in range(LOOKS)],
        "searches": [asdict(search) for search in searches],
    }


def _interval_entry(values: Sequence[float]) -> dict[str, float]:
    """Return the mean of values and the ends of its interval by name."""
    mean, low, high = interval(values)
    return {"mean": mean, "low": low, "high": high}


def write_contest_plot(document: Mapping[str, Any], path: Path, size: Size) -> None:
    """Draw the achieved hypervolume of each search algorithm over its budget, with the 95 % intervals of the means.

    Args:
        document: A `contest_document`.
        path: File name ending in `.png`, `.pdf` or `.svg`.
        size: Size of the figure.

    Raises:
        OutputError: The suffix is another one, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_printed(path)
    form = size.form
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        for index, entry in enumerate(document["searchers"]):
            # Line and band of an algorithm share a colour of matplotlib's cycle.
            colour = f"C{index}"
            means, lows, highs = ([look[name] for look in entry["course"]] for name in ("mean", "low", "high"))
            axes.plot(document["looks"], means, color=colour, linewidth=form.line_pt, label=entry["name"])
            axes.fill_between(document["looks"], lows, highs, color=colour, alpha=0.15, linewidth=0)
        # Live trainings do not know the best possible front.
        if document["best"] is not None:
            axes.axhline(
                document["best"], color="0.4", linestyle=":", linewidth=0.7 * form.line_pt, label="best of all circuits"
            )
        axes.set_xlabel("trainings" if "trainings" in document["budget"] else "seconds of training")
        axes.set_ylabel("achieved hypervolume")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    description = json.dumps({name: document[name] for name in ("table", "epochs", "budget")})
    write_atomically(path, as_file(figure, path, form, description))


def sentences(document: Mapping[str, Any]) -> list[str]:
    """Return one sentence per comparison of a `contest_document`."""
    return [_sentence(comparison) for comparison in document["comparisons"]]


def _sentence(comparison: Mapping[str, Any]) -> str:
    name = comparison["searcher"]
    p_holm = comparison["p_holm"]
    p = f"p {p_holm:.3f}" if p_holm >= 0.001 else "p < 0.001"
    # Without an interval all differences are equal.
    bounds = "in every search" if comparison["low"] is None else f"{comparison['low']:+z.4f} to {comparison['high']:+z.4f}"
    difference = f"{comparison['difference']:+z.4f} ({bounds}, {p}, rank-biserial {comparison['rank_biserial']:+z.2f})"
    if p_holm < SIGNIFICANT:
        return f"{name}: {'better' if comparison['difference'] > 0 else 'worse'}, {difference}"
    least = comparison["smallest_p_holm"]
    pairs = f"{comparison['pairs']} searches"
    # With too few searches not even the clearest difference could be significant.
    if least >= SIGNIFICANT:
        return f"{name}: no significance possible with {pairs}, whose smallest possible p is {least:.3f}, {difference}"
    return f"{name}: no significant difference in {pairs}, {difference}"
