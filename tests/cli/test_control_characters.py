"""Names with control characters, on real terminals and in pipes."""

import json
import re
from pathlib import Path

import numpy as np
import optuna
import pytest

from faqnas_optuna.escaping import escaped, on_one_line
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.search import Search
from tests.conftest import RunCli
from tests.support.sampling import mostly_slow
from tests.support.terminal import Terminal

EVIL = "clear\x1b[2Jbell\x07title\x1b]0;owned\x07word\u202eright\x9b31m[red]:cat:"
SHOWN = "clear\\u001b[2Jbell\\u0007title\\u001b]0;owned\\u0007word\\u202eright\\u009b31m[red]:cat:"
FILE = "data\x1b[31m.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a CSV file whose path, columns and classes contain control characters."""
    generator, path = np.random.default_rng(0), tmp_path / FILE
    rows = [f"{x:.4f},{y:.4f},yes\x1b[1m{x > 0.5}" for x, y in generator.uniform(size=(60, 2))]
    path.write_text("\n".join([f'"{EVIL}",other,target', *rows, ""]), newline="")
    return path


def controls(text: str) -> set[str]:
    """Return the control characters in a text."""
    return {character for character in text if escaped(character) != character}


@pytest.mark.parametrize(
    "arguments",
    mostly_slow(
        [
            ("datasets", FILE, "--target", "target"),
            ("datasets", FILE),
            ("status", "--storage", f"sqlite:///{EVIL}.db"),
            ("start", "--dataset", EVIL),
            ("pareto", "iris", f"--{EVIL}"),
            (EVIL,),
        ],
        tuples=True,
    ),
)
def test_names_do_not_move_the_cursor(file: Path, run_forked: RunCli, arguments: tuple[str, ...]) -> None:
    process = run_forked(*arguments)
    text = process.stdout + process.stderr
    assert not controls(text)
    assert re.search(r"\\(u001b|x1b)\[", text)
    terminal = Terminal(*arguments, columns=200, directory=file.parent)
    terminal.end()
    # Carriage returns come from the terminal driver; the program's own escape sequences are those for bold text.
    output = terminal.output.replace(b"\r\n", b"\n").replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"").decode()
    assert not controls(output)


def test_columns_are_shown_whole(file: Path, run_forked: RunCli) -> None:
    output = run_forked("datasets", FILE, "--target", "target").stdout
    assert SHOWN in output
    assert "yes\\u001b[1mTrue" in output


def test_json_keeps_its_values(file: Path, run_forked: RunCli) -> None:
    document = json.loads(run_forked("datasets", FILE, "--target", "target", "--json").stdout)
    assert EVIL in document["columns"]
    assert {entry["class"] for entry in document["classes"]} == {"yes\x1b[1mTrue", "yes\x1b[1mFalse"}


def test_studies_of_others_are_named_without_harm(search_of_eight: Search, storage_url: str, run_forked: RunCli) -> None:
    storage = open_storage(storage_url)
    optuna.copy_study(from_study_name="iris", from_storage=storage, to_storage=storage, to_study_name=f"{EVIL}\nforged")
    process = run_forked("status")
    text = process.stdout + process.stderr
    assert not controls(text)
    assert f"skipping study {SHOWN}\\u000aforged: a study's name has" in text


def test_the_text_of_a_line_has_no_line_end() -> None:
    assert on_one_line("a\nb\tc") == "a\\u000ab\\u0009c"
    assert escaped("a\nb\tc – é ⟨Z⟩ ─ 日本") == "a\nb\tc – é ⟨Z⟩ ─ 日本"
