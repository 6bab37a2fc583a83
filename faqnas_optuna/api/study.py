"""A search from Python, and what is to be done with what it has found."""

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import optuna

from faqnas_optuna.api.running import Data, loaded, run_here, searched, using
from faqnas_optuna.api.samples import splits_of
from faqnas_optuna.config import SAMPLES, DataConfig, SearchConfig, StudyConfig, TrainingConfig
from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.confirmation.analysis import confirmation_document, confirmed_errors
from faqnas_optuna.confirmation.frame import confirmed_frame
from faqnas_optuna.confirmation.opening import confirmation_of, confirming, find, is_no_search, open_study, search_of
from faqnas_optuna.confirmation.plan import ConfirmationBudget, candidates_of, chosen_finalists, name_for
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.data.loading import Files, check_known, load_splits, without_directories
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import ConfigError, StudyNotFoundError
from faqnas_optuna.models.export import export
from faqnas_optuna.models.folder import check_target
from faqnas_optuna.models.trained import TrainedModel
from faqnas_optuna.reporting.documents import check_successful
from faqnas_optuna.reporting.frames import front_frame, trials_frame
from faqnas_optuna.reporting.plotly_front import pareto_figure
from faqnas_optuna.storage.opening import open_storage
from faqnas_optuna.storage.urls import absolute
from faqnas_optuna.study.records import Candidate
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.state import SearchState, read_state
from faqnas_optuna.study.study import StoredStudy, default_name, load_data
from faqnas_optuna.study_file import override, without_auto_repeats

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

DEFAULT_STORAGE = "sqlite:///faqnas.db"
SETTINGS = {
    **{name: f"data.{name}" for name in DataConfig.model_fields},
    **{name: f"search.{name}" for name in SearchConfig.model_fields},
    **{name: f"training.{name}" for name in TrainingConfig.model_fields},
    **{name: name for name in StudyConfig.model_fields if name not in ("dataset", "data", "search", "training", "device")},
    "cost": "cost",
}
"""Where each setting belongs; no two sections have one of the same name."""


class Study:
    """A search that was made, here or by a command, as it is now: other workers may still be at it.

    A pickled study holds the URL of its database, password included, and finds the study there again.

    Args:
        search: the study.
        storage: the URL of its database.
        data: what it searches over; or the directory of its files, None if they are where they were.
    """

    def __init__(self, search: StoredStudy[Any], *, storage: str, data: Data | Path | None) -> None:
        self._search = search
        self._storage = storage
        self._data = data

    @classmethod
    def load(cls, name: str, *, storage: str = DEFAULT_STORAGE, data_dir: Path | str | None = None) -> Self:
        """One that exists.

        Args:
            storage: URL of its database.
            data_dir: where the files of `mnist` are; by default the user's cache directory.

        Raises:
            StudyNotFoundError: there is none of this name.
            StorageError: the database cannot be read.
        """
        with using(storage):
            search = open_study(open_storage(storage), name)
        return cls(search, storage=storage, data=path_of(data_dir))

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "created": self._search.description.created,
            "storage": absolute(self._storage),
            "data": self._data,
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Find the study again.

        Raises:
            StudyNotFoundError: it was deleted; there may be another of its name.
            StorageError: the database cannot be read.
        """
        with using(state["storage"]):
            search = open_study(open_storage(state["storage"]), state["name"])
        if search.description.created != state["created"]:
            told = f"study {search.name!r} was deleted since it was pickled, and another has its name; see which there are with"
            raise StudyNotFoundError(told, command="status")
        self._search = search
        self._storage = state["storage"]
        self._data = state["data"]

    @property
    def name(self) -> str:
        """By which every command knows it."""
        return self._search.name

    @property
    def config(self) -> StudyConfig:
        """Its settings."""
        return self._search.config

    @property
    def optuna(self) -> optuna.Study:
        """The same as Optuna has it."""
        return self._search.study

    @property
    def front(self) -> "DataFrame":
        """A row for each circuit that no other beats in both cost, as quantum FLOPs, and validation error.

        Raises:
            NoSuccessfulTrialError: there is none yet.
        """
        return front_frame(self._state())

    @property
    def trials(self) -> "DataFrame":
        """A row for each circuit that was trained, on the front or not.

        Raises:
            NoSuccessfulTrialError: there is none yet.
        """
        return trials_frame(self._state())

    def pick(self, rule: str = "knee") -> Candidate:
        """The circuit of the front that a rule takes: its `genome`, `quantum_flops` and `val_error`.

        Args:
            rule: `knee`, `best`, or `cheapest-within:X`.

        Raises:
            ConfigError: it is none of them.
            NoSuccessfulTrialError: there is no front yet.
        """
        picked, state = SelectionRule.parse(rule), self._state()
        check_successful(state)
        return picked.choose(state.front)

    def confirm(
        self,
        *,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        epochs: int | None = None,
        seeds: int | None = None,
        name: str | None = None,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Train circuits anew from new seeds, beside controls, and judge them on the test part, or go on with that.

        Args:
            top: so many of the front, those of the lowest validation error.
            pick: the one that a rule takes.
            trials: those of these trials. Without any of the three, all of the front.
            epochs: of each training; 50 unless it was begun with others.
            seeds: trainings of each network; 10 unless it was begun with others.
            name: what the confirmation, a study of its own, is called; by default as this one with `.confirm` behind it.
            progress: show a bar; None for where it moves.

        Returns:
            A row for each circuit confirmed so far, with what its controls have shown, and what it adds in a sentence.

        Raises:
            StudyMismatchError: it was begun with other epochs, or more seeds.
            ConfigError: the circuits are named in two ways, or a number is out of its range.
        """
        if sum(choice is not None for choice in (top, pick, trials)) > 1:
            raise ConfigError("top, pick and trials each choose circuits; leave all but one of them out")
        for what, count, highest in (("top", top, None), ("epochs", epochs, 100_000), ("seeds", seeds, 1_000)):
            if count is not None and (count < 1 or highest and count > highest):
                raise ConfigError(f"{what} must be 1 or more{f', up to {highest}' if highest else ''}; it is {count}")
        called, rule = name_for(self.name) if name is None else name, None if pick is None else SelectionRule.parse(pick)
        with using(self._storage):
            search = search_of(self._search, refusal=is_no_search)
            candidates = chosen_finalists(search, numbers=trials, top=top, pick=rule)
            confirmation = self._confirmed(
                search, called, candidates, ConfirmationBudget(epochs=epochs, seeds=seeds), progress=progress
            )
            return confirmed_frame(confirmation_document(confirmation))

    def export(
        self,
        folder: Path | str,
        *,
        pick: str | None = None,
        trial: int | None = None,
        qasm: int = 3,
        replace: bool = False,
    ) -> TrainedModel:
        """Write a circuit, trained again as it was, as a folder that `load_model` reads.

        Args:
            pick: the rule that takes it from the front; by default `best`.
            trial: that of this trial.
            qasm: version of OpenQASM, 2 or 3.
            replace: put it in the place of a model that is there.

        Returns:
            The trained network.

        Raises:
            OutputError: the folder is there, or cannot be written.
            StudyNotFoundError: there is no such trial.
            ConfigError: the circuit is named in two ways, or the version is none.
        """
        if pick is not None and trial is not None:
            raise ConfigError("pick and trial each choose a circuit; leave one of them out")
        if qasm not in (2, 3):
            raise ConfigError(f"qasm must be 2 or 3; it is {qasm}")
        with using(self._storage):
            search = search_of(self._search)
            candidate = self.pick(pick or "best") if trial is None else candidates_of(search, [trial])[0]
            check_target(Path(folder), replace=replace)
            model, _ = export(search, candidate, self._splits(), Path(folder), qasm=qasm, replace=replace)
        return model

    def plot(self) -> "Figure":
        """The front as an interactive figure, with what was confirmed beside what is believed.

        Raises:
            NoSuccessfulTrialError: there is none yet.
        """
        state = self._state()
        check_successful(state)
        with using(self._storage):
            return pareto_figure(state, confirmed_errors(confirmation_of(search_of(self._search))))

    def _confirmed(
        self,
        search: Search,
        name: str,
        candidates: Sequence[Candidate],
        budget: ConfirmationBudget,
        *,
        progress: bool | None,
    ) -> Confirmation:
        found = find(search.study._storage, name, search)
        if found:
            found.check_versions()
            found.check_budget(budget)
            if found.is_done(candidates, budget):
                return found
        splits = self._splits()
        confirmation = confirming(self._storage, name, search, candidates, splits, budget)
        run_here(confirmation, splits, progress=progress)
        return confirmation

    def _splits(self) -> DataSplits:
        if self._data is None or isinstance(self._data, Path):
            return load_data(self._search, self._data)
        return loaded(self._data)

    def _state(self) -> SearchState:
        with using(self._storage), self._search.existing():
            return read_state(search_of(self._search))

    def __repr__(self) -> str:
        with using(self._storage), self._search.existing():
            trials = read_state(self._search).successful
        progress = "finished" if self._search.metadata.stop() else "not finished"
        return f"<Study {self.name!r} over {self.config.dataset}: {trials} trials, {progress}>"


def search(
    data: Any,
    y: Any = None,
    *,
    study: str | None = None,
    storage: str = DEFAULT_STORAGE,
    data_dir: Path | str | None = None,
    progress: bool | None = None,
    check: bool = True,
    **settings: Any,
) -> Study:
    """Search for circuits that are accurate and cheap, in this process, or go on with a search that was begun.

    Ctrl-C, or the interruption of a notebook's cell, lets the running trial finish and returns what was found so far; a second
    one gives that trial up. The same call goes on.

    Args:
        data: the name of a data set; the path of a file; or samples (samples, features), an array or a data frame, which
            workers elsewhere cannot join: only this process has them.
        y: the classes (samples,) of samples, unless `target` names their column.
        study: what the study is to be called; by default as its data set or file, of samples `samples`.
        storage: URL of the database, which is made if it is not there.
        data_dir: where files of data are, if they are not where they are said to be; of `mnist` by default the user's cache.
        progress: show a bar; None for where it moves: in notebooks and on terminals.
        check: warn, by `DataWarning`, of what is suspicious in the data.
        settings: by the names that a study file has for them, without their sections: `target`, `population`, `epochs`,
            `seed`, …; and `space`, a dictionary of genes with the values that each may have.

    Raises:
        ConfigError: a setting is unknown or has an impossible value.
        DataError: the data are unknown or cannot be used.
        StudyMismatchError: the study exists with other settings or other data.
        FailuresError: trial after trial failed.
    """
    is_named = isinstance(data, str | PathLike)
    if is_named and y is not None:
        raise ConfigError("y is for samples, as in search(x, y); of a file, target names the column of the classes")
    config, auto_repeats, files = config_of(fspath(data) if is_named else SAMPLES, settings, source="search")
    used: Data
    if is_named:
        # From any directory: a study may be pickled and go on elsewhere.
        files = files and files.located(path_of(data_dir)).absolute
        check_known(config, files)
        used = partial(load_splits, config, files=files, data_dir=None if files else path_of(data_dir))
    else:
        used = splits_of(data, y, config)
    name = default_name(config.dataset) if study is None else study
    with using(storage):
        found = searched(
            storage, name, config, used, files=files, auto_repeats=auto_repeats, progress=progress, is_checked=check
        )
    return Study(found, storage=storage, data=used)


def path_of(directory: Path | str | None) -> Path | None:
    """A directory as our functions take it, from any working directory."""
    return None if directory is None else Path(directory).absolute()


def config_of(dataset: str, settings: Mapping[str, Any], *, source: str) -> tuple[StudyConfig, bool, Files | None]:
    """Settings by their plain names as a configuration, whether the number of repeats is yet to be found, and where data are.

    Args:
        dataset: a name, or the path of a file.
        source: what to name in an error.

    Raises:
        ConfigError: one is unknown or has an impossible value.
    """
    for name in settings:
        if name not in SETTINGS:
            raise ConfigError(f"{source}: unknown setting {name!r}{did_you_mean(name, SETTINGS)}")
    changes = {SETTINGS[name]: value for name, value in settings.items()}
    nested, auto_repeats = without_auto_repeats(override({"dataset": dataset}, changes))
    nested, files = without_directories(nested)
    return StudyConfig.from_settings(nested, source=source), auto_repeats, files
