"""A study whose front is selected by the pooled results of all trainings, from the command line."""

import json
from collections.abc import Callable

import pytest

Cli = Callable[..., tuple[int, str, str]]
SMALL = ("--population", "8", "--generations", "2", "--epochs", "2", "--front", "pooled")


@pytest.mark.slow
def test_a_pooled_front_is_shown_picked_and_confirmed(cli_here: Cli) -> None:
    code, out, err = cli_here("start", "iris", *SMALL)
    assert code == 0, err
    header, *rows = out.splitlines()
    assert header.split()[:3] == ["trial", "pooled", "accuracy"]
    front = json.loads(cli_here("pareto", "iris", "--json")[1])["front"]
    accuracies = {row.split()[0]: row.split()[1] for row in rows if row[:1].isdigit()}
    assert accuracies == {str(entry["trial"]): f"{1 - entry['val_error']:.3f}" for entry in front}
    # Pooled errors decrease along the front; errors of single trainings need not.
    errors = [entry["val_error"] for entry in front]
    assert errors == sorted(errors, reverse=True)
    code, out, err = cli_here("confirm", "iris", "--top", "1", "--repeats", "2", "--epochs", "2", "--json")
    assert code == 0, err
    (confirmed,) = json.loads(out)["circuits"]
    assert confirmed["val_accuracy"] == pytest.approx(1 - errors[-1])
    assert "Pooled & Accuracy" in cli_here("pareto", "iris", "--latex", "-")[1]
    code, _, err = cli_here("start", "iris", *SMALL[:-1], "trained")
    assert code == 3 and "search.front: stored pooled, requested trained" in err
