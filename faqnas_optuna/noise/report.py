"""Report of finalists under noise, and of the noise factors at which a cheaper one overtakes a more expensive one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.effective import EffectiveGates
from faqnas_optuna.config import Score, StudyConfig, cost_text
from faqnas_optuna.confirmation.analysis import interval_of
from faqnas_optuna.confirmation.circuit_table import heading_of_test_score
from faqnas_optuna.noise.finalists import STRENGTHS, NoisyFinalist
from faqnas_optuna.noise.model import DeviceNoise, Noise
from faqnas_optuna.reporting.frames import data_frame, interval_columns
from faqnas_optuna.reporting.report import Block, Report
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.training.statistics import TOLERANCE, compare
from faqnas_optuna.wording import counted, interval_text

if TYPE_CHECKING:
    # Importing pandas at run time would add a second to commands that only open a study.
    from pandas import DataFrame


def noise_document(
    finalists: Sequence[NoisyFinalist], noise: Noise, *, shots: int | None, samples: int, constant: float, score: Score
) -> dict[str, Any]:
    """Return the value of `noise` in the document of a confirmation.

    Args:
        finalists: Finalists, the cheapest first.
        samples: Number of test samples that were simulated.
        constant: Score of always predicting the most frequent class of the training part (`constant_score`).
    """
    return {
        "noise": noise.name,
        "device": noise.device.model_dump(mode="json") if isinstance(noise, DeviceNoise) else None,
        **noise.parameters(),
        "shots": shots,
        "test_samples": samples,
        "constant": constant,
        "strengths": list(STRENGTHS),
        "circuits": [_circuit(finalist, score) for finalist in finalists],
        "overtakings": list(_overtakings(finalists)),
    }


def _circuit(noisy: NoisyFinalist, score: Score) -> dict[str, Any]:
    """Return the entry of a finalist in `circuits`."""
    # The entry has the same keys as that of a confirmation's circuit, with one value per noise factor.
    finalist = noisy.finalist
    circuit = finalist.genome.circuit
    name = f"test_{score.key}"
    # The scores of all seeds, by noise factor.
    by_strength = [list(values) for values in zip(*noisy.scores.values(), strict=True)]
    return {
        "trial": finalist.trial,
        "circuit": circuit.digest,
        "effective": str(EffectiveGates(circuit=circuit)),
        "cost": finalist.cost,
        "simulated_qubits": noisy.n_qubits,
        "seeds": list(noisy.scores),
        name: [fmean(values) for values in by_strength],
        f"{name}_interval": [interval_of(values) for values in by_strength],
        name.replace("accuracy", "accuracies"): by_strength,
    }


def _overtakings(finalists: Sequence[NoisyFinalist]) -> Iterator[dict[str, Any]]:
    """Yield each pair whose cheaper circuit is worse without noise, with the first noise factor at which it is not."""
    # The finalists are sorted by cost, so the first of a pair is the cheaper one.
    for cheaper, dearer in combinations(finalists, 2):
        # Only common seeds allow a paired comparison.
        seeds = sorted(cheaper.scores.keys() & dearer.scores.keys())
        pairs = [_scores_at(place, cheaper, dearer, seeds) for place in range(len(STRENGTHS))]
        is_behind = [fmean(of_dearer) - fmean(of_cheaper) > TOLERANCE for of_cheaper, of_dearer in pairs] if seeds else [False]
        if cheaper.finalist.cost == dearer.finalist.cost or not is_behind[0]:
            continue
        # The values are None if the cheaper circuit is worse at every noise factor.
        trials: dict[str, Any] = {"cheaper": cheaper.finalist.trial, "dearer": dearer.finalist.trial}
        if all(is_behind):
            yield trials | dict.fromkeys(("strength", "accuracies", "difference", "difference_interval"))
            continue
        place = is_behind.index(False)
        comparison = compare(*pairs[place]) if len(seeds) > 1 else None
        yield trials | {
            "strength": STRENGTHS[place],
            "accuracies": [fmean(values) for values in pairs[place]],
            "difference": fmean(pairs[place][0]) - fmean(pairs[place][1]),
            "difference_interval": list(comparison.interval) if comparison and comparison.interval else None,
        }


def _scores_at(place: int, cheaper: NoisyFinalist, dearer: NoisyFinalist, seeds: Sequence[int]) -> list[list[float]]:
    """Return the scores of both finalists at one noise factor, by seed."""
    return [[finalist.scores[seed][place] for seed in seeds] for finalist in (cheaper, dearer)]


def overtaking_sentences(entries: Sequence[Mapping[str, Any]], noise: str) -> Iterator[str]:
    """Yield a sentence for each of the `overtakings`, and one that names a single pair without, or counts several."""
    yield from (_overtaking_sentence(entry, noise) for entry in entries if entry["strength"] is not None)
    behind = [entry for entry in entries if entry["strength"] is None]
    everywhere = f"at all noise factors up to {STRENGTHS[-1]:g}"
    if len(behind) == 1:
        yield f"The cheaper trial {behind[0]['cheaper']} is worse than trial {behind[0]['dearer']} {everywhere}."
    elif behind:
        yield f"In {len(behind)} pairs the cheaper circuit is worse {everywhere}."


def overtakes(entry: Mapping[str, Any]) -> bool:
    """Return whether the 95 % confidence interval of the difference lies above zero."""
    interval = entry["difference_interval"]
    return interval is not None and interval[0] > 0


def _overtaking_sentence(entry: Mapping[str, Any], noise: str) -> str:
    of_cheaper, of_dearer = entry["accuracies"]
    interval = entry["difference_interval"]
    verb = "overtakes" if overtakes(entry) else "draws level with"
    # `z` avoids a negative zero.
    uncertain = "" if interval is None else f" (95 % CI {interval[0]:+z.3f} to {interval[1]:+z.3f})"
    return (
        f"At noise factor {entry['strength']:g} ({noise}), the cheaper trial {entry['cheaper']} {verb} trial"
        f" {entry['dearer']}: {of_cheaper:.3f} against {of_dearer:.3f}, a difference of"
        f" {entry['difference']:+z.3f}{uncertain}."
    )


def noise_report(document: Mapping[str, Any], noise: Noise, config: StudyConfig) -> Report:
    """Return a table with one row per circuit and noise factor, followed by the overtakings and the noise.

    Args:
        document: Result of `noise_document`.
        config: Settings of the confirmation.
    """
    blocks: list[Block] = []
    # The table is empty if no finalist has been trained yet.
    table = _table(document, config)
    if table.rows:
        blocks += ["", table, ""]
    blocks += overtaking_sentences(document["overtakings"], document["noise"])
    shots = "exact ⟨Z⟩" if document["shots"] is None else counted(document["shots"], "shot")
    blocks.append(
        f"Noise: {document['noise']}, {noise.description}. The networks were trained without noise; {shots} for each of"
        f" {document['test_samples']:,} test samples."
    )
    return Report(document=document, blocks=blocks)


def _table(document: Mapping[str, Any], config: StudyConfig) -> TextTable:
    score = config.score
    numbers = ("noise factor", heading_of_test_score(score), "95 % CI", config.cost_name)
    table = TextTable(names=["trial"], numbers=numbers, last="circuit")
    name = f"test_{score.key}"
    for circuit in document["circuits"]:
        cost = cost_text(circuit["cost"])
        for strength, mean, interval in zip(document["strengths"], circuit[name], circuit[f"{name}_interval"], strict=True):
            cells = (str(circuit["trial"]), f"{strength:g}", f"{mean:.3f}", interval_text(interval), cost)
            table.rows.append((*cells, circuit["effective"]))
    return table


def noise_frame(document: Mapping[str, Any], score: Score) -> "DataFrame":
    """Return a data frame with one row per circuit and noise factor: the mean test score and its 95 % confidence interval."""
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
