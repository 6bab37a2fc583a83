"""Experiment files: which studies an experiment consists of, and which of their circuits are confirmed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from faqnas_optuna.comparison.samplers import RACE, searcher
from faqnas_optuna.config import DataConfig, Sampler, StudyConfig
from faqnas_optuna.config_errors import did_you_mean, explained
from faqnas_optuna.confirmation.plan import (
    BASELINES,
    DEFAULT_EPOCHS,
    DEFAULT_REPEATS,
    ConfirmationBudget,
    name_for,
    parse_baselines,
)
from faqnas_optuna.data.loading import Files, without_directories
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.study import MAX_NAME_LENGTH, check_name, default_name
from faqnas_optuna.study_file import override, read_toml

MOST = 1_000
"""Maximum number of splits, and of searches per split."""
Count = Annotated[int, Field(ge=1, le=MOST)]
PROTOCOL = ("engine", "flops", "gates", "cost", "score", "search", "training", "space", "limits")
"""Settings of a study file that an experiment file may have, for all of its studies."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Method(_Section):
    """Search algorithm with its budget."""

    searcher: str = "nsga2"
    """Name of the algorithm, as in `compare`."""
    trainings: Annotated[int, Field(ge=1)] | None = None
    """Budget of a race; None for the default."""
    within: Annotated[float, Field(gt=0, le=1)] | None = None
    """ε of the certificate of a race; None to end after the first stage."""
    sample: Annotated[int, Field(ge=2)] | None = None
    """Number of circuits of a race, drawn at random; None for the whole space."""
    search: dict[str, Any] = {}
    """Settings of the search, which beat those of the experiment."""
    training: dict[str, Any] = {}
    """Settings of the training, which beat those of the experiment."""

    @property
    def is_race(self) -> bool:
        return self.searcher == RACE

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of its studies, by dotted names.

        Raises:
            ConfigError: There is no such algorithm, or a study cannot run it.
        """
        algorithm = searcher(self.searcher)
        # Typed settings come last, so that they beat those that the name implies.
        own = {f"search.{name}": value for name, value in self.search.items()}
        own |= {f"training.{name}": value for name, value in self.training.items()}
        if self.is_race:
            return own
        for name in ("trainings", "within", "sample"):
            if getattr(self, name) is not None:
                raise ConfigError(f"{name} is a setting of races; limit searches by search.trials instead")
        # Names consist of a sampler, an ablation and the estimate of the errors: nsga2-error-pooled:3.
        base = algorithm.name.partition(":")[0].removesuffix("-pooled")
        kind = base.removesuffix("-error")
        if kind not in list(Sampler):
            raise ConfigError(f"searcher {self.searcher!r} runs in compare only; use race, or one of {', '.join(Sampler)}")
        return {
            "search.sampler": kind,
            "search.objectives": "error" if base.endswith("-error") else None,
            "search.front": "pooled" if algorithm.pooled else None,
            "training.repeats": algorithm.repeats if algorithm.repeats > 1 else None,
            **own,
        }


class Confirm(_Section):
    """Circuits of each study to confirm, and the budget of the confirmation."""

    picks: Annotated[tuple[str, ...], Field(min_length=1)] = ("knee", "best")
    """Rules; each selects a circuit of the front, which has a row in the table."""
    front: bool = False
    """Whether the whole front is confirmed, for the figure."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = DEFAULT_EPOCHS
    repeats: Count = DEFAULT_REPEATS
    baselines: tuple[str, ...] | None = None
    """Names of the baselines, as in `confirm`; None for all."""


class ExperimentFile(_Section):
    """Settings of an experiment, without those of its studies."""

    name: str
    """First part of the names of its studies."""
    datasets: Annotated[tuple[str | dict[str, Any], ...], Field(min_length=1)]
    """Names of data sets or files, or tables with `dataset`, settings of `DataConfig` and, if it is to differ, `name`."""
    splits: Count = 1
    """Number of splits of each data set, with the random seeds 0, 1, …"""
    seeds: Count = 1
    """Number of searches per split. Methods share the random seeds of their searches; splits do not."""
    methods: Annotated[dict[str, Method], Field(min_length=1)]
    """Methods by name. The others are compared with the first."""
    confirm: Confirm = Confirm()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One study of an experiment."""

    name: str
    """Name of the study."""
    dataset: str
    """Label of the data set."""
    method: str
    split: int
    seed: int
    config: StudyConfig
    files: Files | None
    """Paths of data files; None for a named data set."""
    race: Method | None
    """Settings of a race; None for a search."""

    @property
    def confirmation(self) -> str:
        """Name of its confirmation."""
        return name_for(self.name)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Studies of an experiment, and the circuits of them that are confirmed."""

    file: ExperimentFile
    settings: Mapping[str, Any]
    """All settings as given, with those of the studies."""
    cells: tuple[Cell, ...]
    """Studies in the order in which they run: split by split, so that an interrupted experiment has whole splits."""

    @cached_property
    def rules(self) -> tuple[SelectionRule, ...]:
        """Rules by which circuits are picked."""
        # A dictionary drops repeated rules and keeps the order.
        return tuple(dict.fromkeys(map(SelectionRule.parse, self.file.confirm.picks)))

    @cached_property
    def budget(self) -> ConfirmationBudget:
        """Budget of each confirmation."""
        confirm = self.file.confirm
        # A budget without baselines would accept any stored choice.
        baselines = BASELINES if confirm.baselines is None else parse_baselines(confirm.baselines)
        return ConfirmationBudget(epochs=confirm.epochs, repeats=confirm.repeats, baselines=baselines)

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def datasets(self) -> list[str]:
        """Labels of the data sets, in the order of the file."""
        return list(dict.fromkeys(cell.dataset for cell in self.cells))

    @property
    def reference(self) -> str:
        """Method with which the others are compared."""
        return next(iter(self.file.methods))

    @classmethod
    def read(cls, source: Path | Mapping[str, Any]) -> Self:
        """Read an experiment from a TOML file, or from the same settings in a dictionary.

        Raises:
            ConfigError: The file cannot be read, or a setting is unknown or invalid.
        """
        text = "experiment" if isinstance(source, Mapping) else str(source)
        everything = _plain_values(source, text) if isinstance(source, Mapping) else read_toml(source)
        settings = dict(everything)
        protocol = {name: settings.pop(name) for name in PROTOCOL if name in settings}
        try:
            # As JSON, whose lists strict mode accepts as tuples.
            file = ExperimentFile.model_validate_json(json.dumps(settings))
        except ValidationError as error:
            raise ConfigError(f"{text}: {'; '.join(explained(detail, _settings_of) for detail in error.errors())}") from error
        experiment = cls(file=file, settings=everything, cells=tuple(_cells(file, protocol, text)))
        # An invalid rule, baseline or name must not be noticed after hours.
        _ = experiment.rules, experiment.budget
        for cell in experiment.cells:
            check_name(cell.name)
            if len(cell.confirmation) > MAX_NAME_LENGTH:
                raise ConfigError(f"{text}: {cell.confirmation!r} is longer than {MAX_NAME_LENGTH} characters; shorten name")
        return experiment


def _plain_values(source: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return settings of a program as values that TOML could have; paths become text."""
    try:
        values: dict[str, Any] = json.loads(json.dumps(source, default=str))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{text}: settings must be texts, numbers, lists and dictionaries: {error}") from error
    return values


def _settings_of(section: list[str]) -> tuple[str, ...]:
    """Return the names of the settings of a section, for corrections of misspelt ones."""
    if not section:
        return (*ExperimentFile.model_fields, *PROTOCOL)
    models: dict[str, type[BaseModel]] = {"methods": Method, "confirm": Confirm}
    return tuple(models[section[0]].model_fields) if section[0] in models else ()


def _cells(file: ExperimentFile, protocol: Mapping[str, Any], text: str) -> list[Cell]:
    """Return the studies of an experiment.

    Args:
        protocol: Settings of all studies.
        text: Origin of the settings, for error messages.
    """
    # Read before the loops, so that an invalid entry is reported once.
    entries = [_data_settings(entry, text) for entry in file.datasets]
    labels = [label for label, _ in entries]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"{text}: two data sets have the same name; give one of them a name: {{dataset = …, name = …}}")
    _check_methods(file, text)
    cells = []
    for split in range(file.splits):
        for seed in range(file.seeds):
            # No two splits share a seed; otherwise the luck of one seed would be in the results of all splits. The seeds of
            # existing studies do not depend on `splits` and `seeds`.
            number = MOST * seed + split
            for label, data in entries:
                for method, settings in file.methods.items():
                    where = f"{text}: {label}, {method}"
                    changes = {
                        "seed": number,
                        "data.split_seed": split,
                        # Otherwise the circuits of a search would depend on the number of its workers.
                        "search.synchronous": True,
                        **_method_settings(settings, f"{text}: method {method}"),
                    }
                    # As for a study file: the directory of a file does not belong to the settings.
                    nested, files = without_directories(override({**protocol, **data}, changes))
                    cells.append(
                        Cell(
                            name=".".join((file.name, label, _plain(method), f"split{split}", f"seed{number}")),
                            dataset=label,
                            method=method,
                            split=split,
                            seed=seed,
                            config=StudyConfig.from_settings(nested, source=where),
                            files=files,
                            race=settings if settings.is_race else None,
                        )
                    )
    _check_races(cells, text)
    return cells


def _check_methods(file: ExperimentFile, text: str) -> None:
    """Refuse names of methods that could be taken for another method or for a baseline."""
    names = [_plain(method) for method in file.methods]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{text}: two methods have the name {repeated[0]!r} in the names of studies; rename one of them")
    if reserved := [method for method in file.methods if method in BASELINES]:
        raise ConfigError(f"{text}: method {reserved[0]!r} has the name of a baseline; rename it")


def _method_settings(method: Method, text: str) -> dict[str, Any]:
    try:
        return method.settings
    except ConfigError as error:
        raise ConfigError(f"{text}: {error}") from error


def _check_races(cells: list[Cell], text: str) -> None:
    # The methods share the section `training`, so the setting may come from there.
    for cell in cells:
        if cell.race and cell.config.training.repeats > 1:
            raise ConfigError(
                f"{text}: a race decides itself how often it trains each circuit; set training.repeats for the other methods"
            )


def _data_settings(entry: str | dict[str, Any], text: str) -> tuple[str, dict[str, Any]]:
    """Return the label of a data set and its settings as in a study file."""
    # A name alone is short for a table with this name.
    settings = {"dataset": entry} if isinstance(entry, str) else dict(entry)
    names = ("dataset", "name", *(name for name in DataConfig.model_fields if name != "split_seed"))
    for name in settings:
        if name not in names:
            raise ConfigError(f"{text}: datasets: unknown setting {name!r}{did_you_mean(name, names)}")
    label = settings.pop("name", "")
    dataset = settings.pop("dataset", None)
    if not isinstance(dataset, str) or not isinstance(label, str):
        raise ConfigError(f"{text}: datasets: each table needs a dataset, the name of a data set or file; name must be text")
    # The directory of a file is no part of the name.
    return _plain(label or default_name(Path(dataset).name)), {"dataset": dataset, "data": settings}


def _plain(name: str) -> str:
    """Return a name without characters that the name of a study cannot have, and without dots, which separate its parts."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)
