"""Settings of a study by the names that commands and Python functions share, and the defaults of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import DataConfig, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study_file import override, read_toml, without_auto_repeats

if TYPE_CHECKING:
    # At run time it would bring NumPy into `--help`.
    from faqnas_optuna.data.loading import Files

DEFAULT_STORAGE = "sqlite:///faqnas.db"
MOST_WORKERS = 1024
MOST_SHOTS = 10_000_000
SHORTEST_TIMEOUT_S = 2
SETTINGS = {
    **{name: f"data.{name}" for name in DataConfig.model_fields},
    **{name: f"search.{name}" for name in SearchConfig.model_fields},
    **{name: f"training.{name}" for name in TrainingConfig.model_fields},
    **{name: name for name in StudyConfig.model_fields if name not in ("dataset", "data", "search", "training", "device")},
    "cost": "cost",
}
"""Dotted name of each setting in a study file, by its plain name; no two sections have a setting of the same name."""


@dataclass(frozen=True, kw_only=True)
class WorkerTimeouts:
    """Time limits of workers; the same for all that are started together."""

    grace_s: int = 60
    """A trial whose worker is silent for longer is given up."""
    database_timeout_s: int = 600
    """Maximum time to wait for a database that has gone away, or is not up yet."""

    @property
    def environment(self) -> dict[str, str]:
        """The same for another process."""
        return {"FAQNAS_GRACE": str(self.grace_s), "FAQNAS_DATABASE_TIMEOUT": str(self.database_timeout_s)}


@dataclass(frozen=True, kw_only=True)
class ResolvedSettings:
    """The configuration of a study, with what is not part of it."""

    config: StudyConfig
    auto_repeats: bool
    """Whether the number of repeats is yet to be found."""
    files: "Files | None"
    """Where the data are; None of a data set that is known by name."""


def resolve_settings(
    dataset: str | None, settings: Mapping[str, Any], *, source: str, file: Path | None = None
) -> ResolvedSettings:
    """Return the settings given over those of a study file over the defaults.

    Args:
        dataset: a name, or the path of a file; None to take it from the study file.
        settings: values by plain name; None leaves a setting as it is.
        source: what to name in an error.
        file: the study file.

    Raises:
        ConfigError: a setting is unknown or has an impossible value, or no data set is named.
    """
    from faqnas_optuna.data.loading import without_directories

    for name in settings:
        if name not in SETTINGS:
            raise ConfigError(f"{source}: unknown setting {name!r}{did_you_mean(name, SETTINGS)}")
    stored = {}
    if file:
        stored = read_toml(file)
        # On its own first, so that errors name the file; it need not name the data set.
        StudyConfig.from_settings({"dataset": "", **without_auto_repeats(stored)[0]}, source=str(file))
    changes = {SETTINGS[name]: value for name, value in settings.items()}
    nested, auto_repeats = without_auto_repeats(override(stored, {"dataset": dataset, **changes}))
    if "dataset" not in nested:
        raise ConfigError("no data set is named; add for instance --dataset wine ('faqnas-optuna datasets' lists them)")
    nested, files = without_directories(nested)
    return ResolvedSettings(config=StudyConfig.from_settings(nested, source=source), auto_repeats=auto_repeats, files=files)


def check_range(name: str, value: int | None, lowest: int, highest: int | None = None) -> None:
    """Refuse an argument that is out of its range; None is an argument that was left out.

    Raises:
        ConfigError: names the range and the value.
    """
    if value is not None and (value < lowest or (highest and value > highest)):
        up_to = f", up to {highest}" if highest else ""
        raise ConfigError(f"{name} must be {lowest} or more{up_to}; it is {value}")
