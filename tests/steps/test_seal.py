"""The seal of a result: whatever changes in a file, the result is refused with its remedy, never used."""

import hashlib
import os
import shutil
import subprocess
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import StoreError
from edgerift.steps import Recipe, Store

NAMES = ("text", "below/deep/text", "with a blank", "back\\slash", "line\nbreak", "é")


class Many(Recipe):
    type: Literal["many"] = "many"
    version: Literal[1] = 1
    above: tuple["Many", ...] = ()

    def produce(self, folder, store, progress):
        for start in self.above:
            store.get(start)
        for name in NAMES:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"content of {name!r}")
        (folder / "link").symlink_to("text")


class Named(Recipe):
    """A file whose content the recipe names."""

    type: Literal["named"] = "named"
    version: Literal[1] = 1
    sha256: str

    def produce(self, folder, store, progress):
        (folder / "text").write_text("named")

    def named_files(self):
        return {"text": self.sha256}


class Pipe(Recipe):
    type: Literal["pipe"] = "pipe"
    version: Literal[1] = 1

    def produce(self, folder, store, progress):
        os.mkfifo(folder / "pipe")


MANY = Many()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def flip(path, place, bit=0):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def require_refused(root, recipe=MANY, ask=Store.get):
    folder = root / f"{recipe.type}-{recipe.digest()}"
    with pytest.raises(StoreError) as caught:
        ask(Store(root), recipe)
    assert str(caught.value).startswith(f"the result {folder.name} ")
    assert str(caught.value).endswith(f"; delete {folder} and run again")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_seal_is_what_sha256sum_reads_and_covers_every_file(store):
    folder = store.get(Many())
    lines = (folder / "SHA256SUMS").read_bytes().split(b"\n")
    assert len(lines) - 2 == len(NAMES) + 2
    assert f"{hashlib.sha256((folder / 'text').read_bytes()).hexdigest()}  text".encode() in lines
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    # What a link leads to is sealed by the link's own text.
    assert [line for line in checked.stdout.splitlines() if not line.endswith(": OK")] == ["link: FAILED"]


@pytest.mark.parametrize("name", [*NAMES, "recipe.json", "SHA256SUMS"])
def test_one_flipped_bit_in_any_file_is_refused(store, name):
    path = store.get(Many()) / name
    whole = path.read_bytes()
    for place in {0, len(whole) // 2, len(whole) - 1, *range(0, len(whole), 37)}:
        for bit in (0, 6):
            flip(path, place, bit)
            require_refused(store.root)
            path.write_bytes(whole)
    assert Store(store.root).find(Many()) is not None


@given(cut=st.integers(0, 800))
def test_a_seal_that_was_cut_short_is_refused(tmp_path_factory, cut):
    store = Store(tmp_path_factory.mktemp("cut"))
    path = store.get(Many()) / "SHA256SUMS"
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole) - 1)])
    require_refused(store.root)
    require_refused(store.root, ask=Store.has)


@pytest.mark.parametrize("ask", [Store.get, Store.has, Store.find])
def test_a_result_that_lacks_a_file_is_refused_before_anything_opens_it(store, ask):
    (store.get(Many()) / "below" / "deep" / "text").unlink()
    assert "lacks below/deep/text" in require_refused(store.root, ask=ask)


def test_a_link_that_leads_elsewhere_is_refused(store):
    link = store.get(Many()) / "link"
    link.unlink()
    link.symlink_to("with a blank")
    assert "link has changed since it was written" in require_refused(store.root)


def test_what_depends_on_a_damaged_result_is_refused_by_the_name_of_that(store):
    inner = store.get(Many())
    flip(inner / "text", 3)
    with pytest.raises(StoreError, match=f"the result {inner.name} is damaged: text has changed since it was written"):
        Store(store.root).get(Many(above=(Many(),)))
    shutil.rmtree(inner)
    assert Store(store.root).get(Many(above=(Many(),))).is_dir()


def test_files_that_others_put_beside_are_no_damage(store):
    (store.get(Many()) / ".DS_Store").write_text("")
    assert Store(store.root).find(Many()) is not None


def test_content_is_compared_once_unless_a_file_was_written(store, monkeypatch):
    folder = store.get(Many())
    compared = []
    real = hashlib.file_digest

    def counted(file, name):
        compared.append(file.name)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    # Whoever wrote it need not read it again.
    store.get(Many())
    assert compared == []
    again = Store(store.root)
    for _ in range(3):
        again.get(Many())
        assert len(compared) == len(NAMES) + 1
    (folder / "text").write_text("content of 'texs'")
    with pytest.raises(StoreError, match="text has changed since it was written"):
        again.get(Many())


def test_has_looks_at_no_content(store, monkeypatch):
    store.get(Many())
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert Store(store.root).has(Many())


def test_what_an_earlier_edgerift_left_is_sealed_when_it_is_opened(store):
    folder = store.get(Many())
    seal = (folder / "SHA256SUMS").read_bytes()
    (folder / "SHA256SUMS").unlink()
    assert Store(store.root).has(Many())
    assert not (folder / "SHA256SUMS").exists()
    assert Store(store.root).get(Many()) == folder
    assert (folder / "SHA256SUMS").read_bytes() == seal
    flip(folder / "text", 0)
    require_refused(store.root)


def test_what_an_earlier_edgerift_left_in_a_store_that_cannot_be_written_is_of_use(store, monkeypatch):
    folder = store.get(Many())
    (folder / "SHA256SUMS").unlink()

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        for name in ("fsync", "utime"):
            patch.setattr(os, name, refuse)
        assert Store(store.root).get(Many()) == folder
    assert not (folder / "SHA256SUMS").exists()


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_file_whose_digest_the_recipe_names_has_that_digest(store, is_sealed):
    right, wrong = (Named(sha256=hashlib.sha256(content).hexdigest()) for content in (b"named", b"other"))
    for recipe in (right, wrong):
        folder = store.get(recipe)
        if not is_sealed:
            (folder / "SHA256SUMS").unlink()
    assert Store(store.root).find(right) is not None
    assert "text is not the file that its recipe names" in require_refused(store.root, wrong)
    assert (folder / "SHA256SUMS").exists() == is_sealed


def test_a_result_holds_files_and_folders_alone(store):
    with pytest.raises(StoreError, match=r"pipe is no file, no folder and no link"):
        store.get(Pipe())
    assert not store.has(Pipe())


def test_a_result_comes_through_a_mirror_with_its_seal(tmp_path):
    mirror = f"file://{tmp_path}/mirror"
    recipe = Named(sha256=hashlib.sha256(b"named").hexdigest())
    built = Store(tmp_path / "first", mirror).get(recipe)
    fetched = Store(tmp_path / "second", mirror).get(recipe)
    assert (fetched / "SHA256SUMS").read_bytes() == (built / "SHA256SUMS").read_bytes()
    tar = tmp_path / "mirror" / f"{built.name}.tar"
    whole = tar.read_bytes()
    for place in (whole.index(b"named\0"), whole.index(hashlib.sha256(b"named").hexdigest().encode())):
        tar.write_bytes(whole[:place] + b"N" + whole[place + 1 :])
        third = Store(tmp_path / "third", mirror)
        with pytest.raises(StoreError, match=r"made|damaged|SHA256SUMS") as caught:
            third.get(recipe)
        assert str(caught.value).startswith(f"{mirror}/{built.name}.tar ")
        assert str(caught.value).endswith("; delete it and run again")
        assert not (third.root / built.name).exists()
