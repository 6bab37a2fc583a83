"""Reading of CSV and TSV files, plain or gzipped, with any common separator and encoding.

All cells are read as texts. `data.column_kinds` decides their meaning, so a cell has the same meaning in all formats.
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
from faqnas_optuna.data.limits import MAX_FILE_BYTES, NUMBER_BYTES, check_memory, check_names
from faqnas_optuna.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

HEAD = 2**20
"""Number of bytes at the beginning of a file from which separator and header are detected."""
SAMPLE_LINES = 20
"""Number of lines from which the separator is detected."""
SEPARATORS = ",;\t|"
UNNAMED = "Unnamed: "
"""Prefix of pandas' names for columns without a name."""
BYTE_ORDER_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""Encodings that are recognised by the first bytes of a file; all others are UTF-8."""


@dataclass(frozen=True, kw_only=True)
class CsvLayout:
    """Layout of a text file of columns."""

    encoding: str
    separator: str
    header: int
    """Index of the header line, from 0."""
    names: tuple[str, ...]
    """Names of the columns."""


def read_text(path: Path) -> tuple["pd.DataFrame", bool]:
    """Return the cells of a file as texts, and whether its numbers may have a decimal comma.

    Raises:
        DataError: The file is damaged, too large, or not a table.
    """
    content = _read_bytes(path)
    layout = _detect_layout(path, content)
    # An upper bound, since a quoted cell may contain line breaks; it is known before pandas allocates anything.
    rows = content.count(b"\n") + 1
    check_memory(path, rows * len(layout.names) * NUMBER_BYTES)
    return _parse(path, content, layout), layout.separator != ","


def _read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, decompressed if it is gzipped."""
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            # A small gzip file may expand to many gigabytes; reading stops at the limit.
            content = file.read(MAX_FILE_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decompressed: {error}; compress it again with gzip") from error
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"{path}: expands to more than {MAX_FILE_BYTES / 2**20:.0f} MiB, the maximum; take a sample of it")
    return content


def _detect_layout(path: Path, content: bytes) -> CsvLayout:
    """Detect encoding, separator and header of a file."""
    # The codec utf-8-sig reads UTF-8 with and without a byte-order mark.
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8-sig")
    lines = _first_lines(path, content, encoding)
    # Blank lines before the header do not count.
    header = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    first = lines[header].strip().strip('"').lower() if header < len(lines) else ""
    separator = None
    if first.startswith("sep="):
        # Excel declares the separator in a line before the header. A tab is lost when the line is stripped.
        separator = first.removeprefix("sep=")[:1] or "\t"
        header += 1
    if header >= len(lines):
        raise DataError(f"{path}: holds no samples; a data file begins with the names of its columns")
    if separator is None:
        separator = _detect_separator(lines[header:])
    return CsvLayout(
        encoding=encoding, separator=separator, header=header, names=_header_names(path, lines[header:], separator)
    )


def _first_lines(path: Path, content: bytes, encoding: str) -> list[str]:
    """Return the lines of the first `HEAD` bytes of a file."""
    head = content[:HEAD]
    if encoding != "utf-16" and b"\0" in head:
        raise DataError(f"{path}: is not a text file; save it as CSV")
    try:
        # An incremental decoder accepts a character that is cut off at the end of the first bytes.
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=len(content) <= HEAD)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    lines = text.splitlines()
    if len(lines) < 2 and len(content) > HEAD:
        raise DataError(f"{path}: its first line has more than {HEAD:,} bytes; a CSV file begins with the names of its columns")
    return lines


def _detect_separator(lines: Sequence[str]) -> str:
    """Return the separator with which most lines have as many cells as the header; of several, the one with most cells."""

    def quality(separator: str) -> tuple[bool, int]:
        counts = Counter(len(cells) for cells in _rows(lines[:SAMPLE_LINES], separator))
        width = len(next(_rows(lines[:1], separator), []))
        # A separator at the end of the header or of the other lines adds one empty cell there.
        matching = sum(count for cells, count in counts.items() if abs(cells - width) <= 1)
        return (width > 1 and 2 * matching > counts.total(), width)

    # If no separator divides the lines, the file has one column, and `max` returns the first separator.
    return max(SEPARATORS, key=quality)


def _rows(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """Yield the cells of each line that is not blank."""
    try:
        yield from (cells for cells in csv.reader(lines, delimiter=separator, skipinitialspace=True) if cells)
    except csv.Error:
        # Only the separator is being detected; pandas reports the damaged line later.
        return


def _header_names(path: Path, lines: Sequence[str], separator: str) -> tuple[str, ...]:
    """Return the names in the header; a column without a name gets the name that pandas would give it."""
    try:
        cells = next(csv.reader(lines[:1], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: its first line is not a CSV header: {error}") from error
    names = [cell.strip() for cell in cells]
    # A file without a header would silently lose its first sample.
    if all(_is_number(name) for name in names if name):
        examples = ", ".join(names[:3])
        raise DataError(f"{path}: begins with numbers ({examples}…); add a first line with the names of its columns")
    check_names(path, [name for name in names if name])
    return tuple(name or f"{UNNAMED}{place}" for place, name in enumerate(names))


def _parse(path: Path, content: bytes, layout: CsvLayout) -> "pd.DataFrame":
    """Return the cells of a file as texts, without interpreting any as missing."""
    import pandas as pd

    # Some programs write a separator at the end of each line. An extra column receives the empty cells behind it.
    extra = f"{UNNAMED}{len(layout.names)}"
    try:
        frame = pd.read_csv(
            io.BytesIO(content),
            sep=layout.separator,
            skiprows=layout.header + 1,
            header=None,
            names=[*layout.names, extra],
            # Otherwise pandas would use the first column as the index if the lines have more cells than there are names.
            index_col=False,
            dtype=TEXT,
            # `data.cells` decides which texts mean a missing value, for all formats alike.
            keep_default_na=False,
            encoding=layout.encoding,
            skipinitialspace=True,
        )
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from error
    except (pd.errors.ParserError, ValueError, MemoryError) as error:
        # pandas' message may have several lines; its prefix says nothing to a user.
        message = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(f"{path}: cannot be read as CSV: {message[:200]}; correct that line") from error
    extra_cells = frame.pop(extra)
    if (extra_cells.notna() & (extra_cells.str.strip() != "")).any():
        raise DataError(
            f"{path}: its lines have more values than the {len(layout.names)} names of the header; correct the header"
        )
    return frame


def _not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    return DataError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8")


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
