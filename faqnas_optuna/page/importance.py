"""Importance of each gene for the objectives of a search, by functional analysis of variance (fANOVA)."""

from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from faqnas_optuna.study.search import Search

TREES = 64
"""Number of trees, Optuna's default."""
FEWER_TREES = 16
"""Number of trees for many trials, with which each objective takes ten seconds instead of forty."""
MANY_TRIALS = 2_000
SEED = 0
"""Random seed of the trees: equal trials give equal importances."""


@dataclass(frozen=True, kw_only=True)
class Importances:
    """Share of the variance of each objective that a gene explains, by gene."""

    trials: int
    """Number of trials."""
    trees: int
    """Number of trees of each random forest."""
    cost: dict[str, float]
    """Shares for the cost; empty if all trials have the same cost."""
    error: dict[str, float]
    """Shares for the validation error; empty if all trials have the same error."""

    @property
    def genes(self) -> list[str]:
        """Genes, the most important for the error first."""
        return sorted(self.cost | self.error, key=lambda gene: (-self.error.get(gene, 0), -self.cost.get(gene, 0), gene))


def gene_importances(search: Search) -> Importances | None:
    """Return the importances over all successful trials; None if neither objective varies."""
    # Circuits that several trials suggested count several times, as in optuna-dashboard.
    complete = search.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trials = [trial for trial in complete if search.has_result(trial)]
    study = search.study if len(trials) == len(complete) else _without_foreign(trials)
    trees = TREES if len(trials) < MANY_TRIALS else FEWER_TREES
    cost, error = (_shares(study, trials, objective, trees) for objective in range(2))
    if not cost and not error:
        return None
    return Importances(trials=len(trials), trees=trees, cost=cost, error=error)


def _without_foreign(trials: list[FrozenTrial]) -> optuna.Study:
    """Return a study in memory without the trials that other programs have added, which may lack genes."""
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.add_trials(trials)
    return study


def _shares(study: optuna.Study, trials: list[FrozenTrial], objective: int, trees: int) -> dict[str, float]:
    """Return the share of the variance of an objective that each gene explains."""
    # There is no variance to explain, which Optuna would report as an error.
    if len({trial.values[objective] for trial in trials}) < 2:
        return {}

    def target(trial: FrozenTrial) -> float:
        return float(trial.values[objective])

    # Imports scikit-learn, which the refusal of a report does not need.
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    evaluator = FanovaImportanceEvaluator(n_trees=trees, seed=SEED)
    shares: dict[str, Any] = get_param_importances(study, evaluator=evaluator, target=target)
    return {gene: float(share) for gene, share in shares.items()}
