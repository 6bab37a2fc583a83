"""Note on a study for readers of its values: objectives, protocol, reliability and origin."""

from collections.abc import Mapping

from faqnas_optuna.config import FlopsCounter, Score, StudyConfig
from faqnas_optuna.reporting.advice import reliability_sentence
from faqnas_optuna.reporting.documents import to_the_minute
from faqnas_optuna.reporting.race_report import guarantee
from faqnas_optuna.study.description import Description
from faqnas_optuna.study.state import SearchState
from faqnas_optuna.training.statistics import accuracy_interval
from faqnas_optuna.wording import counted

COUNTED = {
    FlopsCounter.PROFILER: "as counted by the PyTorch profiler for the circuit in PennyLane",
    FlopsCounter.ANALYTIC: "counted from the arithmetic on the state vector",
}
ERRORS = {
    Score.ACCURACY: "the validation error, 1 − validation accuracy",
    Score.BALANCED: "the validation error (balanced), 1 − the mean recall over the classes of the validation part",
}
LIBRARIES = {"optuna": "Optuna", "torch": "torch", "pennylane": "PennyLane", "numba": "numba", "numpy": "NumPy"}
"""Names of the libraries whose versions the note mentions, by package."""


def study_note(state: SearchState) -> dict[str, str]:
    """Return the paragraphs of the note by their headings."""
    search = state.study
    return {
        "Objectives": _objectives(search.config),
        "Protocol": _protocol(search.description),
        **(
            {"Reliability": _reliability(state)}
            if search.description.race is None
            else {"Guarantee": guarantee(search.description)}
        ),
        "Origin": _origin(search.description, others=bool(search.metadata.worker_versions())),
    }


def _objectives(config: StudyConfig) -> str:
    if device := config.device:
        cost = (
            f"−ln of the estimated success probability (ESP) of the circuit's effective gates on {device.name}, from its error"
            f" rates and gate times of {device.date}"
        )
    else:
        cost = f"the quantum FLOPs of one forward pass of one sample, {COUNTED[config.flops]}"
    return f"Two values are minimised: {cost}, and {ERRORS[config.score]}."


def _protocol(description: Description) -> str:
    config = description.config
    sizes = description.sizes
    training = config.training
    seeds = f"from seed {config.seed}" if training.repeats == 1 else f"{training.repeats} times from seed {config.seed}"
    if description.race:
        seeds = f"one or more times from seed {config.seed}, the promising ones most often,"
    drawn = ", drawn again for each training" if description.race and description.race.resplit else ""
    return (
        f"Each circuit was trained by the {config.engine} engine {seeds} on {sizes['train']:,} samples of"
        f" {config.dataset}{drawn}, whose means and standard deviations standardise all features, for"
        f" {counted(training.epochs, 'epoch')} of Adam with a"
        f" learning rate of {training.learning_rate:g} and batches of {training.batch_size}. It was evaluated on"
        f" {sizes['validation']:,} validation samples; the {sizes['test']:,} test samples were not used."
    )


def _reliability(state: SearchState) -> str:
    samples = f"{state.study.description.sizes['validation']:,} validation samples"
    agreement = reliability_sentence(state.study)
    best = state.best_score
    if best is None:
        return agreement
    score = state.study.config.score
    majority_score = state.study.description.majority_score
    remarks = []
    # Wilson's interval is for one proportion. A balanced accuracy is the mean of several, each over the samples of one class.
    if score is Score.ACCURACY:
        low, high = accuracy_interval(best, state.study.description.sizes["validation"])
        remarks.append(f"Wilson 95 % CI {low:.3f} to {high:.3f}")
    if majority_score is not None:
        remarks.append(f"majority class {majority_score:.3f}")
    details = f" ({'; '.join(remarks)})" if remarks else ""
    return (
        f"The best {score.in_words} on {samples} is {best:.3f}{details}. As the best of"
        f" {counted(len(state.by_circuit), 'circuit')} it is optimistically biased. {agreement}"
    )


def _origin(description: Description, *, others: bool) -> str:
    created = to_the_minute(description.created)
    # Results of other versions may differ in the last digits.
    more = "; some workers had other versions" if others else ""
    return f"The study was created on {created} by faqnas-optuna {_versions(description.versions)}{more}."


def _versions(versions: Mapping[str, str]) -> str:
    libraries = [f"{name} {versions[package]}" for package, name in LIBRARIES.items() if package in versions]
    return f"{versions['faqnas-optuna']} with {', '.join(libraries)}"
