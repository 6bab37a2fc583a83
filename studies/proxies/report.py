"""Report of the proxies: a document for programs and a text for readers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from studies.claims.intervals import Interval
from studies.claims.measuring import Verdict, at_least, at_most, below
from studies.proxies.expressibility import BINS
from studies.proxies.judging import CONDITIONS, PROXIES, REPEATS, RESAMPLES
from studies.proxies.prediction import FEW_CIRCUITS, Base
from studies.proxies.pruning import FEWEST_FLOPS, ONE_EPOCH, RANDOM, RANDOM_STAGES, Scope
from studies.proxies.sampling import GRADIENT_DRAWS, PAIRS

Row = Mapping[str, Any]
"""Results of a table, or a part of them."""

USEFUL_CORRELATION = 0.1
"""Minimum partial correlation of a proxy that predicts, as for claim 1c."""
USEFUL_GAIN = 0.01
"""Minimum gain in rank correlation by all proxies together."""
SETS = {"all": "all proxies", "gradient_variance": "gradient variance"}
"""Titles of the sets of proxies whose gain is measured."""
QUESTIONS = {
    "correlation": "predicts accuracy beyond qubits, FLOPs and depth",
    "gain": "improves predictions from few circuits",
    "safe": "loses little hypervolume as a stage before a race",
    "better": "loses less than a random stage",
}
"""Kinds of verdicts, as questions about a proxy."""
LARGEST_REGRET = 0.01
"""Maximum loss of hypervolume by a stage, as for claim 5."""

PREFACE = (
    """
    Three proxies of accuracy need no training. They are computed once for each of the 6,786 effective circuits, from its
    effective gates alone, since inert gates change neither measurements nor trainings:
    """,
    f"""
    - *Expressibility* (Sim, Johnson and Aspuru-Guzik, arXiv 1905.10876): the Kullback-Leibler divergence of the fidelities of
    {PAIRS:,} pairs of states at random parameters from those of Haar-random states, with {BINS} bins of equal width. For ten
    qubits nearly all of Haar's distribution is in the first bin; *quantile bins* have equal probabilities under Haar's
    distribution instead. For circuits 1, 2 and 9 of that paper, the estimates agree with the published ones.
    """,
    """
    - *Entangling capability* (same paper): the mean of Meyer and Wallach's Q over the same states. For circuits 1 and 9 of that
    paper it is 0 and 1, as published; for circuit 2 it is 0.62, where the paper has 0.81.
    """,
    f"""
    - *Gradient variance* at initialisation: the variance of ∂⟨Z_q⟩/∂θ over {GRADIENT_DRAWS} random inputs and angles, summed
    over the measured wires q and averaged over all effective angles θ.
    """,
    """
    Angles are uniform in [0, 2π), as in a new network. The states start from the embedding of random inputs from N(0, 1/3), the
    variance of the first linear layer's outputs for standardised features: the network applies its gates to these states, and
    amplitude embedding reaches only n of the 2ⁿ amplitudes. *From zero*: the states start from |0…0⟩ as in the cited paper,
    which does not distinguish the embeddings.
    """,
    f"""
    All correlations are Spearman's with the mean accuracy over the seeds of a table. Signs are such that a positive correlation
    agrees with the literature: circuits that are more expressive (a smaller divergence), more entangling or have larger
    gradients are more accurate. Intervals in brackets are 95 % percentile intervals over {RESAMPLES:,} bootstrap resamples of
    the effective circuits. They show how much a correlation depends on which circuits the space has, and cover neither other
    random seeds nor other splits.
    """,
    """
    The bounds of the verdicts were chosen after a sample of 378 circuits had been compared. The model with the gradient
    variance alone, the stage by the fewest FLOPs and the differences from random stages were added after the first results of
    all circuits.
    """,
)
GAINS = f"""
    A ridge regression learns accuracy from random circuits and predicts that of the others: from {FEW_CIRCUITS} circuits, about
    as many as a search trains, or from 90 % of the space. It knows the *costs* (qubits, FLOPs, depth, embedding, entangler,
    topology) or the *gates* (also the effective rotation of each layer), and the interactions with the embedding. Cells are the
    rank correlation of predicted and measured validation accuracies without proxies, and the gain by all seven proxies
    together or by the gradient variance alone, with 95 % t intervals over {REPEATS} random choices of circuits:
"""
STAGES = f"""
    A stage drops the half of the circuits that a proxy ranks lower, in the whole space or among the circuits of each number of
    qubits. *Regret* is the loss of achieved hypervolume: circuits are selected for each number of FLOPs by half of the seeds
    and the validation part, and judged by the other half and the test part; where no circuit remains the accuracy is 0.
    Intervals are by the jackknife over the seeds, a rough guide for fronts. *Front lost* is the fraction of the front by the
    mean validation accuracy that is dropped. *Random* is the mean over {RANDOM_STAGES} random stages, *fewest FLOPs* keeps the
    cheaper circuits, and *one epoch* those with the higher validation accuracy after one epoch from one seed (its *front lost*
    is a mean over the seeds).
    All values are after the most epochs.
"""


def proxies_document(results: Sequence[Row]) -> dict[str, Any]:
    """Return the results of all tables with the verdicts on each."""
    return {
        "schema_version": SCHEMA_VERSION,
        "pairs": PAIRS,
        "gradient_draws": GRADIENT_DRAWS,
        "tables": [{**result, "verdicts": _verdicts(result)} for result in results],
    }


def _verdicts(result: Row) -> dict[str, dict[str, str]]:
    """Return the verdicts after the most epochs, by the names of proxies, stages, or sets of proxies and bases."""
    epochs = str(result["epochs"][-1])
    partial = result["correlations"]["all"]["partial"]
    stages = result["stages"][epochs][Scope.QUBITS]
    gains = result["gains"][epochs][str(FEW_CIRCUITS)]
    # Verdicts on correlations concern all circuits: a race does not choose the embedding in advance.
    return {
        "correlation": {
            name: at_least(Interval(**partial[name][f"validation {epochs}"]), USEFUL_CORRELATION) for name in PROXIES
        },
        "gain": {
            f"{name}, {base}": at_least(Interval(**gain["gain"]), USEFUL_GAIN)
            for name, by_base in gains.items()
            for base, gain in by_base.items()
        },
        "safe": {name: at_most(Interval(**stage["regret"]), LARGEST_REGRET) for name, stage in stages.items()},
        "better": {name: below(Interval(**stages[name]["beyond_random"]), 0) for name in stages if name != RANDOM},
    }


def proxies_text(document: Row, *, command: str, figure: str) -> str:
    """Return the report as Markdown.

    Args:
        command: Command line that writes the report, for the text.
        figure: Name of the file of the figure.
    """
    source = "`proxies/values.parquet`"
    compute = "python -m studies.proxies compute --out studies/proxies/values.parquet"
    tables = document["tables"]
    lines = [
        "# Proxies of accuracy that need no training\n",
        f"Written by `{command}` from {source}, which `{compute}` writes. `judge --json` prints all numbers.\n",
        *(_flowed(paragraph) for paragraph in PREFACE),
        *_summary(tables),
        *_correlations(tables, figure),
        *_gains(tables),
        *_stages(tables),
    ]
    return "\n".join(lines)


def _summary(tables: Sequence[Row]) -> Iterator[str]:
    """Yield the names for which each question has the same answer on all tables; the sections have the rules."""
    titles = PROXIES | {f"{name}, {base}": f"{title} ({base})" for name, title in SETS.items() for base in Base}
    yield "## Verdict\n"
    yield f"After {_most(tables)} epochs, by the rules below:\n"
    rows = []
    for kind, question in QUESTIONS.items():
        # The distinct verdicts of a proxy: a set with one element means that all tables agree.
        verdicts = {name: {table["verdicts"][kind][name] for table in tables} for name in tables[0]["verdicts"][kind]}
        answers = [
            "; ".join(titles[name] for name, values in verdicts.items() if name in titles and values == {verdict}) or "none"
            for verdict in (Verdict.HOLDS, Verdict.FAILS)
        ]
        rows.append(f"| {question} | {' | '.join(answers)} |")
    yield "| question | yes on all data sets | no on all data sets |"
    yield "| --- | --- | --- |"
    yield "\n".join(rows) + "\n"


def _correlations(tables: Sequence[Row], figure: str) -> Iterator[str]:
    most = _most(tables)
    yield "## Correlations\n"
    yield _flowed(f"""
        With validation accuracy after {most} epochs, among all effective circuits. *Maximum* is the correlation that the
        variance between random seeds allows a perfect predictor, estimated from two halves of the seeds:
    """)
    ceilings = ["maximum", *(f"{table['ceilings'][f'validation {most}']:.2f}" for table in tables)]
    yield from _markdown(tables, [*_rows(tables, CONDITIONS | PROXIES, "all", "raw", most), ceilings])
    # The paper trains for 5 epochs, where small gradients matter more than after 50.
    for epochs in tables[0]["epochs"]:
        yield f"Partial correlations given qubits, FLOPs and depth, after {epochs} epochs:\n"
        yield from _markdown(tables, _rows(tables, PROXIES, "all", "partial", epochs))
    # A proxy whose sign depends on the embedding has little correlation over both.
    for embedding in ("angle", "amplitude"):
        yield f"Partial correlations after {most} epochs among circuits with {embedding} embedding:\n"
        yield from _markdown(tables, _rows(tables, PROXIES, embedding, "partial", most))
    yield f"Partial correlations with test accuracy after {most} epochs, among all effective circuits:\n"
    yield from _markdown(tables, _rows(tables, PROXIES, "all", "partial", most, part="test"))
    yield f"![Partial correlations of the proxies with validation accuracy on all data sets]({figure})\n"
    yield f"*Partial correlations with validation accuracy after {most} epochs, given qubits, FLOPs and depth.*\n"
    yield _flowed(f"""
        A proxy predicts accuracy beyond costs if its partial correlation after {most} epochs is at least {USEFUL_CORRELATION},
        by the rule of [claims.md](claims.md) for an interval and a bound:
    """)
    yield from _markdown(tables, _verdict_rows(tables, "correlation", PROXIES))


def _gains(tables: Sequence[Row]) -> Iterator[str]:
    yield "## Gain in prediction\n"
    yield _flowed(GAINS)
    rows = []
    # All tables have the same space, and therefore the same numbers of circuits.
    for epochs in tables[0]["epochs"]:
        for train, sets in tables[0]["gains"][str(epochs)].items():
            for name, bases in sets.items():
                for base in bases:
                    cells = [table["gains"][str(epochs)][train][name][base] for table in tables]
                    texts = [f"{cell['without']:.2f} {_interval(cell['gain'], 3, sign='+')}" for cell in cells]
                    rows.append([f"{epochs} epochs, {int(train):,} circuits, {base}, {SETS[name]}", *texts])
    yield from _markdown(tables, rows)
    most = _most(tables)
    yield f"The proxies help if the gain from {FEW_CIRCUITS} circuits after {most} epochs is at least {USEFUL_GAIN}:\n"
    titles = {
        f"{name}, {base}": f"{title}, {base}"
        for name, title in SETS.items()
        for base in tables[0]["gains"][str(most)][str(FEW_CIRCUITS)][name]
    }
    yield from _markdown(tables, _verdict_rows(tables, "gain", titles))


def _stages(tables: Sequence[Row]) -> Iterator[str]:
    yield "## A stage before a race\n"
    yield _flowed(STAGES)
    baselines = {name: name for name in (FEWEST_FLOPS, ONE_EPOCH, RANDOM)}
    for scope, phrase in ((Scope.SPACE, "in the whole space"), (Scope.QUBITS, "for each number of qubits")):
        yield f"Half {phrase}, regret and front lost:\n"
        rows = [[title, *(_stage(table, scope, name) for table in tables)] for name, title in (PROXIES | baselines).items()]
        yield from _markdown(tables, rows)
    yield "Regret minus that of random stages, half for each number of qubits:\n"
    # The random stages have no difference from themselves.
    compared = {name: title for name, title in (PROXIES | baselines).items() if name != RANDOM}
    epochs = str(_most(tables))
    rows = [
        [title, *(_interval(table["stages"][epochs][Scope.QUBITS][name]["beyond_random"], 3) for table in tables)]
        for name, title in compared.items()
    ]
    yield from _markdown(tables, rows)
    yield f"A stage for each number of qubits is safe if its regret is at most {LARGEST_REGRET}:\n"
    yield from _markdown(tables, _verdict_rows(tables, "safe", PROXIES | baselines))
    yield "It is better than a random stage if the difference in regret is below 0:\n"
    yield from _markdown(tables, _verdict_rows(tables, "better", compared))


def _stage(table: Row, scope: Scope, name: str) -> str:
    stage = table["stages"][str(table["epochs"][-1])][scope][name]
    return f"{_interval(stage['regret'], 3)}, {stage['front_lost']:.0%}"


def _most(tables: Sequence[Row]) -> int:
    # The tables that come with the program have equal numbers of epochs.
    return int(tables[0]["epochs"][-1])


def _rows(
    tables: Sequence[Row], titles: Mapping[str, str], group: str, kind: str, epochs: int, part: str = "validation"
) -> list[list[str]]:
    """Return a row of correlations with the accuracy on a part for each title."""

    def text(table: Row, name: str) -> str:
        return _interval(table["correlations"][group][kind][name][f"{part} {epochs}"], 2)

    return [[title, *(text(table, name) for table in tables)] for name, title in titles.items()]


def _verdict_rows(tables: Sequence[Row], kind: str, titles: Mapping[str, str]) -> list[list[str]]:
    return [[title, *(str(table["verdicts"][kind][name]) for table in tables)] for name, title in titles.items()]


def _interval(interval: Mapping[str, float], digits: int, sign: str = "") -> str:
    return f"{interval['value']:{sign}.{digits}f} ({interval['low']:.{digits}f} to {interval['high']:.{digits}f})"


def _flowed(text: str) -> str:
    """Return a paragraph as one line, which Markdown renderers wrap by themselves, and an empty line."""
    return f"{' '.join(text.split())}\n"


def _markdown(tables: Sequence[Row], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with a column for each data set, and an empty line."""
    header = ["", *(table["dataset"] for table in tables)]
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
