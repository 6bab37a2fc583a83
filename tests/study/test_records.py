import pytest
from scipy import stats

from faqnas_optuna.config import Score
from faqnas_optuna.study.records import TrialRecord, attribute_types
from tests.support.candidates import candidate, genome_of

GENOME = genome_of(2, "CNOT", "RY")


@pytest.mark.parametrize("repeats", [2, 5, 30])
def test_the_interval_of_a_mean_error_is_students(repeats: int) -> None:
    one = candidate(0, GENOME, flops=60, error=0.4, deviation=0.02)
    expected = stats.t.interval(0.95, repeats - 1, loc=0.4, scale=0.02 / repeats**0.5)
    assert one.val_error_interval(Score.ACCURACY, repeats) == pytest.approx(expected, rel=1e-9)


def test_an_error_is_a_share() -> None:
    assert candidate(0, GENOME, flops=60, error=0.02, deviation=0.05).val_error_interval(Score.ACCURACY, 2) == pytest.approx(
        (0, 0.4692), abs=1e-4
    )
    assert candidate(0, GENOME, flops=60, error=0.5, deviation=0.5).val_error_interval(Score.ACCURACY, 2) == (0, 1)


def test_a_single_training_has_no_interval() -> None:
    assert candidate(0, GENOME, flops=60, error=0.4).val_error_interval(Score.ACCURACY, 1) is None


def test_a_record_is_stored_flat_and_read_back() -> None:
    record = candidate(0, GENOME, flops=60, error=0.4, deviation=0.02).record
    attributes = record.to_attributes()
    assert TrialRecord.from_attributes(attributes) == record
    assert attributes["parameters"] == record.costs.parameters
    assert attributes["val_accuracy"] == record.scores.val_accuracy
    # Attributes are not nested, and None is omitted.
    assert {type(value) for value in attributes.values()} == {str, int, float}
    assert attributes.keys() < attribute_types(TrialRecord).keys()
