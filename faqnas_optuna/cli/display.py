"""Printing of results: tables, lines and remarks."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from faqnas_optuna.circuits.genome import EVERY_GENE
from faqnas_optuna.cli.console import is_moving_terminal, make_console
from faqnas_optuna.config import Score
from faqnas_optuna.escaping import on_one_line
from faqnas_optuna.reporting.report import NO_EFFECT, Block, Line, majority_line
from faqnas_optuna.reporting.study_tables import columns_table, hardware_table, study_fields
from faqnas_optuna.reporting.text_tables import TextTable, in_blocks
from faqnas_optuna.wording import MISSING, counted, number_text

if TYPE_CHECKING:
    # At run time this import would load torch in commands that do not need it.
    from faqnas_optuna.workers.readiness import Finding


def print_trial(document: Mapping[str, Any]) -> None:
    """Print a `trial_document`: a line for each value, genes last, and the drawing."""
    from faqnas_optuna.reporting.columns import BY_NAME

    hidden = ("schema_version", "score", "genome", "drawing", "circuit", "canonical", "effective", "function", "hardware")
    fields = {name: value for name, value in document.items() if name not in hidden}
    if "genome" in document:
        effective = document["effective"]
        fields |= {"summary": effective["summary"], "circuit": document["circuit"]}
        fields |= {name: effective[name] for name in ("inert", "lacks") if effective[name]}
        # The circuit itself is the cheapest if it has no inert gates.
        if document["circuit"] != effective["circuit"]:
            fields["cheapest"] = effective["cheapest"]
            if effective["cheapest_flops"] is not None:
                fields["cheapest"] += f" at {effective['cheapest_flops']:,} quantum FLOPs"
        function = document["function"]
        if function["circuit"] not in (document["circuit"], effective["circuit"]):
            fields["function"] = function["summary"]
        # Without effective entanglers, the value of "has no" says so already.
        if not function["is_entangled"] and "entangler" not in str(effective["lacks"]):
            fields["entangled"] = f"no: {NO_EFFECT}"
        fields |= {"genome": "as suggested"} | document["genome"]
    labels = {name: LABELS.get(name, name.replace("_", " ")) for name in fields}
    labels |= {name: column.label for name, column in BY_NAME.items() if name in fields}
    # The labels of these values do not say which score they are.
    for name in {"val_error", "majority_score"} & labels.keys():
        labels[name] += Score(document["score"]).remark
    room = max(map(len, labels.values())) + 2
    for name, value in fields.items():
        print_line(f"{labels[name]:{room}}{BY_NAME[name].text(value) if name in BY_NAME else _value_text(value)}")
    if "hardware" in document:
        print_line("")
        print_table(hardware_table(document["hardware"]))
    if "drawing" in document:
        print_line(f"\n{in_blocks(document['drawing'], _columns())}")


LABELS = {
    "summary": "circuit",
    "circuit": "  digest",
    "inert": "  inert",
    "lacks": "  has no",
    "cheapest": "  cheapest equivalent",
    "function": "  computes the same as",
    "entangled": "  entangled",
    **{gene: f"  {gene.replace('_', ' ')}" for gene in EVERY_GENE},
}
"""Labels of a trial's values that are neither costs nor scores."""


def _value_text(value: Any) -> str:
    """Format a value of a trial that is neither a cost nor a score of a search."""
    if value is None:
        return MISSING
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_status(document: Mapping[str, Any]) -> None:
    """Print a line per study, the pace of running ones and their workers; for a single study also its history."""
    studies = document["studies"]
    table = TextTable(names=["study"], numbers=("gen", "trials", "best", "front", "hypervolume"), last="state")
    workers = TextTable(names=("worker", "study"), numbers=("trial", "last heartbeat"), last="circuit")
    # The history of a single study; in a list of studies it would hide the table.
    remarks = [_history(studies[0]), _majority(studies[0])] if len(studies) == 1 else []
    for study in studies:
        best = study["best_score"]
        volume = study["hypervolume"]
        table.rows.append(
            (
                study["study"],
                MISSING if study["generations"] is None else f"{study['generations_closed']}/{study['generations']}",
                f"{study['trials']['successful']:,}",
                MISSING if best is None else f"{best:.3f}{Score(study['score']).remark}",
                number_text(study["front"], "d"),
                number_text(volume, ".4f"),
                _state(study),
            )
        )
        remarks.append(_pace(study))
        for worker in study["workers"]:
            heartbeat = MISSING if worker["heard_s_ago"] is None else f"{worker['heard_s_ago']:.0f} s ago"
            workers.rows.append(
                (worker["worker"] or MISSING, study["study"], str(worker["trial"]), heartbeat, worker["circuit"] or MISSING)
            )
    remarks += [f"skipping study {on_one_line(entry['study'])}: {entry['reason']}" for entry in document["left_out"]]
    if table.rows:
        print_table(table)
    for remark in filter(None, remarks):
        print_prose(remark)
    if workers.rows:
        # An empty line between the two tables.
        print()
        print_table(workers)


def _state(study: Mapping[str, Any]) -> str:
    parts = [study["state"]]
    if study["workers"]:
        parts.append(counted(len(study["workers"]), "worker"))
    if failed := study["trials"]["failed"]:
        parts.append(f"{failed} failed")
    return ", ".join(parts)


def _history(study: Mapping[str, Any]) -> str | None:
    """Return why and when a study stopped or was resumed; None if neither has happened."""
    from faqnas_optuna.reporting.documents import to_the_minute

    if stop := study["stop"]:
        return f"{study['study']} {study['state']} {to_the_minute(stop['at'])}: {study['because']} ({stop['by']})"
    if study["resumed"]:
        last = study["resumed"][-1]
        return f"{study['study']} resumed {to_the_minute(last['at'])} ({last['by']})"
    return None


def _majority(study: Mapping[str, Any]) -> str | None:
    """Return the sentence on the score of always predicting the majority class; None where it is unknown."""
    part = "test" if study["confirms"] else "validation"
    rate = study["majority_score"]
    return None if rate is None else majority_line(rate, Score(study["score"]), part)


def _pace(study: Mapping[str, Any]) -> str | None:
    minutes = study["minutes_left"]
    # Without workers the time left is unknown, and so is the pace.
    if not study["workers"] or minutes is None:
        return None
    # The maximum number of generations limits a search, which may stop earlier.
    limit = f"at most {counted(round(minutes), 'minute')}" if minutes >= 0.5 else "less than a minute"
    return f"{study['study']}: {study['trials_per_minute']:.1f} trials per minute, {limit} left"


def print_datasets(datasets: Iterable[Mapping[str, Any]]) -> None:
    columns = ("samples", "features", "classes")
    table = TextTable(names=["name"], numbers=columns, last="source")
    for dataset in datasets:
        table.rows.append((dataset["name"], *(f"{dataset[column]:,}" for column in columns), dataset["source"]))
    print_table(table)


def print_data(document: Mapping[str, Any]) -> None:
    """Print a `data_document`: samples, classes, and a line per column or, for generated data, per parameter."""
    parts = ", ".join(f"{count:,} {part}" for part, count in document["parts"].items())
    classes = ", ".join(f"{entry['class']} ({entry['samples']:,})" for entry in document["classes"])
    print_line(f"{document['dataset']}: {document['samples']:,} samples ({parts}), {document['features']:,} features")
    print_prose(f"classes: {classes}")
    rates = document["majority"]["accuracy"]
    rate_by_part = ", ".join(f"{rates[part]:.3f} ({part})" for part in document["parts"])
    print_prose(f"Always predicting the majority class gives an accuracy of {rate_by_part}.")
    print_columns(document["columns"])
    table = TextTable(names=["parameter"], numbers=("value",), last="meaning")
    table.rows.extend((entry["key"], str(entry["value"]), entry["meaning"]) for entry in document["keys"])
    if document["keys"]:
        print_table(table)
    for finding in document["checks"] or ():
        print_line(warning(finding["message"]))


def warning(message: str) -> str:
    """Return a finding about the data as a line."""
    return f"Warning: {message}."


def print_columns(columns: Mapping[str, str]) -> None:
    """Print how each column of the data is used."""
    if columns:
        print_table(columns_table(columns))


def print_study(document: Mapping[str, Any]) -> None:
    """Print a `study_document`: a line per setting, and per column of a data file."""
    fields = study_fields(document)
    room = max(map(len, fields)) + 2
    for name, text in fields.items():
        print_line(f"{name:{room}}{text}")
    print_columns(document["columns"])


def print_finding(finding: "Finding") -> None:
    """Print a finding of `doctor` in one line."""
    mark = "ok  " if finding.ready else "FAIL"
    print_line(f"{mark}  {finding.check:9} {finding.message}")


def _columns() -> int | None:
    """Return the width of the terminal; None if stdout is not one."""
    console = make_console()
    return console.width if console.is_terminal else None


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print the blocks of a report."""
    for block in blocks:
        match block:
            case TextTable():
                print_table(block)
            case Line(text):
                print_line(text)
            case _:
                print_prose(block)


def print_table(table: TextTable) -> None:
    # A terminal shortens the columns to its width; a file gets all text.
    header, *rows = table.lines(_columns())
    print_line(header, style="bold" if is_moving_terminal() else None)
    for row in rows:
        print_line(row)


def print_prose(text: str) -> None:
    """Print sentences, wrapped to the width of a terminal."""
    console = make_console()
    # Files get one line per paragraph, which other tools can search.
    console.print(text, soft_wrap=not console.is_terminal)


def print_line(text: str, style: str | None = None) -> None:
    make_console().print(text, style=style, soft_wrap=True)
