"""Text files as written by spreadsheets, statistics packages and scripts."""

from pathlib import Path

import pytest

from faqnas_optuna.data.csv_files import read_text
from faqnas_optuna.errors import DataError

READABLE: dict[str, bytes] = {
    "plain": b"a,b\n1,x\n2,y\n",
    "no last line end": b"a,b\n1,x\n2,y",
    "Windows line ends": b"a,b\r\n1,x\r\n2,y\r\n",
    "semicolons": b"a;b\n1;x\n2;y\n",
    "tabs": b"a\tb\n1\tx\n2\ty\n",
    "bars": b"a|b\n1|x\n2|y\n",
    "trailing commas in header and lines": b"a,b,\n1,x,\n2,y,\n",
    "trailing commas in lines": b"a,b\n1,x,\n2,y,\n",
    "blank first lines": b"\n  \na,b\n1,x\n2,y\n",
    "blank lines between": b"a,b\n1,x\n\n2,y\n\n",
    "Excel's separator": b"sep=;\na;b\n1;x\n2;y\n",
    "Excel's separator, quoted": b'"sep=;"\na;b\n1;x\n2;y\n',
    "byte order mark": b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
    "UTF-16": "a,b\n1,x\n2,y\n".encode("utf-16"),
    "UTF-16, tabs": "a\tb\n1\tx\n2\ty\n".encode("utf-16"),
    "UTF-16, the other order": b"\xfe\xff" + "a,b\n1,x\n2,y\n".encode("utf-16-be"),
    "spaces": b"a, b\n1, x\n2, y\n",
    "quotes": b'"a","b"\n"1","x"\n"2","y"\n',
}


@pytest.mark.parametrize("name", READABLE)
def test_a_usual_file_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(READABLE[name])
    frame, _ = read_text(tmp_path / "d.csv")
    cells = frame.loc[:, ["a", "b"]].apply(lambda column: column.str.strip())
    assert cells.to_numpy(object).tolist() == [["1", "x"], ["2", "y"]]
    assert all(name.startswith("Unnamed: ") for name in set(frame.columns) - {"a", "b"})


def test_separators_in_quotes_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text('"a;b;c;d;e",f\n"1;2;3",4\n')
    frame, decimal_comma = read_text(tmp_path / "d.csv")
    assert list(frame.columns) == ["a;b;c;d;e", "f"] and frame.iloc[0].tolist() == ["1;2;3", "4"]
    assert not decimal_comma


def test_a_decimal_comma_needs_another_separator(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a;b\n0,5;1\n")
    frame, decimal_comma = read_text(tmp_path / "d.csv")
    assert frame.iloc[0].tolist() == ["0,5", "1"] and decimal_comma


def test_cells_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n007,1e3\nNA,True\n")
    assert read_text(tmp_path / "d.csv")[0].to_numpy(object).tolist() == [["007", "1e3"], ["NA", "True"]]


def test_a_file_of_one_column_is_read(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("weight\n1.5\n2.5\n")
    assert read_text(tmp_path / "d.csv")[0]["weight"].tolist() == ["1.5", "2.5"]


def test_values_behind_the_header_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b\n1,x,3\n2,y,\n")
    with pytest.raises(DataError, match="its lines have more values than the 2 names of the header"):
        read_text(tmp_path / "d.csv")
