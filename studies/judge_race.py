"""Judge the front of a race by fresh trainings of its circuits and of the most promising others.

    python -m studies.judge_race wine.20000 --rivals wine.race

prints the hypervolume of the front, as a share of that of the best front of all judged circuits.
"""

from functools import partial
from typing import Any

import click
import numpy as np

from faqnas_optuna import Genome, Study
from faqnas_optuna.__main__ import main
from faqnas_optuna.circuits.effective import effective_circuit
from faqnas_optuna.data.named import load
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.study.cost_range import cost_range
from faqnas_optuna.study.pareto import log_hypervolume
from faqnas_optuna.training.bulk import load_bulk, train_repeats
from faqnas_optuna.training.evaluation import prepare
from faqnas_optuna.workers.pool import shared_out

FRESH = 1_000_000
"""First repeat of the fresh trainings, far beyond those of any race."""
RIVALS = 200
"""Number of circuits beside those of the front."""

Trial = Any
"""Trial of a race, an `optuna.trial.FrozenTrial`."""


def rivals_of(trials: list[Trial]) -> list[Trial]:
    """Return the circuits whose mean scores are closest to the best mean of a circuit that costs no more."""
    scores = np.array([1 - trial.values[1] for trial in trials])
    trainings = np.array([trial.user_attrs["trainings"] for trial in trials])
    # Means of few trainings are lucky, so only the circuits that were trained most often set the standard.
    best = np.maximum.accumulate(np.where(trainings >= np.percentile(trainings, 90), scores, 0))
    return [trials[place] for place in np.argsort(best - scores - 1e-6 * trainings, kind="stable")[:RIVALS]]


def judge(shared: tuple[DataSplits, Any, int], trial: Trial) -> tuple[str, float]:
    """Return the effective circuit of a trial and its mean score over fresh trainings, in a worker process."""
    splits, config, trainings = shared
    circuit = effective_circuit(Genome.from_params(trial.params).circuit)
    scores = train_repeats(circuit, splits, config, range(FRESH, FRESH + trainings))
    return trial.user_attrs["effective"], float(scores.mean())


@click.command()
@click.argument("study")
@click.option("--rivals", help="Race whose most promising circuits are judged, too.  [default: STUDY]")
@click.option("--trainings", type=click.IntRange(min=2), default=300, show_default=True, help="Fresh trainings per circuit.")
@click.option("--storage", default="sqlite:///faqnas.db", show_default=True, help="URL of the database.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Number of processes.")
def command(study: str, rivals: str | None, trainings: int, storage: str, workers: int) -> None:
    """Judge the front of STUDY, a race on a named data set."""
    race = Study.load(study, storage=storage)
    config = race.config
    splits = load(config.dataset, seed=config.split_seed)
    # Compiled here, once, where forked workers inherit the kernels.
    prepare(config.engines)
    load_bulk(config)
    # A race with more trainings knows better which circuits could be on the front.
    own = race.optuna.get_trials()
    others = Study.load(rivals, storage=storage).optuna.get_trials() if rivals else own
    front = [trial for trial in own if trial.user_attrs["on_front"]]
    # Circuits of the front that are also rivals are judged once.
    judged = {trial.user_attrs["effective"]: trial for trial in (*front, *rivals_of(others))}
    work = partial(shared_out, judge, (splits, config, trainings), processes=workers)
    scores = dict(work(judged.values()))

    # By fresh scores, since the scores of the race selected its front.
    def hypervolume(trials: list[Trial]) -> float:
        points = np.array([(trial.values[0], 1 - scores[trial.user_attrs["effective"]]) for trial in trials])
        return log_hypervolume(points, cost_range(config))

    # Circuits that are dominated by fresh scores add nothing to a hypervolume.
    share = hypervolume(front) / hypervolume(list(judged.values()))
    click.echo(f"{study}: {share:.4f} of the best, {len(front)} circuits on the front, {len(judged)} judged")


def load_command() -> click.Command:
    """Import this module by its name, under which worker processes find its functions."""
    from studies.judge_race import command

    return command


if __name__ == "__main__":
    main(load_command, "python -m studies.judge_race")
