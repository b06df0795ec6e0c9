from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from edgerift.errors import DataError
from edgerift.images import Augmentation, load
from edgerift.images._sources import KNOWN

FLIPS = {"fashion_mnist": 2, "cifar10": 4, "cifar100": 4}


@pytest.fixture
def make_set(parquet: Callable[..., Path], pixels: Callable[..., Any]) -> Callable[[str | Path], None]:
    def make(folder: str | Path, seed: int = 0) -> None:
        for split in ("train", "test"):
            parquet(Path(folder) / f"{split}.parquet", pixels(2, seed=seed), {"label": [0, 1]})

    return make


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, Any]]:
    """Stand in for the hub: the folder `hub/owner/name` is a dataset; what is not there is out of reach."""
    asked: list[tuple[str, Any, Any]] = []

    def snapshot_download(repository: str, *, repo_type: str, revision: str | None, allow_patterns: list[str]) -> str:
        assert repo_type == "dataset"
        asked.append((repository, revision, allow_patterns))
        folder = Path("hub") / repository
        if not folder.exists():
            raise LocalEntryNotFoundError("An error happened while trying to locate the files on the Hub.\nSecond line")
        return str(folder / "converted" if revision else folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def said(source: str, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", KNOWN)
def test_known_sets_are_taken_from_the_mirror(
    name: str, make_set: Callable[..., None], hub: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = KNOWN[name]
    make_set(Path("mirror") / name)
    make_set(Path("other") / known.repository / (known.config or ""))
    for root in (Path("mirror"), Path("other")):
        train, test = load(name, root=root)
        assert (train.name, len(train), len(test)) == (name, 2, 2)
        assert train.augmentation == Augmentation(flip=name in FLIPS, crop=FLIPS.get(name, 2))
    monkeypatch.setenv("EDGERIFT_DATA", "other")
    by_name, by_id = load(name).train, load(known.repository).train
    assert by_name.fingerprint == by_id.fingerprint
    assert by_name.augmentation == by_id.augmentation
    assert hub == []


def test_the_mirror_keeps_any_set(make_set: Callable[..., None], tmp_path: Path, hub: list[Any]) -> None:
    make_set("mirror/owner/birds")
    train = load("owner/birds", root=tmp_path / "mirror").train
    assert (train.name, train.augmentation) == ("birds", Augmentation())
    assert load("mirror/owner/birds").train.fingerprint == train.fingerprint
    assert hub == []


def test_a_folder_with_a_short_name_has_to_be_meant(make_set: Callable[..., None], hub: list[Any]) -> None:
    make_set("mnist")
    assert "did not answer" in said("mnist")
    train = load("./mnist").train
    assert (train.name, train.augmentation) == ("mnist", Augmentation())


def test_the_hub_is_asked_for_what_is_not_here(make_set: Callable[..., None], hub: list[Any]) -> None:
    make_set("hub/owner/birds/data")
    make_set("hub/ufldl-stanford/svhn/cropped_digits")
    make_set("hub/ufldl-stanford/svhn/full_numbers", seed=1)
    assert load("owner/birds").train.name == "owner/birds"
    svhn = load("svhn").train
    repository, revision, patterns = hub[-1]
    assert (repository, revision) == ("ufldl-stanford/svhn", None)
    wanted = {
        name: any(fnmatchcase(f"cropped_digits/{name}", pattern) for pattern in patterns)
        for name in ("train-0.parquet", "TEST-0.parquet", "Val.parquet", "dev.parquet", "extra-0.parquet", "train.zip")
    }
    assert [name for name, asked in wanted.items() if not asked] == ["extra-0.parquet", "train.zip"]
    assert not any(fnmatchcase("full_numbers/train-0.parquet", pattern) for pattern in patterns)
    assert svhn.augmentation == Augmentation(crop=2)
    assert load("ufldl-stanford/svhn").train.fingerprint == svhn.fingerprint
    assert load("ufldl-stanford/svhn/full_numbers").train.fingerprint != svhn.fingerprint


def test_a_dataset_without_parquet_is_taken_as_the_hub_converts_it(
    make_set: Callable[..., None], hub: list[Any]
) -> None:
    make_set("hub/owner/zips/converted")
    Path("hub/owner/zips/converted").rename("kept")
    Path("hub/owner/zips/pictures.zip").write_bytes(b"")
    assert "no Parquet files" in said("owner/zips")
    Path("kept").rename("hub/owner/empty")
    assert [revision for _, revision, _ in hub] == [None, "refs/convert/parquet"]


def test_without_a_network_the_way_out_is_named(hub: list[Any]) -> None:
    for source in ("cifar10", "owner/birds"):
        assert said(source) == (
            f"'{source}' is not on this machine and the Hugging Face hub did not answer; "
            f"put its Parquet files into FOLDER/{source} and pass --data-root FOLDER (or set EDGERIFT_DATA)"
        )


def test_a_dataset_that_the_hub_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    response: Any = SimpleNamespace(headers={}, request=None)

    def refuse(*_: object, **__: object) -> str:
        raise RepositoryNotFoundError("401 Client Error.\nSecond line", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    assert "no open dataset 'owner/birds'" in said("owner/birds")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("cifar11", "unknown image set 'cifar11'; did you mean 'cifar10'? Known: cifar10, cifar100, digits"),
        ("digit", "did you mean 'digits'?"),
        ("", "no image folder or .npz file ''"),
        ("./birds", "no image folder or .npz file './birds'"),
        ("/no/where", "no image folder or .npz file '/no/where'"),
        ("a/b/c/d", "no image folder or .npz file 'a/b/c/d'"),
        ("birds.npz", "no image folder or .npz file 'birds.npz'"),
    ],
)
def test_what_does_not_exist_is_named(source: str, expected: str, hub: list[Any]) -> None:
    assert expected in said(source)
    assert hub == []


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "birds.zip").write_bytes(b"")
    assert said("birds.zip") == "'birds.zip' is a file of another kind; give a folder or an .npz file"


def test_a_mirror_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "data root 'nowhere' is no folder" in said("mnist", root=Path("nowhere"))
    monkeypatch.setenv("EDGERIFT_DATA", "nowhere")
    assert "data root 'nowhere' is no folder" in said("mnist")
