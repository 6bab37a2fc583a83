"""Fronts of several studies in one table and on one plot."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faqnas_optuna import Study, plot_fronts
from faqnas_optuna.config import FlopsCounter, Objectives
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError, StudyMismatchError
from faqnas_optuna.reporting.study_groups import group_studies, groups_blocks, groups_document, searcher_of
from faqnas_optuna.study.pareto import log_hypervolume
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import SearchState, read_state
from tests.conftest import cheap_values, run_trials, small_config

NewSearch = Callable[..., Search]
CliHere = Callable[..., tuple[int, str, str]]


def searched(new_search: NewSearch, name: str, **settings: object) -> SearchState:
    """Return a search of ten trials without trainings."""
    search = new_search(small_config(**settings), name)
    run_trials(search, 10, cheap_values)
    return read_state(search)


def test_studies_that_differ_in_seeds_only_are_one_group(new_search: NewSearch) -> None:
    states = [searched(new_search, f"s{seed}", seed=seed) for seed in range(3)]
    states.append(
        searched(new_search, "error", search=small_config().search.model_copy(update={"objectives": Objectives.ERROR}))
    )
    groups = group_studies(states)
    assert [(group.name, len(group.states)) for group in groups] == [("nsga2", 3), ("nsga2-error", 1)]
    assert [group.name for group in group_studies(states, "study")] == ["s0", "s1", "s2", "error"]
    assert [group.name for group in group_studies(states, "seed")] == ["seed 0", "seed 1", "seed 2"]
    assert [group.name for group in group_studies(states[:3])] == ["all studies"]
    limited = searched(new_search, "limited", limits={"max_flops": 500})
    assert [group.name for group in group_studies([states[0], limited])] == ["no max_flops", "max_flops 500"]
    assert searcher_of(states[3].study.description) == "nsga2-error"
    text = str(groups_blocks(groups))
    assert "optimistic bias of these errors differs between algorithms" in text
    assert "optimistic bias" not in str(groups_blocks(group_studies(states[:3])))


def test_the_document_has_surfaces_and_hypervolumes(new_search: NewSearch) -> None:
    states = [searched(new_search, f"s{seed}", seed=seed) for seed in range(2)]
    (entry,) = groups_document(group_studies(states))["groups"]
    assert entry["studies"] == ["s0", "s1"]
    fronts = [np.array([(candidate.cost, candidate.val_error) for candidate in state.front]) for state in states]
    ends = states[0].study.description.flops_range
    assert entry["hypervolumes"] == [pytest.approx(log_hypervolume(front, ends)) for front in fronts]
    # Of two fronts, half is one of them: the surface is that of the joint front.
    joint = np.array(entry["attainment"]["0.5"])
    assert log_hypervolume(joint, ends) == pytest.approx(log_hypervolume(np.concatenate(fronts), ends))


def test_what_has_no_common_axes_is_refused(new_search: NewSearch) -> None:
    first = searched(new_search, "first")
    with pytest.raises(StudyMismatchError, match="one plot needs one cost and one score, but these studies have"):
        group_studies([first, searched(new_search, "second", flops=FlopsCounter.ANALYTIC)])
    with pytest.raises(NoSuccessfulTrialError):
        group_studies([first, read_state(new_search(small_config(), "empty"))])
    with pytest.raises(ConfigError, match="--group-by 'sead' is not a setting of these studies: did you mean 'seed'"):
        group_studies([first], "sead")


def test_studies_are_plotted_from_python(new_search: NewSearch, storage_url: str, tmp_path: Path) -> None:
    for seed in range(2):
        searched(new_search, f"s{seed}", seed=seed)
    studies = [Study.load(f"s{seed}", storage=storage_url) for seed in range(2)]
    for name in ("fronts.svg", "again.svg", "fronts.html"):
        plot_fronts(studies, tmp_path / name)
    svg = (tmp_path / "fronts.svg").read_text()
    assert "all studies" in svg and "lines: attained by half of the fronts; bands: by 25 % to 75 %" in svg
    assert (tmp_path / "again.svg").read_text() == svg
    plot_fronts(studies, tmp_path / "each.svg", group_by="study", size="slide")
    assert "fronts of 2 studies" in (tmp_path / "each.svg").read_text()
    with pytest.raises(ConfigError, match="at least one study"):
        plot_fronts([], tmp_path / "none.svg")
    with pytest.raises(ConfigError, match="size must be one of column, page, slide; it is 'poster'"):
        plot_fronts(studies, tmp_path / "poster.svg", size="poster")


def test_the_command_compares_fronts(cli_here: CliHere, new_search: NewSearch, tmp_path: Path) -> None:
    for seed in range(2):
        searched(new_search, f"s{seed}", seed=seed)
    code, out, err = cli_here("pareto", "s0", "s1", "s0", "--plot", "fronts.png")
    assert code == 0 and "all studies" in out and "s0 s1\n" in out and err == "wrote fronts.png\n"
    assert (tmp_path / "fronts.png").stat().st_size > 10_000
    document = json.loads(cli_here("pareto", "--study", "s0", "s1", "--json", "--group-by", "study")[1])
    assert [group["studies"] for group in document["groups"]] == [["s0"], ["s1"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s0", "s1", "--pick", "best"), "--pick is for the front of one study, and 2 are named"),
        (("s0", "s1", "--csv", "x.csv"), "--csv is for the front of one study, and 2 are named"),
        (("s0", "s1", "--size", "page"), "--size page is the size of a plot; add --plot"),
        (("s0", "--group-by", "study"), "--group-by study groups several studies, and one is named"),
    ],
)
def test_options_for_one_study_are_refused(cli_here: CliHere, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = cli_here("pareto", *arguments)
    assert code == 2 and message in err
