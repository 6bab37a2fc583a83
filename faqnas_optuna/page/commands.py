"""Commands that reproduce a study, and the study file that they need."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from faqnas_optuna.config import SAMPLES, SearchConfig, StudyConfig
from faqnas_optuna.confirmation.plan import BASELINES, NO_BASELINES
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.records import QUEUED_BY, SOURCE
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.stopping import Resumption, StopReason

REPLAYED = (StopReason.GENERATIONS, StopReason.TRIALS, StopReason.STAGNATION)
"""Reasons of stops that a repetition reaches by itself, so that a resumption must follow them."""


def study_file(config: StudyConfig) -> str:
    """Return all settings of a study as a study file (TOML), defaults included: those of later versions may differ."""
    settings = config.model_dump(mode="json")
    sections = {name: values for name, values in settings.items() if isinstance(values, Mapping)}
    # TOML has single settings before the first section.
    lines = _assignments({name: value for name, value in settings.items() if name not in sections})
    for name, values in sections.items():
        lines += ["", f"[{name}]", *_assignments(values)]
    return "\n".join(lines) + "\n"


def _assignments(values: Mapping[str, Any]) -> list[str]:
    # Texts, numbers, truth values and lists of them are written alike in JSON and TOML, which has no null.
    return [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]


def _toml(value: Any) -> str:
    # Unlike JSON, TOML forbids the character DEL in texts, and halves of surrogate pairs.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")


def reproducing_commands(search: Search, rule: str, confirmation: Mapping[str, Any] | None) -> list[str]:
    """Return the commands that create the study, its confirmation and its report, or the call if it has samples in memory.

    Args:
        rule: Rule that selects the circuit of the report.
        confirmation: A `confirmation_document`; None without a confirmation.
    """
    name = search.name
    if search.config.dataset == SAMPLES:
        # The samples were in the memory of a program, which no command can read.
        function = "search" if search.description.race is None else "race"
        warm_start = search.description.warm_start
        source = f", start_from={warm_start.name!r}" if warm_start else ""
        return [f"{function}(x, y, config='{name}.toml', study='{name}'{source})  # Python"]
    if search.description.race is None:
        commands = _search_commands(search)
    else:
        commands = [f"race --config {name}.toml --study {name}{_race_options(search.description)}"]
    if confirmation:
        trials = ",".join(str(circuit["trial"]) for circuit in confirmation["circuits"])
        budget = f"--epochs {confirmation['epochs']} --repeats {confirmation['repeats']}"
        chosen = confirmation["baselines_chosen"]
        # Without the option, a confirmation has all baselines.
        baselines = "" if len(chosen) == len(BASELINES) else f" --baselines {','.join(chosen) or NO_BASELINES}"
        commands.append(f"confirm {name} --trials {trials} {budget}{baselines}")
    return [f"faqnas-optuna {command}" for command in (*commands, f"report {name} --pick {rule} --out report.html")]


def _search_commands(search: Search) -> list[str]:
    """Return the commands of a search, whose limits may have been raised."""
    runs = limits_of_runs(search.config.search, search.metadata.resumptions())
    first = f"start --config {search.name}.toml --study {search.name}"
    warm_start = search.description.warm_start
    first += f" --from {shlex.quote(warm_start.name)}" if warm_start else ""
    # The study file has the last limits.
    first += _limit_options(runs[0]) if len(runs) > 1 else ""
    return [first, *(f"resume {search.name}{_limit_options(limits)}" for limits in runs[1:])]


def _limit_options(limits: SearchConfig) -> str:
    return f" --generations {limits.generations}" + (f" --trials {limits.trials}" if limits.trials else "")


def limits_of_runs(last: SearchConfig, resumptions: list[Resumption]) -> list[SearchConfig]:
    """Return the limits of the first command and of each resumption.

    Args:
        last: Present limits.
        resumptions: Resumptions, sorted by time.
    """
    runs = [last]
    # Backwards, since each resumption replaced the limit before it.
    for resumption in reversed(resumptions):
        # A repetition runs through stops by a user and by a signal.
        if resumption.stop and resumption.stop.reason in REPLAYED:
            generations = resumption.generation if resumption.stop.reason is StopReason.GENERATIONS else None
            trials = resumption.successful if resumption.stop.reason is StopReason.TRIALS else None
            runs.insert(0, runs[0].with_limits(generations=generations, trials=trials))
    return runs


def _race_options(description: Description) -> str:
    race = description.race
    assert race is not None
    # The budget is stored as a number of trainings, also if it was given in seconds.
    options = f" --trainings {race.budget}"
    if race.within is not None:
        options += f" --within {race.within:g}"
    if race.sample is not None:
        options += f" --sample {race.sample}"
    if race.among is not None:
        options += f" --among {race.among}"
    return options + " --resplit" * race.resplit


def reproduction_note(search: Search) -> str:
    """Return what the commands need, and how far the results agree."""
    needs = f"These commands need the study file {search.name}.toml, which is among the downloads"
    if files := search.description.files:
        # Paths of this machine mean nothing on another.
        needs += f", and {' and '.join(Path(path).name for path in files.to_json().values() if path)} in the same directory"
    if warm_start := search.description.warm_start:
        needs += f", and {warm_start}"
    if search.description.race is not None:
        return f"{needs}. The result does not depend on the number of workers."
    complete = search.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if queued := sum(QUEUED_BY in trial.user_attrs.get(SOURCE, {}) for trial in complete):
        needs += f". They do not queue the circuits that a program added with Study.enqueue ({queued:,})"
    return (
        f"{needs}. One worker, or any number with --synchronous, suggests the same circuits again; several workers may suggest"
        " others, but each circuit gets the same values. Other versions may change the last digits."
    )
