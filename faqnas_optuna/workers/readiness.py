"""Whether this machine can do the work, and what is lacking; what is made once is made on the way."""

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
from faqnas_optuna.data.idx_files import IDX_SETS, are_there
from faqnas_optuna.data.named import DATASETS, load
from faqnas_optuna.errors import FaqnasError, NoStudiesError
from faqnas_optuna.files import write_atomically
from faqnas_optuna.storage.dry_run import dry_run
from faqnas_optuna.storage.opening import number_of_studies
from faqnas_optuna.storage.urls import masked
from faqnas_optuna.training.evaluation import prepare

US = "faqnas-optuna"
ROOM_MB = 100
"""What kernels, counts and data sets take is less."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was looked at, and how it is."""

    what: str
    ready: bool
    told: str
    """If it is not ready: what is wrong, and what to do."""


class LackingError(Exception):
    """Something is lacking: what is wrong, and what to do."""


def examine(url: str) -> Iterator[Finding]:
    """Look at everything that a search needs, one after the other; each as soon as it is known.

    Args:
        url: the database of the studies.
    """
    checks: dict[str, Callable[[], str]] = {
        "Python": check_python,
        "packages": check_packages,
        "cache": _cache,
        "engine": _engine,
        "data": _data,
        "database": lambda: _database(url),
    }
    for what, check in checks.items():
        yield look(what, check)


def look(what: str, check: Callable[[], str]) -> Finding:
    """What a check says, or what it finds lacking."""
    try:
        return Finding(what=what, ready=True, told=check())
    except (LackingError, FaqnasError) as error:
        return Finding(what=what, ready=False, told=str(error))
    except (ImportError, OSError) as error:
        # A package that is there and cannot be used, most often.
        package = (getattr(error, "name", None) or US).partition(".")[0]
        told = f"{type(error).__name__}: {' '.join(str(error).split())}; try: pip install --force-reinstall {package}"
        return Finding(what=what, ready=False, told=told)


def check_python(needed: str | None = None) -> str:
    """The version of Python, against what is needed, by default by this package."""
    needed = needed or metadata(US)["Requires-Python"]
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    if platform.python_version() not in SpecifierSet(needed):
        raise LackingError(f"{found}; {US} needs {needed}: make the environment with another Python")
    return found


def check_packages(needed: Iterable[str] | None = None) -> str:
    """Versions of packages, against what is needed, by default by this package."""
    lacking: list[str] = []
    remedy: list[str] = []
    found: list[str] = []
    for requirement in map(Requirement, needed or requires(US) or []):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            lacking.append(f"{requirement.name} is not installed")
        else:
            if requirement.specifier.contains(installed, prereleases=True):
                found.append(f"{requirement.name} {installed}")
                continue
            lacking.append(f"{requirement.name} is {installed}, not {requirement.specifier}")
        remedy.append(shlex.quote(f"{requirement.name}{requirement.specifier}"))
    if lacking:
        raise LackingError(f"{', '.join(lacking)}: pip install {' '.join(remedy)}")
    return ", ".join(package for package in found if package.split()[0] in ("numba", "optuna", "pennylane", "torch"))


def _cache() -> str:
    paths = user_cache()
    directory = paths.directory
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = paths.write_probe()
        probe.unlink(missing_ok=True)
        write_atomically(probe, b"")
        probe.unlink()
        free_mb = shutil.disk_usage(directory).free / 1024**2
    except (OSError, FaqnasError) as error:
        raise LackingError(
            f"cannot write to {directory} ({error}), so every worker compiles for itself;"
            " make it writable, or name another place by XDG_CACHE_HOME"
        ) from error
    if free_mb < ROOM_MB:
        raise LackingError(f"{directory} has {free_mb:.0f} MB left of the {ROOM_MB} that may be needed; make room")
    return str(directory)


def _engine() -> str:
    started = time.perf_counter()
    prepare((Engine.FAST,))
    return f"compiled by numba {version('numba')}, FLOPs counted ({time.perf_counter() - started:.1f} s)"


def _data() -> str:
    """Those with files; what is generated lacks nothing."""
    packaged = [name for name in DATASETS if name not in {*IDX_SETS, *DEFINITIONS}]
    for name in packaged:
        load(name, seed=0)
    ready = [*packaged, *filter(are_there, IDX_SETS)]
    absent = [name for name in IDX_SETS if name not in ready]
    fetched = f"; {', '.join(absent)} once fetched: {US} datasets --download {absent[0]}" if absent else ""
    return ", ".join(ready) + fetched


def _database(url: str) -> str:
    try:
        count = number_of_studies(url)
        studies = f"{count} {'study' if count == 1 else 'studies'}"
    except NoStudiesError:
        studies = "no studies yet"
    dry_run(url)
    return f"{masked(url)}, {studies}"
