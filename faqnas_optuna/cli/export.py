"""The commands `export` and `predict`: write a trained network as a folder, and use one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from faqnas_optuna.cli.launch import opened_storage
from faqnas_optuna.cli.options import (
    StudyCommand,
    data_dir_option,
    json_option,
    option,
    pick_option,
    storage_options,
    study_argument,
    trial_argument,
)
from faqnas_optuna.cli.output import STDOUT, deliver, print_json
from faqnas_optuna.errors import ConfigError

if TYPE_CHECKING:
    from faqnas_optuna.confirmation.study import Confirmation
    from faqnas_optuna.study.records import Candidate
    from faqnas_optuna.study.search import Search
    from faqnas_optuna.study.selection import SelectionRule


@click.command(cls=StudyCommand)
@study_argument
@trial_argument
@pick_option
# Without a variable, or every call would write the same folder.
@click.option("--out", "directory", type=click.Path(path_type=Path), help="Folder to write.  [default: STUDY-TRIAL]")
@option("--qasm", type=click.Choice(["2", "3"]), default="3", show_default=True, help="Version of OpenQASM.")
@option("--replace", is_flag=True, help="Replace an existing model folder.")
@storage_options
@data_dir_option
@json_option
def export(
    study: str,
    trial: "int | SelectionRule | None",
    pick: "SelectionRule | None",
    directory: Path | None,
    qasm: str,
    replace: bool,
    storage: str,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Export a trained network as a folder.

    The folder holds the weights, the preprocessing, the circuit and instructions for loading them. TRIAL is a trial number or a
    rule such as knee; by default the most accurate circuit of the front is exported. The network is retrained from the seed
    of the best training of its confirmation, or, without a confirmation, as in the search.
    """
    if trial is not None and pick:
        raise ConfigError("TRIAL and --pick each select a circuit; leave one of them out")
    from faqnas_optuna.confirmation.opening import load_search
    from faqnas_optuna.study.study import load_data

    with opened_storage(storage) as opened:
        search = load_search(opened, study, refusal=_has_no_model)
        candidate = _chosen(search, pick if trial is None else trial)
        # These import the engine, which is not needed to refuse a request.
        from faqnas_optuna.models.export import export as export_folder
        from faqnas_optuna.models.folder import check_target

        target = directory or Path(f"{study}-{candidate.trial}")
        # Before the training, which takes longest.
        check_target(target, replace=replace)
        splits = load_data(search, data_dir)
        _, document = export_folder(search, candidate, splits, target, qasm=int(qasm), replace=replace)
    if as_json:
        print_json({"schema_version": 1, "folder": str(target), **document})
        return
    for part, scores in document["accuracies"].items():
        click.echo(f"{part:10}  {scores['right']:,} of {scores['samples']:,} right  ({scores['accuracy']:.3f})")
    # Processors of another kind add up in another order, which may change a prediction.
    if not document["training"]["as_stored"]:
        click.echo("Note: retraining on this machine gave predictions that differ from the stored ones", err=True)
    click.echo(f"wrote {target}", err=True)


def _has_no_model(confirmation: "Confirmation") -> ConfigError:
    """Return the refusal of a confirmation, which names the search that has its circuits."""
    message = f"study {confirmation.name!r} is a confirmation; export its circuits from its search with"
    return ConfigError(message, command=f"export {confirmation.plan.study}")


def _chosen(search: "Search", selection: "int | SelectionRule | None") -> "Candidate":
    """Return the circuit of a trial, or the one that a rule selects from the front."""
    from faqnas_optuna.confirmation.plan import candidates_of
    from faqnas_optuna.reporting.documents import check_successful
    from faqnas_optuna.study.selection import Rule, SelectionRule
    from faqnas_optuna.study.state import read_state

    if isinstance(selection, int):
        return candidates_of(search, [selection])[0]
    state = read_state(search)
    check_successful(state)
    return state.choose(selection or SelectionRule(rule=Rule.BEST))


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write the predictions to.  [default: stdout]")
@option("--strict", is_flag=True, help="Fail on values that the training part did not have, instead of reporting them.")
@json_option
def predict(folder: Path, file: Path, out: Path | None, strict: bool, as_json: bool) -> None:
    """Predict the classes of samples with an exported model.

    FILE has the columns that the model was trained on, in any format that `start` reads. For each sample, the output has the
    predicted label and the probability of each class. Values that the training part did not have are reported on stderr, and so
    is the accuracy if FILE has the labels. No database is needed.
    """
    if as_json and out in STDOUT:
        raise ConfigError(f"--out {out} and --json both print to stdout; leave one of them out or give a file name")
    from faqnas_optuna.data.reading import check_file, read_source

    # Before the imports of the model: a wrong name is refused at once.
    check_file(file)
    from faqnas_optuna.models.folder import read_folder
    from faqnas_optuna.models.prediction import check_familiar, predictions_csv, report_lines, score, unused

    model, _ = read_folder(folder)
    source = read_source(file)
    samples = model.table(source, name=file.name)
    unfamiliar = model.unfamiliar(samples)
    # Before the prediction: nothing is written if a value is unfamiliar.
    if strict:
        check_familiar(unfamiliar, file.name)
    # (samples, classes) in the order of the model's classes.
    probabilities = model.predict_proba(samples)
    # None if the file has no labels.
    scored = score(source, probabilities, model)
    if extra := unused(source, model):
        click.echo(f"Note: not used: {extra}", err=True)
    for line in report_lines(unfamiliar):
        click.echo(f"Note: {line}", err=True)
    if scored:
        share = scored["accuracy"]
        balanced = scored["balanced_accuracy"]
        labelled = "" if scored["samples"] == len(samples) else " with a label"
        click.echo(
            f"{scored['right']:,} of {scored['samples']:,}{labelled} right ({share:.4f}), balanced accuracy {balanced:.4f}",
            err=True,
        )
    table = predictions_csv(probabilities, model)
    if as_json:
        report = {"score": scored, "unfamiliar": [entry.to_json() for entry in unfamiliar]}
        print_json({"schema_version": 1, "folder": str(folder), "samples": len(samples), **report})
    # With --json the predictions are printed only if a file is given.
    if out or not as_json:
        deliver(table, out or STDOUT[0])
