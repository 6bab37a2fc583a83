"""Selection of the finalists judged under noise, and of their trainings."""

import pytest

from faqnas_optuna.confirmation.plan import ConfirmationBudget
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.noise import finalists as noisy
from faqnas_optuna.noise.finalists import check_noise, finalists_among, seeds_of
from faqnas_optuna.noise.model import DeviceNoise, noise_of
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from tests.conftest import confirm
from tests.support.candidates import candidate, genome_of
from tests.support.devices import LINE


def test_finalists_are_those_of_the_trials_the_cheapest_first(confirmed: Confirmation) -> None:
    finalists = finalists_among(confirmed, [0, 4, 7])
    assert [finalist.trial for finalist in finalists] == [4, 0]
    assert finalists[0].cost < finalists[1].cost
    assert seeds_of(confirmed, finalists[0]) == [0, 1, 2]


def test_who_was_not_trained_is_not_judged(search_of_eight: Search, storage_url: str) -> None:
    front = read_state(search_of_eight).front
    waiting = confirm(search_of_eight, storage_url, front, ConfirmationBudget(epochs=2, repeats=3))
    assert finalists_among(waiting, [entry.trial for entry in front]) == []


def test_what_cannot_be_simulated_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (candidate(trial, genome_of(n, "CZ", "RX", "RX"), flops=100, error=0.1) for trial, n in ((3, 4), (7, 5)))
    check_noise([small], DeviceNoise(device=LINE))
    with pytest.raises(
        ConfigError, match="trial 7 has 5 qubits, but line has 4; choose other trials with --trials or --top, or an"
    ):
        check_noise([small, large], DeviceNoise(device=LINE))
    monkeypatch.setattr(noisy, "MAX_QUBITS", 4)
    check_noise([small], noise_of("heron-r3"))
    with pytest.raises(ConfigError, match="trial 7 needs 5 qubits of depolarizing:0.1, .* at most 4 can be simulated; choose"):
        check_noise([small, large], noise_of("depolarizing:0.1"))
