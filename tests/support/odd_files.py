"""Files like those of OpenML and UCI, of spreadsheets and of statistics packages.

Each has a writer, the options that its search needs, and a part of the message that refuses it, if it cannot be used.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 60
RANDOM = np.random.default_rng(11)
LABELS = RANDOM.choice(["no", "yes"], ROWS)
NUMBERS = RANDOM.normal(10, 3, (ROWS, 4)).round(2)


@dataclass(frozen=True, kw_only=True)
class Odd:
    """File and the expected result of reading it."""

    name: str = "d.csv"
    write: Callable[[Path], Any]
    options: tuple[str, ...] = ("--target", "y")
    refused: str | None = None
    """Part of the one line that refuses the file; None if it can be searched."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Kinds that columns must have."""


def base(**columns: Any) -> pd.DataFrame:
    """Return two plain numbers, other columns, and labels."""
    return pd.DataFrame({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1], **columns}).assign(y=columns.get("y", LABELS))


def csv(frame: pd.DataFrame, **how: Any) -> Callable[[Path], Any]:
    """Return the writer of a frame."""
    return lambda path: frame.to_csv(path, **{"index": False, **how})


def lines(header: str, line: Callable[[int], str], *, encoding: str = "utf-8", end: str = "\n") -> Callable[[Path], Any]:
    """Return the writer of a header and a line for each sample."""
    text = end.join([header, *map(line, range(ROWS))]) + end
    return lambda path: path.write_bytes(text.encode(encoding))


def cycle(*values: Any) -> list[Any]:
    """Return values in turn, one for each sample."""
    return [values[row % len(values)] for row in range(ROWS)]


def german(value: float) -> str:
    """Return a number as a German spreadsheet writes it."""
    return str(value).replace(".", ",")


def npz(**arrays: Any) -> Callable[[Path], Any]:
    """Return the writer of arrays."""
    return lambda path: np.savez(path, **arrays)


ODD: dict[str, Odd] = {
    "adult": Odd(
        write=lines("a, job, y", lambda row: f"{row}, {('Sales', '?', 'Tech')[row % 3]}, {('<=50K', '>50K')[row % 2]}"),
        kinds={"job": "category"},
    ),
    "german credit": Odd(write=csv(base(status=cycle("A11", "A12", "A14"))), kinds={"status": "category"}),
    "mushroom": Odd(write=csv(base(odor=cycle("n", "f", "?"), y=cycle("e", "p")))),
    "horse colic": Odd(write=csv(base(pulse=cycle("66", "?", "88 ")))),
    "car evaluation": Odd(write=csv(base(doors=cycle("2", "3", "5more"))), refused="declare the column with --category"),
    "car evaluation, coded": Odd(
        write=csv(base(doors=cycle("2", "3", "5more"))),
        options=("--target", "y", "--category", "doors"),
        kinds={"doors": "category"},
    ),
    "zoo": Odd(write=csv(base(animal=[f"animal {row}" for row in range(ROWS)])), kinds={"animal": "identifier"}),
    "titanic": Odd(
        write=csv(base(name=[f'Mr. "X", {row}' for row in range(ROWS)], cabin=cycle("C85", None, "E46"), sex=cycle("m", "f")))
    ),
    "bank marketing": Odd(write=csv(base(job=cycle("admin.", "services", "student")), sep=";", quoting=2)),
    "wine quality": Odd(write=csv(base(y=cycle(5, 6, 7)), sep=";")),
    "breast cancer wisconsin": Odd(write=csv(base(id=range(1_000, 1_000 + ROWS), nuclei=cycle("1", "?", "10")))),
    "heart disease": Odd(write=csv(base(thal=cycle("3.0", "6.0", "7.0"), ca=cycle("0.0", "?", "-9")))),
    "ionosphere": Odd(write=csv(base(constant=0))),
    "glass": Odd(write=csv(base(Id=range(1, ROWS + 1)))),
    "sonar": Odd(write=csv(base(**{f"band{n}": RANDOM.random(ROWS) for n in range(58)}, y=cycle("R", "M")))),
    "abalone": Odd(write=csv(base(y=range(ROWS))), refused="each class needs at least 5 samples"),
    "auto mpg": Odd(write=csv(base(car=cycle("ford", "audi"), y=NUMBERS[:, 2])), refused="regression is not supported"),
    "forest fires": Odd(write=csv(base(month=cycle("mar", "oct"), day=cycle("fri", "tue", "sat")))),
    "household power": Odd(
        write=lines(
            "Date;Time;power;y", lambda row: f"16/12/{2006 + row % 5};17:{row:02}:00;{'?' if row % 9 == 0 else row};{row % 2}"
        ),
        kinds={"Date": "date", "Time": "date", "power": "number"},
    ),
    "air quality": Odd(
        write=lines("Date;CO(GT);T;y;;", lambda row: f"10/03/2004;{german(row / 10)};{german(13.6)};{row % 2};;"),
        kinds={"CO(GT)": "number", "T": "number", "Date": "date"},
    ),
    "Excel, German": Odd(
        write=lines(
            "sep=;\r\na;b;y",
            lambda row: f"{german(row / 4)};x{row % 3};{'ja' if row % 2 else 'nein'}",
            encoding="utf-8-sig",
            end="\r\n",
        ),
        kinds={"a": "number"},
    ),
    "Excel, Unicode text": Odd(name="d.tsv", write=csv(base(ort=cycle("Köln", "Zürich")), sep="\t", encoding="utf-16")),
    "R": Odd(write=csv(base(), index=True, quoting=2)),
    "pandas' index": Odd(write=csv(base(), index=True)),
    "tabs": Odd(name="d.tsv", write=csv(base(), sep="\t")),
    "gzip": Odd(name="d.csv.gz", write=csv(base())),
    "gzip with capitals": Odd(
        name="D.CSV.GZ", write=lambda path: path.write_bytes(gzip.compress(base().to_csv(index=False).encode()))
    ),
    "percentages": Odd(write=csv(base(share=[f"{row}%" for row in range(ROWS)])), refused="a percent sign, such as '0%'"),
    "prices": Odd(write=csv(base(price=[f"${row}.50" for row in range(ROWS)])), refused="a currency sign, such as '$0.50'"),
    "hexadecimal": Odd(write=csv(base(mask=[hex(row) for row in range(ROWS)])), refused="hexadecimal digits"),
    "thousands": Odd(write=csv(base(sum=[f"{row},678" for row in range(1, ROWS + 1)])), refused="may mean thousands"),
    "three bad columns": Odd(
        write=csv(base(share=cycle("1%"), text=[*["1"] * (ROWS - 1), "x"], none="")),
        refused="column 'share' writes numbers with a percent sign",
    ),
    "labels 0.0 and 1.0": Odd(write=csv(base(y=cycle(0.0, 1.0)))),
    "labels true and false": Odd(write=csv(base(y=cycle(True, False)))),
    "labels with zeros": Odd(write=csv(base(y=cycle("01", "02")))),
    "postcodes": Odd(write=csv(base(postcode=cycle("01067", "10115", "80331"))), kinds={"postcode": "category"}),
    "coded wards": Odd(
        write=csv(base(ward=cycle(1, 2, 3))), options=("--target", "y", "--category", "ward"), kinds={"ward": "category"}
    ),
    "split as val": Odd(write=csv(base(split=cycle("train", "val", "train", "test"))), kinds={"split": "split"}),
    "split as Train": Odd(write=csv(base(Split=cycle("Train ", "TEST", "Train "))), kinds={"Split": "split"}),
    "split with a blank": Odd(write=csv(base(split=cycle("train", None, "test"))), refused="row 2 has no value"),
    "split by its numbers": Odd(write=csv(base(split=cycle(0, 1))), refused="row 1 has '0'"),
    "columns of one name": Odd(write=lines("a,a,y", lambda row: f"{row},{row},{row % 2}"), refused="two columns 'a'"),
    "no header": Odd(write=lines("1,2,0", lambda row: f"{row},{row},{row % 2}"), refused="begins with numbers"),
    "other letters": Odd(write=csv(base(**{"größe": cycle("groß", "klein"), "年齢": range(ROWS)}, y=cycle("да", "нет")))),
    "one feature": Odd(write=csv(pd.DataFrame({"a": NUMBERS[:, 0], "y": LABELS}))),
    "wide": Odd(
        write=csv(pd.DataFrame({**{f"c{n}": RANDOM.random(ROWS).round(3) for n in range(120)}, "y": LABELS})),
        options=("--target", "y", "--pca", "3"),
    ),
    "Parquet of all types": Odd(
        name="d.parquet",
        write=lambda path: base(
            count=pd.array(cycle(1, None, 3), "Int64"),
            flag=pd.array(cycle(True, None, False), "boolean"),
            site=pd.Categorical(cycle("Bern", None, "Graz")),
            when=pd.Timestamp("2024-01-05"),
        ).to_parquet(path),
        kinds={"count": "number", "flag": "boolean", "site": "category", "when": "date"},
    ),
    "Parquet of single texts": Odd(name="d.PARQUET", write=lambda path: base(code=cycle("007", "A12")).to_parquet(path)),
    "arrays with truth values": Odd(
        name="d.npz", write=npz(x=NUMBERS.astype(np.float16), y=np.array(cycle(True, False))), options=()
    ),
    "arrays with texts and groups": Odd(
        name="d.NPZ",
        write=lambda path: np.savez(path.open("wb"), x=NUMBERS, y=LABELS, patient=np.arange(ROWS) // 4),
        options=("--groups", "patient"),
        kinds={"patient": "group"},
    ),
    "quotes with line ends": Odd(write=csv(base(note=cycle("one\nline", "a, b; c", 'say "so"')))),
    "constant but for rounding": Odd(write=csv(base(c=[0.1 + row * 1e-17 for row in range(ROWS)]))),
    "fill value": Odd(write=csv(base(c=[9.97e36, *NUMBERS[1:, 2]])), refused="far outside the training range"),
    "numbers with words": Odd(
        write=csv(base(c=[*map(str, NUMBERS[1:, 2]), "n.d."])), refused="holds numbers, and 'n.d.' in row"
    ),
    "infinite": Odd(write=csv(base(c=[np.inf, *NUMBERS[1:, 2]])), refused="holds an infinite number in row 1"),
    "dates of a report": Odd(write=csv(base(day=cycle("5-Jan-2024", "Jan 7, 2024"))), kinds={"day": "date"}),
    "truth values and a word": Odd(write=csv(base(smokes=cycle("true", "false", "unknown"))), kinds={"smokes": "category"}),
}
