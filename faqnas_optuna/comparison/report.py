"""What a comparison of searchers has shown, as a document, and as a figure for print."""

import json
from collections.abc import Mapping
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
from faqnas_optuna.reporting.matplotlib_front import styled
from faqnas_optuna.reporting.plotly_front import as_file, check_printed
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
"""What is told of each searcher, as the mean over its searches with a 95 % t interval."""


def contest_document(
    contest: Contest, benchmark: Benchmark, budget: TrainingBudget, *, epochs: int, reference: str
) -> dict[str, Any]:
    """Each searcher by itself, and held against one of them."""
    against = contest.against(reference)
    smallest = smallest_possible([found.pairs for found, _ in against.values()])
    return {
        "schema_version": SCHEMA_VERSION,
        "table": {name: benchmark.document[name] for name in ("dataset", "data_fingerprint", "protocol", "versions")},
        "live": isinstance(benchmark, LiveBenchmark),
        "epochs": epochs,
        "budget": {name: amount for name, amount in asdict(budget).items() if amount is not None},
        "searches": len(contest.judged[reference]),
        "best": benchmark.best(),
        "within": WITHIN,
        "looks": [budget.amount * part / LOOKS for part in range(1, LOOKS + 1)],
        "searchers": [_searcher(contest, name) for name in contest.judged],
        "reference": reference,
        "comparisons": [
            {"searcher": name, **_comparison(found), "p_holm": adjusted, "smallest_p_holm": least}
            for (name, (found, adjusted)), least in zip(against.items(), smallest, strict=True)
        ],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    """Return plain values, with the ends of the interval by themselves."""
    values = asdict(found)
    low, high = values.pop("interval") or (None, None)
    return values | {"low": low, "high": high}


def _searcher(contest: Contest, name: str) -> dict[str, Any]:
    judged = contest.judged[name]
    told: dict[str, Any] = {}
    for value in AVERAGED:
        values = [one.achieved_hypervolume[-1] if value == "achieved_hypervolume" else getattr(one, value) for one in judged]
        told[value] = dict(zip(("mean", "low", "high"), interval(values), strict=True))
    looks = [interval([one.achieved_hypervolume[look] for one in judged]) for look in range(LOOKS)]
    return {
        "name": name,
        "description": searcher(name).description,
        "repeats": searcher(name).repeats,
        **told,
        "course": [dict(zip(("mean", "low", "high"), look, strict=True)) for look in looks],
        "searches": [asdict(one) for one in judged],
    }


def write_contest_plot(document: Mapping[str, Any], path: Path, size: Size) -> None:
    """Draw what each searcher attains over its budget, with the 95 % intervals of the means.

    Raises:
        OutputError: another ending, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_printed(path)
    form = size.form
    with styled(form):
        figure = Figure(figsize=form.inches, layout="constrained")
        axes = figure.subplots()
        for place, found in enumerate(document["searchers"]):
            means, lows, highs = ([look[name] for look in found["course"]] for name in ("mean", "low", "high"))
            axes.plot(document["looks"], means, color=f"C{place}", linewidth=form.line_pt, label=found["name"])
            axes.fill_between(document["looks"], lows, highs, color=f"C{place}", alpha=0.15, linewidth=0)
        if document["best"] is not None:
            axes.axhline(
                document["best"], color="0.4", linestyle=":", linewidth=0.7 * form.line_pt, label="best of all circuits"
            )
        axes.set_xlabel("trainings" if "trainings" in document["budget"] else "seconds of training")
        axes.set_ylabel("achieved hypervolume")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    told = json.dumps({name: document[name] for name in ("table", "epochs", "budget")})
    write_atomically(path, as_file(figure, path, form, told))


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What the comparisons say, in words."""
    return [_told(found) for found in document["comparisons"]]


def _told(found: Mapping[str, Any]) -> str:
    p = f"p {found['p_holm']:.3f}" if found["p_holm"] >= 0.001 else "p < 0.001"
    bounds = "in every search" if found["low"] is None else f"{found['low']:+z.4f} to {found['high']:+z.4f}"
    told = f"{found['difference']:+z.4f} ({bounds}, {p}, rank-biserial {found['rank_biserial']:+z.2f})"
    if found["p_holm"] < SIGNIFICANT:
        return f"{found['searcher']}: {'more' if found['difference'] > 0 else 'less'}, {told}"
    least, pairs = found["smallest_p_holm"], f"{found['pairs']} searches"
    if least >= SIGNIFICANT:
        return f"{found['searcher']}: cannot be shown to differ by {pairs}, which give no p below {least:.3f}, {told}"
    return f"{found['searcher']}: not shown to differ by {pairs}, {told}"
