"""Simulated machines: network namespaces of Linux, each with a virtual cable that can be unplugged."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.databases import PostgresServer, running_postgres
from tests.support.guardian import NAMES, run_name
from tests.support.processes import TIMEOUT_S, cli_environment

DATABASE_HOST = "db.example.org"
RUN_WITH_HOSTNAME = 'echo "$0" >/proc/sys/kernel/hostname; exec "$@"'


class TakenError(Exception):
    """Another test uses a machine with this number."""


class Machine:
    """Simulated machine with a separate network, host name and working directory.

    Its programs reach this machine at the address `host` and by the name `DATABASE_HOST`.
    """

    def __init__(self, name: str, number: int, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        """Where programs are looked for: first beside the Python of the tests."""
        self.host = f"198.18.{number}.1"
        """Address of this machine in the network, from a range reserved for tests (RFC 2544)."""
        # The name of an interface has at most 15 characters.
        self._cable = f"faqnas{number}"

    @contextmanager
    def existing(self) -> Iterator["Machine"]:
        """Create the network, and remove it at the end of the block."""
        subnet = self.host.rpartition(".")[0]
        names = NAMES / self.name
        self.directory.mkdir()
        _ip("netns", "add", self.name)
        try:
            names.mkdir(parents=True)
            (names / "hosts").write_text(f"127.0.0.1 localhost\n{self.host} {DATABASE_HOST}\n")
            self._lay_cable()
            _ip("address", "add", f"{self.host}/24", "dev", self._cable)
            _ip("-n", self.name, "address", "add", f"{subnet}.2/24", "dev", "eth0")
            # A new network has all its interfaces down, the loopback too.
            for link in ("lo", "eth0"):
                _ip("-n", self.name, "link", "set", link, "up")
            self.plug_in()
            yield self
        finally:
            # This removes the cable, too.
            _ip("netns", "delete", self.name)
            shutil.rmtree(names)
            with suppress(OSError):
                # Fails if the directory has other entries, which are not ours.
                NAMES.rmdir()

    def _lay_cable(self) -> None:
        try:
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        except subprocess.CalledProcessError as error:
            raise TakenError(self._cable) if "File exists" in error.stderr else error from error

    def plug_in(self) -> None:
        _ip("link", "set", self._cable, "up")

    def pull_out(self) -> None:
        """Unplug the cable: packets are lost without an error, as when a machine fails."""
        _ip("link", "set", self._cable, "down")

    @contextmanager
    def running(self, *command: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
        """Run a program on the machine; at the end of the block it is killed with all processes that it has started."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", RUN_WITH_HOSTNAME, self.name, *command],
            cwd=self.directory,
            env=cli_environment({"PATH": self.path, **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # So that all its processes can be killed as a group.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=TIMEOUT_S)


@contextmanager
def machines(count: int, directory: Path) -> Iterator[list[Machine]]:
    """Create machines that can reach this one, but not each other."""
    refuse_without_namespaces()
    # Random numbers, since tests that run at the same time draw from the same range.
    numbers = iter(random.sample(range(256), 256))
    with ExitStack() as stack:

        def next_free() -> Machine:
            for number in numbers:
                name = f"{run_name()}-{number}"
                with suppress(TakenError):
                    return stack.enter_context(Machine(name, number, directory / name).existing())
            raise RuntimeError("all networks for tests are taken")

        yield [next_free() for _ in range(count)]


@contextmanager
def postgres_for(*reached_by: Machine) -> Iterator[PostgresServer]:
    """Start a server on this machine that the given machines can reach."""
    with running_postgres([machine.host for machine in reached_by]) as server:
        yield server


def refuse_without_namespaces() -> None:
    """Skip the test if this machine cannot create network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2; on Debian: apt-get install iproute2")
    name = f"{run_name()}-try-{os.getpid()}"
    # Containers often forbid it even to root.
    attempt = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if attempt.returncode:
        pytest.skip(f"this machine cannot create network namespaces: {attempt.stderr.strip()}")
    _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
