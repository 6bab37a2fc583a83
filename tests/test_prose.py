"""Plain English in code and documents, and one statement per line."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.documents import DOCUMENTS, ROOT

SOURCES = [file for folder in ("faqnas_optuna", "benchmarks", "studies") for file in sorted((ROOT / folder).rglob("*.py"))]
NOT_A_SUBJECT = {
    "what",
    "who",
    "how",
    "that",
    "those",
    "the same",
    "it",
    "as",
    "of",
    "whoever",
    "where",
    "whether",
    "which",
    "so",
}
"""First words of docstrings that are paraphrases instead of a verb or a noun."""
PARTICIPLES = {"found", "told", "known", "shown", "kept", "left", "taken", "given", "asked", "believed"}
"""Names that do not say what they hold."""
BANNED = {
    r"\bwhoever\b": "a named subject",
    r"\banew\b": "again, re-",
    r"\bso (many|long)\b": "N, at most, at least",
    r"\b(held|hold|holds) [\w ]*against\b": "compared with",
    r"\bbut for\b": "except",
    r"\bof (one's|our) own\b": "your own, our",
    r"\bof no account\b": "irrelevant",
    r"\bis worth\b|\bare worth\b": "scores, accuracy, cost",
    r"\bfrom above to below\b": "in order",
    r"\btells? (apart|right)\b|\btold (apart|right)\b": "distinguish, classify correctly",
    r"\bgoes? on with\b": "continue",
    r"\bluck decides\b": "variance from the random seed",
}
"""Phrases by what to write instead."""


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring, those of attributes included."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def first_words(text: str) -> set[str]:
    words = re.findall(r"[\w']+", text.lower())
    return {" ".join(words[:1]), " ".join(words[:2])}


def is_packed(node: ast.AST) -> bool:
    """Return whether an assignment saves a line by packing; swaps are allowed."""
    match node:
        case ast.Assign(targets=[ast.Tuple() as left], value=ast.Tuple() as right):
            return sorted(map(ast.unparse, left.elts)) != sorted(map(ast.unparse, right.elts))
    return False


def names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a file assigns, declares as parameters, or defines."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name


def comment_lines(source: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return sum(token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip() for token in tokens)


def test_code_reads_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    texts = {file.relative_to(ROOT).as_posix(): file.read_text() for file in SOURCES}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    lines = sum(text.count("\n") for text in texts.values())
    comments = sum(map(comment_lines, texts.values()))
    all_docstrings = [(f"{name}:{line}", text) for name, tree in trees.items() for line, text in docstrings(tree)]
    paraphrases = [f"{place}: {text.splitlines()[0]}" for place, text in all_docstrings if first_words(text) & NOT_A_SUBJECT]
    packed = [f"{name}:{node.lineno}" for name, tree in trees.items() for node in ast.walk(tree) if is_packed(node)]  # type: ignore[attr-defined]
    participles = Counter(name for tree in trees.values() for name in names(tree) if name in PARTICIPLES)
    with capsys.disabled():
        print(
            f"\n{lines:,} lines: {len(paraphrases)} of {len(all_docstrings):,} docstrings begin with a paraphrase,"
            f" {1000 * len(packed) / lines:.1f} packed assignments per 1,000 lines,"
            f" {100 * comments / lines:.1f} comment lines per 100, {participles.total()} participles as names"
        )
    assert len(paraphrases) <= 0.01 * len(all_docstrings), "\n".join(paraphrases)
    assert len(packed) <= 0.001 * lines, "\n".join(packed)
    assert comments >= 0.04 * lines
    assert participles.total() <= 10, participles


@pytest.mark.parametrize("phrase", BANNED)
def test_no_phrase_needs_a_second_reading(phrase: str) -> None:
    places = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in (*SOURCES, *DOCUMENTS)
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if re.search(phrase, line, re.IGNORECASE)
    ]
    assert not places, f"write {BANNED[phrase]}:\n" + "\n".join(places)
