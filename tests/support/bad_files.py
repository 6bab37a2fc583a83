"""Files that cannot be used as data, each with its name, its content and a part of the message that refuses it."""

import gzip
import io
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 40
HEADER = "a,b,y"


def csv(*lines: str, header: str = HEADER) -> bytes:
    """Return a CSV file with a header and lines."""
    return "\n".join((header, *lines)).encode() + b"\n"


def good_rows(count: int = ROWS) -> list[list[str]]:
    """Return rows with two numbers and one of two classes."""
    return [[str(row % 7), f"{row * 0.37 % 3:.2f}", "yes" if row % 2 else "no"] for row in range(count)]


def changed(column: int, *values: str, header: str = HEADER) -> bytes:
    """Return a CSV file of good rows, in which values replace the first ones of a column."""
    rows = good_rows()
    for row, value in zip(rows, values, strict=False):
        row[column] = value
    return csv(*(",".join(row) for row in rows), header=header)


def all_of(column: int, value: Callable[[int], str], header: str = HEADER) -> bytes:
    """Return a CSV file of good rows, in which a function of the row number replaces a column."""
    return changed(column, *map(value, range(ROWS)), header=header)


def npz(**arrays: NDArray[Any]) -> bytes:
    """Return an NPZ file of arrays, which may hold Python objects."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def members(contents: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive of files with any content, which need not be arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def lying_header(shape: tuple[int, ...]) -> bytes:
    """Return an array whose header declares more values than follow."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue() + bytes(64)


class Bomb:
    """Object that runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch unpickled",)


X = np.arange(80.0).reshape(40, 2)
Y = np.arange(40) % 2
BAD: dict[str, tuple[str, bytes | Callable[[], bytes], str]] = {
    # name: (file name, content or a function that makes a large one, part of the message)
    "empty": ("d.csv", b"", "is empty"),
    "only a header": ("d.csv", csv(), "holds no samples"),
    "only blank lines": ("d.csv", b"\n\n\n", "holds no samples"),
    "one column": ("d.csv", csv(*["no", "yes"] * 9, header="y"), "no column can be used as a feature"),
    "no header": ("d.csv", b"1,2,3\n4,5,6\n", "begins with numbers"),
    "two columns of one name": ("d.csv", csv("1,2,3", header="a,a,y"), "two columns 'a'"),
    "NUL bytes": ("d.csv", b"a,b,y\n1,\x00,2\n", "is not a text file"),
    "a picture": ("d.csv", b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a text file"),
    "gzip": ("d.csv", gzip.compress(csv("1,2,no")) + bytes(9), "is not a text file"),
    "truncated gzip": ("d.csv.gz", gzip.compress(csv("1,2,no") * 99)[:30], "cannot be decompressed"),
    "no gzip": ("d.csv.gz", csv("1,2,no"), "cannot be decompressed"),
    "a gzip bomb": ("d.csv.gz", gzip.compress(bytes(2**20)) * 513, "expands to more than 512 MiB"),
    "Latin-1 header": ("d.csv", "größe,b,y\n1,2,no\n".encode("latin-1"), "is not UTF-8"),
    "Latin-1 values": ("d.csv", b"a,b,y\n" + "1,2,nö\n".encode("latin-1") * 20, "is not UTF-8"),
    "UTF-16 without its mark": ("d.csv", "a,b,y\n1,2,no\n".encode("utf-16-le"), "is not a text file"),
    "truncated UTF-16": ("d.csv", "a,b,y\n1,2,no\n".encode("utf-16")[:-1], "is not UTF-8"),
    "a quote that never ends": ("d.csv", csv('1,"2,no', "1,2,yes"), "cannot be read as CSV"),
    "a quoted header that never ends": ("d.csv", csv("1,2,no", header='a,"b,y'), "not a CSV header"),
    "too many values in a line": ("d.csv", csv("1,2,no", "1,2,3,4,no"), "cannot be read as CSV"),
    "more values than names": ("d.csv", csv(*["1,2,3,no"] * 9), "more values than the 3 names"),
    "a first line without end": ("d.csv", b"a," * 2**20, "first line has more than"),
    "more columns than are read": ("d.csv", csv("1,2", header=",".join(f"c{n}" for n in range(1_001))), "1,001 columns"),
    "one row": ("d.csv", csv("1,2,no"), "one class"),
    "one class": ("d.csv", all_of(2, lambda _: "no"), "one class"),
    "a class of one sample": ("d.csv", changed(2, "rare"), "'rare' has 1"),
    "a class for every sample": ("d.csv", all_of(2, lambda row: f"name {row}"), "40 classes in 40 rows"),
    "a target of fractions": ("d.csv", all_of(2, lambda row: f"{row / 7:.3f}"), "regression is not supported"),
    "an infinite target": ("d.csv", all_of(2, lambda row: "inf" if row == 9 else "1.0"), "holds inf"),
    "a target that lacks a value": ("d.csv", changed(2, "no", "", ""), "lacks a value in 2 rows, the first in row 2"),
    "a target without values": ("d.csv", all_of(2, lambda _: ""), "lacks a value in 40 rows"),
    "another target": ("d.csv", all_of(2, lambda _: "no", header="a,b,z"), "--target 'y' is not a column of the data"),
    "nothing but dates": (
        "d.csv",
        all_of(0, lambda row: f"2024-01-{row % 28 + 1:02}", header="a,,y"),
        "no column can be used as a feature",
    ),
    "percentages": (
        "d.csv",
        all_of(0, lambda row: f"{row % 9} %"),
        "column 'a' writes numbers with a percent sign, such as '0 %'",
    ),
    "currency": ("d.csv", changed(0, "$5", "$12.50"), "column 'a' writes numbers with a currency sign, such as '$5'"),
    "hexadecimal": (
        "d.csv",
        all_of(0, lambda row: hex(row)),
        "column 'a' writes numbers with hexadecimal digits, such as '0x0'",
    ),
    "thousands": ("d.csv", changed(0, '"26,678"'), "a comma, which may mean thousands or a decimal point, such as '26,678'"),
    "both decimal marks": ("d.csv", csv(*["0,5;1.5;no"] * 6 + ["0.5;1.5;yes"] * 6, header="a;b;y"), "mixes decimal commas"),
    "a split with another word": (
        "d.csv",
        all_of(0, lambda row: ("train", "test", "hold-out")[row % 3], header="split,b,y"),
        "row 3 has 'hold-out' (invalid rows: 13); correct the values",
    ),
    "a split with a blank": (
        "d.csv",
        all_of(0, lambda row: ("train", "test", "train", "")[row % 4], header="split,b,y"),
        "row 4 has no value",
    ),
    "parts by another name": (
        "d.csv",
        all_of(0, lambda row: ("Train", "Test")[row % 3 == 0], header="fold,b,y"),
        "column 'fold' names parts (train and test); rename it to 'split'",
    ),
    "two columns that name parts": (
        "d.csv",
        all_of(0, lambda row: ("train", "test")[row % 3 == 0], header="split,Split,y"),
        "both assign each sample to a part",
    ),
    "numbers and a word": ("d.csv", changed(0, "1", "none of it"), "column 'a' holds numbers, and 'none of it' in row 2"),
    "decimal commas": ("d.csv", all_of(0, lambda row: f'"{row},5"'), "a comma, which may mean thousands or a decimal"),
    "an infinite number": ("d.csv", changed(1, "1", "2", "inf"), "infinite number in row 3"),
    "a column without values": ("d.csv", all_of(0, lambda _: ""), "column 'a' holds no value"),
    "numbers too large to scale": ("d.csv", changed(0, "1e308", "-1e308"), "too large"),
    "whole numbers beyond 64 bits": ("d.csv", all_of(2, lambda row: f"1000000000000000000{row % 2}"), "beyond 64 bits"),
    "a split without a test part": (
        "d.csv",
        all_of(0, lambda _: "train", header="split,b,y"),
        "assigns no sample to 'test'; train and test are required",
    ),
    "a split without a class": (
        "d.csv",
        all_of(0, lambda row: "train" if row % 2 else "test", header="split,b,y"),
        "no sample in the training part; add samples, or correct the parts",
    ),
    "no features": (
        "d.csv",
        all_of(0, lambda row: ("train", "test")[row % 3 == 0], header="split,,y"),
        "no column can be used",
    ),
    "no Parquet": ("d.parquet", b"PAR1 and more", "cannot be read as Parquet"),
    "truncated Parquet": ("d.parquet", b"PAR1" + bytes(200), "cannot be read as Parquet"),
    "no archive": ("d.npz", b"no archive", "cannot be read as NPZ"),
    "a truncated archive": ("d.npz", npz(x=X, y=Y)[:300], "cannot be read as NPZ"),
    "an array of its own": ("d.npz", lying_header((2, 2)), "cannot be read as NPZ"),
    "no x": ("d.npz", npz(y=Y), "lacks the array 'x'"),
    "no y": ("d.npz", npz(x=X), "lacks the array 'y'"),
    "x of one dimension": ("d.npz", npz(x=X[:, 0], y=Y), "x must be"),
    "x of text": ("d.npz", npz(x=X.astype(str), y=Y), "x must hold numbers"),
    "y of another length": ("d.npz", npz(x=X, y=Y[:5]), "one for each row of x"),
    "Python objects": ("d.npz", npz(x=X, y=np.array([Bomb()] * 40, object)), "holds Python objects"),
    "a pickle": ("d.npz", pickle.dumps(Bomb()), "cannot be read as NPZ"),
    "a pickle among arrays": ("d.npz", members({"x.npy": pickle.dumps(Bomb()), "y.npy": b""}), "cannot be read as NPZ"),
    "a header that lies": ("d.npz", members({"x.npy": lying_header((10**4, 2)), "y.npy": b""}), "is damaged"),
    "a header that lies enormously": ("d.npz", members({"x.npy": lying_header((10**12, 9)), "y.npy": b""}), "MiB of memory"),
    "a bomb of zeros": ("d.npz", lambda: members({"x.npy": lying_header((2**24, 8)) + bytes(2**26)}), "MiB of memory"),
    "another kind of file": ("d.xlsx", b"PK\x03\x04", "a data file must end in .csv, .tsv, .csv.gz, .tsv.gz, .parquet, .npz"),
}


def write(directory: Path, name: str) -> Path:
    """Write a file of `BAD` and return its path."""
    file, content, _ = BAD[name]
    (directory / file).write_bytes(content if isinstance(content, bytes) else content())
    return directory / file
