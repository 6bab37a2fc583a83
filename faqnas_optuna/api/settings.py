"""Names, defaults and checks of settings, shared by commands and Python functions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faqnas_optuna.config import StudyConfig
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.space_config import Section
from faqnas_optuna.study_file import override, read_toml, without_auto_repeats

if TYPE_CHECKING:
    # At run time this import would load NumPy for `--help`.
    from faqnas_optuna.data.loading import Files

DEFAULT_STORAGE = "sqlite:///faqnas.db"
MOST_WORKERS = 1024
MOST_SHOTS = 10_000_000
SHORTEST_TIMEOUT_S = 2
SECTIONS = {name: field.default for name, field in StudyConfig.model_fields.items() if isinstance(field.default, Section)}
# Sections are flattened; a device is set by `cost`, which is no field of the configuration.
SETTINGS = {
    **{name: f"{section}.{name}" for section, default in SECTIONS.items() for name in type(default).model_fields},
    **{name: name for name in StudyConfig.model_fields if name not in (*SECTIONS, "dataset", "device")},
    "cost": "cost",
    "space": "space",
    "max_qubits": "max_qubits",
}
"""Dotted name of each setting in a study file, by its plain name, which is unique among all sections.

`space` is a setting, too, in one piece. `max_qubits` narrows `space.n_qubits` and is not stored.
"""


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
    # Sorted, so that the section `space` comes before the single genes that beat it.
    changes = {SETTINGS[name]: settings[name] for name in sorted(settings, key=SETTINGS.__getitem__)}
    max_qubits = changes.pop("max_qubits", None)
    nested, auto_repeats = without_auto_repeats(override(stored, {"dataset": dataset, **changes}))
    if "dataset" not in nested:
        raise ConfigError("no data set is given; add one, for instance --dataset wine ('faqnas-optuna datasets' lists them)")
    if max_qubits is not None:
        nested = _narrowed(nested, max_qubits, source)
    # Paths are not part of the configuration: the same file in another directory gives the same study.
    nested, files = without_directories(nested)
    return ResolvedSettings(config=StudyConfig.from_settings(nested, source=source), auto_repeats=auto_repeats, files=files)


def _narrowed(nested: Mapping[str, Any], max_qubits: int, source: str) -> dict[str, Any]:
    """Return nested settings without the numbers of qubits above a maximum.

    Raises:
        ConfigError: The space is invalid, or has no circuit that is small enough.
    """
    check_range("max_qubits", max_qubits, 2)
    # Without the other settings, because a device may have too few qubits for the space before it is narrowed.
    space = StudyConfig.from_settings({"dataset": "", "space": nested.get("space", {})}, source=source).space
    n_qubits = [count for count in space.n_qubits if count <= max_qubits]
    if not n_qubits:
        raise ConfigError(
            f"{source}: max_qubits is {max_qubits} but the circuits of the space have at least {min(space.n_qubits)} qubits;"
            " raise it, or add smaller numbers to space.n_qubits"
        )
    return override(nested, {"space.n_qubits": n_qubits})


def check_range(name: str, value: int | None, lowest: int, highest: int | None = None) -> None:
    """Refuse an argument that is out of its range; None is accepted.

    Raises:
        ConfigError: The value is out of its range, or not a whole number.
    """
    # Also for NaN, which has no remainder, and for texts, whose operator % is another.
    if value is not None and (isinstance(value, str) or value % 1 != 0):
        raise ConfigError(f"{name} must be a whole number; it is {value!r}")
    if value is not None and (value < lowest or (highest and value > highest)):
        limits = f"from {lowest} to {highest}" if highest else f"at least {lowest}"
        raise ConfigError(f"{name} must be {limits}; it is {value}")


def check_positive(name: str, value: float | None, highest: float | None = None) -> None:
    """Refuse an argument that is not a positive number, or above the highest; None is accepted.

    Raises:
        ConfigError: The value is out of its range.
    """
    # NaN is not greater than 0.
    if value is not None and (isinstance(value, str) or not 0 < value < math.inf or value > (highest or value)):
        limit = f"at most {highest}" if highest else "finite"
        raise ConfigError(f"{name} must be a number greater than 0, and {limit}; it is {value!r}")
