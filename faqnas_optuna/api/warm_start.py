"""Sources of known circuits, from which searches start: studies, tables and CSV files."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from optuna.storages import BaseStorage

from faqnas_optuna.circuits.genome import EVERY_GENE, GENES, PAPER_DEPTH, ROTATION_GENES, Circuit, Genome, Rotation
from faqnas_optuna.confirmation.opening import load_search
from faqnas_optuna.data.csv_files import read_text
from faqnas_optuna.data.reading import check_file
from faqnas_optuna.errors import DataError, GenomeError, StudyMismatchError, StudyNotFoundError
from faqnas_optuna.literals import whole_number
from faqnas_optuna.storage.opening import with_empty_cache
from faqnas_optuna.study.description import Origin, SourceKind
from faqnas_optuna.study.first_generation import Source, source_of_study
from faqnas_optuna.study.pareto import layers
from faqnas_optuna.study.records import SOURCE
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.study import load_stored
from faqnas_optuna.tables.schema import SUFFIX
from faqnas_optuna.tables.table import Table


def read_source(source: str, storage: BaseStorage | None, *, epochs: int) -> Source:
    """Read the circuits of a source.

    Args:
        source: Name of a study, or path of a table (.parquet) or CSV file.
        storage: Database of the study; None if it does not exist.
        epochs: Epochs whose values rank the circuits of a table; the last ones of the table if it lacks these.

    Raises:
        ConfigError: The study is a confirmation, or has no circuits.
        DataError: The file cannot be read, or a row is no circuit.
        StudyNotFoundError: The study does not exist.
        StudyMismatchError: The study is damaged, or was created by an incompatible version.
    """
    kind, name = _kind_and_name(source)
    if kind is SourceKind.STUDY:
        if storage is None:
            raise StudyNotFoundError(f"there is no study {name!r}, and no other study in this database; name another source")
        # A deleted study may have left trials in the cache.
        return source_of_study(load_search(with_empty_cache(storage), name))
    file = Path(source)
    circuits = _ranked_circuits(Table(file), epochs) if kind is SourceKind.TABLE else _circuits_of_rows(file)
    origins = [{SOURCE: {str(kind): name, "place": place}} for place in range(1, len(circuits) + 1)]
    return Source(
        origin=Origin(kind=kind, name=name, identity=_hash(file)),
        circuits=list(zip(circuits, origins, strict=True)),
        no_scores_because=f"a {kind} is a source of circuits only",
    )


def check_source(search: Search, source: str | None, storage: BaseStorage) -> None:
    """Refuse another source than the one with which an existing search was created; None agrees with any.

    Raises:
        StudyMismatchError: The search has another source, or none.
    """
    if source is None:
        return
    stored = search.description.warm_start
    kind, name = _kind_and_name(source)
    identity = None
    # A source that was deleted meanwhile cannot be compared, and is not needed any more.
    with suppress(StudyNotFoundError, OSError):
        is_study = kind is SourceKind.STUDY
        identity = load_stored(storage, name)[1].created if is_study else _hash(Path(source))
    if stored is None or (stored.kind, stored.name) != (kind, name) or stored.identity != (identity or stored.identity):
        text = f"{stored} ({stored.identity})" if stored else "none"
        requested = f"{kind} {name} ({identity or 'not there'})"
        raise StudyMismatchError(
            f"study {search.name!r} exists with another first generation: stored {text}, requested {requested}; leave out"
            " --from, or start another study with --study"
        )


def circuit_of(given: Any) -> Circuit:
    """Return the circuit of a genome, of an object with a `genome`, or of genes by name, such as a row of a front or file.

    Genes may be texts, and inactive ones may be empty or absent.

    Raises:
        GenomeError: The argument describes no circuit, or a gene is absent or has an invalid value.
    """
    genome = getattr(given, "genome", given)
    if isinstance(genome, Circuit | Genome):
        return genome if isinstance(genome, Circuit) else genome.circuit
    try:
        cells = dict(genome)
    except (TypeError, ValueError) as error:
        message = f"a circuit is a genome, a circuit, a dictionary of genes, or a row of a front or of trials; it is {given!r}"
        raise GenomeError(message) from error
    # Rows have further columns.
    genes = {gene: _gene_value(cell) for gene, cell in cells.items() if gene in EVERY_GENE and cell not in (None, "")}
    depth = genes.get("depth")
    # Rotations beyond the depth are never applied, so any value represents them.
    # With an invalid depth, which the genome refuses, the message should not be about them.
    inactive = ROTATION_GENES[depth if isinstance(depth, int) else 0 : PAPER_DEPTH]
    return Genome.from_params(dict.fromkeys(inactive, Rotation.RX) | genes).circuit


def _gene_value(cell: Any) -> Any:
    """Return the value of a gene; a text that is no value of any gene stays one, which the genome refuses."""
    if not isinstance(cell, str):
        # Rows of data frames have numbers of numpy.
        return cell.item() if hasattr(cell, "item") else cell
    with suppress(ValueError):
        return whole_number(cell)
    return {"True": True, "False": False}.get(cell, cell)


def _kind_and_name(source: str) -> tuple[SourceKind, str]:
    if source.lower().endswith(SUFFIX):
        return SourceKind.TABLE, Path(source).name
    if source.lower().endswith(".csv"):
        return SourceKind.FILE, Path(source).name
    return SourceKind.STUDY, source


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _ranked_circuits(table: Table, epochs: int) -> list[Circuit]:
    """Return the circuits of a table by non-dominated layers of quantum FLOPs and mean validation error.

    Circuits with equal effective circuit and equal cost are one network; the first of them represents it, as in `Table.front`.
    """
    right = table.val_right(epochs if epochs in table.epochs else table.epochs[-1]).sum(axis=1)
    flops = table.column("quantum_flops_profiler")
    _, rows = np.unique(np.column_stack([table.column("trained"), flops]), axis=0, return_index=True)
    # More correct predictions are a smaller error.
    layer = layers(np.column_stack([flops[rows], -right[rows]]))
    ranked = sorted(zip(layer, flops[rows], [table.circuits[row] for row in rows], strict=True))
    return [table.circuit(digest) for _, _, digest in ranked]


def _circuits_of_rows(file: Path) -> list[Circuit]:
    """Return the circuits of the rows of a CSV file, in their order.

    Raises:
        DataError: The file cannot be read, lacks the column of a gene, or has a row that is no circuit.
    """
    if not file.exists():
        raise DataError(f"{file}: the file does not exist; correct the path")
    check_file(file)
    frame, _ = read_text(file)
    absent = [gene for gene in GENES if gene not in frame.columns]
    if absent:
        raise DataError(f"{file}: has no column {absent[0]!r}; a file of circuits has the columns {', '.join(GENES)}")
    if frame.empty:
        raise DataError(f"{file}: holds no circuits; name a file with a row for each")
    circuits = []
    for number, row in enumerate(frame.to_dict("records"), 1):
        try:
            circuits.append(circuit_of(row))
        except GenomeError as error:
            raise DataError(f"{file}, row {number}: {error}; correct the row, or delete it") from error
    return circuits
