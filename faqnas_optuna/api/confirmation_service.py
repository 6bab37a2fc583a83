"""Confirmation of circuits: the service that `confirm` and Python share."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self

from faqnas_optuna.api.data import DataSource
from faqnas_optuna.api.running import CatchSignals, Execution, Hooks, StudyRun, open_patiently, run_study
from faqnas_optuna.api.settings import check_range
from faqnas_optuna.confirmation.opening import find_confirmation, load_search, not_a_search_error, prepare_confirmation
from faqnas_optuna.confirmation.plan import ConfirmationBudget, choose_finalists, name_for, parse_baselines
from faqnas_optuna.confirmation.study import Confirmation
from faqnas_optuna.errors import ConfigError
from faqnas_optuna.noise.finalists import check_noise, evaluate_finalists, finalists_among, seeds_of
from faqnas_optuna.noise.model import Noise
from faqnas_optuna.noise.report import noise_document
from faqnas_optuna.signals import CallInterrupted
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.selection import SelectionRule
from faqnas_optuna.study.study import MAX_NAME_LENGTH, check_name


@dataclass(frozen=True, kw_only=True)
class ConfirmationRequest:
    """Request to confirm circuits of a search: of some trials, the best of its front, one by a rule, or the whole front."""

    study: str
    name: str
    """Name of the confirmation."""
    trials: Sequence[int] | None = None
    top: int | None = None
    """Number of front circuits to confirm, those with the lowest validation error."""
    pick: SelectionRule | None = None
    budget: ConfirmationBudget
    noise: Noise | None = None
    """Noise under which the circuits are scored afterwards."""

    @classmethod
    def checked(
        cls,
        study: str,
        name: str | None,
        *,
        top: int | None,
        pick: str | None,
        trials: Sequence[int] | None,
        epochs: int | None = None,
        repeats: int | None = None,
        baselines: str | Sequence[str] | None = None,
        noise: Noise | None = None,
    ) -> Self:
        """Check the arguments of a call from Python.

        Raises:
            ConfigError: Circuits are selected in two ways, a number is out of its range, or a baseline is unknown.
        """
        if sum(choice is not None for choice in (top, pick, trials)) > 1:
            raise ConfigError("top, pick and trials each select circuits; give only one of them")
        check_range("top", top, 1)
        check_range("epochs", epochs, 1, 100_000)
        check_range("repeats", repeats, 1, 1_000)
        chosen = None if baselines is None else parse_baselines(baselines)
        return cls(
            study=study,
            name=confirmation_name(study, name),
            trials=trials,
            top=top,
            pick=None if pick is None else SelectionRule.parse(pick),
            budget=ConfirmationBudget(epochs=epochs, repeats=repeats, baselines=chosen),
            noise=noise,
        )


@dataclass(frozen=True, kw_only=True)
class ConfirmationRun(StudyRun):
    """Confirmation after a call that ran its trainings."""

    study: Confirmation
    search: Search
    """Search whose circuits are confirmed."""
    trials: Sequence[int]
    """Trials of the search whose circuits were requested."""


def confirmation_name(study: str, name: str | None) -> str:
    """Return the name of a study's confirmation, by default derived from the study's.

    Raises:
        ConfigError: The name is invalid.
    """
    check_name(study)
    # A derived name is longer than the study's, which may be as long as a name can be.
    chosen = name_for(study) if name is None else name
    if name is None and len(chosen) > MAX_NAME_LENGTH:
        raise ConfigError(
            f"a name has at most {MAX_NAME_LENGTH} characters but {chosen!r} has more; choose another with --name"
        )
    check_name(chosen)
    return chosen


def confirm_study(
    request: ConfirmationRequest, data: DataSource, execution: Execution, hooks: Hooks, *, detach: bool = False
) -> ConfirmationRun:
    """Retrain circuits from new random seeds and evaluate them on the test part, or continue such a confirmation.

    Args:
        data: Data of the search.
        detach: Only create the confirmation; workers attach to it.

    Raises:
        StudyMismatchError: The confirmation exists with another budget, or confirms another study.
        ConfigError: The study is a confirmation itself, or the noise of a circuit cannot be simulated.
        CallInterrupted: A signal arrived before the study was read.
    """
    execution.check_reach(data)
    storage = open_patiently(execution, hooks)
    search = load_search(storage, request.study, refusal=not_a_search_error)
    # Before the data are read, which an unknown trial must not wait for.
    candidates = choose_finalists(search, numbers=request.trials, top=request.top, pick=request.pick)
    if request.noise:
        check_noise(candidates, request.noise)
    requested: dict[str, Any] = {"search": search, "trials": [candidate.trial for candidate in candidates]}
    if existing := find_confirmation(storage, request.name, search):
        existing.check_versions()
        existing.check_budget(request.budget)
        # Showing results needs neither the data nor torch.
        if existing.is_done(candidates, request.budget):
            return ConfirmationRun(study=existing, done_before=True, **requested)
    splits = data.load_for(search)
    confirmation = prepare_confirmation(execution.storage, request.name, search, candidates, splits, request.budget)
    if detach:
        return ConfirmationRun(study=confirmation, splits=splits, **requested)
    run = run_study(confirmation, splits, execution, hooks, worker_dir=data.worker_dir)
    return ConfirmationRun(**vars(run), **requested)


def judge_under_noise(
    run: ConfirmationRun,
    noise: Noise,
    *,
    shots: int | None,
    data: DataSource,
    catch_signals: CatchSignals,
    show_work: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> dict[str, Any]:
    """Compute the scores under noise of the requested circuits; return them as a document.

    The scores are not stored: the networks of the confirmation are retrained from their seeds.

    Args:
        shots: Measurements per sample; None for exact expectation values.
        data: Data of the search.
        show_work: Function that shows the progress, given the number of networks.

    Raises:
        CallInterrupted: A signal arrived meanwhile.
    """
    from faqnas_optuna.noise.evaluation import constant_score, noisy_samples

    confirmation = run.study
    config = confirmation.config
    with catch_signals() as signals, signals.giving_up(at_first=True):
        # A confirmation that was complete before has not loaded its data.
        splits = data.load_for(run.search) if run.splits is None else run.splits
        planned = sum(len(seeds_of(confirmation, finalist)) for finalist in finalists_among(confirmation, run.trials))
        with show_work(planned) as on_done:
            results = evaluate_finalists(
                confirmation,
                run.trials,
                splits,
                noise,
                shots=shots,
                engine=run.search.config.engine,
                on_done=on_done,
            )
        # Noisy simulations are slow, so large test parts are sampled.
        part = noisy_samples(splits.test, seed=config.seed)
        constant = constant_score(splits.train, part, config.score)
        return noise_document(results, noise, shots=shots, samples=len(part), constant=constant, score=config.score)
    message = "interrupted; the confirmation is kept, and the same command computes the scores under noise again"
    raise CallInterrupted(message, exit_code=signals.exit_code)
