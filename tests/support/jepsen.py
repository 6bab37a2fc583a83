"""Test of durability: workers are killed at random, and the database is compared with their logs of acknowledged values.

python -m tests.support.jepsen --storage URL --kills 600
"""

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.stopping import StopReason
from tests.support.crew import LEAVE_S, SOON_S, Crew, Entry, new_study, trials_of, values_of, wait_until

RETRIES = 2
"""Maximum number of retries of a trial."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Counts of a run, and the violations of its invariants."""

    seed: int
    kills: int
    seconds: float
    trials: int
    complete: int
    acknowledged: int
    given_up: int
    retried: int
    longest_s: float
    """Longest time from a worker's death to the end of its trial."""
    violations: list[str]
    """Descriptions of lost or altered values and other violations; empty if there are none."""


def jepsen(
    url: str,
    directory: Path,
    *,
    kills: int = 8,
    gap_s: float = 1.0,
    workers: int = 4,
    grace_s: int = 6,
    within_s: float | None = None,
    trial_s: float = 0.05,
    seed: int = 0,
) -> Figures:
    """Kill workers at random times, replace them, and compare the acknowledged values with the stored ones.

    Args:
        gap_s: Mean seconds to the next kill after all workers except the latest have begun a trial; uniformly distributed from
            0 to twice the mean.
        within_s: Seconds that a trial may be open after its worker's death; None for twice the grace period and a second.
        seed: Random seed of the times and the victims.
    """
    within_s = 2 * grace_s + 1 if within_s is None else within_s
    started = time.monotonic()
    chance = random.Random(seed)
    name = "jepsen"
    search = new_study(url, name)
    with Crew(directory, url, grace_s=grace_s) as crew:
        living = [crew.start("worker", name, "--quiet", trial_s=trial_s) for _ in range(workers)]
        wait_until(lambda: len({entry.worker for entry in crew.log()}) == workers, LEAVE_S, "all workers have begun a trial")
        killed_at: dict[str, float] = {}
        violations = []
        for _ in range(kills):
            # The latest may still be starting, so that kills also hit workers at their start.
            wait_until(lambda: sum(bool(crew.log(w)) for w in living) >= workers - 1, SOON_S, "all but one are at work")
            time.sleep(chance.uniform(0, 2 * gap_s))
            victim = living.pop(chance.randrange(workers))
            victim.kill()
            # After the kill: a trial that is open for the permitted time counts from here.
            killed_at[victim.name] = time.time()
            victim.join()
            # A worker that ended before it was killed has failed by itself.
            if victim.exitcode != -SIGKILL:
                violations.append(f"worker {victim.name} had already ended with {victim.exitcode}")
            living.append(crew.start("worker", name, "--quiet", trial_s=trial_s))
        unsettled = settle(search, within_s=within_s)
        stop(search, StopReason.REQUESTED)
        crew.leave()
        violations += [
            *(f"trial {number} was still open {within_s:.0f} s after the last kill" for number in unsettled),
            *(f"worker {process.name} ended with {process.exitcode}" for process in living if process.exitcode != 0),
            *violations_of(search, crew.log()),
            *unexplained(search, crew.log(), killed_at, within_s=within_s),
            *(f"a worker printed: {line}" for line in crew.printed().splitlines() if "Traceback" in line or "Error" in line),
            *sqlite_violations(url),
        ]
        trials = trials_of(search)
        given_up = [trial for trial in trials if trial.state is TrialState.FAIL]
        return Figures(
            seed=seed,
            kills=kills,
            seconds=round(time.monotonic() - started, 1),
            trials=len(trials),
            complete=sum(trial.state is TrialState.COMPLETE for trial in trials),
            acknowledged=sum(entry.event == "done" for entry in crew.log()),
            given_up=len(given_up),
            retried=sum("failed_trial" in trial.system_attrs for trial in trials),
            longest_s=round(max(seconds_interrupted(given_up, crew.log(), killed_at).values(), default=0.0), 1),
            violations=violations,
        )


def violations_of(search: Search, log: Sequence[Entry]) -> list[str]:
    """Return the contradictions between the workers' logs, the database and the invariants of a study."""
    trials = trials_of(search)
    by_number = {trial.number: trial for trial in trials}
    violations = []
    if sorted(by_number) != list(range(len(trials))):
        violations.append(f"the {len(trials)} trials are not numbered from 0: {sorted(trial.number for trial in trials)}")
    for entry in log:
        trial = by_number.get(entry.trial)
        if trial is None or (entry.event == "done" and trial.state is not TrialState.COMPLETE):
            violations.append(f"lost: {entry} is stored as {trial and trial.state.name}")
        elif entry.event == "done" and tuple(trial.values) != entry.values:
            violations.append(f"altered: {entry} is stored as {trial.values}")
    for (event, number), times in Counter((entry.event, entry.trial) for entry in log).items():
        if times > 1:
            violations.append(f"trial {number} was {event} {times} times")
    for trial in trials:
        if not trial.state.is_finished():
            violations.append(f"trial {trial.number} is {trial.state.name}")
        elif trial.state is TrialState.COMPLETE and tuple(trial.values) != values_of(trial, search.config):
            violations.append(f"trial {trial.number} has {trial.values}, its circuit {values_of(trial, search.config)}")
        elif trial.state is TrialState.FAIL and trial.values is not None:
            violations.append(f"trial {trial.number} was given up, and has {trial.values}")
    for first, chain in chains(trials).items():
        accepted = [trial.number for trial in chain if trial.state is TrialState.COMPLETE]
        if len(accepted) > 1 or len(chain) > 1 + RETRIES:
            violations.append(f"trial {first} was run as {[trial.number for trial in chain]} and accepted as {accepted}")
    return violations


def unexplained(search: Search, log: Sequence[Entry], killed_at: Mapping[str, float], *, within_s: float) -> list[str]:
    """Return the outcomes of trials that the kills do not explain.

    Args:
        killed_at: Seconds since the epoch, by worker.
        within_s: Seconds that an interrupted trial may be open after its worker's death. Databases count whole seconds.
    """
    worker_of = worker_by_trial(log)
    acknowledged = {entry.trial for entry in log if entry.event == "done"}
    trials = trials_of(search)
    given_up = [trial for trial in trials if trial.state is TrialState.FAIL]
    return [
        *(
            f"trial {trial.number} was stored, but its worker got no acknowledgement"
            for trial in trials
            if trial.state is TrialState.COMPLETE
            and trial.number not in acknowledged
            and worker_of.get(trial.number) not in killed_at
        ),
        *(
            f"trial {trial.number} was given up, but worker {worker_of[trial.number]} was not killed"
            for trial in given_up
            if trial.number in worker_of and worker_of[trial.number] not in killed_at
        ),
        *(
            f"trial {number} was open for {seconds:.1f} s after its worker's death"
            for number, seconds in seconds_interrupted(given_up, log, killed_at).items()
            if seconds > within_s
        ),
    ]


def seconds_interrupted(
    trials: Iterable[FrozenTrial], log: Sequence[Entry], killed_at: Mapping[str, float]
) -> dict[int, float]:
    """Return the seconds that trials were open after their worker's death, or after their start if no log has a worker."""
    worker_of = worker_by_trial(log)
    seconds_by_trial = {}
    for trial in trials:
        assert trial.datetime_start is not None and trial.datetime_complete is not None
        since = killed_at.get(worker_of.get(trial.number, ""), trial.datetime_start.timestamp())
        seconds_by_trial[trial.number] = trial.datetime_complete.timestamp() - since
    return seconds_by_trial


def worker_by_trial(log: Sequence[Entry]) -> dict[int, str]:
    """Return the worker that has begun each trial."""
    return {entry.trial: entry.worker for entry in log if entry.event == "begun"}


def end(search: Search, crew: Crew) -> None:
    """Let all workers finish, and check that they end without an error and that their logs agree with the database."""
    # Retries of trials that the last fault interrupted may still be queued.
    settle(search, within_s=SOON_S)
    stop(search, StopReason.REQUESTED)
    codes = crew.leave()
    assert set(codes) <= {0, -9}, crew.printed()
    assert "Traceback" not in crew.printed()
    assert violations_of(search, crew.log()) == []


def given_up_and_retried(search: Search, number: int) -> bool:
    """Return whether a trial has failed and its retry has succeeded."""
    trial, *retries = chains(trials_of(search))[number]
    return trial.state is TrialState.FAIL and any(retry.state is TrialState.COMPLETE for retry in retries)


def chains(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """Return each trial with its retries, by the number of the first."""
    grouped: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        grouped.setdefault(trial.system_attrs.get("failed_trial", trial.number), []).append(trial)
    return grouped


def sqlite_violations(url: str) -> list[str]:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return []
    # A kill in the middle of a write must leave a file that SQLite can recover.
    with closing(sqlite3.connect(str(parsed.database), timeout=10)) as connection:
        answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    return [] if answers == ["ok"] else [f"PRAGMA integrity_check: {answers}"]


def settle(search: Search, *, within_s: float) -> list[int]:
    """Wait until the present trials are finished and no trial is queued, and return the numbers of the unfinished ones."""
    latest = max((trial.number for trial in trials_of(search)), default=-1)
    deadline = time.monotonic() + within_s
    while True:
        trials = trials_of(search)
        open_trials = [trial for trial in trials if not trial.state.is_finished()]
        # Workers keep beginning new trials; those do not count.
        unsettled = [trial.number for trial in open_trials if trial.number <= latest or trial.state is TrialState.WAITING]
        if not unsettled or time.monotonic() > deadline:
            return unsettled
        time.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.jepsen", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--storage", required=True, metavar="URL", help="an empty database")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--gap", type=float, default=1.0, metavar="SECONDS", help="mean time between two kills")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--grace", type=int, default=6, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="faqnas-jepsen-") as directory:
        figures: dict[str, Any] = asdict(
            jepsen(
                options.storage,
                Path(directory),
                kills=options.kills,
                gap_s=options.gap,
                workers=options.workers,
                grace_s=options.grace,
                seed=options.seed,
            )
        )
    print(json.dumps(figures, indent=2))
    return int(bool(figures["violations"]))


if __name__ == "__main__":
    sys.exit(main())
