"""The design's two rules of import, read from the source."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "faqnas_optuna"

ORDER = [
    "errors",
    "signals",
    "files",
    "genome",
    "config",
    "datasets",
    "circuit",
    "normal_form",
    "compilation",
    "gates",
    "statevector",
    "fused",
    "model",
    "training",
    "flops",
    "evaluation",
    "pareto",
    "outages",
    "sqlite",
    "servers",
    "heartbeats",
    "storage",
    "sampler",
    "study",
    "standing",
    "generations",
    "objective",
    "worker",
    "serving",
    "cluster",
    "report",
    "plots",
    "dashboard",
    "bench",
    "display",
    "options",
    "launch",
    "cli",
    "__main__",
]
"""A module imports only from those before it. `__init__` names public things and imports them when they are used."""

ALLOWED_OUTSIDE = {
    "pennylane": {"circuit", "model"},
    "numba": {"compilation"},
    "torch": {"model", "training", "flops", "evaluation", "bench"},
    "optuna": set(ORDER[ORDER.index("outages") :]),
    "sqlalchemy": {"outages", "sqlite", "servers", "heartbeats", "storage"},
    "distributed": {"cluster", "launch"},
    "click": {"options", "launch", "cli", "__main__"},
    "rich": {"display"},
}


def imports(module: str) -> set[str]:
    """Full names of the modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            # `from faqnas_optuna import datasets` imports a module by its name.
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*ORDER, "__init__"}


def test_modules_import_only_from_those_before_them() -> None:
    for position, module in enumerate(ORDER):
        ours = {name.split(".")[1] for name in imports(module) if name.startswith("faqnas_optuna.")}
        later = (ours & set(ORDER)) - set(ORDER[:position])
        assert not later, f"{module} imports {later}"


def test_what_comes_from_outside_stays_in_its_rooms() -> None:
    for module in ORDER:
        outside = {name.split(".")[0] for name in imports(module)}
        for package, rooms in ALLOWED_OUTSIDE.items():
            assert package not in outside or module in rooms, f"{module} imports {package}"


def test_genomes_and_errors_need_the_standard_library_alone() -> None:
    import sys

    for module in ("errors", "files", "genome"):
        outside = {name.split(".")[0] for name in imports(module)} - {"faqnas_optuna"}
        assert outside <= sys.stdlib_module_names


def test_the_public_names() -> None:
    import faqnas_optuna

    assert sorted(faqnas_optuna.__all__) == sorted(faqnas_optuna._HOMES)
    for name in faqnas_optuna.__all__:
        assert getattr(faqnas_optuna, name).__name__ == name
