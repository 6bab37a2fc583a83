"""Machines within this one: network namespaces of Linux, each on a cable of its own that can be pulled out."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT_S, cli_environment
from tests.databases import PostgresServer, running_postgres


class Machine:
    """A network of its own. Its processes have a working directory of their own, and reach this machine at `host`."""

    def __init__(self, name: str, number: int, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.host = f"198.18.{number}.1"
        """Of a range that is set apart for tests of networks (RFC 2544)."""
        # An interface has at most 15 letters.
        self._cable = f"faqnas{number}"

    @contextmanager
    def there(self) -> Iterator["Machine"]:
        """Make it, and take it away with all that runs in it."""
        subnet = self.host.rpartition(".")[0]
        self.directory.mkdir()
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            _ip("address", "add", f"{self.host}/24", "dev", self._cable)
            _ip("-n", self.name, "address", "add", f"{subnet}.2/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", self.name, "link", "set", link, "up")
            self.plug_in()
            yield self
        finally:
            # Takes the cable with it.
            _ip("netns", "delete", self.name)

    def plug_in(self) -> None:
        _ip("link", "set", self._cable, "up")

    def pull_out(self) -> None:
        """What is sent from now on is lost without a word."""
        _ip("link", "set", self._cable, "down")

    @contextmanager
    def running(self, *command: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
        """A program here, which is killed at the end of the block if it still runs."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            cwd=self.directory,
            env=cli_environment({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=TIMEOUT_S)


@contextmanager
def machines(count: int, directory: Path) -> Iterator[list[Machine]]:
    """Machines that do not see one another, only this one."""
    refuse_without_namespaces()
    first = random.randrange(0, 256 - count)
    with ExitStack() as stack:
        names = [(f"faqnas-{os.getpid()}-{first + index}", first + index) for index in range(count)]
        yield [stack.enter_context(Machine(name, number, directory / name).there()) for name, number in names]


@contextmanager
def postgres_for(machine: Machine) -> Iterator[PostgresServer]:
    """A server here that also a machine reaches."""
    with running_postgres(address=machine.host) as server:
        yield server


def refuse_without_namespaces() -> None:
    """Skip a test where networks cannot be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("networks of its own need root and iproute2; on Debian: apt-get install iproute2")
    name = f"faqnas-{os.getpid()}-try"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if tried.returncode:
        pytest.skip(f"this machine makes no network namespaces: {tried.stderr.strip()}")
    _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
