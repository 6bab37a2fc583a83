from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faqnas_optuna.data import idx_files
from faqnas_optuna.data.idx_files import IDX_FILES, IDX_SETS, IMAGES_PER_CLASS, directory_of, download, read
from faqnas_optuna.data.named import load
from faqnas_optuna.errors import DataError, OutputError
from tests.support.mnist import idx_bytes
from tests.support.mnist import idx_dir as idx_dir  # the fixture


@pytest.fixture(scope="module")
def fashion_dir(idx_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory in which Fashion-MNIST has the same made-up images, with equally many of each class."""
    directory = tmp_path_factory.mktemp("data")
    (own := directory / "fashion-mnist").mkdir()
    for path in idx_dir.iterdir():
        if "images" in path.name:
            (own / path.name).symlink_to(path)
    for name, shape in IDX_FILES.items():
        if "labels" in name:
            (own / name).write_bytes(idx_bytes(shape, np.arange(shape[0]) % 10))
    return directory


@pytest.mark.slow
def test_mnist_reads_idx_files_gzipped_or_not(idx_dir: Path) -> None:
    splits = load("mnist", seed=0, data_dir=idx_dir)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (42_000, 14_000, 14_000)
    assert splits.n_features == 784


def test_mnist_without_files_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*--data-dir.*FAQNAS_DATA_DIR.*datasets --download mnist"):
        load("mnist", seed=0, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "is not MNIST's file"),
        (lambda content: content + b"x", "is not MNIST's file"),
        (lambda content: content.replace(b"\x00\x00\xea\x60", b"\x00\x00\xff\xff", 1), "is not MNIST's file"),
        (lambda content: b"", "is not MNIST's file"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path: Path, idx_dir: Path, damage: object, message: str) -> None:
    for path in idx_dir.iterdir():
        (tmp_path / path.name).symlink_to(path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(damage(content))  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        load("mnist", seed=0, data_dir=tmp_path)


def test_a_gzip_file_that_is_none_is_refused(tmp_path: Path, idx_dir: Path) -> None:
    for path in idx_dir.iterdir():
        (tmp_path / path.name).symlink_to(path)
    images = tmp_path / "t10k-images-idx3-ubyte.gz"
    images.unlink()
    whole = (idx_dir / images.name).read_bytes()
    flipped = whole[:5_000] + bytes([whole[5_000] ^ 0xFF]) + whole[5_001:]
    for damaged in (b"no gzip", whole[:5_000], flipped):
        images.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read|is not MNIST's"):
            load("mnist", seed=0, data_dir=tmp_path)


def test_a_download_is_kept_as_idx_files(tmp_path: Path, idx_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests do not use the network; OpenML's answer has this form.
    raw = read("mnist", idx_dir)
    sent = SimpleNamespace(data=raw["x"], target=raw["y"].astype(str))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda name, **_: {"mnist_784": sent}[name])
    download("mnist", tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new" / "mnist").iterdir()) == sorted(f"{name}.gz" for name in IDX_FILES)
    again = read("mnist", tmp_path / "new")
    assert all(np.array_equal(again[key], raw[key]) for key in raw)


def test_a_download_without_a_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", refuse)
    with pytest.raises(DataError, match="cannot download Fashion-MNIST from OpenML .*no route.*/fashion-mnist by hand"):
        download("fashion-mnist", tmp_path)


def test_a_download_is_refused_that_is_something_else_or_has_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = SimpleNamespace(data=np.zeros((60_000, 1)), target=np.zeros(60_000).astype(int).astype(str))
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: sent)
    with pytest.raises(DataError, match=r"OpenML sent 60000 images of \(1,\) pixels; Fashion-MNIST has 70000 of \(784,\)"):
        download("fashion-mnist", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot create the directory .*file/mnist"):
        download("mnist", tmp_path / "file")


def test_fashion_mnist_has_a_directory_of_its_own_and_names_its_classes(fashion_dir: Path) -> None:
    raw = read("fashion-mnist", fashion_dir)
    assert raw["x"].shape == (70_000, 784) and len(raw["columns"]) == 784
    assert np.bincount(raw["y"]).tolist() == 10 * [IMAGES_PER_CLASS]
    assert raw["classes"][[0, 9]].tolist() == ["T-shirt/top", "Ankle boot"]
    # The path of the directory itself is accepted, too.
    assert np.array_equal(read("fashion-mnist", fashion_dir / "fashion-mnist")["y"], raw["y"])


def test_the_files_of_one_set_are_not_taken_for_another(idx_dir: Path, fashion_dir: Path) -> None:
    with pytest.raises(
        DataError, match="Fashion-MNIST has 7,000 images of each class and these files have other numbers, .*--data-dir"
    ):
        read("fashion-mnist", idx_dir)
    with pytest.raises(
        DataError, match="have the same, so they are not the files of MNIST; name the directory of mnist with --data-dir"
    ):
        read("mnist", fashion_dir / "fashion-mnist")


@pytest.mark.parametrize("name", IDX_SETS)
def test_the_cache_has_a_directory_for_each(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    directory = directory_of(name, None)
    assert directory == tmp_path / "faqnas-optuna" / name
    directory.mkdir(parents=True)
    for number, file in enumerate(IDX_FILES):
        assert not idx_files.is_cached(name)
        (directory / (f"{file}.gz" if number % 2 else file)).touch()
    assert idx_files.is_cached(name)
