"""Nothing that a test run starts outlives it, whether it ends in order, by a signal, or by SIGKILL.

What a run starts inherits a mark in its environment: the run's name. Beside the run stands a guardian, a process that waits for
pytest to end, and then kills whatever bears the mark: xdist's workers, ours, servers, and what these have started. At last it
takes away the networks that are named after the run, and the directory in which it keeps its servers.
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
"""Where `ip netns exec` looks for files of a network, which then stand in the place of those in /etc."""
IN_ORDER_S = 10
"""So long PostgreSQL may take to end itself, which it does in a moment: killed, it would leave shared memory behind."""
AT_MOST_S = 20


def run_name() -> str:
    """What begins with it is this run's."""
    return os.environ[MARK]


def run_directory() -> Path:
    """Where every user comes in. Not pytest's, which is closed to others: no server runs as root."""
    return _directory(run_name())


def begin() -> subprocess.Popen[bytes]:
    """Name this run, and set a guardian beside it."""
    name = f"faqnas-{secrets.token_hex(4)}"
    # In a run that a test of another run has started, it is not that other one's.
    env = {variable: value for variable, value in os.environ.items() if variable != MARK}
    guardian = subprocess.Popen([sys.executable, __file__, name], stdin=subprocess.PIPE, env=env, start_new_session=True)
    os.environ[MARK] = name
    run_directory().mkdir()
    run_directory().chmod(0o711)
    return guardian


def end(guardian: subprocess.Popen[bytes]) -> None:
    """Return when nothing is left."""
    guardian.communicate(timeout=2 * AT_MOST_S)


def _directory(name: str) -> Path:
    return Path(tempfile.gettempdir()) / name


def _guard(name: str) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The run holds the other end, and nobody else: it is closed when the run has ended.
    sys.stdin.read()
    began = time.monotonic()
    while (left := _marked(name)) and (taken := time.monotonic() - began) < AT_MOST_S:
        for process in left:
            with suppress(psutil.Error):
                in_order = taken < IN_ORDER_S and process.name() == "postgres"
                process.send_signal(signal.SIGQUIT if in_order else signal.SIGKILL)
        time.sleep(0.05)
    for network in NETWORKS.glob(f"{name}-*"):
        subprocess.run(["ip", "netns", "delete", network.name], check=False)
    for names in NAMES.glob(f"{name}-*"):
        shutil.rmtree(names, ignore_errors=True)
    directory = _directory(name)
    for mounted in psutil.disk_partitions(all=True):
        if directory in Path(mounted.mountpoint).parents:
            subprocess.run(["umount", "--lazy", mounted.mountpoint], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def _marked(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        # It may end while it is looked at, or be another user's.
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == name:
                found.append(process)
    return found


if __name__ == "__main__":
    _guard(sys.argv[1])
