"""The tables that come with the program, and those in files."""

from pathlib import Path

from faqnas_optuna.config_errors import did_you_mean
from faqnas_optuna.errors import DataError
from faqnas_optuna.tables.schema import SUFFIX
from faqnas_optuna.tables.table import Table

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "tables" / "shipped", PACKAGE.parent / "studies" / "tables")
"""Where the tables are that come with the program: in an installed package, and in a copy of its repository."""


def load_table(table: str | Path, *, live: bool = False, data_dir: Path | str | None = None) -> Table:
    """The table of a data set that comes with the program, or one from a file.

    Args:
        table: the name of a data set, or the file that `enumerate` has written.
        live: train what is asked for instead of looking it up: on the same versions the numbers are the same.
        data_dir: for that, where the file of data is.

    Raises:
        DataError: there is no such table, or it is none that this program reads; or data of live trainings are not those of the
            table.
    """
    file = Path(table) if Path(table).suffix == SUFFIX else _shipped(str(table))
    if live:
        # It brings numba, which a table does without.
        from faqnas_optuna.tables.live import LiveTable

        return LiveTable(file, data_dir=None if data_dir is None else Path(data_dir))
    return Table(file)


def shipped() -> dict[str, Path]:
    """The tables that come with the program, by the name of their data set."""
    files = (file for folder in FOLDERS for file in sorted(folder.glob(f"*{SUFFIX}")))
    return {file.stem: file for file in files if not file.stem.endswith(".seconds")}


def _shipped(name: str) -> Path:
    """One of them."""
    found = shipped()
    if name not in found:
        raise DataError(
            f"no table of {name!r} comes with this program{did_you_mean(name, found)}; or make one, and name its file",
            command=f"enumerate {name}",
        )
    return found[name]
