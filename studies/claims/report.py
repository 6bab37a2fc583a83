"""Report of the measured claims: a document for programs and a text for readers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from faqnas_optuna import Table
from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from studies.claims.decomposition import SHARES
from studies.claims.measuring import CLAIMS, FEW, Findings, Verdict

Row = Mapping[str, Any]
"""Entry of a table in `claims_document`, or one of its `after`."""


def claims_document(results: Sequence[tuple[Table, Findings]], *, searches: int, trainings: int) -> dict[str, Any]:
    """Return all numbers with their intervals, the claims with their rules, and the verdicts.

    Args:
        results: Each table with its findings.
        searches: Number of pairs of searches on each table.
        trainings: Number of trainings of each search.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "searches": searches,
        "trainings": trainings,
        "claims": [{name: getattr(claim, name) for name in ("number", "statement", "rule")} for claim in CLAIMS],
        "tables": [_table(table, findings) for table, findings in results],
    }


def _table(table: Table, findings: Findings) -> dict[str, Any]:
    description = {name: table.document[name] for name in ("dataset", "data_fingerprint", "sizes", "protocol", "versions")}
    # Verdicts are stored with the numbers, so a reader of the JSON document need not know the rules.
    after = [
        _plain(asdict(measured)) | {"verdicts": {claim.number: claim.verdict(measured) for claim in CLAIMS}}
        for measured in findings.after
    ]
    # Keys of JSON objects are strings.
    agreements = {str(epochs): _plain(asdict(agreement)) for epochs, agreement in findings.agreements.items()}
    return {**description, "prices": findings.prices.tolist(), "agreements": agreements, "after": after}


def _plain(value: Any) -> Any:
    """Return a nested value with its arrays as lists."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    # JSON has no arrays of NumPy.
    return value.tolist() if isinstance(value, np.ndarray) else value


SHARE_TITLES = {name: "random seed" if name == "seed_variance" else name for name in SHARES}
"""Titles of the parts of the variance, in the report and its figure."""

PREFACE = """
A table has every circuit of the paper's search space (FAQNAS, arXiv 2511.10062), trained from the same seeds. Since
the table has all circuits, the seeds are the only random sample. Numbers in brackets are 95 % confidence intervals: by
the jackknife over the seeds with Student's t, for claim 3 by Student's t over pairs of searches, and for collapsed
fronts Wilson's over searches. They hold for other trainings on the same split of the same data, not for other splits. A
claim *holds* if the whole interval satisfies the bound, *does not hold* if no part of it does, and is *undecided*
otherwise. The bounds were chosen after the tables of Iris, Wine and Breast Cancer had been computed, and before those
of Digits and MNIST-5k were. For statistics that are not smooth, such as thresholds and the membership of a front
(claims 2, 4 and 5), the jackknife is only a rough guide.
"""


@dataclass(frozen=True, kw_only=True)
class ClaimColumn:
    """Column of a table of numbers."""

    title: str
    text: Callable[[Row], str]
    """Text of a row's cell."""


def share(*path: str, digits: int = 3) -> Callable[[Row], str]:
    """Return the text of an interval for a row: the value with the ends in brackets.

    Args:
        path: Keys that lead to the interval.
        digits: Number of decimals.
    """

    def text(row: Row) -> str:
        interval = _at(row, path)
        return f"{interval['value']:.{digits}f} ({interval['low']:.{digits}f} to {interval['high']:.{digits}f})"

    return text


def count(*path: str) -> Callable[[Row], str]:
    """Return the text of an interval of large numbers, rounded to three significant digits."""

    def text(row: Row) -> str:
        interval = _at(row, path)
        value, low, high = (_rounded(interval[name]) for name in ("value", "low", "high"))
        return f"{value} ({low} to {high})"

    return text


def _rounded(value: float) -> str:
    """Return a number with three significant digits.

    >>> _rounded(0.04361), _rounded(562.3), _rounded(1234567)
    ('0.0436', '562', '1,230,000')
    """
    if value < 100:
        return f"{value:.3g}"
    # The format `g` would write a large number as a power of ten.
    return f"{value:,.0f}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def _at(row: Row, path: Sequence[str]) -> Mapping[str, float]:
    value: Any = row
    for name in path:
        value = value[name]
    return dict(value)


@dataclass(frozen=True, kw_only=True)
class Section:
    """Section of the report about a claim."""

    number: int
    title: str
    measured: str
    """Definition of the numbers."""
    columns: tuple[ClaimColumn, ...]
    caption: str
    """Caption of the figure."""
    differs: str
    """Differences between this measurement and the paper."""
    of_agreements: bool = False
    """Whether the rows are comparisons of fewer epochs with the maximum, in the place of numbers of epochs."""

    @property
    def figure(self) -> str:
        """Name of the figure's file."""
        return f"{self.number}.svg"


SECTIONS = (
    Section(
        number=1,
        title="Quantum FLOPs drive accuracy",
        measured="""
            *Correlation* is that of log₁₀ quantum FLOPs (counted by torch.profiler) with the true accuracy of
            circuits over the 23,328 genomes, with equal weights. True accuracy is the expected test accuracy
            over seeds; covariances of trainings from different seeds remove the variance from the random seed.
            The partial correlations are given the number of qubits, and given the main effects of qubits,
            embedding, entangler and depth. *Share beyond qubits* is the share of the variance between circuits
            that FLOPs explain beyond the number of qubits, and *rank correlation* is Spearman's, with the mean
            accuracy over the seeds, which contains variance from the random seed. The figure decomposes the
            whole variance of single trainings (functional analysis of variance; Hutter, Hoos and Leyton-Brown
            2014). The genes are independent over the genomes. As a mixed model it has fixed effects of the
            genes, a random effect of each circuit (*rest*: interactions of genes), and the *random seed* as
            the residual. *Layers* is the number of effective layers of rotations.
        """,
        columns=(
            ClaimColumn(title="correlation", text=share("decomposition", "flops", digits=2)),
            ClaimColumn(title="given qubits", text=share("decomposition", "beyond_qubits", digits=2)),
            ClaimColumn(title="given four genes", text=share("decomposition", "beyond_genes", digits=2)),
            ClaimColumn(title="share beyond qubits", text=share("decomposition", "added", digits=2)),
            ClaimColumn(title="rank correlation", text=share("decomposition", "rank", digits=2)),
        ),
        caption="Decomposition of the variance of single trainings.",
        differs="""
            Like this report, the paper counts the FLOPs that torch.profiler reports for a circuit in PennyLane.
            It does not state whether they are for one sample or a batch, and with or without the backward pass;
            either would change all FLOPs by similar factors. Its accuracies are those of circuits that its
            searches selected, and selection is partly by the random seed.
        """,
    ),
    Section(
        number=2,
        title="Classical FLOPs stay fixed",
        measured="""
            For each number of quantum FLOPs, half of the seeds select the circuit with the highest validation
            accuracy among those of at most this cost; this is repeated for all ways to halve the seeds. The
            table has the ratios of the quantum and the classical FLOPs of the most expensive selected circuit to
            those of the cheapest. Classical FLOPs are those of the two linear layers, and grow with the number
            of qubits.
        """,
        columns=(
            ClaimColumn(title="quantum FLOPs, highest / lowest", text=count("saturation", "quantum_ratio")),
            ClaimColumn(title="classical FLOPs, ratio", text=share("saturation", "classical_ratio", digits=2)),
        ),
        caption="Classical FLOPs of the circuits selected for each number of quantum FLOPs.",
        differs="""
            Compared with quantum FLOPs that grow a thousandfold, classical FLOPs that grow four- or fivefold may
            be called fixed. For a given number of qubits they are fixed, here and in the paper, since they
            depend on nothing else in the circuit.
        """,
    ),
    Section(
        number=3,
        title="FLOPs-awareness saves cost at equal accuracy",
        measured="""
            The paper's FLOPs-aware search is compared with an unaware one, which selects parents by the error
            alone, on the table and from the same seeds. Each recommends the cheapest circuit whose search
            estimate is at most 0.01 below its best; trainings that neither search used judge it. The ratio of
            FLOPs is a geometric mean. Accuracy and achieved hypervolume are differences, aware minus unaware.
        """,
        columns=(
            ClaimColumn(title="FLOPs, aware / unaware", text=count("saving", "flops_ratio")),
            ClaimColumn(title="accuracy, difference", text=share("saving", "accuracy")),
            ClaimColumn(title="achieved hypervolume, difference", text=share("saving", "achieved_hypervolume")),
        ),
        caption="FLOPs and accuracy of the recommended circuits, aware compared with unaware search.",
        differs="""
            The paper does not state the size of its population (20 here), nor which circuits it compares. The
            best circuits by validation accuracy, which is optimistically biased, would show a saving at equal
            search estimates.
        """,
    ),
    Section(
        number=4,
        title="Accuracy does not increase beyond a threshold of quantum FLOPs, which depends on the data set",
        measured="""
            Circuits are selected for each number of quantum FLOPs by half of the seeds, as for claim 2, and
            judged by the test part and the other half, which avoids selection bias. A line that rises with log₁₀
            FLOPs up to a threshold and is level beyond it is fitted to this curve by least squares over the
            axis. *Rise* is the gain of the curve up to the threshold, *gain beyond* that from the threshold to
            the highest cost.
        """,
        columns=(
            ClaimColumn(title="threshold, FLOPs", text=count("saturation", "flops")),
            ClaimColumn(title="rise", text=share("saturation", "rise")),
            ClaimColumn(title="gain beyond", text=share("saturation", "beyond")),
        ),
        caption="Accuracy of the circuits selected for each number of quantum FLOPs, and the fitted line (dotted).",
        differs="""
            The paper reads thresholds off the fronts of single searches, on the validation part. This report
            covers one split, with test parts of at least thirty samples; other splits may have other thresholds.
        """,
    ),
    Section(
        number=5,
        title="Few epochs select the same circuits as many",
        measured="""
            *τ* is Kendall's τ-b between two rankings of all networks by validation accuracy, one after few
            epochs by half of the seeds, the other after the most epochs by the other half. *τ, most epochs* has
            the most epochs in both halves, the maximum that variance from the random seed allows. *Front in
            common* is the fraction of one front that is on the other, again with the maximum beside it. *Regret*
            is the loss in test accuracy after the most epochs, judged by the other half of the seeds, of the
            circuits that few epochs select compared with those that the most epochs select, averaged over the
            axis of log₁₀ FLOPs.
        """,
        columns=(
            ClaimColumn(title="τ", text=share("tau", digits=2)),
            ClaimColumn(title="τ, most epochs", text=share("tau_alike", digits=2)),
            ClaimColumn(title="front in common", text=share("overlap", digits=2)),
            ClaimColumn(title="front, most epochs", text=share("overlap_alike", digits=2)),
            ClaimColumn(title="regret", text=share("regret")),
        ),
        caption="Regret of selecting after fewer epochs.",
        differs="The paper trains for five epochs, and asks whether 20 to 50 would select other circuits.",
        of_agreements=True,
    ),
    Section(
        number=6,
        title="Signs of failure",
        measured="""
            The paper reports accuracies below 0.5 at many FLOPs, and fronts that collapse to one point, as signs
            of failure. *Chance* is the test accuracy of always predicting the most frequent class of the
            training part, and *at chance* the fraction of trainings that are no better. *Expensive minus rest*
            is the difference of this fraction between the most expensive quarter of the genomes and the others.
            The next two columns are fractions of the trainings in that quarter: with a test accuracy below 0.5,
            and with an *unmoved* training loss, less than 1 % below that of predicting the class frequencies, as
            vanishing gradients would cause. *Collapsed* is the fraction of fronts with one circuit among the
            aware searches of claim 3.
        """,
        columns=(
            ClaimColumn(title="chance", text=lambda row: f"{row['failures']['constant']:.3f}"),
            ClaimColumn(title="at chance", text=share("failures", "failing")),
            ClaimColumn(title="expensive minus rest", text=share("failures", "more_if_dear")),
            ClaimColumn(title="expensive, below 0.5", text=share("failures", "below_half")),
            ClaimColumn(title="expensive, unmoved", text=share("failures", "unmoved")),
            ClaimColumn(title="collapsed", text=share("saving", "collapsed", digits=2)),
        ),
        caption="Fraction of trainings at chance by number of qubits.",
        differs="""
            The paper's third sign, a search that stagnates in its first generation, concerns searches that stop
            early; the searches replayed here use all their trainings.
        """,
    ),
)


def claims_text(document: Row, *, command: str, figures: str) -> str:
    """Return the report as Markdown.

    Args:
        document: Result of `claims_document`.
        command: Command line that writes the report, for the text.
        figures: Name of the folder of the figures.
    """
    return "\n".join([*_preface(document, command), *_verdicts(document), *_sections(document, figures)])


def _preface(document: Row, command: str) -> Iterator[str]:
    yield "# The paper's claims, measured\n"
    yield f"Written by `{command}`; equal tables give an equal report. `--json` prints all numbers.\n"
    yield f"{_flowed(PREFACE)}\n"
    yield from _markdown(
        ("data", "seeds", "samples: train, validation, test", "split seed"),
        [
            (
                table["dataset"],
                str(table["protocol"]["seeds"]),
                ", ".join(f"{size:,}" for size in table["sizes"].values()),
                str(table["protocol"]["split_seed"]),
            )
            for table in document["tables"]
        ],
    )


def verdicts(document: Row) -> dict[int, list[tuple[str, ...]]]:
    """Return by epochs the number and the statement of each claim and its verdicts on the tables, empty where there is none."""
    tables = document["tables"]
    rows_by_epochs = {}
    # Tables may have different numbers of epochs, and each number gets a table of verdicts.
    for epochs in sorted({measured["epochs"] for table in tables for measured in table["after"]}):
        by_table = [_after(table, epochs).get("verdicts", {}) for table in tables]
        rows = [
            (claim["number"], claim["statement"], *(by_claim.get(claim["number"]) or "" for by_claim in by_table))
            for claim in document["claims"]
        ]
        # A claim that compares with the maximum of epochs has no verdict at the maximum.
        rows_by_epochs[epochs] = [row for row in rows if any(row[2:])]
    return rows_by_epochs


def _verdicts(document: Row) -> Iterator[str]:
    yield "## Verdicts\n"
    for epochs, rows in verdicts(document).items():
        remark = ", as in the paper" if epochs == FEW else ""
        yield f"After {epochs} epochs{remark}:\n"
        emphasised = [
            (*row[:2], *(f"**{verdict}**" if verdict == Verdict.HOLDS else verdict for verdict in row[2:])) for row in rows
        ]
        yield from _markdown(("", "claim", *(table["dataset"] for table in document["tables"])), emphasised)
    yield "A claim holds if\n"
    yield from (f"- {claim['number']}: {claim['rule']}." for claim in document["claims"])
    yield ""


def _after(table: Row, epochs: int) -> Row:
    """Return the results after a number of epochs; an empty mapping if the table has none."""
    return next((measured for measured in table["after"] if measured["epochs"] == epochs), {})


def _sections(document: Row, figures: str) -> Iterator[str]:
    for section in SECTIONS:
        yield f"## {section.number}. {section.title}\n"
        yield f"{_flowed(section.measured)}\n"
        yield from _markdown(
            ("data", "epochs", *(column.title for column in section.columns)),
            [
                (table["dataset"], epochs, *(column.text(row) for column in section.columns))
                for table in document["tables"]
                for epochs, row in _rows(table, section)
            ],
        )
        # Only the first claim needs a second table.
        if section.number == 1:
            yield from _shares(document)
        yield f"![{section.caption}]({figures}/{section.figure})\n"
        yield f"*{section.caption}* {_flowed(section.differs)}\n"


def _rows(table: Row, section: Section) -> list[tuple[str, Row]]:
    if section.of_agreements:
        return list(table["agreements"].items())
    return [(str(measured["epochs"]), measured) for measured in table["after"]]


def _shares(document: Row) -> Iterator[str]:
    yield "Shares of the variance of single trainings:\n"
    yield from _markdown(
        ("data", "epochs", *SHARE_TITLES.values()),
        [
            (table["dataset"], str(measured["epochs"]), *(share("decomposition", "shares", name)(measured) for name in SHARES))
            for table in document["tables"]
            for measured in table["after"]
        ],
    )


def _flowed(text: str) -> str:
    """Return a paragraph as one line, which Markdown renderers wrap by themselves."""
    return " ".join(text.split())


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table and an empty line."""
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
