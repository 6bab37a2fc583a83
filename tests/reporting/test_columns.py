"""Costs and scores of the column list appear in every output."""

import csv
import io
import re
from collections import Counter

from faqnas_optuna.config import StudyConfig, TrainingConfig
from faqnas_optuna.reporting.columns import BY_NAME, ORDER, Output, columns, values
from faqnas_optuna.reporting.documents import front_csv, pareto_document, trial_document
from faqnas_optuna.reporting.frames import front_frame
from faqnas_optuna.study.search import Search
from faqnas_optuna.study.state import read_state
from faqnas_optuna.training.values import Costs, ValidationScores
from tests.support.candidates import candidate, description_of, genome_of


def named(output: Output, search: Search) -> list[str]:
    return [column.name for column in columns(output, search.description)]


def test_every_stored_value_has_a_column_of_its_own() -> None:
    fields = Costs.__dataclass_fields__.keys() | ValidationScores.__dataclass_fields__.keys()
    # The FLOPs of the effective circuit are reported with that circuit.
    assert {name for name in fields if not name.startswith("cheapest_")} <= BY_NAME.keys()
    for groups in ORDER.values():
        names = Counter(column.name for group in groups for column in group)
        assert set(names.values()) == {1}


def test_documents_files_and_frames_have_the_columns(search_of_eight: Search) -> None:
    state = read_state(search_of_eight)
    document = pareto_document(state)
    entry = document["front"][0]
    assert list(entry)[1:-5] == named(Output.ENTRY, search_of_eight)
    header = next(csv.reader(io.StringIO(front_csv(document))))
    assert {name.removesuffix("_interval") for name in named(Output.ENTRY, search_of_eight)} <= set(header)
    # Intervals have two columns.
    frame = {
        re.sub("_interval$|_wilson$", r"\g<0>_low", name).replace("_interval", "")
        for name in named(Output.FRAME, search_of_eight)
    }
    assert frame <= set(front_frame(state).columns)
    assert trial_document(search_of_eight, 0).keys() >= set(named(Output.TRIAL, search_of_eight))


def test_values_as_people_read_them() -> None:
    one = candidate(0, genome_of(3, "CZ", "RX"), flops=1234567, error=0.25, deviation=0.01)
    study = description_of(StudyConfig(dataset="iris", training=TrainingConfig(repeats=3)))
    read = values(Output.TRIAL, one, study)
    assert BY_NAME["quantum_flops"].text(read["quantum_flops"]) == "1,234,567"
    assert BY_NAME["val_accuracy"].text(read["val_accuracy"]) == "0.750"
    assert BY_NAME["val_accuracy_interval"].text(read["val_accuracy_interval"]) == "0.725 to 0.775"
    assert BY_NAME["val_balanced_accuracy"].text(read["val_balanced_accuracy"]) == "–"


def test_headings_name_the_device() -> None:
    study = description_of(StudyConfig.from_settings({"dataset": "iris", "cost": "hardware:heron-r3"}, source="this test"))
    headings = [column.heading_in(study) for column in columns(Output.TABLE, study)]
    assert headings == [
        "accuracy",
        "−ln ESP on heron-r3",
        "two-qubit gates",
        "quantum FLOPs",
        "classical FLOPs",
        "parameters",
    ]
