"""Text files of columns: CSV and TSV, plain or gzipped, of any usual separator and encoding, read as text alone.

What a column means is not decided here (`data.column_kinds`), so the same cell is the same text in every file.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faqnas_optuna.data.cells import TEXT
from faqnas_optuna.data.limits import LARGEST_FILE, NUMBER_BYTES, check_memory, check_names
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

HEAD = 2**20
"""Bytes that decide separator and header."""
SAMPLE_LINES = 20
"""Lines that decide the separator."""
SEPARATORS = ",;\t|"
UNNAMED = "Unnamed: "
"""Beginning of pandas' name for a column without a name."""
BYTE_ORDER_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, kw_only=True)
class CsvLayout:
    """Form of a text file."""

    encoding: str
    separator: str
    header: int
    """Number of the line of the header, from 0."""
    names: tuple[str, ...]


def read_text(path: Path) -> tuple["pd.DataFrame", bool]:
    """Return the cells of a file as texts, and whether its numbers may have a decimal comma.

    Raises:
        DataError: the file is damaged, too large, or no table.
    """
    content = _content(path)
    layout = _layout(path, content)
    rows = content.count(b"\n") + 1
    check_memory(path, rows * len(layout.names) * NUMBER_BYTES)
    return _parsed(path, content, layout), layout.separator != ","


def _content(path: Path) -> bytes:
    """Return the bytes of the text, decompressed."""
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST_FILE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decompressed: {error}; compress it again with gzip") from error
    if len(content) > LARGEST_FILE:
        raise DataError(f"{path}: expands to more than {LARGEST_FILE / 2**20:.0f} MiB, the maximum; take a sample of it")
    return content


def _layout(path: Path, content: bytes) -> CsvLayout:
    """Find encoding, separator and header of a text."""
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8-sig")
    lines = _first_lines(path, content, encoding)
    header = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    separator = None
    if header < len(lines) and (told := lines[header].strip().strip('"').lower()).startswith("sep="):
        # Excel's own mark.
        separator = told.removeprefix("sep=")[:1] or "\t"
        header += 1
    if header >= len(lines):
        raise DataError(f"{path}: holds no samples; a file of data begins with the names of its columns")
    if separator is None:
        separator = _separator(lines[header:])
    return CsvLayout(encoding=encoding, separator=separator, header=header, names=_names(path, lines[header:], separator))


def _first_lines(path: Path, content: bytes, encoding: str) -> list[str]:
    head = content[:HEAD]
    if encoding != "utf-16" and b"\0" in head:
        raise DataError(f"{path}: is not a text file; save it as CSV")
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=len(content) <= HEAD)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    lines = text.splitlines()
    if len(lines) < 2 and len(content) > HEAD:
        raise DataError(f"{path}: its first line has more than {HEAD:,} bytes; a CSV file begins with the names of its columns")
    return lines


def _separator(lines: Sequence[str]) -> str:
    """Return the separator that divides the first lines into the same number of cells, the more cells the better."""

    def quality(separator: str) -> tuple[bool, int]:
        widths = Counter(len(cells) for cells in _rows(lines[:SAMPLE_LINES], separator))
        width = len(next(_rows(lines[:1], separator), []))
        # A trailing separator in header or lines makes one cell more.
        alike = sum(count for wide, count in widths.items() if abs(wide - width) <= 1)
        return (width > 1 and 2 * alike > widths.total(), width)

    return max(SEPARATORS, key=quality)


def _rows(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """Yield the cells of each line that is not blank."""
    try:
        yield from (cells for cells in csv.reader(lines, delimiter=separator, skipinitialspace=True) if cells)
    except csv.Error:
        return


def _names(path: Path, lines: Sequence[str], separator: str) -> tuple[str, ...]:
    """Return the names of the header; pandas' own where one has none."""
    try:
        cells = next(csv.reader(lines[:1], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: its first line is no header of CSV: {error}") from error
    names = [cell.strip() for cell in cells]
    if all(_is_number(name) for name in names if name):
        shown = ", ".join(names[:3])
        raise DataError(f"{path}: begins with numbers ({shown}…); give it a first line with the names of its columns")
    check_names(path, [name for name in names if name])
    return tuple(name or f"{UNNAMED}{place}" for place, name in enumerate(names))


def _parsed(path: Path, content: bytes, layout: CsvLayout) -> "pd.DataFrame":
    import pandas as pd

    extra = f"{UNNAMED}{len(layout.names)}"
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=layout.separator,
            skiprows=layout.header + 1,
            header=None,
            # One name more takes up the trailing separator that some programs write behind each line.
            names=[*layout.names, extra],
            index_col=False,
            dtype=TEXT,
            keep_default_na=False,
            encoding=layout.encoding,
            skipinitialspace=True,
        )
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    except (pd.errors.ParserError, ValueError, MemoryError) as error:
        message = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(f"{path}: cannot be read as CSV: {message[:200]}; correct that line") from error
    behind = frame.pop(extra)
    if (behind.notna() & (behind.str.strip() != "")).any():
        raise DataError(f"{path}: its lines have more values than the {len(layout.names)} names of the header; mend the header")
    return frame


def _not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    return DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8")


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
