"""Loading of bundled tables, by the name of their data set, and of table files."""

from pathlib import Path

from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import DataError
from faqnas_optuna.tables.schema import SUFFIX
from faqnas_optuna.tables.table import Table

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "tables" / "shipped", PACKAGE.parent / "studies" / "tables")
"""Folders of the bundled tables: in an installed package, and in a copy of the repository."""


def load_table(table: str | Path, *, live: bool = False, data_dir: Path | str | None = None) -> Table:
    """Return a bundled table or a table from a file.

    Args:
        table: Name of a data set, or file written by `enumerate`.
        live: Whether queries are answered by training instead of reading. With equal versions the numbers are equal.
        data_dir: Directory of the data files, for live trainings.

    Raises:
        DataError: The table does not exist, is not a table of this version, or is of other data than live trainings would use.
    """
    file = Path(table) if Path(table).suffix == SUFFIX else _shipped_file(str(table))
    if live:
        # Imports numba, which reading a table does not need.
        from faqnas_optuna.tables.live import LiveTable

        return LiveTable(file, data_dir=None if data_dir is None else Path(data_dir))
    return Table(file)


def shipped() -> dict[str, Path]:
    """Return the files of the bundled tables by the name of their data set."""
    files = (file for folder in FOLDERS for file in sorted(folder.glob(f"*{SUFFIX}")))
    # Files of durations lie beside their tables.
    return {file.stem: file for file in files if not file.stem.endswith(".seconds")}


def _shipped_file(name: str) -> Path:
    """Return the file of a bundled table.

    Raises:
        DataError: No bundled table has this name.
    """
    files = shipped()
    if name not in files:
        raise DataError(
            f"there is no bundled table of {name!r}{did_you_mean(name, files)}; or create one, and name its file",
            command=f"enumerate {name}",
        )
    return files[name]
