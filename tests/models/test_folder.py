"""A trained network as a folder: it loads as the same network everywhere, and nothing else is loaded."""

import json
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save
from sklearn.datasets import load_iris

from faqnas_optuna.circuits.genome import Embedding
from faqnas_optuna.circuits.openqasm import preparation_angles
from faqnas_optuna.config import Engine
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError, OutputError
from faqnas_optuna.models.folder import load_model
from tests.support.crew import forking
from tests.support.models import keep_writing, model_for, written
from tests.support.processes import TIMEOUT_S


@pytest.mark.parametrize("embedding", Embedding)
def test_what_is_loaded_is_what_was_written(tmp_path: Path, iris: DataSplits, embedding: Embedding) -> None:
    model = model_for(iris, embedding)
    loaded = load_model(written(tmp_path / "m", model))
    assert loaded.circuit == model.circuit and loaded.classes == ("setosa", "versicolor", "virginica")
    assert np.array_equal(loaded.parameters, model.parameters)
    assert np.array_equal(loaded.probabilities(iris.test.x), model.probabilities(iris.test.x))


def test_logarithms_are_those_of_the_probabilities(iris: DataSplits) -> None:
    model = model_for(iris, Embedding.ANGLE)
    frame = pd.DataFrame(load_iris().data, columns=list(model.preprocessing.numbers.names))
    assert np.exp(model.predict_log_proba(frame)) == pytest.approx(model.predict_proba(frame))


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("embedding", Embedding)
def test_both_engines_take_its_weights(iris: DataSplits, embedding: Embedding, engine: Engine) -> None:
    model = model_for(iris, embedding)
    with torch.no_grad():
        shares = model.module(engine)(torch.from_numpy(iris.test.x)).exp().numpy()
    assert shares == pytest.approx(model.probabilities(iris.test.x), abs=1e-5)


@pytest.mark.parametrize("embedding", Embedding)
def test_pennylane_and_qiskit_measure_the_same(iris: DataSplits, embedding: Embedding) -> None:
    from qiskit.quantum_info import Pauli, Statevector

    model = model_for(iris, embedding)
    layers, trained, circuit = model.layers, model.to_pennylane(), model.to_qiskit()
    for x in iris.test.x[:3]:
        encoded = (x @ layers.encoder_weights.T + layers.encoder_bias).astype(np.float64)
        measured = np.array(trained(encoded))
        angles = preparation_angles(model.circuit, encoded)
        bound = Statevector(circuit.assign_parameters({f"a{number}": angle for number, angle in enumerate(angles)}))
        theirs = [bound.expectation_value(Pauli("Z"), [wire]).real for wire in range(3)]
        assert theirs == pytest.approx(measured, abs=1e-6)
        scores = measured @ layers.classifier_weights.T + layers.classifier_bias
        shares = np.exp(scores) / np.exp(scores).sum()
        assert model.probabilities(x[None])[0] == pytest.approx(shares, abs=1e-5)


def test_samples_are_taken_by_name_or_in_order(iris: DataSplits) -> None:
    from sklearn.datasets import load_iris

    model, frame = model_for(iris), load_iris(as_frame=True).data
    labels = model.predict(frame)
    assert set(labels) <= set(model.classes) and np.array_equal(labels, model.predict(frame.to_numpy()))
    assert np.array_equal(labels, model.predict(frame[frame.columns[::-1]].assign(more="text")))
    with pytest.raises(DataError, match=r"column 'petal width \(cm\)' missing; the model needs 4 columns"):
        model.predict(frame.iloc[:, :3])
    with pytest.raises(DataError, match=r"samples must be \(samples, 4\); they are \(150, 3\)"):
        model.predict(frame.to_numpy()[:, :3])
    with pytest.raises(DataError, match="must hold numbers; row 2 has 'long'"):
        model.predict(pd.DataFrame(frame.astype(object)).assign(**{frame.columns[0]: ["5", "long"] + ["5"] * 148}))
    with pytest.raises(DataError, match="lacks a value in row 3; this model needs a value in every row"):
        model.predict(frame.where(frame.index.to_series() != 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.to_numpy().astype(complex), "holds complex numbers"),
        (lambda frame: pd.concat([frame, frame], axis=1), "has two columns"),
        (lambda frame: pd.concat({"a": frame}, axis=1), "have several levels"),
        (lambda frame: frame.replace({5.1: "x"}), "must hold numbers; row 1 has 'x'"),
        (lambda frame: frame.replace({5.1: np.inf}), "holds an infinite number in row 1"),
        (lambda frame: frame.replace({5.1: 9.97e36}), "in row 1, far outside the training range of 4.3 to 7.9"),
        (lambda frame: frame.to_numpy()[0], r"of the shape \(4,\)"),
        (lambda frame: None, "a NoneType"),
    ],
)
def test_what_cannot_be_predicted_is_refused(iris: DataSplits, change: Callable[[pd.DataFrame], object], message: str) -> None:
    from sklearn.datasets import load_iris

    with pytest.raises(DataError, match=message):
        model_for(iris).predict(change(load_iris(as_frame=True).data))


def test_a_tensor_and_a_masked_array_are_predicted_by_their_values(iris: DataSplits) -> None:
    from sklearn.datasets import load_iris

    model, values = model_for(iris), load_iris().data
    assert np.array_equal(model.predict(torch.from_numpy(values).requires_grad_()), model.predict(values))
    with pytest.raises(DataError, match="lacks a value in row 1"):
        model.predict(np.ma.masked_equal(values, 5.1))


def test_predictions_have_the_type_of_the_labels(iris: DataSplits) -> None:
    from sklearn.datasets import load_iris

    model = replace(model_for(iris), classes=(False, True, True))
    assert model.predict(load_iris().data).dtype == np.bool_


def test_every_flipped_bit_is_seen(tmp_path: Path, iris: DataSplits) -> None:
    folder, random = written(tmp_path / "m", model_for(iris)), np.random.default_rng(0)
    # Other files are for readers, who may edit them.
    for path in (folder / "model.json", folder / "model.safetensors"):
        whole = path.read_bytes()
        for place in random.integers(0, len(whole), 60):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << int(random.integers(8)))]) + whole[place + 1 :])
            with pytest.raises(DataError, match="export"):
                load_model(folder)
        for length in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(DataError, match="export"):
                load_model(folder)
        path.unlink()
        with pytest.raises(DataError, match="lacks|export"):
            load_model(folder)
        path.write_bytes(whole)
    assert load_model(folder).classes == iris.classes


class Bomb:
    """Object whose unpickling creates a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch unpickled",)


@pytest.mark.parametrize(
    "weights",
    [
        pickle.dumps(Bomb()),
        save({"other": np.zeros(3, np.float32)}),
        b"",
        save({"encoder.weight": np.zeros((3, 9), np.float32)}),
    ],
    ids=["pickle", "foreign", "empty", "another size"],
)
def test_weights_of_something_else_are_refused_also_with_the_right_checksum(
    tmp_path: Path, iris: DataSplits, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = written(tmp_path / "m", model_for(iris))
    monkeypatch.setattr("safetensors.numpy.save", lambda _: weights)
    folder = written(tmp_path / "other", model_for(iris))
    with pytest.raises(DataError, match="is not a model of faqnas-optuna, or it is damaged; export the model again"):
        load_model(folder)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b"[" * 100_000, b"\xff", b'{"format": "faqnas-optuna model"}'])
def test_other_json_is_refused(tmp_path: Path, iris: DataSplits, content: bytes) -> None:
    folder = written(tmp_path / "m", model_for(iris))
    (folder / "model.json").write_bytes(content)
    with pytest.raises(DataError, match="export"):
        load_model(folder)


def test_a_folder_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path, iris: DataSplits) -> None:
    folder = written(tmp_path / "m", model_for(iris))
    with pytest.raises(OutputError, match="exists already; choose another folder with --out, or add --replace"):
        written(folder, model_for(iris))
    written(folder, model_for(iris, Embedding.ANGLE), replace=True)
    assert load_model(folder).circuit.embedding is Embedding.ANGLE
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="is not a model folder, so it is not replaced"):
        written(tmp_path / "mine", model_for(iris), replace=True)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["m", "mine"]


@pytest.mark.slow
def test_a_folder_is_whole_or_not_there_when_its_writer_is_killed(tmp_path: Path, iris: DataSplits) -> None:
    random = np.random.default_rng(1)
    for _ in range(5):
        began, began_end = forking().Pipe(duplex=False)
        writer = forking().Process(target=keep_writing, args=(tmp_path / "m", iris, began_end))
        writer.start()
        try:
            assert began.poll(TIMEOUT_S)
            # The kill may come at any moment of a write.
            time.sleep(random.uniform(0, 0.05))
        finally:
            writer.kill()
            writer.join(TIMEOUT_S)
        if (tmp_path / "m").exists():
            assert load_model(tmp_path / "m").circuit.n_qubits == 3


def test_its_json_holds_no_more_than_it_says(tmp_path: Path, iris: DataSplits) -> None:
    document = json.loads((written(tmp_path / "m", model_for(iris)) / "model.json").read_text())
    assert set(document) == {"format", "schema_version", "trained", "classes", "schema", "preprocessing", "files", "checksum"}
    assert set(document["files"]) == {"circuit.qasm", "model.safetensors"}
