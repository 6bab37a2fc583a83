"""Names, defaults and checks of settings, shared by commands and Python functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import DataConfig, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.study_file import override, read_toml, without_auto_repeats

if TYPE_CHECKING:
    # At run time this import would load NumPy for `--help`.
    from faqnas_optuna.data.loading import Files

DEFAULT_STORAGE = "sqlite:///faqnas.db"
MOST_WORKERS = 1024
MOST_SHOTS = 10_000_000
SHORTEST_TIMEOUT_S = 2
# Sections are flattened; a device is set by `cost`, which is no field of the configuration.
SETTINGS = {
    **{name: f"data.{name}" for name in DataConfig.model_fields},
    **{name: f"search.{name}" for name in SearchConfig.model_fields},
    **{name: f"training.{name}" for name in TrainingConfig.model_fields},
    **{name: name for name in StudyConfig.model_fields if name not in ("dataset", "data", "search", "training", "device")},
    "cost": "cost",
}
"""Dotted name of each setting in a study file, by its plain name, which is unique among all sections."""


@dataclass(frozen=True, kw_only=True)
class WorkerTimeouts:
    """Time limits of workers; workers that are started together share them."""

    grace_s: int = 60
    """Time after which trials of silent workers are requeued."""
    database_timeout_s: int = 600
    """Maximum time to wait for a database that is not available."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that give another process these limits."""
        return {"FAQNAS_GRACE": str(self.grace_s), "FAQNAS_DATABASE_TIMEOUT": str(self.database_timeout_s)}


@dataclass(frozen=True, kw_only=True)
class ResolvedSettings:
    """Configuration of a study, with the settings that are not part of it."""

    config: StudyConfig
    auto_repeats: bool
    """Whether the number of repeats is to be determined."""
    files: "Files | None"
    """Paths of data files; None for a named data set."""


def resolve_settings(
    dataset: str | None, settings: Mapping[str, Any], *, source: str, file: Path | None = None
) -> ResolvedSettings:
    """Merge settings over those of a study file over the defaults.

    Args:
        dataset: Name of a data set or path of a file; None to take it from the study file.
        settings: Values by plain name; None leaves a setting unchanged.
        source: Origin of the settings, for error messages.
        file: Study file.

    Raises:
        ConfigError: A setting is unknown or has an invalid value, or no data set is given.
    """
    # Imports NumPy.
    from faqnas_optuna.data.loading import without_directories

    for name in settings:
        # Checked by their plain names, which users typed; pydantic would report the dotted ones.
        if name not in SETTINGS:
            raise ConfigError(f"{source}: unknown setting {name!r}{did_you_mean(name, SETTINGS)}")
    stored = {}
    if file:
        stored = read_toml(file)
        # Checked on its own first, so that errors name the file, which need not name a data set.
        StudyConfig.from_settings({"dataset": "", **without_auto_repeats(stored)[0]}, source=str(file))
    changes = {SETTINGS[name]: value for name, value in settings.items()}
    nested, auto_repeats = without_auto_repeats(override(stored, {"dataset": dataset, **changes}))
    if "dataset" not in nested:
        raise ConfigError("no data set is given; add one, for instance --dataset wine ('faqnas-optuna datasets' lists them)")
    # Paths are not part of the configuration: the same file in another directory gives the same study.
    nested, files = without_directories(nested)
    return ResolvedSettings(config=StudyConfig.from_settings(nested, source=source), auto_repeats=auto_repeats, files=files)


def check_range(name: str, value: int | None, lowest: int, highest: int | None = None) -> None:
    """Refuse an argument that is out of its range; None is accepted.

    Raises:
        ConfigError: The value is out of its range, or not a whole number.
    """
    # Also for NaN, which has no remainder.
    if value is not None and value % 1 != 0:
        raise ConfigError(f"{name} must be a whole number; it is {value}")
    if value is not None and (value < lowest or (highest and value > highest)):
        limits = f"from {lowest} to {highest}" if highest else f"at least {lowest}"
        raise ConfigError(f"{name} must be {limits}; it is {value}")
