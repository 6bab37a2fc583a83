"""A study from Python, and what is to be done with what it has found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from faqnas_optuna.api.confirmation_service import ConfirmationRequest, confirm_study, judge_under_noise
from faqnas_optuna.api.notebook import check_detached, check_result, execution_on, heeded_signals, program_hooks, using
from faqnas_optuna.api.progress import work_bar
from faqnas_optuna.api.reading import StudyReader
from faqnas_optuna.api.running import Execution
from faqnas_optuna.api.search_service import resume_study
from faqnas_optuna.api.settings import MOST_SHOTS, WorkerTimeouts, check_range
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.circuit_table import confirmed_frame
from faqnas_optuna.confirmation.latex import confirmation_table
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.confirmation.plan import candidates_of
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError
from faqnas_optuna.files import check_directory, write_atomically
from faqnas_optuna.models.export import export
from faqnas_optuna.models.folder import check_target
from faqnas_optuna.models.trained_model import TrainedModel
from faqnas_optuna.noise.figure import write_noise_plot
from faqnas_optuna.noise.model import noise_of
from faqnas_optuna.noise.report import noise_frame
from faqnas_optuna.reporting.plotly_front import check_printed
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.stopping import StopReason

if TYPE_CHECKING:
    from pandas import DataFrame


class Study(StudyReader):
    """A study that was made, by `search` or by a command, as it is now: other workers may still be at it.

    A pickled study holds the URL of its database, password included, and finds the study there again.
    """

    def resume(
        self,
        *,
        generations: int | None = None,
        workers: int = 1,
        dask: str | None = None,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> Self:
        """Go on with a study that was stopped or interrupted, or join one that runs.

        Args:
            generations: new limit of generations, over all of the study.
            workers, dask, grace_s, database_timeout_s, progress: as `search` takes them.

        Raises:
            ConfigError: the limit leaves no generation to run.
        """
        check_range("generations", generations, 1)
        with self._execution(workers, dask, grace_s, database_timeout_s) as execution:
            run = resume_study(self.name, self._data, execution, program_hooks(progress), generations=generations)
            check_result(run)
        self._search = run.study
        return self

    def stop(self) -> None:
        """Stop the study; running trials are finished. A study that has stopped is left as it is."""
        with using(self._url):
            stop(self._search, StopReason.REQUESTED)

    def confirm(
        self,
        *,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        epochs: int | None = None,
        repeats: int | None = None,
        name: str | None = None,
        latex: Path | str | None = None,
        workers: int = 1,
        dask: str | None = None,
        detach: bool = False,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Train circuits anew from new seeds, beside controls, and judge them on the test part, or go on with that.

        Args:
            top: so many of the front, those of the lowest validation error.
            pick: the one that a rule takes.
            trials: those of these trials. Without any of the three, all of the front.
            epochs: of each training; 50 unless it was begun with others.
            repeats: trainings of each network; 10 unless it was begun with others.
            name: what the confirmation, a study of its own, is called; by default as this one with `.confirm` behind it.
            latex: a file to write a table for LaTeX to.
            workers, dask, grace_s, database_timeout_s, progress: as `search` takes them.
            detach: only make the confirmation, for workers to attach to.

        Returns:
            A row for each circuit confirmed so far, with what its controls have shown, and what it adds in a sentence.

        Raises:
            StudyMismatchError: it was begun with other epochs, or more repeats.
            ConfigError: the circuits are named in two ways, or a number is out of its range.
        """
        check_detached(detach, dask)
        if latex is not None:
            if detach:
                raise ConfigError("detach trains nothing, and latex is a table of what was trained; leave one of them out")
            check_directory(Path(latex))
        request = ConfirmationRequest.checked(
            self.name, name, top=top, pick=pick, trials=trials, epochs=epochs, repeats=repeats
        )
        with self._execution(workers, dask, grace_s, database_timeout_s) as execution:
            run = confirm_study(request, self._data, execution, program_hooks(progress), detach=detach)
            check_result(run)
            try:
                document = confirmation_document(run.study)
            except NoSuccessfulTrialError:
                if not detach:
                    raise
                return confirmed_frame({"circuits": []})
        if latex is not None:
            write_atomically(Path(latex), confirmation_table(document).encode())
        return confirmed_frame(document)

    def under_noise(
        self,
        noise: str,
        *,
        shots: int | None = None,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        name: str | None = None,
        plot: Path | str | None = None,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Judge circuits on the test part with the noise of a device; those not confirmed yet are confirmed first.

        Args:
            noise: a device by its name or file, or `depolarizing:P`.
            shots: measurements of a sample; None for exact expectation values.
            top, pick, trials, name: as `confirm` takes them.
            plot: a file (.png, .pdf, .svg) to draw the scores to.
            progress: show a bar; None for where it moves.

        Returns:
            A row for each circuit and strength of the noise, with the mean test score and its 95 % interval.

        Raises:
            ConfigError: the noise is unknown, or that of a circuit cannot be simulated.
        """
        check_range("shots", shots, 1, MOST_SHOTS)
        if plot is not None:
            check_printed(Path(plot))
            check_directory(Path(plot))
        model = noise_of(noise)
        request = ConfirmationRequest.checked(self.name, name, top=top, pick=pick, trials=trials, noise=model)
        with self._execution() as execution:
            run = confirm_study(request, self._data, execution, program_hooks(progress))
            check_result(run)
            document = judge_under_noise(
                run,
                model,
                shots=shots,
                data=self._data,
                catch_signals=heeded_signals,
                show_work=partial(work_bar, progress),
            )
            if plot is not None:
                write_noise_plot(document, run.study, Path(plot))
        return noise_frame(document, self.config.score)

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
        with using(self._url):
            search = search_of(self._search)
            candidate = self.pick(pick or "best") if trial is None else candidates_of(search, [trial])[0]
            check_target(Path(folder), replace=replace)
            splits = self._data.load_for(search)
            model, _ = export(search, candidate, splits, Path(folder), qasm=qasm, replace=replace)
        return model

    @contextmanager
    def _execution(
        self,
        workers: int = 1,
        dask: str | None = None,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
    ) -> Iterator[Execution]:
        """Prepare to run trials of the study, unless it was deleted, also if another has its name."""
        with execution_on(self._url, workers, dask, grace_s, database_timeout_s) as execution:
            self._search.stop()
            yield execution
