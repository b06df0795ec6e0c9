import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgerift.errors import DataError
from edgerift.images import load


def as_stored(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["train.parquet"], ["test.parquet"]),
        (
            ["data/train-00000-of-00002-ab12.parquet", "data/train-00001-of-00002-cd34.parquet"],
            ["data/test-0.parquet"],
        ),
        (["plain/train/0000.parquet", "plain/train/0001.parquet"], ["plain/test/0000.parquet"]),
        (["plain/small-train.parquet"], ["plain/small-test.parquet"]),
        (["train.parquet"], ["validation.parquet"]),
    ],
)
def test_parquet_layouts(
    train: list[str],
    test: list[str],
    tmp_path: Path,
    parquet: Callable[..., Path],
    pixels: Callable[..., Any],
) -> None:
    images = pixels(9)
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2]
    names = ["owl", "ant", "bee"]
    shares = [slice(0, 4), slice(4, 6)] if len(train) == 2 else [slice(0, 6)]
    for name, share in zip(train + test, [*shares, slice(6, 9)], strict=True):
        parquet(tmp_path / "set" / name, images[share], {"label": labels[share]}, names)
    learn, judge = load("set")
    assert learn.classes == judge.classes == ("owl", "ant", "bee")
    np.testing.assert_array_equal(learn.images.numpy(), as_stored(images[:6]))
    np.testing.assert_array_equal(judge.images.numpy(), as_stored(images[6:]))
    assert learn.labels.tolist() == labels[:6]
    assert judge.labels.tolist() == labels[6:]
    assert learn.fingerprint != judge.fingerprint


def test_rows_beyond_one_batch_stay_in_order(
    tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    images = pixels(1100, 2)
    labels = (np.arange(1100) * 7 % 10).tolist()
    for split in ("train", "test"):
        parquet(tmp_path / "set" / f"{split}.parquet", images, {"label": labels})
    learn = load("set").train
    np.testing.assert_array_equal(learn.images.numpy(), as_stored(images))
    assert learn.labels.tolist() == labels


@pytest.mark.parametrize(
    ("columns", "names", "classes", "codes"),
    [
        ({"label": [2, 0, 1]}, None, ("0", "1", "2"), [2, 0, 1]),
        ({"label": ["dog", "cat", "dog"]}, None, ("cat", "dog"), [1, 0, 1]),
        ({"label": [1, 0, 1]}, ["b", "a", "unused"], ("b", "a", "unused"), [1, 0, 1]),
        ({"fine_label": [1, 0, 1], "coarse_label": [0, 0, 0]}, None, ("0", "1"), [1, 0, 1]),
        ({"labels": [1, 0, 1]}, None, ("0", "1"), [1, 0, 1]),
    ],
)
def test_label_columns(
    columns: dict[str, list[Any]],
    names: list[str] | None,
    classes: tuple[str, ...],
    codes: list[int],
    tmp_path: Path,
    parquet: Callable[..., Path],
    pixels: Callable[..., Any],
) -> None:
    for split in ("train", "test"):
        parquet(tmp_path / f"set/{split}.parquet", pixels(3), columns, names, image_column="img")
    learn = load("set").train
    assert (learn.classes, learn.labels.tolist()) == (classes, codes)


def test_class_names_of_the_test_images_are_read_in_the_order_of_the_training_images(
    tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    parquet(tmp_path / "set/train.parquet", pixels(3), {"label": [0, 1, 2]}, ["a", "b", "c"])
    parquet(tmp_path / "set/test.parquet", pixels(2), {"label": [0, 1]}, ["c", "b"])
    assert load("set").test.labels.tolist() == [2, 1]


@pytest.mark.parametrize("tracks", [[5, 5, 9], ["y", "y", "z"]])
def test_groups_are_read_where_there_are_some(
    tracks: list[Any], tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    parquet(tmp_path / "set/train.parquet", pixels(3), {"label": [0, 1, 1], "track": tracks})
    parquet(tmp_path / "set/test.parquet", pixels(3), {"label": [0, 1, 1]})
    learn, judge = load("set")
    assert learn.groups is not None
    first, second, third = learn.groups.tolist()
    assert first == second != third
    assert judge.groups is None


def test_a_parquet_folder_without_a_test_split_is_split(
    tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    parquet(tmp_path / "set/part.parquet", pixels(20), {"label": [0, 1] * 10})
    learn, judge = load("set", test_fraction=0.3, seed=1)
    assert judge.labels.bincount().tolist() == [3, 3]
    assert learn.labels.bincount().tolist() == [7, 7]


def test_images_of_many_sizes_need_a_size(
    tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    images = [*pixels(2, 8), *pixels(1, 9), *pixels(1, 6, 8)]
    for split in ("train", "test"):
        parquet(tmp_path / f"set/{split}.parquet", images, {"label": [0, 1, 0, 1]})
    with pytest.raises(
        DataError,
        match=r"image 2 in the train split of 'set' is 9x9 and the first is 8x8 \(height x width\)",
    ):
        load("set")
    scaled = load("set", size=8).train
    assert tuple(scaled.images.shape) == (4, 3, 8, 8)
    np.testing.assert_array_equal(scaled.images[:2].numpy(), as_stored(np.stack(images[:2])))
    assert "the images of 'set' are resized from several sizes to 8x8 pixels (height x width)" in scaled.notes


def test_loading_at_a_size_is_loading_and_resizing(
    tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    for split in ("train", "test"):
        parquet(tmp_path / f"set/{split}.parquet", pixels(3), {"label": [0, 1, 0]})
    for size in (8, 5, 16, (5, 12)):
        at_once, later = load("set", size=size).train, load("set").train.resized(size)
        np.testing.assert_array_equal(at_once.images.numpy(), later.images.numpy())
        assert at_once.fingerprint == later.fingerprint


def test_the_fingerprint_follows_the_bytes_and_not_the_place(
    tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    for split in ("train", "test"):
        parquet(tmp_path / f"here/{split}.parquet", pixels(3), {"label": [0, 1, 0]})
    shutil.copytree(tmp_path / "here", tmp_path / "there/copy")
    before = load("here")
    assert [part.fingerprint for part in load("there/copy")] == [part.fingerprint for part in before]
    parquet(tmp_path / "here/train.parquet", pixels(3, seed=1), {"label": [0, 1, 0]})
    assert load("here").train.fingerprint != before.train.fingerprint
    assert not np.array_equal(load("here").train.images, before.train.images)


def test_class_folders_with_and_without_splits(
    tmp_path: Path, class_folders: Callable[..., None], pixels: Callable[..., Any]
) -> None:
    cats, dogs = pixels(4), pixels(6, seed=1)
    odd = tmp_path / "odd [x] *name"
    class_folders(odd / "train", {"dog": dogs[:5], "cat": cats[:3]})
    class_folders(odd / "test", {"dog": dogs[5:]})
    (odd / "train/cat/.hidden").write_text("x")
    (odd / "train/readme.txt").write_text("x")
    learn, judge = load(str(odd))
    assert learn.classes == judge.classes == ("cat", "dog")
    np.testing.assert_array_equal(learn.images.numpy(), as_stored(np.concatenate([cats[:3], dogs[:5]])))
    assert judge.labels.tolist() == [1]

    class_folders(tmp_path / "flat", {"dog": dogs, "cat": cats})
    learn, judge = load("flat", test_fraction=0.5)
    assert learn.labels.bincount().tolist() == judge.labels.bincount().tolist() == [2, 3]


def test_class_folders_count_by_path_and_bytes(
    tmp_path: Path, class_folders: Callable[..., None], pixels: Callable[..., Any]
) -> None:
    images = pixels(4)
    class_folders(tmp_path / "one", {"a": images[:2], "b": images[2:]})
    class_folders(tmp_path / "two", {"a": images[:2], "c": images[2:]})
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    first, second, third = (load(name, test_fraction=0.5).train.fingerprint for name in ("one", "two", "three"))
    assert first != second
    assert first == third


def test_local_files_are_read_without_a_word_to_the_network(
    tmp_path: Path,
    parquet: Callable[..., Path],
    class_folders: Callable[..., None],
    pixels: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    parquet(tmp_path / "set/train.parquet", pixels(4), {"label": [0, 1, 0, 1]})
    class_folders(tmp_path / "folders", {"a": pixels(2), "b": pixels(2)})
    capfd.readouterr()
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    load("set", test_fraction=0.5)
    load("folders", test_fraction=0.5)
    assert asked == []
    assert capfd.readouterr() == ("", "")


class TestFaults:
    """Each ends in one line that names the fault."""

    @pytest.fixture(autouse=True)
    def _whole_set(
        self,
        tmp_path: Path,
        parquet: Callable[..., Path],
        pixels: Callable[..., Any],
        png: Callable[..., bytes],
    ) -> None:
        self.pixels, self.parquet, self.png = pixels, parquet, png
        self.train = parquet(tmp_path / "set/train.parquet", pixels(4), {"label": [0, 1, 2, 0]}, ["a", "b", "c"])
        self.test = parquet(tmp_path / "set/test.parquet", pixels(2), {"label": [0, 1]}, ["a", "b", "c"])

    def said(self, source: str = "set") -> str:
        with pytest.raises(DataError) as caught:
            load(source)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize("keep", [0, 3, 100, -20, -1])
    def test_truncated_parquet(self, keep: int) -> None:
        self.test.write_bytes(self.test.read_bytes()[:keep])
        assert "test.parquet' is no whole Parquet file" in self.said()

    def test_damaged_pages(self, capfd: pytest.CaptureFixture[str]) -> None:
        content = bytearray(self.train.read_bytes())
        content[4:60] = bytes(56)
        self.train.write_bytes(content)
        assert "set" in self.said()
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("damage", [b"", b"no image", None])
    def test_corrupt_image(self, damage: bytes | None) -> None:
        cells = [*self.pixels(2), damage, *self.pixels(1)]
        self.parquet(self.train, cells, {"label": [0, 1, 2, 0]})
        assert "image 2 in the train split of 'set'" in self.said()

    def test_truncated_image(self) -> None:
        self.parquet(self.test, [self.pixels(1)[0], self.png(self.pixels(1)[0])[:-40]], {"label": [0, 1]})
        assert "image 1 in the test split of 'set' cannot be decoded" in self.said()

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            ([0, 3], "label 3 of image 1 in the test split of 'set' is out of range; with 3 classes"),
            ([-1, 0], "label -1 of image 0"),
            ([0, None], "label None of image 1"),
            ([0.5, 0.0], "label 0.5 of image 0"),
            (["a", "z"], "label 'z' of image 1 in the test split of 'set' is no class; classes are a, b, c"),
            ([[0], [1]], "label [0] of image 0"),
        ],
    )
    def test_wrong_labels(self, labels: list[Any], said: str) -> None:
        self.parquet(self.test, self.pixels(2), {"label": labels})
        assert said in self.said()

    @pytest.mark.parametrize("labels", [[0, 10**9], [-1, -1], [0.5, 1.0], [None, 1], [True, False]])
    def test_wrong_labels_without_class_names(self, labels: list[Any]) -> None:
        self.parquet(self.train, self.pixels(2), {"label": labels})
        assert "label" in self.said()

    def test_missing_columns(self) -> None:
        self.parquet(self.train, self.pixels(2), {"kind": [0, 1]}, image_column="photo")
        assert "the train split of 'set' has no image column; it has photo, kind" in self.said()
        self.parquet(self.train, self.pixels(2), {"kind": [0, 1]})
        assert "has no label column; it has image, kind; call it one of label, fine_label" in self.said()

    def test_an_image_column_of_numbers(self) -> None:
        import datasets

        with self.train.open("wb") as file:
            datasets.Dataset.from_dict({"image": [1, 2], "label": [0, 1]}).to_parquet(file)
        assert "set/train.parquet' cannot be read" in self.said()

    def test_missing_groups(self) -> None:
        self.parquet(self.train, self.pixels(2), {"label": [0, 1], "track": [1, None]})
        assert "groups of 'set' are int and missing" in self.said()

    def test_a_split_without_images(self) -> None:
        self.parquet(self.test, [], {"label": []})
        assert "the test split of 'set' has no images" in self.said()

    def test_no_training_images(self) -> None:
        self.train.unlink()
        assert self.said() == "'set' has no training images; it has test"

    def test_two_sets_in_one_folder(self) -> None:
        for name in ("digits", "letters"):
            self.parquet(Path(f"both/{name}/train.parquet"), self.pixels(2), {"label": [0, 1]})
        assert "several sets; give one of its folders: both/digits, both/letters" in self.said("both")

    def test_splits_of_two_sizes(self) -> None:
        self.parquet(self.test, self.pixels(2, 9), {"label": [0, 1]})
        assert "train images of 8x8 and test images of 9x9 (height x width); pass a size" in self.said()

    def test_splits_of_two_shapes(self) -> None:
        # Height and width are those of the images, and of all of them.
        self.parquet(self.train, self.pixels(2, 6, 8), {"label": [0, 1]})
        assert "train images of 6x8 and test images of 8x8 (height x width); pass a size" in self.said()

    def test_folders_without_images(self, tmp_path: Path) -> None:
        (tmp_path / "empty/train/cat").mkdir(parents=True)
        (tmp_path / "bare").mkdir()
        assert "give a folder with train.parquet, train/<class>/" in self.said("empty")
        assert "give a folder with train.parquet, train/<class>/" in self.said("bare")

    def test_images_beside_the_class_folders(self, class_folders: Callable[..., None]) -> None:
        class_folders(Path("stray"), {"cat": self.pixels(2), "dog": self.pixels(2)})
        shutil.copy("stray/cat/0.png", "stray/0.png")
        assert "has images beside its class folders" in self.said("stray")

    def test_a_class_that_only_the_test_images_have(self, class_folders: Callable[..., None]) -> None:
        class_folders(Path("new/train"), {"cat": self.pixels(2), "dog": self.pixels(2)})
        class_folders(Path("new/test"), {"cow": self.pixels(2)})
        assert "label 'cow' of image 0 in the test split of 'new' is no class; classes are cat, dog" in self.said("new")

    def test_a_corrupt_file_in_a_class_folder(self, class_folders: Callable[..., None]) -> None:
        class_folders(Path("photos"), {"cat": self.pixels(2), "dog": self.pixels(2)})
        Path("photos/dog/0.png").write_bytes(b"no image")
        assert "'photos/dog/0.png' cannot be decoded (it is none of AVIF, BMP, GIF, JPEG" in self.said("photos")

    def test_nothing_is_left_in_the_cache(self, tmp_path: Path) -> None:
        self.parquet(self.train, [*self.pixels(1), b"no image"], {"label": [0, 1]})
        self.said()
        assert list((tmp_path / "cache/images").iterdir()) == []
