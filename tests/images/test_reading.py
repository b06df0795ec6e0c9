"""What can be read in more than one way: taken as it is meant, or refused in one line."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from edgerift.errors import DataError
from edgerift.images import ImagesSettings, class_names, load, notes, open_splits, resolve, split

STRANGE = (
    "1 files in the class folders of the train split of 'set' are not read: by their names they are no images, such as "
)
GREYS = iter(range(10**6))


def paint(*paths: str) -> None:
    """Write an image to each path, all of them different."""
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((4, 4, 3), np.uint8)
        pixels.reshape(-1)[:4] = np.frombuffer(next(GREYS).to_bytes(4, "little"), np.uint8)
        PIL.Image.fromarray(pixels).save(path)


def said(source: str = "set", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(source, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.fixture
def shard(parquet: Callable[..., Path], pixels: Callable[..., Any]) -> Callable[..., Path]:
    """Write a Parquet file of images with these labels, all of them different."""

    def write(path: str, labels: Sequence[Any] = (0, 1), names: list[str] | None = None, **columns: Any) -> Path:
        images = pixels(len(labels), 4, seed=next(GREYS))
        return parquet(Path(path), images, {"label": list(labels), **columns}, names)

    return write


SPELLINGS = [
    ("train", "test"),
    ("Train", "Test"),
    ("TRAIN", "TEST"),
    ("training", "testing"),
    ("Training set", "Test set"),
    ("train_images", "test_images"),
    ("trainset", "testset"),
    ("train", "val"),
    ("train2017", "val2017"),
    ("train", "Validation"),
    ("train", "valid"),
    ("train", "dev"),
    ("train", "eval"),
]


class TestSplits:
    @pytest.mark.parametrize(("train", "test"), SPELLINGS)
    def test_class_folders(self, train: str, test: str) -> None:
        paint(*(f"set/{train}/{name}/{number}.png" for name in ("cat", "dog") for number in range(3)))
        paint(f"set/{test}/dog/0.png")
        learn, judge = load("set")
        assert (learn.classes, learn.labels.tolist(), judge.labels.tolist()) == (
            ("cat", "dog"),
            [0, 0, 0, 1, 1, 1],
            [1],
        )
        assert learn.notes == judge.notes == ()

    @pytest.mark.parametrize(
        "layout", ["{}.parquet", "mnist-{}-00000-of-00001.parquet", "plain/{}/0000.parquet", "X_{}.PARQUET"]
    )
    @pytest.mark.parametrize(("train", "test"), SPELLINGS)
    def test_parquet(self, train: str, test: str, layout: str, shard: Callable[..., Path]) -> None:
        shard(f"set/{layout.format(train)}", [0, 1, 0])
        shard(f"set/{layout.format(test)}", [1])
        learn, judge = load("set")
        assert (learn.labels.tolist(), judge.labels.tolist(), learn.notes) == ([0, 1, 0], [1], ())

    def test_words_inside_other_words_are_none(self, shard: Callable[..., Path]) -> None:
        paint(*(f"set/{name}/{n}.png" for name in ("strain", "contest", "train_station") for n in range(4)))
        assert load("set").train.classes == ("contest", "strain", "train_station")
        shard("other/strain.parquet", [0, 1] * 4)
        shard("other/contest.parquet", [0, 1] * 4)
        assert sum(map(len, load("other"))) == 16

    def test_a_class_may_be_called_as_a_split(self) -> None:
        paint(*(f"set/{name}/{n}.png" for name in ("train", "bus", "test") for n in range(4)))
        assert load("set").train.classes == ("bus", "test", "train")

    def test_what_is_neither_trained_nor_judged_on_is_said(self, shard: Callable[..., Path]) -> None:
        for name in ("train", "test", "validation", "extra"):
            shard(f"set/{name}.parquet")
            paint(f"folders/{name}/a/0.png", f"folders/{name}/b/0.png")
        assert load("set").train.notes == (
            "2 Parquet files of 'set' are neither trained nor judged on: extra.parquet, validation.parquet",
        )
        assert load("folders").test.notes == (
            "the images of 'folders' in extra, validation are neither trained nor judged on",
        )

    @pytest.mark.parametrize(
        ("paths", "expected"),
        [
            (["Train/a/0", "train/b/0", "test/a/0"], "names one split in 2 ways, Train and train"),
            (["train/a/0", "test/a/0", "testing/b/0"], "names one split in 2 ways, test and testing"),
            (["test/a/0", "test/b/0"], "has no training images; it has test"),
            (["train/steam/0", "bus/0", "car/0"], "read like splits (train) beside others with images (bus, car)"),
            (["test/a/0", "test/b/0", "cat/a/0"], "read like splits (test) beside others with images (cat)"),
            (["train/a/0", "train/b/0", "test/0"], "test/ no class folders with images"),
            (["seg_train/a/0", "seg_train/b/0", "seg_test/a/0"], "read like splits (seg_test, seg_train)"),
            (["photos/train/a/0", "photos/test/a/0"], "holds one folder, 'photos', with folders of images in it"),
            (["photos/cat/0", "photos/dog/0"], "give 'set/photos'"),
        ],
        ids=lambda value: value if isinstance(value, str) else "+".join(value),
    )
    def test_class_folders_that_say_two_things(self, paths: list[str], expected: str) -> None:
        paint(*(f"set/{path}.png" for path in paths))
        assert expected in said()

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            (["train", "training", "test"], "names one split in 2 ways"),
            (["train-test"], "whose name says train and test; name one split in it"),
            (["part", "test"], "has no training images; it has test"),
            (["a/train", "b/test"], "several sets; give one of its folders: set/a, set/b"),
            (["a/train", "a/test", "b/test"], "several sets; give one of its folders: set/a, set/b"),
        ],
        ids=lambda value: value if isinstance(value, str) else "+".join(value),
    )
    def test_parquet_files_that_say_two_things(
        self, files: list[str], expected: str, shard: Callable[..., Path]
    ) -> None:
        for name in files:
            shard(f"set/{name}.parquet")
        assert expected in said()


class TestShards:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["train-00000-of-00003", "train-00002-of-00003"], "2 of 3 shards like 'train-00000-of-00003.parquet'"),
            (["train-00001-of-00003-ab", "train-00002-of-00003-cd"], "'train-00000-of-00003' is missing"),
            (["train-00000-of-00002"], "'train-00001-of-00002' is missing"),
            (["train-1-of-3", "train-3-of-3"], "'train-2-of-3' is missing"),
            (["train/0000", "train/0002"], "'0001' is missing"),
            (["train-0-of-2-ab", "train-0-of-2-cd", "train-1-of-2-ab"], "of two copies of one split"),
            (["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"], "of two copies of one split"),
        ],
        ids=lambda value: value if isinstance(value, str) else "+".join(value),
    )  # fmt: skip
    def test_a_missing_shard_is_named(self, names: list[str], expected: str, shard: Callable[..., Path]) -> None:
        for name in names:
            shard(f"set/{name}.parquet")
        shard("set/test-00000-of-00001.parquet")
        assert expected in said()

    def test_a_missing_shard_of_the_test_images_too(self, shard: Callable[..., Path]) -> None:
        for name in ("train", "test-00001-of-00002"):
            shard(f"set/{name}.parquet")
        assert "'test-00000-of-00002' is missing" in said()

    @pytest.mark.parametrize(
        "names",
        [
            ["train-0-of-2", "train-1-of-2"],
            ["train-1-of-2", "train-2-of-2"],
            ["a{}-train-0-of-2", "a{}-train-1-of-2"],
            ["train/0000", "train/0001"],
            ["train/2019", "train/2021"],
            ["train-00000-of-00001", "train-more-00000-of-00001"],
        ],
        ids="+".join,
    )
    def test_all_shards_are_read_in_order(self, names: list[str], shard: Callable[..., Path]) -> None:
        for name, labels in zip(names, ([0, 1, 1], [1, 0, 0]), strict=True):
            shard(f"set/{name}.parquet", labels)
        shard("set/test.parquet")
        assert load("set").train.labels.tolist() == [0, 1, 1, 1, 0, 0]

    def test_a_column_that_one_shard_has_more_is_not_read(self, shard: Callable[..., Path]) -> None:
        shard("set/train-0-of-2.parquet", [0, 1], ["a", "b"])
        shard("set/train-1-of-2.parquet", [1, 1], ["a", "b"], source=["x", "y"], width=[1, 2])
        shard("set/test.parquet", [1], ["a", "b"])
        assert load("set").train.labels.tolist() == [0, 1, 1, 1]

    def test_shards_that_disagree_are_named(self, shard: Callable[..., Path]) -> None:
        shard("set/test.parquet")
        shard("set/train-0-of-2.parquet", [0, 1], ["a", "b"])
        shard("set/train-1-of-2.parquet", [0, 1], ["b", "a"])
        assert "other class names in 'train-1-of-2.parquet' than in 'train-0-of-2.parquet'" in said()
        shard("set/train-1-of-2.parquet", [0, 1], ["a", "b"], track=[1, 2])
        assert "other groups in 'train-1-of-2.parquet'" in said()

    def test_a_cell_that_is_a_path_alone_is_not_read(self, parquet: Callable[..., Path], tmp_path: Path) -> None:
        import datasets

        paint("a.png")
        Path("set").mkdir()
        cells = [{"bytes": None, "path": str(tmp_path / "a.png")}]
        table = datasets.Dataset.from_dict({"image": cells, "label": [0]})
        with Path("set/train.parquet").open("wb") as file:
            table.to_parquet(file)
        assert "image 0 in the train split of 'set' is missing: its cell holds no bytes" in said()


class TestClassFolders:
    def test_a_linked_class_is_followed(self) -> None:
        paint("set/train/cat/0.png", "elsewhere/dogs/0.png", "elsewhere/one.png", "set/test/dog/0.png")
        Path("set/train/dog").symlink_to(Path("elsewhere/dogs").resolve())
        Path("set/train/cat/1.png").symlink_to(Path("elsewhere/one.png").resolve())
        learn = load("set").train
        assert (learn.classes, learn.labels.tolist()) == (("cat", "dog"), [0, 0, 1])
        before = learn.fingerprint
        paint("elsewhere/dogs/0.png")
        assert load("set").train.fingerprint != before

    @pytest.mark.parametrize(
        ("link", "target", "expected"),
        [
            ("set/dog", "nowhere", "the link 'set/dog' leads to nothing"),
            ("set/cat/2.png", "nowhere.png", "the link 'set/cat/2.png' leads to nothing"),
            ("set/cat/again", "..", "the link 'set/cat/again' leads back to a folder that holds it"),
            ("set/cat/self", "self", "'set/cat/self'"),
        ],
    )
    def test_a_link_that_leads_nowhere_is_named(self, link: str, target: str, expected: str) -> None:
        paint("set/cat/0.png", "set/emu/0.png")
        Path(link).symlink_to(target)
        assert expected in said()

    def test_one_folder_linked_twice_is_no_loop(self) -> None:
        paint("set/cat/0.png", "set/cat/1.png", "set/cat/2.png", "set/cat/3.png")
        Path("set/copy").symlink_to("cat")
        train, test = load("set", test_fraction=0.25)
        assert train.classes == ("cat", "copy")
        assert train.notes == ("4 images of 'set' are copies of others, and may be trained and judged on",)
        assert len(train) + len(test) == 8

    def test_the_first_level_is_the_class(self) -> None:
        paint(
            "set/train/cat/day/0.png", "set/train/cat/night/far/0.png", "set/train/dog/day/0.png", "set/train/dog/1.png"
        )
        paint("set/test/dog/night/0.png")
        learn, judge = load("set")
        assert (learn.classes, learn.labels.tolist(), judge.labels.tolist()) == (("cat", "dog"), [0, 0, 1, 1], [1])
        flat = Path("set/train").rename("flat")
        assert load(str(flat), test_fraction=0.5).train.classes == ("cat", "dog")

    def test_what_is_read_otherwise_has_another_fingerprint(self) -> None:
        paint("set/cat/day/0.png", "set/cat/1.png", "set/dog/0.png", "set/dog/1.png")
        before = resolve(ImagesSettings(source="set")).fingerprint
        Path("set/emu").mkdir()
        assert resolve(ImagesSettings(source="set")).fingerprint != before

    def test_an_empty_folder_is_a_class_without_images(self) -> None:
        paint(*(f"set/{split}/{name}/0.png" for split in ("train", "test") for name in ("ant", "cow")))
        Path("set/train/bee").mkdir()
        learn = load("set").train
        assert (learn.classes, learn.labels.tolist()) == (("ant", "bee", "cow"), [0, 2])
        assert learn.notes == ("1 of the 3 classes of 'set' have no image: 'bee'",)
        assert load("set", labels="renumbered").train.classes == ("ant", "cow")
        paint("set/test/bee/0.png")
        assert load("set").train.notes == ("1 classes of 'set' have test images alone: 'bee'",)

    @pytest.mark.parametrize(
        ("extra", "note"),
        [
            ("set/metadata.csv", "'set/metadata.csv' is not read: the class folders name the classes"),
            ("set/cat/metadata.jsonl", "'set/cat/metadata.jsonl' is not read: the class folders name the classes"),
            ("set/metadata.parquet", "'set/metadata.parquet' is not read: the class folders name the classes"),
            ("set/photos.zip", "'set/photos.zip' is not read: only what is unpacked counts"),
            ("set/cat/1.heic", STRANGE + "'set/cat/1.heic'"),
            ("set/cat/old.zip", STRANGE + "'set/cat/old.zip'"),
        ],
    )  # fmt: skip
    def test_files_that_are_not_read_are_said(self, extra: str, note: str) -> None:
        paint("set/cat/0.png", "set/cat/1.png", "set/dog/0.png", "set/dog/1.png")
        Path(extra).write_text("file_name,label\ncat/0.png,7\ncat/1.png,3\ndog/0.png,1\n")
        for train in (load("set", test_fraction=0.5).train, load("set", test_fraction=0.5).train):
            assert (train.classes, train.notes) == (("cat", "dog"), (note,))

    def test_a_folder_without_images_is_no_class(self) -> None:
        paint("set/cat/0.png", "set/dog/0.png")
        Path("set/emu").mkdir()
        Path("set/emu/1.heic").write_bytes(b"x")
        assert "has the folder 'emu' with files that are no images, such as 'set/emu/1.heic'" in said()

    def test_images_beside_parquet_files_are_said(self, shard: Callable[..., Path]) -> None:
        shard("set/train.parquet")
        shard("set/test.parquet")
        paint("set/assets/logo.png")
        assert load("set").train.notes == ("1 image files beside the Parquet files of 'set' are not read",)

    def test_an_archive_alone_is_to_be_unpacked(self) -> None:
        Path("set").mkdir()
        Path("set/photos.zip").write_bytes(b"x")
        assert "unpack 'photos.zip'" in said()

    def test_a_damaged_file_is_named_by_its_path(self) -> None:
        paint("set/cat/0.png", "set/dog/0.png", "set/dog/1.png")
        whole = Path("set/dog/1.png").read_bytes()
        Path("set/dog/1.png").write_bytes(whole[:-25])
        assert said().startswith("'set/dog/1.png' cannot be decoded")

    def test_a_path_may_hold_two_colons(self, shard: Callable[..., Path]) -> None:
        paint("odd::one/a/0.png", "odd::one/b::c/0.png", "odd::one/a/1.png", "odd::one/b::c/1.png")
        assert load("odd::one", test_fraction=0.5).train.classes == ("a", "b::c")
        shard("zip::x/train.parquet")
        shard("zip::x/test.parquet")
        assert len(load("./zip::x").test) == 2

    def test_a_name_that_is_not_utf8_is_named(self) -> None:
        paint("set/cat/0.png", "set/dog/0.png")
        shutil.copy("set/cat/0.png", os.fsdecode(b"set/dog/\xff.png"))
        assert "the name 'set/dog/\\udcff.png' is not UTF-8; rename it" in said()
        assert "is not UTF-8" in said(os.fsdecode(b"\xff"))

    @pytest.mark.parametrize("source", ["x" * 5000, "./" + "x/" * 3000, "a\0b", "a\nb", "~nobody-of-that-name/x"])
    def test_a_name_that_no_file_can_have_is_said(self, source: str) -> None:
        assert len(said(source)) < 400
        assert "is no folder" in said("digits2", root=Path(source))

    @pytest.mark.parametrize("closed", ["set/dog", "set"])
    def test_a_folder_that_may_not_be_read_is_named(self, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        paint("set/cat/0.png", "set/dog/0.png")
        scandir = os.scandir

        def refuse(folder: Any) -> Any:
            if str(folder) == closed:
                raise PermissionError(13, "Permission denied", closed)
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", refuse)
        assert said() == f"'{closed}' cannot be read (Permission denied); check that you may read it"


def save(labels: Sequence[Any], test: Sequence[Any] = (), **arrays: Any) -> str:
    """Write an .npz with these labels, its images all different."""
    images = np.random.default_rng(0).integers(0, 256, (len(labels) + len(test), 5, 5, 3), dtype=np.uint8)
    held = {"test_images": images[len(labels) :], "test_labels": list(test)} if test else {}
    np.savez("set.npz", images=images[: len(labels)], labels=list(labels), **held, **arrays)
    return "set.npz"


class TestLabels:
    @pytest.mark.parametrize(
        ("labels", "as_is", "renumbered"),
        [
            ([1, 2, 3, 3], 4, ("1", "2", "3")),
            ([0, 5, 900, 5], 901, ("0", "5", "900")),
            ([1, 1, 1, 1], 2, ("1",)),
        ],
    )
    def test_numbers_that_do_not_count_from_zero(
        self, labels: list[int], as_is: int, renumbered: tuple[str, ...], shard: Callable[..., Path]
    ) -> None:
        shard("set/train.parquet", labels)
        shard("set/test.parquet", labels[:2])
        for source in ("set", save(labels, labels[:2])):
            message = said(source)
            assert f"labels 'renumbered' (--class-labels renumbered) makes {len(renumbered)} classes" in message
            assert f"'as-is' makes {as_is} classes" in message
            kept, counted = load(source, labels="as-is"), load(source, labels="renumbered")
            assert (kept.train.labels.tolist(), len(kept.train.classes)) == (labels, as_is)
            assert kept.train.classes[max(labels)] == str(max(labels))
            assert "have no image" in kept.train.notes[-1]
            assert counted.train.classes == renumbered
            assert [counted.train.classes[label] for label in counted.train.labels] == list(map(str, labels))
            assert [counted.train.classes[label] for label in counted.test.labels] == list(map(str, labels[:2]))
            assert len({kept.train.fingerprint, counted.train.fingerprint}) == 2

    def test_both_splits_count(self) -> None:
        learn, judge = load(save([0, 2, 3], [1, 1]))
        assert learn.classes == judge.classes == ("0", "1", "2", "3")
        assert learn.notes == ("1 classes of 'set' have test images alone: '1'",)
        assert judge.labels.tolist() == [1, 1]

    @pytest.mark.parametrize("numbers", [[-1, 1], [0, 10**9], [0, 2**64 - 1]])
    def test_numbers_that_are_no_classes_can_be_renumbered(self, numbers: list[int]) -> None:
        labels = np.array(numbers * 3, dtype=np.uint64 if max(numbers) > 2**63 else np.int64)
        source = save(labels)  # type: ignore[arg-type]
        for chosen in (None, "as-is"):
            assert "is out of range; without class names labels are 0 to 65535" in said(source, labels=chosen)
        assert load(source, labels="renumbered").train.classes == tuple(map(str, numbers))

    def test_class_names_decide(self) -> None:
        source = save([0, 2] * 4, classes=["a", "b", "c"])
        learn = load(source).train
        assert learn.classes == ("a", "b", "c")
        assert learn.notes == ("1 of the 3 classes of 'set' have no image: 'b'",)
        assert load(source, labels="as-is").train.classes == ("a", "b", "c")
        learn = load(source, labels="renumbered").train
        assert (learn.classes, set(learn.labels.tolist())) == (("a", "c"), {0, 1})

    def test_settings_read_as_load_does(self) -> None:
        source = save([1, 2] * 6)
        settings = resolve(ImagesSettings(source=source))
        with pytest.raises(DataError, match="without class names"):
            open_splits(settings)
        chosen = settings.replace(labels="renumbered")
        parts = open_splits(chosen)
        assert parts.test.fingerprint == load(source, labels="renumbered").test.fingerprint
        assert class_names(chosen) == parts.train.classes == ("1", "2")
        assert notes(chosen) == parts.train.notes == ()
        assert notes(settings.replace(labels="as-is")) == ("1 of the 3 classes of 'set' have no image: '0'",)

    def test_the_choice_is_a_part_of_the_recipe_where_it_is_made(self) -> None:
        plain = ImagesSettings(source="set.npz")
        assert "labels" not in plain.model_dump_json()
        assert ImagesSettings.model_validate_json(plain.replace(labels="as-is").model_dump_json()).labels == "as-is"

    def test_alphabetical_numbers_are_said(self) -> None:
        paint(*(f"set/{name}/{number}.png" for name in range(11) for number in range(2)))
        learn = load("set", test_fraction=0.5).train
        assert learn.classes[:4] == ("0", "1", "10", "2")
        assert learn.notes == (
            "the classes of 'set' are in alphabetical order, not in that of their numbers: class 2 is '10'",
        )
        paint("few/08/0.png", "few/09/0.png", "few/10/0.png", "few/08/1.png", "few/09/1.png", "few/10/1.png")
        assert load("few", test_fraction=0.5).train.notes == ()

    def test_the_label_column_is_said_where_there_are_two(
        self, parquet: Callable[..., Path], pixels: Callable[..., Any]
    ) -> None:
        for name in ("train", "test"):
            labels = {"coarse_label": [0, 0, 0], "fine_label": [1, 0, 1]}
            parquet(Path(f"set/{name}.parquet"), pixels(3, seed=next(GREYS)), labels)
        assert load("set").train.labels.tolist() == [1, 0, 1]
        assert load("set").train.notes[0] == (
            "the labels of the train split of 'set' are its column 'fine_label', not coarse_label"
        )

    def test_groups_beyond_64_bits_are_refused(self) -> None:
        assert "whole numbers of 64 bits" in said(save([0, 1], groups=np.array([1, 2**64 - 1], dtype=np.uint64)))


class TestCopies:
    def test_test_images_that_are_training_images_are_said(self, shard: Callable[..., Path]) -> None:
        shard("set/train.parquet", [0, 1, 0, 1])
        shutil.copy("set/train.parquet", "set/test.parquet")
        expected = "4 of the 4 test images of 'set' are training images too, pixel by pixel"
        assert load("set").train.notes == (expected,)
        assert load("set").test.notes == (expected,)

    def test_other_arrays_are_said(self) -> None:
        source = save([0, 1] * 4, val_images=np.zeros(3), Test_labels=np.zeros(3))
        assert load(source).train.notes == (
            "the arrays of 'set.npz' with other names are not read: val_images, Test_labels",
        )

    def test_a_part_keeps_the_notes(self) -> None:
        paint("set/cat/0.png", "set/cat/1.png", "set/dog/0.png", "set/dog/1.png", "set/metadata.csv.png")
        Path("set/metadata.csv.png").rename("set/metadata.csv")
        train = load("set", test_fraction=0.5).train
        assert split(train, 0.5)[0].notes == train.notes != ()
