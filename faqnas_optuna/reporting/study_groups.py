"""Fronts of several studies in groups, such as those that differ only in their random seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from faqnas_optuna.config import ErrorEstimate, Objectives
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import ConfigError, StudyMismatchError
from faqnas_optuna.reporting.attainment import Floats, attainment_surface
from faqnas_optuna.reporting.documents import SCHEMA_VERSION, check_successful, provenance
from faqnas_optuna.reporting.front_plot import FrontPlot
from faqnas_optuna.reporting.plain_figures import PlainFigure
from faqnas_optuna.reporting.report import Block
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.reporting.staircase_plot import Staircase, StaircasePlot, staircase_figure, write_staircase_plot
from faqnas_optuna.reporting.text_tables import TextTable
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.pareto import log_hypervolume
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.study_file import flat

IMPLIED = ("study", "seed", "split_seed", "sampler", "objectives", "front")
"""Settings in which the studies of a group may differ, and those that the name of the algorithm implies."""
QUARTILES = (0.25, 0.5, 0.75)
BANDS = "lines: attained by half of the fronts; bands: by 25 % to 75 %"
"""Legend entry for the lines and bands."""


@dataclass(frozen=True, kw_only=True)
class StudyGroup:
    """Studies whose fronts are summarised together."""

    name: str
    states: tuple[SearchState, ...]

    @property
    def fronts(self) -> list[Floats]:
        """Costs and validation errors (circuits, 2) of each front."""
        return [
            np.array([(candidate.cost, candidate.val_error) for candidate in state.front], np.float64) for state in self.states
        ]

    @property
    def hypervolumes(self) -> list[float]:
        """Hypervolume of each front."""
        ranges = [state.study.description.flops_range for state in self.states]
        return [log_hypervolume(front, ends) for front, ends in zip(self.fronts, ranges, strict=True)]


def group_studies(states: Sequence[SearchState], by: str | None = None) -> list[StudyGroup]:
    """Return the studies in groups, in the order of their first studies.

    Args:
        states: Studies with the same cost and the same score.
        by: Name of the setting that the studies of a group share, or `study` or `searcher`; None for groups that differ in
            their random seeds only.

    Raises:
        ConfigError: There is no such setting.
        NoSuccessfulTrialError: A study has no successful trial.
        StudyMismatchError: The studies have different costs or scores.
    """
    for state in states:
        check_successful(state)
    _check_axes([state.study.description for state in states])
    traits = [_traits(state.study.name, state.study.description) for state in states]
    names = traits[0]
    if by is not None and by not in names:
        raise ConfigError(f"--group-by {by!r} is not a setting of these studies{did_you_mean(by, names)}")
    if by is None:
        different = [name for name in names if name not in IMPLIED and len({trait.get(name) for trait in traits}) > 1]
    else:
        different = [by]
    # Dictionaries keep the order of the first studies.
    groups: dict[str, list[SearchState]] = {}
    for state, trait in zip(states, traits, strict=True):
        groups.setdefault(_name(trait, different), []).append(state)
    return [StudyGroup(name=name, states=tuple(members)) for name, members in groups.items()]


def _check_axes(descriptions: Sequence[Description]) -> None:
    """Refuse studies whose fronts have different axes."""
    for read in (lambda config: config.cost_name, lambda config: str(config.flops), lambda config: str(config.score)):
        values = list(dict.fromkeys(read(description.config) for description in descriptions))
        if len(values) > 1:
            raise StudyMismatchError(
                f"one plot needs one cost and one score, but these studies have {values[0]!r} and {values[1]!r}; name studies"
                " that agree"
            )


def searcher_of(description: Description) -> str:
    """Return the name of the algorithm of a study, as `compare` spells it."""
    if description.race is not None:
        return "race"
    search = description.config.search
    error = "-error" if search.objectives is Objectives.ERROR else ""
    pooled = "-pooled" if search.front is ErrorEstimate.POOLED else ""
    return f"{search.sampler}{error}{pooled}"


def _traits(name: str, description: Description) -> dict[str, str]:
    """Return the name, the algorithm and all settings of a study, by plain names."""
    # A configuration without limits omits them, but the groups of other studies may differ in them.
    settings = description.config.limits.model_dump(mode="json") | description.config.model_dump(mode="json")
    return {
        "study": name,
        "searcher": searcher_of(description),
        # Lists, such as the choices of a gene, are not hashable.
        **{
            name.rpartition(".")[2]: json.dumps(value) if isinstance(value, list) else str(value)
            for name, value in flat(settings).items()
        },
    }


def _name(traits: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the name of a group by the settings in which groups differ."""
    return ", ".join(_value(name, traits.get(name, "None")) for name in names) or "all studies"


def _value(name: str, value: str) -> str:
    # The values of these settings explain themselves.
    if name in ("study", "searcher", "dataset"):
        return value
    return f"no {name}" if value == "None" else f"{name} {value}"


def groups_document(groups: Sequence[StudyGroup]) -> dict[str, Any]:
    """Return the groups with their attainment surfaces, as values for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "groups": [
            {
                "name": group.name,
                "studies": [state.study.name for state in group.states],
                "hypervolumes": group.hypervolumes,
                "attainment": {f"{share:g}": attainment_surface(group.fronts, share).tolist() for share in QUARTILES},
            }
            for group in groups
        ],
    }


def groups_blocks(groups: Sequence[StudyGroup]) -> list[Block]:
    """Return a table of the groups, and what it means."""
    table = TextTable(names=("group",), numbers=("studies", "circuits", "hypervolume", "lowest", "highest"), last="names")
    for group in groups:
        volumes = group.hypervolumes
        table.rows.append(
            (
                group.name,
                f"{len(group.states):,}",
                f"{fmean(len(state.front) for state in group.states):.1f}",
                f"{fmean(volumes):.4f}",
                f"{min(volumes):.4f}",
                f"{max(volumes):.4f}",
                " ".join(state.study.name for state in group.states),
            )
        )
    blocks: list[Block] = [table, "Circuits and hypervolume are means over the fronts of a group, by validation errors."]
    if len({searcher_of(state.study.description) for group in groups for state in group.states}) > 1:
        blocks.append(
            "The optimistic bias of these errors differs between algorithms; compare algorithms by confirmed errors, or with"
            " faqnas-optuna compare."
        )
    return blocks


def write_groups_plot(groups: Sequence[StudyGroup], path: Path, *, size: Size | None = None) -> None:
    """Draw the median attainment surface of each group, with a band from the surface of 25 % to that of 75 % of its fronts.

    Args:
        path: File name ending in `.png`, `.pdf`, `.svg` or `.html`.
        size: Size of a printed figure; the width of a page by default.

    Raises:
        OutputError: The suffix is another one, an HTML page has a size, or the file cannot be written.
    """
    studies = {state.study.name: provenance(state.study) for group in groups for state in group.states}
    write_staircase_plot(groups_plot(groups), path, size=size, description=json.dumps({"studies": studies}))


def groups_figure(groups: Sequence[StudyGroup]) -> PlainFigure:
    """Return the figure of `write_groups_plot` for a browser."""
    return staircase_figure(groups_plot(groups))


def groups_plot(groups: Sequence[StudyGroup]) -> StaircasePlot:
    """Return the content of a figure of the groups."""
    states = [state for group in groups for state in group.states]
    title = f"fronts of {len(states):,} {'study' if len(states) == 1 else 'studies'}"
    has_bands = any(len(group.states) > 1 for group in groups)
    end = max(float(front[:, 0].max()) for group in groups for front in group.fronts)
    return StaircasePlot(
        staircases=[staircase(group.name, group.fronts, end) for group in groups],
        axes=replace(FrontPlot.of(states[0], None, limit=0), title=title),
        band_name=BANDS if has_bands else "",
    )


def staircase(name: str, fronts: Sequence[Floats], end: float) -> Staircase:
    """Return the median attainment surface of fronts up to a cost, with the band of their quartiles.

    Args:
        fronts: Costs and errors (circuits, 2) of each front.
    """
    few, half, many = (attainment_surface(fronts, share) for share in QUARTILES)
    # Lines and bands continue to the most expensive circuit of all groups.
    costs = np.unique([*few[:, 0], *many[:, 0], end])
    # Below the surface of 75 % the band has no upper end.
    costs = costs[costs >= many[0, 0]] if len(many) else np.empty(0)
    lowest, highest = (surface[np.searchsorted(surface[:, 0], costs, side="right") - 1, 1] for surface in (few, many))
    return Staircase(
        name=name,
        costs=[*half[:, 0].tolist(), end],
        errors=[*half[:, 1].tolist(), float(half[-1, 1])],
        band=(costs.tolist(), lowest.tolist(), highest.tolist()),
    )
