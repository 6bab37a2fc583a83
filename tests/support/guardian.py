"""Guardian process that cleans up after a test run, however the run ends: in order, by a signal or by SIGKILL.

All processes that a run starts inherit a mark in their environment, the name of the run. The guardian waits for pytest to end
and kills every process with the mark: workers of xdist and of studies, servers, and their children. It then removes the
networks that are named after the run and the directory of its servers.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "TEST_RUN"
NETWORKS = Path("/var/run/netns")
NAMES = Path("/etc/netns")
"""Directory in which `ip netns exec` looks for the files of a network that replace those in /etc."""
IN_ORDER_S = 10
"""Seconds that PostgreSQL may take to shut down, which usually takes a moment. If killed, it would leave shared memory."""
AT_MOST_S = 20
"""Seconds after which the guardian gives up killing."""


def run_name() -> str:
    """Return the name of this run, which begins the names of its networks and directories."""
    return os.environ[MARK]


def run_directory() -> Path:
    """Return the directory of this run, which all users may enter.

    Servers do not run as root and could not enter the directories of pytest.
    """
    return _directory(run_name())


def begin() -> subprocess.Popen[bytes]:
    """Choose the name of this run and start its guardian."""
    name = f"faqnas-{secrets.token_hex(4)}"
    # A test may start another run. The guardian of that run must not have the mark of this one, which would kill it.
    env = {variable: value for variable, value in os.environ.items() if variable != MARK}
    # In a session of its own: Ctrl-C must not end it before the run.
    guardian = subprocess.Popen([sys.executable, __file__, name], stdin=subprocess.PIPE, env=env, start_new_session=True)
    os.environ[MARK] = name
    run_directory().mkdir()
    # Other users may enter it but not list it.
    run_directory().chmod(0o711)
    return guardian


def end(guardian: subprocess.Popen[bytes]) -> None:
    """Wait until the guardian has finished."""
    # Closing its stdin tells it that the run has ended.
    guardian.communicate(timeout=2 * AT_MOST_S)


def _directory(name: str) -> Path:
    return Path(tempfile.gettempdir()) / name


def _guard(name: str) -> None:
    # Signals for the process group of the run must not stop the guardian.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Only the run holds the other end of the pipe, so the system closes it when the run ends, even by SIGKILL.
    sys.stdin.read()
    began = time.monotonic()
    elapsed_s = 0.0
    # Repeated, since processes may start others until they are killed.
    while elapsed_s < AT_MOST_S:
        processes = _marked(name)
        if not processes:
            break
        for process in processes:
            with suppress(psutil.Error):
                in_order = elapsed_s < IN_ORDER_S and process.name() == "postgres"
                process.send_signal(signal.SIGQUIT if in_order else signal.SIGKILL)
        time.sleep(0.05)
        elapsed_s = time.monotonic() - began
    for network in NETWORKS.glob(f"{name}-*"):
        subprocess.run(["ip", "netns", "delete", network.name], check=False)
    for names in NAMES.glob(f"{name}-*"):
        shutil.rmtree(names, ignore_errors=True)
    directory = _directory(name)
    # A directory with a mount in it cannot be removed.
    for partition in psutil.disk_partitions(all=True):
        if directory in Path(partition.mountpoint).parents:
            subprocess.run(["umount", "--lazy", partition.mountpoint], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def _marked(name: str) -> list[psutil.Process]:
    """Return the processes with the mark of a run."""
    processes = []
    for process in psutil.process_iter():
        # The process may end meanwhile, or belong to another user.
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == name:
                processes.append(process)
    return processes


if __name__ == "__main__":
    _guard(sys.argv[1])
