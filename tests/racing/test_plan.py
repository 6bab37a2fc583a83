"""The circuits of a race are those within the limits, each effective circuit at its lowest cost."""

from typing import Any

import numpy as np
import pytest

from faqnas_optuna.circuits.functions import function_of
from faqnas_optuna.circuits.genome import Circuit, enumerate_genomes
from faqnas_optuna.config import CountedGates, StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.racing.plan import RacePlan, genomes_of, sample_genomes
from faqnas_optuna.space_config import LimitsConfig, SpaceConfig
from faqnas_optuna.training.limits import Limits, is_within
from faqnas_optuna.training.values import Costs
from tests.support.studies import FEW


def config_of(*, space: SpaceConfig = FEW, gates: CountedGates = CountedGates.ALL, **limits: Any) -> StudyConfig:
    return StudyConfig(dataset="iris", space=space, gates=gates, limits=LimitsConfig(**limits))


@pytest.mark.parametrize("gates", CountedGates)
@pytest.mark.parametrize("limits", [{}, {"max_flops": 150}, {"max_parameters": 25}, {"max_cost": 100.0, "max_parameters": 33}])
def test_a_race_has_exactly_the_circuits_within_the_limits(
    iris: DataSplits, gates: CountedGates, limits: dict[str, Any]
) -> None:
    config = config_of(gates=gates, **limits)
    plan = RacePlan.of(config, iris, genomes_of(config.space))
    lowest: dict[Circuit, float] = {}
    # All genomes, not only those that the plan considers.
    for genome in enumerate_genomes(config.space.genes):
        costs = Costs.of(genome.circuit, n_features=4, n_classes=3)
        if is_within(costs, config):
            function = function_of(genome.circuit)
            lowest[function] = min(costs.objective(config), lowest.get(function, np.inf))
    assert {function_of(entry.effective): entry.cost for entry in plan.entries} == lowest
    assert len(plan.entries) == len(lowest)
    assert all(is_within(entry.costs, config) for entry in plan.entries)


@pytest.mark.slow
def test_a_sample_is_drawn_among_the_circuits_within_the_limits(iris: DataSplits) -> None:
    config = config_of(space=SpaceConfig(), max_flops=100)
    limits = Limits.of(config, iris)
    genomes = sample_genomes(limits, 20, np.random.default_rng(0))
    assert len({function_of(genome.circuit) for genome in genomes}) == 20
    assert all(limits.allow(genome.circuit) for genome in genomes)
    assert len(RacePlan.of(config, iris, genomes).entries) == 20
    few = Limits.of(config_of(max_flops=32), iris)
    with pytest.raises(ConfigError, match="--sample 2 is too close to the number of circuits to draw from; lower it"):
        sample_genomes(few, 2, np.random.default_rng(0))


def test_a_race_without_circuits_is_refused(iris: DataSplits) -> None:
    config = config_of(max_flops=31, max_parameters=90)
    with pytest.raises(ConfigError, match="none of the circuits is within the limits, max_flops, max_parameters; raise them"):
        RacePlan.of(config, iris, genomes_of(config.space))
