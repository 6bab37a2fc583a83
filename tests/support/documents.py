"""Texts of the documents, and the blocks of code in them."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
GUIDES = sorted(ROOT.glob("docs/*.md"))
DOCUMENTS = [ROOT / "README.md", *GUIDES, ROOT / "studies/README.md", ROOT / "CONTRIBUTING.md"]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (*ROOT.glob("*.md"), *GUIDES, *ROOT.glob("studies/**/*.md"))}
"""Pages of the site: all documents and results, by their paths."""
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCUMENTS}
TINY = {
    "FAQNAS_POPULATION": "4",
    "FAQNAS_GENERATIONS": "2",
    "FAQNAS_EPOCHS": "1",
    "FAQNAS_BATCH_SIZE": "1000",
}
"""Environment that makes the searches of the documents short without a change to their commands."""


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the language and the content of each fenced block."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
