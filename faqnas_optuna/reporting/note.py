"""What a reader of a study's values should know, in four sentences."""

from collections.abc import Mapping

from faqnas_optuna.config import FlopsCounter, Score, StudyConfig
from faqnas_optuna.reporting.advice import reliability_sentence
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.study.metadata import Description
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.training.statistics import accuracy_interval
from faqnas_optuna.wording import counted

COUNTED = {
    FlopsCounter.PROFILER: "as the PyTorch profiler counts them for the circuit in PennyLane",
    FlopsCounter.ANALYTIC: "counted from the arithmetic on the state vector",
}
ERRORS = {
    Score.ACCURACY: "the validation error, 1 − validation accuracy",
    Score.BALANCED: "the validation error (balanced), 1 − the mean of the recalls of the classes in the validation part",
}
TOLD_VERSIONS = {"optuna": "Optuna", "torch": "torch", "pennylane": "PennyLane", "numba": "numba", "numpy": "NumPy"}


def study_note(state: SearchState) -> dict[str, str]:
    """Sentences on the objectives, the protocol, the reliability of the values, and where they were made, by heading."""
    search = state.study
    return {
        "Objectives": _objectives(search.config),
        "Protocol": _protocol(search.description),
        "Reliability": _reliability(state),
        "Made": _made(search.description, others=bool(search.metadata.worker_versions())),
    }


def _objectives(config: StudyConfig) -> str:
    if device := config.device:
        cost = (
            f"−ln of the estimated success probability (ESP) of the circuit's effective gates on {device.name}, by its"
            f" errors and times of {device.date}"
        )
    else:
        cost = f"the quantum FLOPs of one forward pass of one sample, {COUNTED[config.flops]}"
    return f"Two values are minimised: {cost}, and {ERRORS[config.score]}."


def _protocol(description: Description) -> str:
    config, sizes = description.config, description.sizes
    training = config.training
    seeds = f"from seed {config.seed}" if training.repeats == 1 else f"{training.repeats} times from seed {config.seed} on"
    return (
        f"Each circuit was trained by the {config.engine} engine {seeds}, on {sizes['train']:,} samples of {config.dataset}"
        f" whose mean and deviation scale all features, for {counted(training.epochs, 'epoch')} of Adam at a learning rate of"
        f" {training.learning_rate:g} in batches of {training.batch_size}, and judged on {sizes['validation']:,} other samples,"
        f" while {sizes['test']:,} test samples were left alone."
    )


def _reliability(state: SearchState) -> str:
    n_validation, agreement = state.study.description.sizes["validation"], reliability_sentence(state.study)
    if (best := state.best_score) is None:
        return agreement
    score, uncertain = state.study.config.score, ""
    rate = state.study.description.majority_score
    majority = "" if rate is None else f" (always answering the majority class: {rate:.3f})"
    if score is Score.ACCURACY:
        # Of a mean of recalls it would say nothing: each is of other samples, and of fewer.
        low, high = accuracy_interval(best, n_validation)
        uncertain = f"is uncertain by ±{(high - low) / 2:.3f} (Wilson's 95 % interval, {low:.3f} to {high:.3f}) and "
    return (
        f"On {n_validation:,} validation samples the best {score.in_words}, {best:.3f}{majority}, {uncertain}flatters, being"
        f" the best of {counted(len(state.by_circuit), 'circuit')}; {agreement[0].lower()}{agreement[1:]}"
    )


def _made(description: Description, *, others: bool) -> str:
    created = to_the_minute(description.created)
    more = "; some workers had other versions" if others else ""
    return f"The study was made on {created} by faqnas-optuna {_versions(description.versions)}{more}."


def _versions(versions: Mapping[str, str]) -> str:
    told = [f"{name} {versions[package]}" for package, name in TOLD_VERSIONS.items() if package in versions]
    return f"{versions['faqnas-optuna']} with {', '.join(told)}"
