"""Import rules of the design, checked on the source."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "faqnas_optuna"

FOLDERS: list[tuple[str, list[str]]] = [
    ("", ["errors", "escaping", "machine", "files", "signals", "cache", "config_errors", "literals", "wording"]),
    (
        "circuits",
        [
            "gates",
            "blocks",
            "genome",
            "effective",
            "functions",
            "elementary",
            "openqasm",
            "pennylane_circuit",
            "counting",
            "flops",
        ],
    ),
    ("hardware", ["graph", "devices", "native", "routing", "compilation", "schedule", "cost"]),
    ("", ["space_config", "config", "study_file"]),
    (
        "data",
        [
            "preprocessing",
            "schema",
            "fitting",
            "duplicates",
            "findings",
            "splits",
            "generated",
            "generated_names",
            "idx_files",
            "named",
            "limits",
            "cells",
            "csv_files",
            "reading",
            "frames",
            "classes",
            "division",
            "resplits",
            "problems",
            "column_kinds",
            "user_data",
            "loading",
        ],
    ),
    (
        "engine",
        [
            "processor",
            "normal_form",
            "kernel_cache",
            "gate_kernels",
            "embeddings",
            "basis_patterns",
            "statevector",
            "layers",
            "fused",
            "networks",
        ],
    ),
    (
        "training",
        [
            "scoring",
            "parameters",
            "training",
            "torch_training",
            "model",
            "engines",
            "statistics",
            "values",
            "limits",
            "reliability",
            "pooling",
            "evaluation",
            "bulk",
            "pilot",
        ],
    ),
    (
        "storage",
        [
            "urls",
            "outages",
            "sqlite",
            "servers",
            "optuna_internals",
            "trial_reading",
            "trial_writing",
            "sightings",
            "heartbeats",
            "batched",
            "opening",
            "dry_run",
            "bulk_trials",
            "plots",
            "attributes",
            "activity",
        ],
    ),
    (
        "study",
        [
            "pareto",
            "cost_range",
            "stopping",
            "race_summary",
            "records",
            "checks",
            "selection",
            "sampler",
            "description",
            "metadata",
            "work",
            "study",
            "state",
            "first_generation",
            "race_size",
            "status",
            "lifecycle",
            "objective",
            "search",
            "race_study",
        ],
    ),
    (
        "reporting",
        [
            "text_tables",
            "report",
            "columns",
            "sizes",
            "labels",
            "front_plot",
            "matplotlib_front",
            "inline_svg",
            "html_page",
            "documents",
            "advice",
            "search_report",
            "study_tables",
            "families",
            "race_report",
            "note",
            "latex",
            "plain_figures",
            "plotly_front",
            "stored_plots",
            "staircase_plot",
            "family_plot",
            "attainment",
            "study_groups",
            "frames",
        ],
    ),
    (
        "confirmation",
        ["baselines", "plan", "objective", "study", "opening", "analysis", "circuit_table", "report", "latex", "figure"],
    ),
    ("page", ["importance", "figures", "commands", "verdict", "sections", "report"]),
    ("workers", ["forking", "pool", "loop", "extra", "serving", "scheduler", "cluster", "readiness"]),
    ("noise", ["model", "reference", "simulation", "evaluation", "finalists", "report", "figure"]),
    ("models", ["trained_model", "folder", "weights", "tabular", "estimator", "retraining", "prediction", "export"]),
    (
        "tables",
        [
            "schema",
            "checkpoints",
            "space",
            "costs",
            "plan",
            "result_folder",
            "chunks",
            "writing",
            "enumeration",
            "table",
            "live",
            "loading",
        ],
    ),
    ("racing", ["bounds", "halving", "certification", "plan", "scores", "trainer", "running", "storing"]),
    ("comparison", ["benchmark", "samplers", "replay", "raced", "judging", "tabular", "live", "report"]),
    ("experiments", ["plan", "results", "table", "figure"]),
    ("dashboard", ["watching", "markup", "pages", "hosts", "filters", "health", "server", "application"]),
    (
        "api",
        [
            "settings",
            "data",
            "running",
            "warm_start",
            "search_service",
            "race_service",
            "confirmation_service",
            "experiment_service",
            "experiment_estimates",
            "progress",
            "notebook",
            "sources",
            "reading",
            "study",
            "search",
            "race",
            "experiment",
            "classifier",
        ],
    ),
    (
        "cli",
        [
            "failure",
            "exits",
            "output",
            "ranges",
            "console",
            "display",
            "noise",
            "options",
            "space_options",
            "launch",
            "conclusion",
            "study",
            "race",
            "inspect",
            "confirm",
            "report",
            "export",
            "enumeration",
            "space",
            "compare",
            "experiment",
            "tools",
            "program",
        ],
    ),
    ("", ["__main__"]),
]
"""Wings and their modules, lowest first. A module imports from earlier wings, and from earlier modules of its own wing.

`__init__` lists the public names and imports them on first use.
"""

ORDER = [f"{folder}.{file}".removeprefix(".") for folder, files in FOLDERS for file in files]


def below(wing: str) -> set[str]:
    """Return the modules of a wing and of all later wings."""
    first = next(module for module in ORDER if module.startswith(f"{wing}."))
    return set(ORDER[ORDER.index(first) :])


def within(*wings: str) -> set[str]:
    return {module for module in ORDER if module.partition(".")[0] in wings}


ALLOWED_OUTSIDE = {
    "pennylane": {"circuits.blocks", "circuits.pennylane_circuit", "noise.reference", "training.model", "models.trained_model"},
    "torch": {"circuits.counting", "training.model", "models.trained_model", "training.torch_training"},
    "numba": within("engine"),
    "llvmlite": within("engine"),
    "sklearn": {*within("data", "training", "models"), "confirmation.baselines", "api.classifier"},
    "optuna": below("storage"),
    "sqlalchemy": within("storage"),
    "safetensors": {"models.folder"},
    "qiskit": {"models.trained_model"},
    "distributed": {"workers.scheduler", "workers.cluster", "api.running", "cli.launch", "cli.enumeration"},
    "click": {"__main__", *within("cli")},
    "rich": {"cli.console"},
    "jinja2": {"reporting.html_page"},
    "pandas": {
        *within("data", "tables", "comparison", "experiments", "reporting", "noise", "models", "api"),
        "confirmation.circuit_table",
    },
    "tqdm": {"api.progress"},
    "pyarrow": within("data", "tables", "models"),
}


@cache
def imports(module: str) -> frozenset[str]:
    """Return the full names of all modules that a module imports, anywhere in its source."""
    names = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            # `from faqnas_optuna.data import named` imports a module by its name.
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names)


@cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    """Return all nodes of a module's source."""
    return tuple(ast.walk(ast.parse(source(module))))


def source(module: str) -> str:
    return (PACKAGE / f"{module.replace('.', '/')}.py").read_text()


def test_every_module_has_its_place() -> None:
    files = {path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")}
    modules = {".".join(file.parts) for file in files}
    assert {module for module in modules if not module.endswith("__init__")} == set(ORDER)
    assert {module.partition(".")[0] for module in modules if module.endswith(".__init__")} == {w for w, _ in FOLDERS if w}


def test_a_wing_tells_what_it_is_in_one_sentence() -> None:
    for wing in {wing for wing, _ in FOLDERS if wing}:
        (sentence,) = ast.parse(source(f"{wing}.__init__")).body
        assert isinstance(sentence, ast.Expr) and isinstance(sentence.value, ast.Constant), f"{wing} holds code"
        assert str(sentence.value.value).count(".") == 1


def test_modules_import_only_from_those_before_them() -> None:
    for position, module in enumerate(ORDER):
        ours = {name.removeprefix("faqnas_optuna.") for name in imports(module)}
        later = (ours & set(ORDER)) - set(ORDER[:position])
        assert not later, f"{module} imports {later}"


def test_what_comes_from_outside_stays_in_its_rooms() -> None:
    for module in ORDER:
        outside = {name.split(".")[0] for name in imports(module)}
        for package, rooms in ALLOWED_OUTSIDE.items():
            assert package not in outside or module in rooms, f"{module} imports {package}"


RESEARCH = [file for folder in ("studies", "benchmarks") for file in sorted((PACKAGE.parent / folder).rglob("*.py"))]


def test_research_imports_public_names_of_the_package_and_never_the_reverse() -> None:
    for module in ORDER:
        assert not {name.split(".")[0] for name in imports(module)} & {"studies", "benchmarks", "tests"}, module
    for file in RESEARCH:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("faqnas_optuna"):
                parts = [*str(node.module).split("."), *(alias.name for alias in node.names)]
                private = [part for part in parts if part.startswith("_") and part != "__main__"]
                assert not private, f"{file} imports {private}"


def test_genomes_and_errors_need_the_standard_library_alone() -> None:
    for module in ("errors", "files", "circuits.genome"):
        outside = {name.split(".")[0] for name in imports(module)} - {"faqnas_optuna"}
        assert outside <= sys.stdlib_module_names


def test_only_two_folders_ask_which_kind_a_study_has() -> None:
    """Check that all other modules use the interface of a stored study."""
    for module in set(ORDER) - within("study", "confirmation"):
        for node in nodes(module):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"confirms", "is_confirmation"}, f"{module}:{node.lineno} uses {node.attr}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                assert not re.search(r"\b(Search|Confirmation)\b", ast.unparse(node.args[1])), f"{module}:{node.lineno}"


def test_decisions_are_pure() -> None:
    """Check that stopping decisions import neither Optuna nor SQLAlchemy, directly or indirectly."""
    needed = {"study.stopping"}
    while (
        more := ({name.removeprefix("faqnas_optuna.") for module in needed for name in imports(module)} & set(ORDER)) - needed
    ):
        needed |= more
    outside = {name.split(".")[0] for module in needed for name in imports(module)}
    assert not needed & within("storage")
    assert not outside & {"optuna", "sqlalchemy"}


FOREIGN_PRIVATE = {
    "_exit": "os",
    "_replace": "named tuples",
    "_for_update_arg": "SQLAlchemy, which storage.sqlite asks for what a statement locks",
    "_cache": "numba",
    "_rebuild": "numba",
    "_reduce": "numba",
}
"""Private names of libraries other than Optuna, with their libraries."""
INTERNALS = "storage.optuna_internals"


@cache
def private_attributes(module: str) -> list[ast.Attribute]:
    return [node for node in nodes(module) if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr)]


def own_private_names(module: str) -> set[str]:
    """Return the private names that a module assigns to `self` or defines."""
    names = {node.attr for node in private_attributes(module) if isinstance(node.ctx, ast.Store) and is_self(node.value)}
    for node in nodes(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def test_private_names_of_optuna_are_used_in_one_module() -> None:
    optunas = {node.attr for node in private_attributes(INTERNALS)} - {"_attach"}
    inherited = set().union(*map(own_private_names, set(ORDER) - {INTERNALS})) - optunas
    for module in set(ORDER) - {INTERNALS}:
        hidden = [name for name in imports(module) if re.match(r"optuna\..*\b_|optuna\._", name)]
        assert not hidden, f"{module} imports {hidden}; let {INTERNALS} do it"
        own = own_private_names(module)
        for node in private_attributes(module):
            # One of our classes may have an attribute with the same name as one of Optuna's.
            names = own | inherited if is_self(node.value) else own - optunas
            is_own = node.attr in names
            assert is_own or node.attr in FOREIGN_PRIVATE, (
                f"{module}:{node.lineno} uses {ast.unparse(node)}, a private name of another module;"
                f" if it is Optuna's, put it into {INTERNALS}"
            )


STUDY_ATTRIBUTES = {
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "set_metric_names",
    "metric_names",
}
"""Names that only studies have in Optuna. Other attribute methods have the same names for studies and trials:
`tests/study/test_metadata.py` records the callers of those."""


def test_only_one_module_calls_what_reads_and_writes_attributes_of_studies() -> None:
    for module in set(ORDER) - {"study.metadata"} - within("storage"):
        for node in nodes(module):
            if isinstance(node, ast.Attribute | ast.Name):
                name = node.attr if isinstance(node, ast.Attribute) else node.id
                assert name not in STUDY_ATTRIBUTES, f"{module}:{node.lineno} uses {name}"


def test_no_test_imports_another_test() -> None:
    """Check that shared helpers are in `tests/support` or in `conftest.py`."""
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            where = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for name in names:
                parts = f"{where}{name}".split(".")
                assert parts[0] != "tests" or not any(part.startswith("test_") for part in parts), f"{path} imports {name}"


def test_the_public_names() -> None:
    import faqnas_optuna

    assert sorted(faqnas_optuna.__all__) == sorted(faqnas_optuna._HOMES)
    assert set(faqnas_optuna.__all__) <= set(dir(faqnas_optuna))
    for name in faqnas_optuna.__all__:
        assert getattr(faqnas_optuna, name).__name__ == name
