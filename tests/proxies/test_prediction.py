import numpy as np
import pytest

from faqnas_optuna.circuits.effective import EffectiveGates
from studies.proxies.prediction import Base, gains, gene_features
from studies.proxies.sampling import trained_circuits


@pytest.mark.slow
def test_only_what_the_genes_lack_is_gained() -> None:
    circuits = trained_circuits()[::10]
    generator = np.random.default_rng(0)
    flops = np.array([circuit.n_qubits for circuit in circuits]) + generator.normal(size=len(circuits))
    hidden = generator.normal(size=len(circuits))
    layers = np.array([EffectiveGates(circuit=circuit).mixing_depth for circuit in circuits], float)

    features = gene_features(circuits, flops)

    # What the proxy has and the genes do not: its gain is large with either base.
    results = gains(features, {"proxy": hidden}, flops + hidden, train=200, repeats=4)
    assert all(result.gain.low > 0.05 for result in results.values())

    # What the gates have: the proxy replaces it only where the base knows the costs alone.
    results = gains(features, {"proxy": layers}, flops / 4 + layers + 0.1 * hidden, train=200, repeats=4)
    assert results[Base.COSTS].gain.low > 0.01 and abs(results[Base.GATES].gain.value) < 0.005
    assert results[Base.GATES].without > 0.98

    # A proxy without information.
    results = gains(features, {"proxy": hidden}, flops, train=200, repeats=4)
    assert all(-0.01 < result.gain.value < 0.005 for result in results.values())
