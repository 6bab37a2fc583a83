"""Study from Python: resume, stop, confirm and export."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from faqnas_optuna.api.confirmation_service import ConfirmationRequest, confirm_study, judge_under_noise
from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.notebook import check_detached, check_result, execution_on, heeded_signals, program_hooks, using
from faqnas_optuna.api.progress import race_bar, work_bar
from faqnas_optuna.api.race_service import RaceRequest, run_race
from faqnas_optuna.api.reading import StudyReader
from faqnas_optuna.api.running import Execution
from faqnas_optuna.api.search_service import resume_study
from faqnas_optuna.api.settings import MOST_SHOTS, WorkerTimeouts, check_range
from faqnas_optuna.api.warm_start import circuit_of
from faqnas_optuna.config import MOST_TRIALS
from faqnas_optuna.confirmation.analysis import confirmation_document
from faqnas_optuna.confirmation.circuit_table import confirmed_frame
from faqnas_optuna.confirmation.figure import write_confirmation_plot
from faqnas_optuna.confirmation.latex import confirmation_table
from faqnas_optuna.confirmation.opening import search_of
from faqnas_optuna.confirmation.plan import candidates_of
from faqnas_optuna.errors import ConfigError, NoSuccessfulTrialError
from faqnas_optuna.files import check_directory, write_atomically
from faqnas_optuna.machine import cores
from faqnas_optuna.models.export import export
from faqnas_optuna.models.folder import check_target
from faqnas_optuna.models.trained_model import TrainedModel
from faqnas_optuna.noise.figure import write_noise_plot
from faqnas_optuna.noise.model import noise_of
from faqnas_optuna.noise.report import noise_frame
from faqnas_optuna.reporting.plotly_front import check_printed
from faqnas_optuna.reporting.sizes import size_of
from faqnas_optuna.study.lifecycle import stop
from faqnas_optuna.study.stopping import StopReason

if TYPE_CHECKING:
    from pandas import DataFrame


class Study(StudyReader):
    """Stored study, created by `search` or by a command; other workers may still be running it.

    A pickled study holds the URL of its database, including a password, and finds the study there again.
    """

    def resume(
        self,
        *,
        generations: int | None = None,
        trials: int | None = None,
        seconds: float | None = None,
        workers: int = 1,
        dask: str | None = None,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> Self:
        """Continue a stopped or interrupted study, or join a running one.

        The other parameters are those of `search`.

        Args:
            generations: New maximum number of generations of the whole study.
            trials: New maximum number of successful trials of the whole study, with as many generations as they need.
            seconds: Time limit of the call, from the first trial on; running trials finish.

        Raises:
            ConfigError: The limits leave no trial to run.
        """
        check_range("generations", generations, 1)
        check_range("trials", trials, 1, MOST_TRIALS)
        with self._execution(workers, dask, grace_s, database_timeout_s, seconds) as execution:
            run = resume_study(
                self.name, self._data, execution, program_hooks(progress), generations=generations, trials=trials
            )
            check_result(run)
        # A resumed study has a new description, with the new limit.
        self._search = run.study
        return self

    def stop(self) -> None:
        """Stop the study after its running trials; a stopped study is left unchanged."""
        with using(self._url):
            stop(self._search, StopReason.REQUESTED)

    def enqueue(self, circuit: Any) -> None:
        """Queue a circuit, which the next free worker trains before it asks the sampler for another.

        Args:
            circuit: `Genome`, `Circuit`, dictionary of genes, row of `front` or `trials`, or result of `pick`.

        Raises:
            ConfigError: The study has stopped, or is a race or a confirmation.
            GenomeError: The circuit is outside the space of the study, or a gene is invalid.
        """
        with using(self._url):
            search_of(self._search).enqueue(circuit_of(circuit))

    def confirm(
        self,
        *,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        epochs: int | None = None,
        repeats: int | None = None,
        baselines: str | Sequence[str] | None = None,
        name: str | None = None,
        latex: Path | str | None = None,
        plot: Path | str | None = None,
        size: str | None = None,
        workers: int = 1,
        dask: str | None = None,
        detach: bool = False,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Retrain circuits from new random seeds and evaluate them on the test part, beside baselines; or continue that.

        `workers`, `dask`, `grace_s`, `database_timeout_s` and `progress` are those of `search`.

        Args:
            top: Number of front circuits to confirm, those with the lowest validation error.
            pick: Rule that selects one circuit of the front.
            trials: Numbers of the trials to confirm. Without `top`, `pick` and `trials`, the whole front is confirmed.
            epochs: Epochs of each training; by default 50, or those of the existing confirmation.
            repeats: Trainings per network; by default 10, or those of the existing confirmation.
            baselines: Names of the baselines, `linear`, `embedding`, `separable`, `mlp`, `logistic`, `svm` and `svm-grid`, or
                `none`; by default all, or those of the existing confirmation. Classical models are skipped if the training
                part is too large for them.
            name: Name of the confirmation, which is a study of its own; by default that of this study with `.confirm`.
            latex: File to write a LaTeX table to.
            plot: File (.png, .pdf, .svg) to plot the test scores to, beside those of the controls.
            size: Size of the plot: `column`, `page` or `slide`; by default `page`.
            detach: Only create the confirmation; workers attach to it.

        Returns:
            A row per circuit confirmed so far: scores and costs; for each control, such as `linear`, its mean test score, the
            circuit's `linear_difference` with `linear_difference_low` and `_high`, `linear_p`, `linear_p_holm` and
            `linear_rank_biserial`; the test score of each classical model, the same in all rows; and a sentence that compares
            the circuit with its controls.

        Raises:
            StudyMismatchError: The confirmation has other epochs or baselines, or more repeats.
            ConfigError: The circuits are selected in two ways, a number is out of its range, or a baseline is unknown.
        """
        check_detached(detach, dask)
        # Before the trainings: a wrong name or size must not cost them.
        print_size = size_of(size)
        for name_of_file, file in {"latex": latex, "plot": plot}.items():
            if file is not None:
                if detach:
                    raise ConfigError(f"detach trains nothing but {name_of_file} shows trained circuits; leave one of them out")
                check_directory(Path(file))
        if plot is not None:
            check_printed(Path(plot))
        request = ConfirmationRequest.checked(
            self.name, name, top=top, pick=pick, trials=trials, epochs=epochs, repeats=repeats, baselines=baselines
        )
        with self._execution(workers, dask, grace_s, database_timeout_s) as execution:
            run = confirm_study(request, self._data, execution, program_hooks(progress), detach=detach)
            check_result(run)
            try:
                document = confirmation_document(run.study)
            # A confirmation that was only created has no results yet, which is no error.
            except NoSuccessfulTrialError:
                if not detach:
                    raise
                return confirmed_frame({"circuits": []})
        if latex is not None:
            write_atomically(Path(latex), confirmation_table(document).encode())
        if plot is not None:
            write_confirmation_plot(document, Path(plot), print_size)
        return confirmed_frame(document)

    def race(
        self,
        *,
        name: str | None = None,
        trainings: int | None = None,
        seconds: float | None = None,
        within: float | None = None,
        sample: int | None = None,
        among: bool = False,
        resplit: bool = False,
        workers: int | None = None,
        dask: str | None = None,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        progress: bool | None = None,
    ) -> "Study":
        """Race the circuits of the space with the data and settings of a search; or continue this race.

        The other parameters are those of the function `race`.

        Args:
            name: Name of the new race; by default that of this study with `.race`.
            among: Whether to race only the circuits that this search has trained.

        Returns:
            The race.

        Raises:
            ConfigError: A value is invalid, or the space is too large.
            StudyMismatchError: The race exists with other settings or other data.
            CallInterrupted: The race was interrupted before every circuit was trained.
        """
        is_race = self._search.description.race is not None
        if is_race and name not in (None, self.name):
            raise ConfigError(f"study {self.name!r} is a race, which continues under its name; leave out name")
        if is_race and among:
            raise ConfigError(f"study {self.name!r} is a race, which keeps its circuits; leave out among")
        # A race decides itself how often it trains each circuit.
        training = self.config.training.model_copy(update={"repeats": 1})
        request = RaceRequest(
            name=self.name if is_race else name or f"{self.name}.race",
            config=None if is_race else self.config.model_copy(update={"training": training}),
            data=self._data if is_race else self._data_of_search(),
            trainings=trainings,
            seconds=seconds,
            within=within,
            sample=sample,
            among=self.name if among else None,
            resplit=resplit,
        ).checked()
        grace_s = WorkerTimeouts.grace_s
        with self._execution(workers or cores(), dask, grace_s, database_timeout_s) as execution, race_bar(progress) as update:
            run = run_race(request, execution, program_hooks(progress), on_progress=update)
        return type(self)(run.study, storage=self._url, data=self._data)

    def under_noise(
        self,
        noise: str,
        *,
        shots: int | None = None,
        top: int | None = None,
        pick: str | None = None,
        trials: Sequence[int] | None = None,
        epochs: int | None = None,
        repeats: int | None = None,
        baselines: str | Sequence[str] | None = None,
        name: str | None = None,
        plot: Path | str | None = None,
        workers: int = 1,
        progress: bool | None = None,
    ) -> "DataFrame":
        """Score circuits on the test part under noise, after confirming those that are not confirmed yet.

        `top`, `pick`, `trials`, `epochs`, `repeats`, `baselines` and `name` are those of `confirm`.

        Args:
            noise: Device, by name or file, or `depolarizing:P`.
            shots: Measurements per sample; None for exact expectation values.
            plot: File (.png, .pdf, .svg) to plot the scores to.
            workers: Number of processes that train; the scores are computed by this process alone.
            progress: Whether to show a bar; None to show it in notebooks and on terminals.

        Returns:
            A row per circuit and noise factor, `strength`, with the mean test score and its 95 % confidence interval.

        Raises:
            ConfigError: The noise is unknown, or the noise of a circuit cannot be simulated.
        """
        check_range("shots", shots, 1, MOST_SHOTS)
        if plot is not None:
            # Before the trainings: a wrong file name must not cost them.
            check_printed(Path(plot))
            check_directory(Path(plot))
        # Before the trainings, since it may read a device file.
        model = noise_of(noise)
        request = ConfirmationRequest.checked(
            self.name,
            name,
            top=top,
            pick=pick,
            trials=trials,
            epochs=epochs,
            repeats=repeats,
            baselines=baselines,
            noise=model,
        )
        with self._execution(workers) as execution:
            run = confirm_study(request, self._data, execution, program_hooks(progress))
            check_result(run)
            # Within the execution, since the database is read for the seeds of the networks.
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
        """Retrain a circuit from its seed and write the network as a folder that `load_model` reads.

        Args:
            folder: Folder to write.
            pick: Rule that selects the circuit from the front; by default `best`.
            trial: Number of the trial whose circuit is exported, instead of `pick`.
            qasm: Version of OpenQASM, 2 or 3.
            replace: Whether to replace an existing model.

        Returns:
            Trained network.

        Raises:
            OutputError: The folder exists or cannot be written.
            StudyNotFoundError: The trial does not exist.
            ConfigError: The circuit is selected in two ways, or the version is invalid.
        """
        if pick is not None and trial is not None:
            raise ConfigError("pick and trial each select a circuit; leave one of them out")
        if qasm not in (2, 3):
            raise ConfigError(f"qasm must be 2 or 3; it is {qasm}")
        with using(self._url):
            search = search_of(self._search)
            candidate = self.pick(pick or "best") if trial is None else candidates_of(search, [trial])[0]
            # Before the training, which takes longest.
            check_target(Path(folder), replace=replace)
            splits = self._data.load_for(search)
            model, _ = export(search, candidate, splits, Path(folder), qasm=qasm, replace=replace)
        return model

    def _data_of_search(self) -> DataSource:
        """Return the data of the study as they are now, after checking that they have not changed."""
        with using(self._url):
            splits = self._data.load_for(search_of(self._search))
        # The paths of the files are stored with the next study, too.
        return replace(self._data, files=self._data.files or self._search.description.files, samples=splits)

    @contextmanager
    def _execution(
        self,
        workers: int = 1,
        dask: str | None = None,
        grace_s: int = WorkerTimeouts.grace_s,
        database_timeout_s: int = WorkerTimeouts.database_timeout_s,
        seconds: float | None = None,
    ) -> Iterator[Execution]:
        """Prepare to run trials, after checking that the study was not deleted or replaced by another of its name."""
        with execution_on(self._url, workers, dask, grace_s, database_timeout_s, seconds) as execution:
            self._search.stop()
            yield execution
