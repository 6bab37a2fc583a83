import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faqnas_optuna.data import named
from faqnas_optuna.data.named import DATASETS, IDX_FILES, load
from faqnas_optuna.data.splits import DataSplits
from faqnas_optuna.errors import DataError
from faqnas_optuna.kept import to_npz

INSTALLED = [name for name in DATASETS if name != "mnist"]


def everything(splits: DataSplits) -> list[int]:
    return [int(label) for part in (splits.train, splits.validation, splits.test) for label in part.y]


@pytest.fixture(scope="module")
def idx_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of MNIST's form and size, with made-up images; two of them gzipped."""
    directory = tmp_path_factory.mktemp("mnist")
    random = np.random.default_rng(0)
    for name, shape in IDX_FILES.items():
        high = 256 if len(shape) == 3 else 10
        # One random image or ten labels, repeated: random bytes for all would take seconds.
        values = np.resize(random.integers(0, high, 28 * 28 * 7, dtype=np.uint8), shape)
        content = bytes((0, 0, 8, len(shape))) + np.array(shape, dtype=">u4").tobytes() + values.tobytes()
        if "t10k" in name:
            (directory / f"{name}.gz").write_bytes(gzip.compress(content, compresslevel=1))
        else:
            (directory / name).write_bytes(content)
    return directory


@pytest.mark.parametrize("name", INSTALLED)
def test_sizes_are_those_that_are_listed(name: str) -> None:
    splits = load(name, seed=0)
    info = DATASETS[name]
    assert len(everything(splits)) == info.samples
    assert splits.n_features == info.features
    assert splits.n_classes == info.classes == len(set(everything(splits)))


def test_data_and_split_are_kept_and_made_anew_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = load("iris", seed=0)
    (data,) = (tmp_path / "faqnas-optuna" / "data").glob("*.npz")
    (split,) = (tmp_path / "faqnas-optuna" / "splits").glob("*.npz")
    assert data.name.startswith("iris-scikit-learn-")
    again = load("iris", seed=0)
    for one, other in ((first.train, again.train), (first.validation, again.validation), (first.test, again.test)):
        assert np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y)
    assert "damaged" not in caplog.text
    for path in (data, split):
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", to_npz({"x": np.zeros((2, 2)), "y": np.zeros(2), "train": np.zeros(2)})):
            path.write_bytes(damaged)
            caplog.clear()
            assert load("iris", seed=0).fingerprint == first.fingerprint
            assert f"{path} is damaged" in caplog.text
            assert path.read_bytes() != damaged


def test_another_seed_is_another_split_of_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load("iris", seed=0).fingerprint != load("iris", seed=1).fingerprint
    assert len([*(tmp_path / "faqnas-optuna" / "data").glob("*.npz")]) == 1
    assert len([*(tmp_path / "faqnas-optuna" / "splits").glob("*.npz")]) == 2


def test_data_do_without_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load("iris", seed=0).train) == 90
    assert "each run makes it anew" in caplog.text


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
    # The network is not the tests' business; what OpenML sends has this form.
    parts = [named._read_idx(idx_dir, name) for name in IDX_FILES]
    sent = SimpleNamespace(
        data=np.concatenate((parts[0], parts[2])).reshape(70_000, 784),
        target=np.concatenate((parts[1], parts[3])).astype(str),
    )
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: sent)
    named.download_mnist(tmp_path / "new")
    assert load("mnist", seed=0, data_dir=tmp_path / "new").fingerprint == load("mnist", seed=0, data_dir=idx_dir).fingerprint


def test_a_download_without_a_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", refuse)
    with pytest.raises(DataError, match="cannot download MNIST from OpenML .*no route.* by hand"):
        named.download_mnist(tmp_path)


def test_unknown_data_sets_get_a_suggestion() -> None:
    with pytest.raises(DataError, match="unknown data set 'whine': did you mean 'wine'?"):
        load("whine", seed=0)
    with pytest.raises(DataError, match="choose from iris, wine, breast-cancer, digits, mnist-5k, mnist"):
        load("cifar", seed=0)
