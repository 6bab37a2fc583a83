"""What tables say of the paper's claims: a document for programs, and a text for readers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from faqnas_optuna import Table
from faqnas_optuna.reporting.documents import SCHEMA_VERSION
from studies.claims.decomposition import SHARES
from studies.claims.measuring import CLAIMS, FEW, Findings, Verdict

Row = Mapping[str, Any]
"""A table's entry of `claims_document`, or one of its `after`."""


def claims_document(found: Sequence[tuple[Table, Findings]], *, searches: int, trainings: int) -> dict[str, Any]:
    """All numbers with their intervals, the claims with their rules, and the verdicts.

    Args:
        searches: pairs of searches on each table, of so many trainings each.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "searches": searches,
        "trainings": trainings,
        "claims": [{name: getattr(claim, name) for name in ("number", "statement", "rule")} for claim in CLAIMS],
        "tables": [_table(table, findings) for table, findings in found],
    }


def _table(table: Table, findings: Findings) -> dict[str, Any]:
    told = {name: table.document[name] for name in ("dataset", "data_fingerprint", "sizes", "protocol", "versions")}
    after = [
        _plain(asdict(measured)) | {"verdicts": {claim.number: claim.verdict(measured) for claim in CLAIMS}}
        for measured in findings.after
    ]
    agreements = {str(epochs): _plain(asdict(one)) for epochs, one in findings.agreements.items()}
    return {**told, "prices": findings.prices.tolist(), "agreements": agreements, "after": after}


def _plain(value: Any) -> Any:
    """With lists in the place of arrays."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


PREFACE = """
A table has every circuit of the paper's search space (FAQNAS, arXiv 2511.10062), trained from the same seeds. Circuits
are all that there are; what is drawn are the seeds. So intervals are 95 %, by the jackknife over the seeds with
Student's t (those of claim 3 over pairs of searches, of collapsed fronts Wilson's over searches): they tell of other
trainings on the same split of the same data, and not of other splits. A claim *holds* where the whole interval keeps to
a bound, it *does not hold* where no part of it does, else it *cannot be told*. The bounds were chosen when the tables
of Iris, Wine and Breast Cancer were at hand and those of Digits and MNIST-5k were not made. Of what jumps, as
thresholds and which circuits are on a front (claims 2, 4 and 5), the jackknife is no more than a rough guide.
"""


@dataclass(frozen=True, kw_only=True)
class ClaimColumn:
    """Of a table of numbers."""

    title: str
    told: Callable[[Row], str]


def share(*path: str, digits: int = 3) -> Callable[[Row], str]:
    """What is told of an interval: the value and its ends."""

    def told(row: Row) -> str:
        found = _at(row, path)
        return f"{found['value']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"

    return told


def count(*path: str) -> Callable[[Row], str]:
    """The same of large numbers, to three digits."""

    def told(row: Row) -> str:
        found = _at(row, path)
        value, low, high = (_rounded(found[name]) for name in ("value", "low", "high"))
        return f"{value} ({low} to {high})"

    return told


def _rounded(value: float) -> str:
    """Three digits."""
    if value < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def _at(row: Row, path: Sequence[str]) -> Mapping[str, float]:
    found: Any = row
    for name in path:
        found = found[name]
    return dict(found)


@dataclass(frozen=True, kw_only=True)
class Section:
    """What is written of a claim."""

    number: int
    title: str
    measured: str
    """What the numbers are."""
    columns: tuple[ClaimColumn, ...]
    caption: str
    """Of its figure."""
    differs: str
    """How the paper's setting may differ."""
    of_few: bool = False
    """Its numbers are of fewer epochs, held against the most."""

    @property
    def figure(self) -> str:
        """The name of its file."""
        return f"{self.number}.svg"


SECTIONS = (
    Section(
        number=1,
        title="Quantum FLOPs drive accuracy",
        measured="""
            Over the 23,328 genomes, each of which counts once, the correlation of log₁₀ quantum FLOPs (the
            profiler's) with what circuits truly are: their accuracy on the test part without the luck of single
            trainings, whose part is taken out by the covariance of trainings from different seeds. Then the
            same given the number of qubits, and given qubits, embedding, entangler and depth, all by their own
            effects; what share of the variance between circuits FLOPs explain beyond the qubits; and Spearman's
            correlation with the mean over the seeds, luck and all. The figure has the whole variance of single
            trainings, by genes, which are independent of each other over the genomes (functional analysis of
            variance; Hutter, Hoos and Leyton-Brown 2014): as a mixed model, fixed effects of the genes, a
            random one of each circuit, the *rest*, and *luck*. *Layers* are the live ones.
        """,
        columns=(
            ClaimColumn(title="correlation", told=share("decomposition", "flops", digits=2)),
            ClaimColumn(title="given qubits", told=share("decomposition", "beyond_qubits", digits=2)),
            ClaimColumn(title="given four genes", told=share("decomposition", "beyond_genes", digits=2)),
            ClaimColumn(title="share beyond qubits", told=share("decomposition", "added", digits=2)),
            ClaimColumn(title="rank correlation", told=share("decomposition", "rank", digits=2)),
        ),
        caption="What the variance of single trainings is due to.",
        differs="""
            The paper counts what the profiler reports for a circuit in PennyLane, as here, but whether of one
            sample or a batch, forward or with the backward pass, is not known; that moves all FLOPs by like
            factors. Its accuracies are of the circuits that its searches chose, which luck has chosen too.
        """,
    ),
    Section(
        number=2,
        title="Classical FLOPs stay fixed",
        measured="""
            For every number of quantum FLOPs the circuit is chosen that costs no more and is most accurate on
            the validation part, by half of the seeds, in all ways to halve them. The quantum and classical
            FLOPs of the dearest circuit that is chosen are held against those of the cheapest. Classical FLOPs
            are those of the two linear layers, and grow with the qubits.
        """,
        columns=(
            ClaimColumn(title="quantum FLOPs, dearest to cheapest", told=count("saturation", "quantum_ratio")),
            ClaimColumn(title="classical FLOPs", told=share("saturation", "classical_ratio", digits=2)),
        ),
        caption="Classical FLOPs of what is chosen for each number of quantum FLOPs.",
        differs="""
            Next to quantum FLOPs that grow a thousandfold, classical ones that grow four- or fivefold may pass
            for fixed. On a number of qubits they are fixed, here as there: they do not depend on the circuit at
            all.
        """,
    ),
    Section(
        number=3,
        title="FLOPs-awareness saves cost at equal accuracy",
        measured="""
            The paper's search and the same with parents selected by the error alone, from the same seeds, on
            the table. Each takes the cheapest circuit that promises at most 0.01 less than its best; trainings
            that neither has seen tell what it is. The ratio of FLOPs is a geometric mean; accuracies and
            achieved hypervolumes are of the aware search less the other's.
        """,
        columns=(
            ClaimColumn(title="FLOPs, aware to unaware", told=count("saving", "flops_ratio")),
            ClaimColumn(title="accuracy", told=share("saving", "accuracy")),
            ClaimColumn(title="achieved hypervolume", told=share("saving", "achieved_hypervolume")),
        ),
        caption="The aware search less the unaware one: FLOPs and accuracy of what each takes.",
        differs="""
            The size of the paper's population is not known (20 here), nor which circuits it compares: the best
            by validation accuracy, whose accuracy flatters, would show a saving at equal belief.
        """,
    ),
    Section(
        number=4,
        title="Each data set has a threshold of quantum FLOPs beyond which accuracy gains nothing",
        measured="""
            What is chosen for each number of quantum FLOPs by half of the seeds, as for claim 2, judged by the
            test part and the other half, so that no choice flatters itself. To that curve a line is fitted
            which rises with log₁₀ FLOPs up to a threshold and is level from there, by least squares over the
            axis. *Rise* is what the curve gains up to the threshold, *beyond* what it gains from there to the
            dearest.
        """,
        columns=(
            ClaimColumn(title="threshold, FLOPs", told=count("saturation", "flops")),
            ClaimColumn(title="rise", told=share("saturation", "rise")),
            ClaimColumn(title="beyond", told=share("saturation", "beyond")),
        ),
        caption="Accuracy of what is chosen for each number of quantum FLOPs, and the line that is fitted (dotted).",
        differs="""
            The paper reads thresholds off the fronts of single searches, on the validation part. One split is
            looked at here, with test parts of thirty samples and more: other splits may saturate elsewhere.
        """,
    ),
    Section(
        number=5,
        title="Few epochs choose what many would",
        measured="""
            Kendall's τ-b of the rankings of all networks by validation accuracy, after few epochs by half of
            the seeds and after the most by the other half; beside it *alike*, the same with the most epochs in
            both halves: as much as luck allows. Then the share of one front that is on the other. *Regret* is
            how much less accurate after the most epochs, on the test part and by the other half of the seeds,
            is what few choose than what the most choose, averaged over the axis of log₁₀ FLOPs.
        """,
        columns=(
            ClaimColumn(title="τ", told=share("tau", digits=2)),
            ClaimColumn(title="τ alike", told=share("tau_alike", digits=2)),
            ClaimColumn(title="front in common", told=share("overlap", digits=2)),
            ClaimColumn(title="alike", told=share("overlap_alike", digits=2)),
            ClaimColumn(title="regret", told=share("regret")),
        ),
        caption="Regret of choosing after fewer epochs.",
        differs="The paper trains for five epochs, and asks whether 20 to 50 would choose other circuits.",
        of_few=True,
    ),
    Section(
        number=6,
        title="Signs of failure",
        measured="""
            The paper takes accuracies below 0.5 at many FLOPs and a front that collapses to one point for signs
            of failure. *At chance* are trainings that are no better on the test part than always naming the
            most frequent class of the training part; *dearest less rest* is that share among the dearest
            quarter of the genomes, less that among the others. Among the dearest, *below 0.5* are those of a
            lower test accuracy, and *unmoved* those whose training loss is not 1 % below that of always
            telling the shares of the classes, as vanishing gradients would leave it. *Collapsed* are fronts of
            one circuit among the paper's searches of claim 3.
        """,
        columns=(
            ClaimColumn(title="chance", told=lambda row: f"{row['failures']['constant']:.3f}"),
            ClaimColumn(title="at chance", told=share("failures", "failing")),
            ClaimColumn(title="dearest less rest", told=share("failures", "more_if_dear")),
            ClaimColumn(title="dearest below 0.5", told=share("failures", "below_half")),
            ClaimColumn(title="dearest unmoved", told=share("failures", "unmoved")),
            ClaimColumn(title="collapsed", told=share("saving", "collapsed", digits=2)),
        ),
        caption="Trainings at chance, by number of qubits.",
        differs="""
            Its third sign, a search that stagnates at its first generation, is of searches that end early;
            those replayed here spend all their trainings.
        """,
    ),
)


def claims_text(document: Row, *, command: str, figures: str) -> str:
    """The document as Markdown.

    Args:
        command: that gave it.
        figures: the folder of the figures, as the text names it.
    """
    return "\n".join([*_preface(document, command), *_verdicts(document), *_sections(document, figures)])


def _preface(document: Row, command: str) -> Iterator[str]:
    yield "# The paper's claims, measured\n"
    yield f"Written by `{command}`: the same tables give the same text. `--json` has all numbers.\n"
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
    """By epochs the number and the statement of each claim, and its verdict on each table; empty where there is none."""
    tables = document["tables"]
    found = {}
    for epochs in sorted({one["epochs"] for table in tables for one in table["after"]}):
        measured = [_after(table, epochs).get("verdicts", {}) for table in tables]
        rows = [
            (claim["number"], claim["statement"], *(one.get(claim["number"]) or "" for one in measured))
            for claim in document["claims"]
        ]
        found[epochs] = [row for row in rows if any(row[2:])]
    return found


def _verdicts(document: Row) -> Iterator[str]:
    yield "## Verdicts\n"
    for epochs, rows in verdicts(document).items():
        remark = ", the paper's" if epochs == FEW else ""
        yield f"After {epochs} epochs{remark}:\n"
        told = [(*row[:2], *(f"**{one}**" if one == Verdict.HOLDS else one for one in row[2:])) for row in rows]
        yield from _markdown(("", "claim", *(table["dataset"] for table in document["tables"])), told)
    yield "A claim holds if\n"
    yield from (f"- {claim['number']}: {claim['rule']}." for claim in document["claims"])
    yield ""


def _after(table: Row, epochs: int) -> Row:
    """What was measured after so many epochs; nothing if the table has others."""
    return next((one for one in table["after"] if one["epochs"] == epochs), {})


def _sections(document: Row, figures: str) -> Iterator[str]:
    for section in SECTIONS:
        yield f"## {section.number}. {section.title}\n"
        yield f"{_flowed(section.measured)}\n"
        yield from _markdown(
            ("data", "epochs", *(column.title for column in section.columns)),
            [
                (table["dataset"], epochs, *(column.told(row) for column in section.columns))
                for table in document["tables"]
                for epochs, row in _rows(table, section)
            ],
        )
        if section.number == 1:
            yield from _shares(document)
        yield f"![{section.caption}]({figures}/{section.figure})\n"
        yield f"*{section.caption}* {_flowed(section.differs)}\n"


def _rows(table: Row, section: Section) -> list[tuple[str, Row]]:
    if section.of_few:
        return list(table["agreements"].items())
    return [(str(one["epochs"]), one) for one in table["after"]]


def _shares(document: Row) -> Iterator[str]:
    yield "Shares of the variance of single trainings:\n"
    yield from _markdown(
        ("data", "epochs", *SHARES),
        [
            (table["dataset"], str(one["epochs"]), *(share("decomposition", "shares", name)(one) for name in SHARES))
            for table in document["tables"]
            for one in table["after"]
        ],
    )


def _flowed(text: str) -> str:
    """A paragraph as one line."""
    return " ".join(text.split())


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table, and an empty line."""
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
