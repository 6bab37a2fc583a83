import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import optuna
import pytest

from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import StudyMismatchError
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.metadata import StudyMetadata, confirmed_searches, our_studies
from faqnas_optuna.study.search import Search, load
from faqnas_optuna.study.stopping import ClosedGeneration, Resumption, Stop, StopReason
from tests.conftest import small_config

STOPPED = Stop(reason=StopReason.STAGNATION, at="2026-01-01T00:00:00+00:00", by="me@here:1")


@pytest.fixture
def metadata(storage_url: str) -> StudyMetadata:
    """Return the metadata of a study without a description."""
    storage = open_storage(storage_url, create=True)
    return StudyMetadata(optuna.create_study(storage=storage, study_name="s", directions=["minimize", "minimize"]))


def description() -> Description:
    return Description(
        config=small_config(seed=7),
        data_fingerprint="abc",
        sizes={"train": 3, "validation": 2, "test": 1},
        flops_range=(10, 1000),
        created="2026-01-01T00:00:00.000001+00:00",
        versions={"faqnas-optuna": "0.1.0", "optuna": "5.0.0"},
    )


def test_a_blank_ledger_has_nothing(metadata: StudyMetadata) -> None:
    assert metadata.is_blank()
    assert (metadata.description(), metadata.created_and_stop(), metadata.stop()) == (None, (None, None), None)
    assert not (metadata.closed_generations() or metadata.resumptions() or metadata.worker_versions())
    assert metadata.plotted_extent() == 0


def test_a_description_is_read_as_it_was_written(metadata: StudyMetadata) -> None:
    metadata.describe(description())
    assert metadata.description() == description()
    assert metadata.created_and_stop() == (description().created, None)
    assert not metadata.is_blank()


def test_a_new_limit_changes_nothing_else(metadata: StudyMetadata) -> None:
    metadata.describe(description())
    changed = metadata.change_limits(description().config.search.with_limits(generations=99, trials=None))
    assert metadata.description() == changed
    assert changed.config.search.generations == 99
    restored = changed.config.search.model_copy(update={"generations": description().config.search.generations})
    assert replace(changed, config=changed.config.model_copy(update={"search": restored})) == description()


def test_generations_are_read_by_number(metadata: StudyMetadata) -> None:
    written = [
        ClosedGeneration(generation=n, trials=4, front=n + 1, hypervolume=n / 20, linear_hypervolume=n / 10) for n in range(12)
    ]
    for closed in reversed(written):
        metadata.close(closed, at=f"2026-01-01T00:00:{closed.generation:02}+00:00")
    assert metadata.closed_generations() == written
    assert metadata.timed_generations() == [(closed, f"2026-01-01T00:00:{closed.generation:02}+00:00") for closed in written]


def test_a_resumption_takes_the_stop_away_and_keeps_it(metadata: StudyMetadata) -> None:
    metadata.write_stop(STOPPED)
    assert metadata.stop() == STOPPED
    first = Resumption(generation=2, trial=8, limit=6, at="2026-01-02T00:00:00+00:00", by="me@here:2", stop=STOPPED)
    metadata.resume(first)
    assert metadata.stop() is None
    second = replace(first, limit=9, stop=None)
    metadata.resume(second)
    assert metadata.resumptions() == [first, second]


def test_the_same_versions_are_noted_once(metadata: StudyMetadata) -> None:
    for torch in ("2.10.0", "2.13.0", "2.10.0"):
        metadata.record_versions({"torch": torch})
    assert sorted(noted["torch"] for noted in metadata.worker_versions()) == ["2.10.0", "2.13.0"]


def test_the_objectives_have_names(new_search: Callable[..., Search]) -> None:
    assert new_search().study.metric_names == ["quantum FLOPs", "validation error"]


def test_settings_of_another_version_name_it() -> None:
    entry = description().to_json()
    entry = entry | {"config": entry["config"] | {"annealing": 3}, "versions": {"faqnas-optuna": "7.0"}}
    with pytest.raises(
        StudyMismatchError, match=r"study 's': unknown setting 'annealing'.*; it was made by faqnas-optuna 7\.0"
    ):
        Description.from_json(entry, study="s")


def test_a_study_of_before_the_range_of_flops_was_kept_is_refused_in_one_line() -> None:
    entry = description().to_json()
    del entry["flops_range"]
    with pytest.raises(StudyMismatchError) as refused:
        Description.from_json(entry | {"reference_point": [1.5, 1.0]}, study="s")
    assert str(refused.value) == (
        "study 's' was made by an earlier faqnas-optuna, 0.1.0, which defined hypervolumes differently:"
        " read it with that version, or start another study with --study"
    )


def test_studies_of_a_storage_are_those_that_are_described(new_search: Callable[..., Search], storage_url: str) -> None:
    for name in ("b", "a", "c"):
        new_search(name=name)
    storage = open_storage(storage_url)
    optuna.create_study(storage=storage, study_name="foreign")
    StudyMetadata(optuna.load_study(storage=storage, study_name="a")).write_stop(STOPPED)
    assert list(our_studies(storage).items()) == [("a", True), ("b", False), ("c", False)]


def test_confirmations_name_their_search(confirmed: Confirmation, storage_url: str) -> None:
    storage = open_storage(storage_url)
    optuna.create_study(storage=storage, study_name="foreign")
    for name, text in (("damaged", "{"), ("odd", '{"confirms": 3}')):
        study = optuna.create_study(storage=storage, study_name=name)
        study.set_user_attr("faqnas", 1)
        with closing(sqlite3.connect(storage_url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("UPDATE study_user_attributes SET value_json = ? WHERE study_id = ?", (text, study._study_id))
    search = load(storage, "iris")
    assert confirmed_searches(storage) == {"iris.confirm": ("iris", search.description.created)}


STUDY_ATTRIBUTES = ("user_attrs", "set_user_attr", "metric_names", "set_metric_names")


def test_only_one_module_reads_and_writes_the_attributes_of_studies(
    cli_here: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run commands that create, show, stop, resume, confirm and attach to a study, and record the calling modules."""
    callers = set()

    def watched(original: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **settings: Any) -> Any:
            callers.add(sys._getframe(1).f_globals["__name__"])
            return original(*arguments, **settings)

        return call

    for name in STUDY_ATTRIBUTES:
        attribute = vars(optuna.Study)[name]
        monkeypatch.setattr(
            optuna.Study, name, property(watched(attribute.fget)) if isinstance(attribute, property) else watched(attribute)
        )
    small = ("--population", "3", "--generations", "1", "--epochs", "1")
    for command in (
        ("start", "iris", *small),
        ("status", "iris"),
        ("pareto", "iris"),
        ("show", "iris", "0"),
        ("stop", "iris"),
        ("resume", "iris", "--generations", "2"),
        ("worker", "iris"),
        ("confirm", "iris", "--top", "1", "--repeats", "2", "--epochs", "1"),
        ("status",),
    ):
        code, _, err = cli_here(*command)
        assert code == 0, err
    assert {name for name in callers if not name.startswith("optuna.")} == {"faqnas_optuna.study.metadata"}
