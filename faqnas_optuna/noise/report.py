"""What finalists are worth under noise, and where a cheaper one overtakes a dearer one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.config import Score, StudyConfig, cost_text
from faqnas_optuna.confirmation.analysis import interval_of
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.noise.finalists import STRENGTHS, UnderNoise
from faqnas_optuna.noise.model import DeviceNoise, Noise
from faqnas_optuna.reporting.frames import data_frame, interval_columns
from faqnas_optuna.reporting.report import Block, Report
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.training.statistics import TOLERANCE, compare
from faqnas_optuna.wording import counted, interval_text

if TYPE_CHECKING:
    # At run time it would take a second of whoever only opens a study.
    from pandas import DataFrame


def noise_document(
    found: Sequence[UnderNoise], noise: Noise, *, shots: int | None, samples: int, constant: float, score: Score
) -> dict[str, Any]:
    """What stands under `noise` in the document of a confirmation.

    Args:
        found: the cheapest first.
        samples: of the test part that were looked at.
        constant: the score on them of always telling the class that the training part has most of.
    """
    return {
        "noise": noise.name,
        "device": noise.device.model_dump(mode="json") if isinstance(noise, DeviceNoise) else None,
        **noise.parameters(),
        "shots": shots,
        "test_samples": samples,
        "constant": constant,
        "strengths": list(STRENGTHS),
        "circuits": [_circuit(one, score) for one in found],
        "overtakings": list(_overtakings(found)),
    }


def _circuit(found: UnderNoise, score: Score) -> dict[str, Any]:
    finalist = found.finalist
    circuit, name = finalist.genome.circuit, f"test_{score.key}"
    by_strength = [list(values) for values in zip(*found.scores.values(), strict=True)]
    return {
        "trial": finalist.trial,
        "circuit": circuit.digest,
        "effective": str(EffectiveGates(circuit=circuit)),
        "cost": finalist.cost,
        "simulated_qubits": found.n_qubits,
        "seeds": list(found.scores),
        name: [fmean(values) for values in by_strength],
        f"{name}_interval": [interval_of(values) for values in by_strength],
        name.replace("accuracy", "accuracies"): by_strength,
    }


def _overtakings(found: Sequence[UnderNoise]) -> Iterator[dict[str, Any]]:
    """Of each two circuits of which the cheaper is worse without noise: at which strength it first is so no more."""
    for cheaper, dearer in combinations(found, 2):
        seeds = sorted(cheaper.scores.keys() & dearer.scores.keys())
        pairs = [[[one.scores[seed][place] for seed in seeds] for one in (cheaper, dearer)] for place in range(len(STRENGTHS))]
        behind = [fmean(of_dearer) - fmean(of_cheaper) > TOLERANCE for of_cheaper, of_dearer in pairs] if seeds else [False]
        if cheaper.finalist.cost == dearer.finalist.cost or not behind[0]:
            continue
        told: dict[str, Any] = {"cheaper": cheaper.finalist.trial, "dearer": dearer.finalist.trial}
        if all(behind):
            yield told | dict.fromkeys(("strength", "accuracies", "difference", "difference_interval"))
            continue
        place = behind.index(False)
        compared = compare(*pairs[place]) if len(seeds) > 1 else None
        yield told | {
            "strength": STRENGTHS[place],
            "accuracies": [fmean(values) for values in pairs[place]],
            "difference": fmean(pairs[place][0]) - fmean(pairs[place][1]),
            "difference_interval": list(compared.interval) if compared and compared.interval else None,
        }


def told_overtakings(entries: Sequence[Mapping[str, Any]], noise: str) -> Iterator[str]:
    """The `overtakings` in sentences."""
    yield from (_told(entry, noise) for entry in entries if entry["strength"] is not None)
    if left := sum(entry["strength"] is None for entry in entries):
        pairs = "pair" if left == 1 else "pairs"
        yield f"In {left} {pairs} the cheaper one stays behind up to {STRENGTHS[-1]:g} times {noise}."


def overtakes(entry: Mapping[str, Any]) -> bool:
    """Whether the seeds tell the difference from none."""
    interval = entry["difference_interval"]
    return interval is not None and interval[0] > 0


def _told(entry: Mapping[str, Any], noise: str) -> str:
    (ours, theirs), interval = entry["accuracies"], entry["difference_interval"]
    verb = "overtakes" if overtakes(entry) else "comes level with"
    uncertain = "" if interval is None else f" ({interval[0]:+z.3f} to {interval[1]:+z.3f})"
    return (
        f"At {entry['strength']:g} times {noise} the cheaper trial {entry['cheaper']} {verb} trial {entry['dearer']}:"
        f" {ours:.3f} against {theirs:.3f}, a difference of {entry['difference']:+z.3f}{uncertain}."
    )


def noise_report(document: Mapping[str, Any], noise: Noise, config: StudyConfig) -> Report:
    """Return a row for each circuit and strength, and what follows.

    Args:
        document: a `noise_document`.
        config: the confirmation's.
    """
    blocks: list[Block] = []
    table = _table(document, config)
    if table.rows:
        blocks += ["", table, ""]
    blocks += told_overtakings(document["overtakings"], document["noise"])
    shots = "exact ⟨Z⟩" if document["shots"] is None else counted(document["shots"], "shot")
    blocks.append(
        f"Noise: {document['noise']}, {noise.told}. Trained without noise; {shots} for each of"
        f" {document['test_samples']:,} test samples."
    )
    return Report(document=document, blocks=blocks)


def _table(document: Mapping[str, Any], config: StudyConfig) -> TextTable:
    score = config.score
    numbers = ("times the noise", heading_of_test_score(score), "95 % CI", config.cost_name)
    table = TextTable(names=["trial"], numbers=numbers, last="circuit")
    name = f"test_{score.key}"
    for circuit in document["circuits"]:
        cost, told = cost_text(circuit["cost"]), circuit["effective"]
        for strength, mean, interval in zip(document["strengths"], circuit[name], circuit[f"{name}_interval"], strict=True):
            row = (str(circuit["trial"]), f"{strength:g}", f"{mean:.3f}", interval_text(interval), cost, told)
            table.rows.append(row)
    return table


def noise_frame(document: Mapping[str, Any], score: Score) -> "DataFrame":
    """Return a row for each circuit and strength of a `noise_document`, with the mean test score and its 95 % interval."""
    name = f"test_{score.key}"
    return data_frame(
        {
            "trial": circuit["trial"],
            "strength": strength,
            name: mean,
            **interval_columns(name, interval),
            "cost": circuit["cost"],
            "circuit": circuit["effective"],
        }
        for circuit in document["circuits"]
        for strength, mean, interval in zip(document["strengths"], circuit[name], circuit[f"{name}_interval"], strict=True)
    )
