import pytest
from hypothesis import given
from hypothesis import strategies as st

from faqnas_optuna.reporting.text_tables import INDENT, SHORTEST, TextTable, shortened

LONG = "breast-cancer-with-fifty-epochs-and-more"


def studies(*states: str) -> TextTable:
    table = TextTable(names=["study"], numbers=["gen", "trials", "best", "front", "hypervolume"], last="state")
    table.rows.extend((LONG, "8/8", "160", "0.944", "8", "0.9281", state) for state in states)
    return table


def fronts() -> TextTable:
    numbers = ["accuracy", "quantum FLOPs", "classical FLOPs", "parameters"]
    row = ("107", "0.944", "1,234,567", "25,448", "9,876", "10 qubits, amplitude, RX RZ RY RY, CNOT circular")
    return TextTable(names=["trial"], numbers=numbers, last="circuit", rows=[row])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_study_is_a_line_with_its_state_at_every_width(width: int) -> None:
    assert len(LONG) == 40
    header, line = studies("finished").lines(width)
    assert header.split() == ["study", "gen", "trials", "best", "front", "hypervolume", "state"]
    assert line.split()[1:] == ["8/8", "160", "0.944", "8", "0.9281", "finished"]
    assert max(len(header), len(line)) <= width
    assert line.startswith(LONG if width == 120 else "breast")


@pytest.mark.parametrize(("width", "below"), [(60, True), (80, True), (120, False)])
def test_a_circuit_is_whole_at_every_width(width: int, below: bool) -> None:
    lines = fronts().lines(width)
    assert max(map(len, lines)) <= width
    assert (INDENT + fronts().rows[0][-1] in lines) is below
    assert lines[-1].endswith("10 qubits, amplitude, RX RZ RY RY, CNOT circular")
    assert len(lines) == (3 if below else 2)
    assert ("circuit" in lines[0]) is not below


def test_numbers_for_which_there_is_no_room_stand_below_with_their_names() -> None:
    circuit = fronts().rows[0][-1]
    header, first, below, last = fronts().lines(51)
    assert (header, first) == (
        "trial  accuracy  quantum FLOPs  classical FLOPs",
        "107       0.944      1,234,567           25,448",
    )
    assert (below, last) == (f"{INDENT}parameters 9,876", f"{INDENT}{circuit}")
    header, first, below, *_ = fronts().lines(43)
    assert (header, first) == ("trial  accuracy  quantum FLOPs", "107       0.944      1,234,567")
    assert below == f"{INDENT}classical FLOPs 25,448, parameters 9,876"


def test_what_goes_into_a_file_is_never_shortened() -> None:
    assert studies("finished", "running").lines(None)[1].startswith(f"{LONG}  ")
    assert len(fronts().lines(None)) == 2


@given(
    st.lists(
        st.tuples(
            st.text("ab-", min_size=1, max_size=50), st.text("cd-", min_size=1, max_size=50), st.text("0123456789", max_size=9)
        ),
        max_size=4,
    ),
    st.integers(45, 160),
)
def test_any_table_fits_and_keeps_its_numbers(rows: list[tuple[str, str, str]], width: int) -> None:
    table = TextTable(
        names=["one", "other"], numbers=["count"], last="told", rows=[(*row, "some words of ours") for row in rows]
    )
    lines = table.lines(width)
    assert max(map(len, lines)) <= width
    for row in rows:
        assert any(row[2] in line.split() for line in lines) or not row[2]
    assert sum("some words of ours" in line for line in lines) == len(rows)


@given(st.text("abcdefghij", min_size=1, max_size=60), st.integers(SHORTEST, 40))
def test_a_name_keeps_its_ends(name: str, room: int) -> None:
    short = shortened(name, room)
    assert len(short) == min(len(name), room)
    if short != name:
        assert short[0] == name[0] and short[-4:] == name[-4:] and "…" in short
