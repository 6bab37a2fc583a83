"""Chromium, and pages as it has them after their scripts have run."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.processes import TIMEOUT_S

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Element:
    """Element of a page, with its content."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.children: list[Element] = []
        self.text = ""

    def find(self, tag: str, **attributes: str) -> Iterator["Element"]:
        """Yield the descendants of a tag with these attributes; `class_` names one of the classes."""
        for child in self.children:
            if child.tag == tag and all(child.has(name, value) for name, value in attributes.items()):
                yield child
            yield from child.find(tag, **attributes)

    def has(self, name: str, value: str) -> bool:
        attribute = self.attributes.get(name.rstrip("_"), "")
        return value in attribute.split() if name == "class_" else value == attribute

    @property
    def words(self) -> str:
        return self.text + "".join(child.words for child in self.children)


class Tree(HTMLParser):
    """Page as Chromium has it at the end."""

    VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data


Browse = Callable[..., Element]


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Chromium profile shared by all pages: creating one takes a third of a test's time."""
    return tmp_path_factory.mktemp("profile")


@pytest.fixture
def chromium(profile: Path) -> Callable[..., str]:
    """Return a function that runs Chromium for some seconds of its virtual time, which skips idle waiting."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")

    def run(url: str, *options: str, seconds: int = 10, width: int = 1200) -> str:
        fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
        small = ("--disable-extensions", "--disable-component-extensions-with-background-pages")
        own = (f"--user-data-dir={profile}", f"--virtual-time-budget={1000 * seconds}", f"--window-size={width},1600")
        process = subprocess.Popen(
            [str(CHROMIUM), *fixed, *small, *own, *options, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        finally:
            # Chromium's child processes are in its process group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=TIMEOUT_S)
        assert process.returncode == 0, err[-2000:]
        return out

    return run


@pytest.fixture
def browse(chromium: Callable[..., str]) -> Browse:
    """Return a function that returns the content of a page after its scripts have run."""
    return lambda url, **settings: Tree(chromium(url, "--dump-dom", **settings)).root
