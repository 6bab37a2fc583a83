"""Checks of the documents: examples run, tables agree with the program, links resolve."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import griffe
import pytest
from click.testing import CliRunner

import faqnas_optuna
from faqnas_optuna import errors
from faqnas_optuna.cli.program import cli
from faqnas_optuna.config import SearchConfig, StudyConfig
from faqnas_optuna.data.generated_names import DEFINITIONS, Recipe
from faqnas_optuna.data.named import DATASETS
from faqnas_optuna.engine.processor import processor
from faqnas_optuna.experiments.plan import Experiment
from faqnas_optuna.hardware.devices import DEVICES, device_of
from faqnas_optuna.reporting.sizes import Size
from faqnas_optuna.signals import SIGNALS
from tests.conftest import TIMEOUT_S, RunCli
from tests.support.built_site import faults
from tests.support.documents import GUIDES, PAGES, ROOT, TEXTS, TINY, blocks
from tests.support.forked import Forked

LONGEST_README = 165


def commands(block: str) -> list[str]:
    """Return the commands of a `console` block without their remarks."""
    lines = block.splitlines()
    assert all(line.startswith("$ ") for line in lines), "what is printed stands in a block of its own"
    return [line.removeprefix("$ ").partition("   # ")[0].strip() for line in lines]


def commands_of(text: str) -> list[str]:
    return [command for language, block in blocks(text) if language == "console" for command in commands(block)]


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the table whose header begins with `heading`, by their first cells, without back quotes."""
    table = text[text.index(f"\n{heading}") :].split("\n\n")[0].strip().splitlines()[2:]
    cells = [[cell.strip().replace("`", "") for cell in row.strip("|").split(" | ")] for row in table]
    return {first.strip(): others for first, *others in cells}


def anchors(text: str) -> set[str]:
    """Return the anchors of all headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shortened(experiment: str) -> str:
    """Return an experiment file with fewer splits and smaller budgets."""
    few = re.sub("^splits = .*$", "splits = 2", experiment, flags=re.MULTILINE)
    return few.replace("[confirm]", "[search]\npopulation = 2\ngenerations = 1\n\n[confirm]\nepochs = 1")


RUNNING = [
    name if name == "README.md" else pytest.param(name, marks=pytest.mark.slow)
    for name, text in TEXTS.items()
    if {"console", "python", "toml"} & {language for language, _ in blocks(text)}
]


@pytest.fixture
def run_command(
    cli_here: Callable[..., tuple[int, str, str]],
    fork_cli: Callable[..., Forked],
    run_forked: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[list[str]], None]:
    """Return a function that runs a command in this process, or in a fork if the command starts processes."""
    for variable, value in TINY.items():
        monkeypatch.setenv(variable, value)
    # This value has no environment variable.
    monkeypatch.setattr("faqnas_optuna.confirmation.opening.DEFAULT_REPEATS", 2)
    (smallest := tmp_path / "smallest.toml").write_text("[space]\nn_qubits = [2]\ndepth = [1]\n")
    (narrow := tmp_path / "narrow.toml").write_text("[space]\nn_qubits = [2, 10]\ndepth = [1, 2]\n")

    def run(arguments: list[str]) -> None:
        if arguments[0] == "dashboard":
            process = fork_cli(*arguments, "--port", "0")
            assert "the dashboard is at http://127.0.0.1:" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            return
        if arguments[0] == "confirm" and "--workers" in arguments:
            # Created here, it has few trainings; a fork would take the default number.
            assert cli_here(*arguments, "--detach")[0] == 0
        if "--workers" in arguments or arguments[0] in ("compare", "enumerate", "race"):
            # A race of the whole space would take minutes.
            space = {"FAQNAS_CONFIG": str(smallest)} if arguments[0] == "race" else {}
            forked = run_forked(*arguments, env=TINY | space)
            assert forked.returncode == 0, f"{arguments}: {forked.stderr}"
            return
        with pytest.MonkeyPatch.context() as patch:
            if "--cost" in arguments:
                # Every circuit of the space is compiled for the device, which would take seconds for the full space.
                patch.setenv("FAQNAS_CONFIG", str(narrow))
            code, _, err = cli_here(*arguments)
        assert code == 0, f"{arguments}: {err}"

    return run


@pytest.mark.parametrize("name", RUNNING)
def test_what_a_document_shows_runs_as_it_stands(
    name: str,
    run_command: Callable[[list[str]], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Run a document's examples in order, in one directory; each document is independent of the others."""
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    before, printed = "", ""
    for language, block in blocks(TEXTS[name]):
        match language:
            case "console":
                for command in commands(block):
                    program, *arguments = shlex.split(command)
                    if program == "faqnas-optuna":
                        run_command(arguments)
            case "toml":
                # The first line is the name of the file.
                Path(block.splitlines()[0].removeprefix("# ")).write_text(
                    block if "[methods" not in block else shortened(block)
                )
            case "python":
                exec(compile(block, name, "exec"), {})
                printed = capsys.readouterr().out
            case "text" if before == "python":
                # The output of the example. On another processor, predictions of a few samples of Iris may differ.
                assert re.sub(r"[\d.]+", "", printed) == re.sub(r"[\d.]+", "", block)
                assert numbers(printed) == pytest.approx(numbers(block), abs=0.1)
        before = language
    for file in re.findall(r"(?:--plot|--csv) (\S+)", "\n".join(commands_of(TEXTS[name]))):
        assert (tmp_path / file).stat().st_size > 0


def test_a_trial_that_a_sentence_quotes_is_on_the_front_of_the_readme() -> None:
    front = dict(re.findall(r"^(\d+) +(.*)$", TEXTS["README.md"], re.MULTILINE))
    quoted = re.findall(r"prints `trial (\d+): (\d+) FLOPs, error ([\d.]+), ([^`]*)`", "\n".join(TEXTS.values()))
    assert quoted
    for number, flops, error, circuit in quoted:
        accuracy, cost, _, _, drawn = front[number].split(maxsplit=4)
        assert (cost.replace(",", ""), f"{1 - float(accuracy):.3f}") == (flops, error)
        assert re.sub(r" \[the last\]|[][]", "", drawn) == circuit


def in_one_line(text: str) -> str:
    """Return a text without line breaks, without the names of workers, and without durations, which differ from run to run."""
    text = re.sub(r"\S+:\d+-\w{6}|(?<=seconds)\s+[\d.]+|\b\d+ s\.", "", text)
    return " ".join(text.split())


@pytest.mark.slow
@pytest.mark.skipif(processor() != "znver4", reason="the documents show the output on a processor of the kind znver4")
def test_documents_quote_the_default_search_on_wine_as_it_runs(run_forked: RunCli) -> None:
    printed = in_one_line(run_forked("start", "wine").stdout)
    (front, *_) = [block for _, block in blocks(TEXTS["README.md"]) if block.startswith("trial")]
    # How many trainings measure the reliability depends on the speed of the machine.
    assert in_one_line(front).partition("Note:")[0] in printed
    results = [in_one_line(block) for _, block in blocks(TEXTS["docs/results.md"])]
    for command in ("show wine 3", "pareto wine --pick cheapest-within:0.2"):
        assert in_one_line(run_forked(*command.split()).stdout) in results, command
    document = json.loads(run_forked("start", "wine", "--json").stdout)
    sentences = TEXTS["docs/numbers.md"]
    assert f"{document['hypervolume']:.4f}" in sentences and f"{document['linear_hypervolume']:.4f}" in sentences


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_every_public_name_has_an_example_and_a_line() -> None:
    text = TEXTS["docs/python.md"]
    examples = "\n".join(block for language, block in blocks(text) if language == "python")
    names = {name.strip() for row in rows(text, "| public name |") for name in row.split(",")}
    assert names == set(faqnas_optuna.__all__)
    for name in names:
        assert re.search(rf"\b{name}\b", examples), name


def test_every_command_stands_in_the_documents() -> None:
    together = "\n".join(TEXTS.values())
    for name in cli.commands:
        assert f"faqnas-optuna {name}" in together


def test_every_option_that_is_shown_exists() -> None:
    """Check also commands that cannot run here: those for other machines and those within sentences."""
    uses = re.findall(r"faqnas-optuna ([a-z]+)\b([^`\n]*)", "\n".join(TEXTS.values()))
    for name, rest in uses:
        if command := cli.commands.get(name):
            options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
            assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= options, f"{name}{rest}"


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= LONGEST_README


def test_the_readme_leads_to_every_guide() -> None:
    for guide in GUIDES:
        assert f"](docs/{guide.name})" in TEXTS["README.md"]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[name].read_text()):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        assert target.exists(), f"{name} links to {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{name} links to {link}"


def test_the_site_has_every_page_and_the_guides_in_the_order_of_the_readme() -> None:
    sections = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    values = [value for section in sections for value in section.values()]
    pages = [page for value in values for page in ([value] if isinstance(value, str) else value)]
    assert sorted(pages) == sorted(PAGES)
    # A row may name two pages.
    lines = [line for line in TEXTS["README.md"].splitlines() if line.startswith("| [")]
    guides = [page for line in lines for page in re.findall(r"\]\((docs/.*?)\)", line.split(" | ")[0])]
    assert [page for page in pages if page.startswith("docs/")] == guides


def test_the_api_reference_has_every_public_name() -> None:
    objects = set(re.findall(r"^::: (\S+)$", TEXTS["docs/reference.md"], re.MULTILINE))
    for name in faqnas_optuna.__all__:
        # All errors are documented together, as a module.
        assert ("faqnas_optuna.errors" if hasattr(errors, name) else f"faqnas_optuna.{name}") in objects


def test_docstrings_describe_parameters_that_exist(caplog: pytest.LogCaptureFixture) -> None:
    objects: list[griffe.Object | griffe.Alias] = [griffe.load("faqnas_optuna", search_paths=[ROOT])]
    for each in objects:
        if not each.is_alias:
            objects += each.members.values()
            if each.docstring:
                # The parser logs its warnings.
                each.docstring.parse("google")
    assert len(objects) > 1_000
    assert not caplog.messages


def test_a_broken_link_of_the_site_and_a_resource_of_another_server_are_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/other.html").write_text('<h1 id="top"><a href="../index.html">other</a>')
    (tmp_path / "index.html").write_text(
        '<a href="docs/other.html#top"><a href="/docs/other.html"><a href="https://example.org"><a href="#nowhere">'
        '<a href="docs/other.html#end"><img src="missing.png"><script src="https://example.org/script.js">'
    )
    assert faults(tmp_path) == [
        "index.html loads https://example.org/script.js",
        "index.html links to #nowhere",
        "index.html links to docs/other.html#end",
        "index.html links to missing.png",
    ]


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("start", "faqnas-optuna start --dataset wine"),
        ("test", "-m pytest"),
        ("quick", "-m 'not slow'"),
        ("lint", "mypy"),
        ("docs", "zensical build --strict"),
        ("bench", "-m benchmarks"),
    ],
)
def test_the_make_targets_exist(target: str, runs: str) -> None:
    commands_shown = commands_of(TEXTS["README.md" if target in ("start", "test") else "CONTRIBUTING.md"])
    assert f"make {target}" in commands_shown
    planned = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert runs in planned.stdout


def test_the_data_sets_are_those_of_the_program() -> None:
    printed = CliRunner().invoke(cli, ["datasets"]).stdout
    lines = [line.rstrip() for line in printed.splitlines()]
    assert len(lines) == 1 + len(DATASETS)
    assert "\n".join(lines) in TEXTS["docs/data.md"]
    files = rows(TEXTS["studies/README.md"], "| file |")
    assert {f"studies/{file}" for file in files} == {
        f"studies/{path.name}" for path in ROOT.glob("studies/*.toml") if path.stem in DATASETS
    }
    for file, sizes in files.items():
        info = DATASETS[file.removesuffix(".toml")]
        assert sizes == [f"{info.samples:,}", str(info.features), str(info.classes)]


def test_the_keys_of_generated_data_are_those_of_the_program() -> None:
    text = TEXTS["docs/data.md"]
    table = rows(text, "| generated |")
    assert list(table) == list(DEFINITIONS)
    for name, (keys, _) in table.items():
        values = Recipe.read(name).values
        defaults = dict(key.split("=") for key in keys.split(", "))
        assert list(defaults) == [key for key in values if key not in ("features", "samples", "seed")]
        for key, default in defaults.items():
            assert eval(default.replace("×", "*"), {}, dict(values)) == pytest.approx(values[key])
    lines = CliRunner().invoke(cli, ["datasets", "spirals:features=20"]).stdout.splitlines()
    assert "\n".join(line.rstrip() for line in lines) in text


def test_the_settings_are_those_of_the_program() -> None:
    options = {parameter.opts[0]: parameter for parameter in cli.commands["start"].params}
    config = StudyConfig(dataset="wine")
    settings = {**config.model_dump(mode="json"), "cost": config.cost}
    # The paper's sampler and an absent limit of trials are left out of stored settings.
    settings["search"] = {name: getattr(config.search, name) for name in SearchConfig.model_fields}
    # Limits are left out where there are none, and so is re-uploading.
    settings["limits"] = config.limits.model_dump(mode="json")
    space = {**settings.pop("space"), "reuploading": ["false"]}
    defaults = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    for section in ("data", "search", "training", "limits"):
        defaults |= {f"{section}.{name}": value for name, value in settings[section].items()}
    table = rows(TEXTS["docs/settings.md"], "| setting |")
    assert list(table) == list(defaults)
    for name, (option, default, *_) in table.items():
        assert default == ("–" if name == "dataset" else str(defaults[name]).lower().replace("[]", "()"))
        assert option in options or option == "–"
    genes = rows(TEXTS["docs/settings.md"], "| gene |")
    assert {
        name.removeprefix("space."): [value.strip() for value in values[1].split(",")] for name, values in genes.items()
    } == {name: [str(value) for value in values] for name, values in space.items()}
    assert {values[0]: name.removeprefix("space.") for name, values in genes.items()} == {
        option: options[option].name for option, *_ in genes.values()
    }


def test_the_devices_are_those_of_the_program() -> None:
    table = rows(TEXTS["docs/numbers.md"], "| device |")
    assert {name.strip("`") for name in table} == {*DEVICES}
    for name, (day, coupling, gate, *figures) in table.items():
        device = DEVICES[name.strip("`")]
        assert [day, coupling, gate.lower()] == [device.date, device.coupling, str(device.two_qubit_gate)]
        values = [device.one_qubit_error, device.two_qubit_error, device.readout_error]
        values += [device.one_qubit_ns, device.two_qubit_ns, device.readout_ns, device.t1_us, device.t2_us, device.delay_us]
        assert [float(figure.replace(",", "")) for figure in figures] == values


def test_every_option_has_its_line() -> None:
    """Check the tables: settings of a study, genes of its space, and other options with their commands."""
    text = TEXTS["docs/settings.md"]
    settings = {row[0] for heading in ("| setting |", "| gene |") for row in rows(text, heading).values()}
    others = {
        option.split(" ")[0]: [name.strip() for name in row[0].split(",")] for option, row in rows(text, "| option |").items()
    }
    commands_by_option: dict[str, list[str]] = {}
    for name, command in cli.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                # `--trials` of `confirm` has another meaning than the setting.
                if parameter.opts[0] in settings and parameter.opts[0] not in others:
                    continue
                commands_by_option.setdefault(parameter.opts[0], []).append(name)
    assert {option: sorted(names) for option, names in others.items()} == {
        option: sorted(names) for option, names in commands_by_option.items()
    }


def test_the_sizes_of_figures_are_those_of_the_program() -> None:
    table = rows(TEXTS["docs/results.md"], "| `--size` |")
    assert [name.partition(",")[0] for name in table] == list(Size)
    for name, (inches, text, title) in table.items():
        form = Size(name.partition(",")[0]).form
        assert inches == " × ".join(f"{length:g}" for length in form.inches)
        assert text == f"{form.text_pt:g} points" and form.has_title != title.startswith("none")


def test_the_exit_codes_are_those_of_the_program() -> None:
    codes = {int(code) for first in rows(TEXTS["docs/settings.md"], "| code |") for code in first.split(",")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FaqnasError)]
    assert codes == {0, *(kind.exit_code for kind in kinds), *(128 + number for number in SIGNALS)}


def test_the_study_and_device_files_in_the_documents_are_complete(tmp_path: Path) -> None:
    for text in TEXTS.values():
        for language, block in blocks(text):
            if language == "toml":
                settings = tomllib.loads(block)
                if "methods" in settings:
                    assert Experiment.read(settings).cells
                elif "two_qubit_gate" in settings:
                    (tmp_path / "device.toml").write_text(block)
                    assert device_of(str(tmp_path / "device.toml"))
                else:
                    assert StudyConfig.from_settings(settings, source="document")
