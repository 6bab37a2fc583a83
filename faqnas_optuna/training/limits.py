"""Circuits within the limits of a study, the only ones that are trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from faqnas_optuna.circuits.genome import Circuit, Genome
from faqnas_optuna.config import StudyConfig
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import GenomeError
from faqnas_optuna.training.values import Costs

LIMITED: Mapping[str, Callable[[Costs, StudyConfig], float]] = {
    "max_flops": Costs.quantum_flops,
    "max_parameters": lambda costs, _: costs.parameters,
    "max_cost": Costs.objective,
}
"""Function that returns the limited value, by the name of the limit."""


def is_within(costs: Costs, config: StudyConfig) -> bool:
    """Return whether the costs of a circuit are within all limits of a study."""
    return all(LIMITED[name](costs, config) <= limit for name, limit in config.limits.by_name.items())


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a study on circuits, which depend on the circuit and on the dimensions of the data alone."""

    config: StudyConfig
    n_features: int
    n_classes: int
    _verdicts: dict[Circuit, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, config: StudyConfig, splits: DataSplits) -> "Limits":
        """Return the limits of a study with these data."""
        return cls(config=config, n_features=splits.n_features, n_classes=splits.n_classes)

    def allow(self, circuit: Circuit) -> bool:
        """Return whether the circuit is within all limits."""
        if not self.config.limits.by_name:
            return True
        # A sampler may suggest a circuit very often, and its cost on a device takes milliseconds.
        if circuit not in self._verdicts:
            self._verdicts[circuit] = is_within(self.costs(circuit), self.config)
        return self._verdicts[circuit]

    def genome_of(self, circuit: Circuit) -> Genome:
        """Return the genome of the space that describes a circuit.

        Raises:
            GenomeError: The circuit is outside the space, or beyond a limit.
        """
        genome = self.config.space.genome_of(circuit)
        if not self.allow(circuit):
            raise GenomeError(f"circuit {circuit} is beyond the limits of the study, {self.config.limits}")
        return genome

    def costs(self, circuit: Circuit) -> Costs:
        """Return the costs of a circuit."""
        return Costs.of(circuit, n_features=self.n_features, n_classes=self.n_classes, device=self.config.device)
