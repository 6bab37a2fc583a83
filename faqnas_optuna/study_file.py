"""Settings of study files: reading, overriding and comparing."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faqnas_optuna.config import AUTO, StudyConfig
from faqnas_optuna.errors import ConfigError


def read_toml(path: Path) -> dict[str, Any]:
    """Read the settings of a study file without checking them.

    Raises:
        ConfigError: The file cannot be read or is not TOML.
    """
    try:
        # Windows editors write a byte-order mark, which TOML does not allow.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the study file: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: a study file must be TOML: {error}") from error


def override(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which the changes that are not None are applied.

    Args:
        settings: Nested settings.
        changes: Values by dotted names, such as `training.epochs`.
    """
    # Sections are copied, so that the caller's settings do not change.
    merged = {name: dict(value) if isinstance(value, Mapping) else value for name, value in settings.items()}
    for dotted, value in changes.items():
        if value is None:
            continue
        section, _, name = dotted.rpartition(".")
        target = merged.setdefault(section, {}) if section else merged
        if not isinstance(target, dict):
            raise ConfigError(f"{section}: must be a section, written [{section}] in a study file")
        # A copy: a later change may go into this section.
        target[name] = dict(value) if isinstance(value, Mapping) else value
    return merged


def without_auto_repeats(settings: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Remove `training.repeats` if it is "auto"; return the settings and whether it was."""
    training = settings.get("training")
    if not isinstance(training, Mapping) or training.get("repeats") != AUTO:
        return dict(settings), False
    return {**settings, "training": {name: value for name, value in training.items() if name != "repeats"}}, True


def differences(stored: StudyConfig, requested: StudyConfig) -> list[str]:
    """Return a line for each setting in which two configurations differ."""
    before, after = ({"cost": config.cost, **config.whole()} for config in (stored, requested))
    if stored.cost != requested.cost:
        # Of two different devices only the names are compared.
        del before["device"], after["device"]
    return document_differences(before, after)


def document_differences(stored: Mapping[str, Any], requested: Mapping[str, Any]) -> list[str]:
    """Return a line for each entry in which two documents differ.

    >>> document_differences({"protocol": {"seeds": 3}}, {"protocol": {"seeds": 5}})
    ['protocol.seeds: stored 3, requested 5']
    """
    before = flat(stored)
    after = flat(requested)
    # A dictionary keeps the order of the documents, which a set would not.
    return [
        f"{name}: stored {before.get(name)}, requested {after.get(name)}"
        for name in before | after
        if before.get(name) != after.get(name)
    ]


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the entries of nested dictionaries under names joined by dots."""
    entries: dict[str, Any] = {}
    for name, value in document.items():
        entries |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return entries
