"""Commands that take a result away: a trained network as a folder, and what it says of other data."""

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
@option("--out", "directory", type=click.Path(path_type=Path), help="The folder to write.  [default: STUDY-TRIAL]")
@option("--qasm", type=click.Choice(["2", "3"]), default="3", show_default=True, help="Version of OpenQASM.")
@option("--replace", is_flag=True, help="Put it in the place of a model that is there.")
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
    """Write a trained network as a folder, to use it elsewhere.

    The folder holds weights, preprocessing, circuit, and how to load them. TRIAL is its number, or a rule that takes it from
    the front, as knee; by default the most accurate. The network is trained again from the seed of the confirmation's best
    training, if there is one, or else as in the search.
    """
    if trial is not None and pick:
        raise ConfigError("TRIAL and --pick each choose a circuit; leave one of them out")
    from faqnas_optuna.confirmation.opening import load_search
    from faqnas_optuna.study.study import load_data

    with opened_storage(storage) as opened:
        search = load_search(opened, study, refusal=_has_no_model)
        candidate = _chosen(search, pick if trial is None else trial)
        # They bring the engine: what is refused does without.
        from faqnas_optuna.models.export import export as export_folder
        from faqnas_optuna.models.folder import check_target

        target = directory or Path(f"{study}-{candidate.trial}")
        check_target(target, replace=replace)
        splits = load_data(search, data_dir)
        _, document = export_folder(search, candidate, splits, target, qasm=int(qasm), replace=replace)
    if as_json:
        print_json({"schema_version": 1, "folder": str(target), **document})
        return
    for part, found in document["accuracies"].items():
        click.echo(f"{part:10}  {found['right']:,} of {found['samples']:,} right  ({found['accuracy']:.3f})")
    if not document["training"]["as_stored"]:
        click.echo("Note: trained again here it tells other samples right than is stored; it was trained elsewhere", err=True)
    click.echo(f"wrote {target}", err=True)


def _has_no_model(confirmation: "Confirmation") -> ConfigError:
    """Refuse a confirmation, and say where its circuits are."""
    message = f"study {confirmation.name!r} is a confirmation; take what it has confirmed from its search with"
    return ConfigError(message, command=f"export {confirmation.plan.study}")


def _chosen(search: "Search", wanted: "int | SelectionRule | None") -> "Candidate":
    """The circuit of a trial, or of the front."""
    from faqnas_optuna.confirmation.plan import candidates_of
    from faqnas_optuna.reporting.documents import check_successful
    from faqnas_optuna.study.selection import Rule, SelectionRule
    from faqnas_optuna.study.state import read_state

    if isinstance(wanted, int):
        return candidates_of(search, [wanted])[0]
    state = read_state(search)
    check_successful(state)
    return (wanted or SelectionRule(rule=Rule.BEST)).choose(state.front)


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the table to this file.  [default: stdout]")
@option("--strict", is_flag=True, help="Refuse values that the training part did not have, instead of reporting them.")
@json_option
def predict(folder: Path, file: Path, out: Path | None, strict: bool, as_json: bool) -> None:
    """Predict the classes of samples with an exported model.

    FILE has the columns that the model was trained on, in any format that `start` reads. Prints a label and the probability of
    each class for each sample. On stderr it reports, by column, values that the training part did not have, and the accuracy if
    FILE has the labels too. Needs no database.
    """
    if as_json and out in STDOUT:
        raise ConfigError(f"--out {out} and --json both print to stdout; leave one of them out, or name a file")
    from faqnas_optuna.data.reading import check_file, read_source

    check_file(file)
    from faqnas_optuna.models.folder import read_folder
    from faqnas_optuna.models.prediction import check_familiar, predictions_csv, report_lines, score, unused

    model, _ = read_folder(folder)
    source = read_source(file)
    samples = model.table(source, name=file.name)
    unfamiliar = model.unfamiliar(samples)
    if strict:
        check_familiar(unfamiliar, file.name)
    probabilities = model.predict_proba(samples)
    scored = score(source, probabilities, model)
    if extra := unused(source, model):
        click.echo(f"Note: not used: {extra}", err=True)
    for line in report_lines(unfamiliar):
        click.echo(f"Note: {line}", err=True)
    if scored:
        share, balanced = scored["accuracy"], scored["balanced_accuracy"]
        labelled = "" if scored["samples"] == len(samples) else " with a label"
        click.echo(
            f"{scored['right']:,} of {scored['samples']:,}{labelled} right ({share:.4f}), balanced accuracy {balanced:.4f}",
            err=True,
        )
    table = predictions_csv(probabilities, model)
    if as_json:
        report = {"score": scored, "unfamiliar": [entry.to_json() for entry in unfamiliar]}
        print_json({"schema_version": 1, "folder": str(folder), "samples": len(samples), **report})
    if out or not as_json:
        deliver(table, out or STDOUT[0])
