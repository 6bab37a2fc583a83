"""Checks of `doctor`: what a search needs on this machine. Filling the caches is part of the checks."""

import platform
import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from faqnas_optuna.cache import user_cache
from faqnas_optuna.config import Engine
from faqnas_optuna.data.generated_names import DEFINITIONS
from faqnas_optuna.data.idx_files import IDX_SETS, is_cached
from faqnas_optuna.data.named import DATASETS, load
from faqnas_optuna.errors import FaqnasError, NoStudiesError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.storage.dry_run import dry_run
from faqnas_optuna.storage.opening import number_of_studies
from faqnas_optuna.storage.urls import masked_url
from faqnas_optuna.training.evaluation import prepare

US = "faqnas-optuna"
ROOM_MB = 100
"""Free space that the caches of kernels, counts and data sets need at most."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of a check."""

    check: str
    ready: bool
    message: str
    """Description of what is ready, or what is wrong and how to fix it."""


class LackingError(Exception):
    """A requirement is not met; the message says what is wrong and how to fix it."""


def examine(url: str) -> Iterator[Finding]:
    """Run all checks in turn and yield each result at once.

    Args:
        url: URL of the database.
    """
    # In this order, since later checks need what earlier ones examine.
    checks: dict[str, Callable[[], str]] = {
        "Python": check_python,
        "packages": check_packages,
        "cache": _cache,
        "engine": _engine,
        "data": _data,
        "database": lambda: _database(url),
    }
    for name, check in checks.items():
        yield look(name, check)


def look(name: str, check: Callable[[], str]) -> Finding:
    """Run a check and return its result."""
    try:
        return Finding(check=name, ready=True, message=check())
    except (LackingError, FaqnasError) as error:
        return Finding(check=name, ready=False, message=str(error))
    except (ImportError, OSError) as error:
        # Most often an installed package that cannot be loaded.
        package = (getattr(error, "name", None) or US).partition(".")[0]
        message = f"{type(error).__name__}: {' '.join(str(error).split())}; try: pip install --force-reinstall {package}"
        return Finding(check=name, ready=False, message=message)


def check_python(needed: str | None = None) -> str:
    """Check the version of Python against the one needed, by default by this package."""
    needed = needed or metadata(US)["Requires-Python"]
    running = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    if platform.python_version() not in SpecifierSet(needed):
        raise LackingError(f"{running}; {US} needs Python {needed}; create the environment with another Python")
    return running


def check_packages(needed: Iterable[str] | None = None) -> str:
    """Check the versions of packages against those needed, by default by this package."""
    lacking: list[str] = []
    remedy: list[str] = []
    suitable: list[str] = []
    for requirement in map(Requirement, needed or requires(US) or []):
        # Requirements of extras and of other systems do not apply here.
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            lacking.append(f"{requirement.name} is not installed")
        else:
            if requirement.specifier.contains(installed, prereleases=True):
                suitable.append(f"{requirement.name} {installed}")
                continue
            lacking.append(f"{requirement.name} is {installed}, not {requirement.specifier}")
        remedy.append(shlex.quote(f"{requirement.name}{requirement.specifier}"))
    if lacking:
        raise LackingError(f"{', '.join(lacking)}: pip install {' '.join(remedy)}")
    return ", ".join(package for package in suitable if package.split()[0] in ("numba", "optuna", "pennylane", "torch"))


def _cache() -> str:
    paths = user_cache()
    directory = paths.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = paths.write_probe()
        # An earlier run may have been killed between writing and deleting it.
        probe.unlink(missing_ok=True)
        write_atomically(probe, b"")
        probe.unlink()
        free_mb = shutil.disk_usage(directory).free / 1024**2
    except (OSError, FaqnasError) as error:
        raise LackingError(
            f"cannot write to {directory} ({error}), so nothing is kept for later runs;"
            " make it writable or set XDG_CACHE_HOME to another directory"
        ) from error
    if free_mb < ROOM_MB:
        raise LackingError(f"{directory} has {free_mb:.0f} MB free but up to {ROOM_MB} MB are needed; free some space")
    return str(directory)


def _engine() -> str:
    started = time.perf_counter()
    prepare((Engine.FAST,))
    return f"compiled by numba {version('numba')}, FLOPs counted ({time.perf_counter() - started:.1f} s)"


def _data() -> str:
    """Check the data sets that are read from files."""
    packaged = [name for name in DATASETS if name not in {*IDX_SETS, *DEFINITIONS}]
    for name in packaged:
        load(name, seed=0)
    ready = [*packaged, *filter(is_cached, IDX_SETS)]
    absent = [name for name in IDX_SETS if name not in ready]
    hint = f"; download {', '.join(absent)} with: {US} datasets --download {absent[0]}" if absent else ""
    return ", ".join(ready) + hint


def _database(url: str) -> str:
    try:
        count = number_of_studies(url)
        studies = f"{count} {'study' if count == 1 else 'studies'}"
    except NoStudiesError:
        studies = "no studies yet"
    dry_run(url)
    return f"{masked_url(url)}, {studies}"
