import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.registry import _registry
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import StoreError
from edgerift.steps import Recipe, Store

PROGRAM = [sys.executable, str(Path(__file__).with_name("processes.py"))]


class Made(Recipe):
    type: Literal["made"] = "made"
    version: Literal[1] = 1
    text: str = "hello"
    starts: tuple["Made", ...] = ()

    def produce(self, folder, store, progress):
        for start in self.starts:
            store.get(start, progress)
        with (store.root / "log").open("a") as log:
            log.write(f"{self.text}\n")
        (folder / "below" / "empty").mkdir(parents=True)
        (folder / "below" / "zeros").write_bytes(bytes(30_000))
        (folder / "text").write_text(self.text)
        (folder / "ä").write_text("")
        (folder / ("long" * 40)).write_text("long")
        (folder / "zzz").write_text("after recipe.json in the order of names")


class Linked(Recipe):
    type: Literal["linked"] = "linked"
    version: Literal[1] = 1

    def produce(self, folder, store, progress):
        (folder / "link").symlink_to("/etc/passwd")


class Asking(Recipe):
    """Asks while it is produced whether it is running."""

    type: Literal["asking"] = "asking"
    version: Literal[1] = 1

    def produce(self, folder, store, progress):
        (folder / "answer").write_text(str([store.running(self), store.running(Made())]))


class Remote(MemoryFileSystem):
    """A file system that counts what it is asked, remembers its listings, and fails where it is told to."""

    protocol = "remote"
    store = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    listings = {}  # noqa: RUF012
    calls: list[str] = []  # noqa: RUF012
    failures: dict[str, BaseException] = {}  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(f"memory://{path.rpartition('://')[2]}")

    def _note(self, call):
        self.calls.append(call)
        if call in self.failures:
            raise self.failures[call]

    def ls(self, path, detail=True, **options):
        self._note("ls")
        if path not in self.listings:
            self.listings[path] = super().ls(path, detail=detail, **options)
        return self.listings[path]

    def invalidate_cache(self, path=None):
        self.listings.clear()

    def info(self, path, **options):
        self._note("info")
        return super().info(path, **options)

    def makedirs(self, path, exist_ok=False):
        self._note("makedirs")
        super().makedirs(path, exist_ok=exist_ok)

    def get_file(self, path1, path2, **options):
        self._note("get_file")
        Path(path2).write_bytes(self.store[path1].getvalue())

    def put_file(self, path1, path2, **options):
        data = Path(path1).read_bytes()
        self.store[path2] = MemoryFile(self, path2, data[: len(data) // 2])
        self._note("put_file")
        self.store[path2] = MemoryFile(self, path2, data)

    def mv(self, path1, path2, **options):
        self._note("mv")
        self.store[path2] = self.store.pop(path1)

    def pipe_file(self, path, value, **options):
        self._note("pipe_file")
        super().pipe_file(path, value, **options)


@pytest.fixture
def remote():
    for protocol in ("remote", "az"):
        fsspec.register_implementation(protocol, Remote, clobber=True)
    yield Remote
    for protocol in ("remote", "az"):
        _registry.pop(protocol)
    for kept in (Remote.store, Remote.listings, Remote.calls, Remote.failures):
        kept.clear()
    Remote.pseudo_dirs[:] = [""]
    Remote.clear_instance_cache()


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path):
    yield f"file://{tmp_path}/mirror/below" if request.param == "file" else "memory://mirror/below"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def share(tmp_path):
    return f"file://{tmp_path}/share"


def objects(url):
    """The names that a reader takes for results, and all other names."""
    files, path = fsspec.core.url_to_fs(url)
    names = {found.rsplit("/", 1)[-1] for found in files.find(path)}
    return {name for name in names if not name.startswith(".")}, {name for name in names if name.startswith(".")}


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def built(store):
    log = store.root / "log"
    return log.read_text().splitlines() if log.exists() else []


def name_of(recipe):
    return f"{recipe.type}-{recipe.digest()}"


def entry(name, data=b"", kind=tarfile.REGTYPE, target="", named=None):
    found = tarfile.TarInfo(name)
    found.pax_headers = {"path": named} if named else {}
    found.size, found.type, found.linkname = len(data), kind, target
    return found, data


def make_tar(*entries):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for found, data in entries:
            archive.addfile(found, io.BytesIO(data))
    return file.getvalue()


def own(recipe):
    return entry("recipe.json", f"{recipe.canonical_json()}\n".encode())


def plant(share, recipe, data):
    """Put an object of somebody else's on the mirror."""
    folder = Path(share.removeprefix("file://"))
    folder.mkdir(exist_ok=True)
    (folder / f"{name_of(recipe)}.tar").write_bytes(data)


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_second_machine_fetches_what_the_first_built(tmp_path, url):
    recipe = Made(text="top", starts=(Made(text="input"),))
    first, second = Store(tmp_path / "first", url), Store(tmp_path / "second", url)
    notes = []

    folder = first.get(recipe)
    fetched = second.get(recipe, lambda *report: notes.append(report))
    assert fetched == tmp_path / "second" / folder.name
    assert content(fetched) == content(folder) == content(Store(tmp_path / "alone").get(recipe))
    assert (built(first), built(second)) == (["input", "top"], [])
    assert notes == [("made", 0, 0, f"fetching the result from {url}")]
    assert objects(url) == ({f"{name_of(made)}.tar" for made in (recipe, *recipe.starts)}, {".edgerift"})
    assert list((second.root / ".work").iterdir()) == []


def test_equal_results_are_equal_objects(tmp_path, monkeypatch):
    tars = []
    for number, mask in ((0, 0o022), (1, 0o077)):
        before = os.umask(mask)
        try:
            Store(tmp_path / str(number), f"file://{tmp_path}/mirror{number}").get(Made())
        finally:
            os.umask(before)
        tars.append((tmp_path / f"mirror{number}" / f"{name_of(Made())}.tar").read_bytes())
    assert tars[0] == tars[1]
    with tarfile.open(fileobj=io.BytesIO(tars[0])) as archive:
        members = archive.getmembers()
    assert [member.name for member in members][-1] == "recipe.json"
    assert [member.name for member in members][:-1] == sorted(member.name for member in members[:-1])
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, 0, "", "")
    }


def test_what_an_earlier_run_built_without_the_mirror_is_put_there(tmp_path, url):
    folder = Store(tmp_path / "store").get(Made())
    before = content(folder)
    store = Store(tmp_path / "store", url)
    assert store.get(Made()) == folder
    assert objects(url)[0] == {f"{folder.name}.tar"}
    assert content(folder) == before
    assert built(store) == ["hello"]


def test_work_that_a_killed_run_left_gives_way_to_the_result_of_another_machine(tmp_path, share):
    Store(tmp_path / "first", share).get(Made())
    left = tmp_path / "second" / ".work" / name_of(Made())
    left.mkdir(parents=True)
    fetched = left.with_name(f"{left.name}.fetched")
    fetched.mkdir()
    (fetched / "leftover").write_text("")
    folder = Store(tmp_path / "second", share).get(Made())
    assert not left.exists()
    assert "leftover" not in content(folder)


def test_has_lists_the_mirror_once_and_refresh_lists_it_again(tmp_path, remote):
    first, second = (Store(tmp_path / name, "remote://place") for name in ("first", "second"))
    recipes = [Made(text=str(number)) for number in range(20)]
    first.get(recipes[0])

    remote.calls.clear()
    assert [second.has(recipe) for recipe in recipes] == [True] + [False] * 19
    assert remote.calls == ["ls"]
    first.get(recipes[1])
    remote.calls.clear()
    assert not second.has(recipes[1])
    second.refresh()
    assert [second.has(recipe) for recipe in recipes] == [True, True] + [False] * 18
    assert remote.calls == ["ls"]
    assert built(second) == []
    first.get(recipes[2])
    second.get(recipes[2])
    assert second.has(recipes[2])
    assert built(second) == []


def test_a_fetch_is_a_question_and_a_copy(tmp_path, remote):
    Store(tmp_path / "first", "remote://place").get(Made())
    remote.calls.clear()
    Store(tmp_path / "second", "remote://place").get(Made())
    assert remote.calls == ["info", "get_file"]


def test_what_both_machines_have_is_put_once(tmp_path, remote):
    for root in ("first", "second"):
        Store(tmp_path / root).get(Made())
        Store(tmp_path / root, "remote://place").get(Made())
    assert remote.calls.count("put_file") == 1


def test_what_was_put_or_found_is_not_asked_for_again(tmp_path, remote):
    first, second = (Store(tmp_path / name, "remote://place") for name in ("first", "second"))
    assert not first.has(Made())
    assert not second.has(Made())
    for store in (first, second):
        folder = store.get(Made())
        remote.calls.clear()
        shutil.rmtree(folder)
        assert store.has(Made())
        assert remote.calls == []


def test_the_mirror_is_tried_by_one_sign_whatever_is_built(tmp_path, remote):
    for root in ("first", "second"):
        store = Store(tmp_path / root, "remote://place")
        for text in ("a", "b"):
            store.get(Made(text=f"{root} {text}"))
    assert remote.calls.count("pipe_file") == 1


def test_an_object_on_a_disk_is_flushed_with_its_name(tmp_path, monkeypatch, share):
    flushed, real = set(), os.fsync

    def fsync(descriptor):
        flushed.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Store(tmp_path / "store", share).get(Made())
    paths = [tmp_path / "share", tmp_path / "share" / f"{name_of(Made())}.tar"]
    assert {path.stat().st_ino for path in paths} <= flushed


def test_an_empty_mirror_has_nothing_and_other_names_are_no_results(tmp_path, share):
    store = Store(tmp_path / "store", share)
    assert not store.has(Made())
    plant(share, Made(), b"")
    tar = tmp_path / "share" / f"{name_of(Made())}.tar"
    tar.rename(tar.with_name(f"{tar.name}.part"))
    store.refresh()
    assert not store.has(Made())
    Store(tmp_path / "store").refresh()


def test_a_local_result_is_got_without_a_word_to_the_mirror(tmp_path, remote):
    recipe = Made()
    Store(tmp_path / "store", "remote://place").get(recipe)
    Store(tmp_path / "other", "remote://place").get(recipe)
    remote.calls.clear()
    for root in ("store", "other"):
        store = Store(tmp_path / root, "remote://place")
        assert store.has(recipe)
        store.get(recipe)
    assert remote.calls == []
    Store(tmp_path / "store", "remote://elsewhere").get(recipe)
    assert "put_file" in remote.calls


def test_a_result_that_was_deleted_everywhere_is_put_again(tmp_path, share):
    store = Store(tmp_path / "store", share)
    folder = store.get(Made())
    shutil.rmtree(folder)
    (tmp_path / "share" / f"{folder.name}.tar").unlink()
    store.get(Made())
    assert built(store) == ["hello", "hello"]
    assert objects(share)[0] == {f"{folder.name}.tar"}


def test_an_object_store_puts_the_name_itself_and_makes_no_folders(tmp_path, remote):
    Store(tmp_path / "store", "az://bucket/prefix").get(Made())
    assert set(remote.store) == {f"/bucket/prefix/{name_of(Made())}.tar", "/bucket/prefix/.edgerift"}
    assert not {"makedirs", "mv"} & set(remote.calls)
    assert Store(tmp_path / "other", "az://bucket/prefix").has(Made())


FAILURES = [
    OSError(5, "Input/output error"),
    PermissionError("Forbidden"),
    TimeoutError(),
    RuntimeError("a client's own\nerror"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("call", ["put_file", "mv"])
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_failed_put_shows_nothing_keeps_the_result_and_is_made_good_by_the_next_get(tmp_path, remote, call, failure):
    store = Store(tmp_path / "store", "remote://place")
    remote.failures[call] = failure
    expected = StoreError if isinstance(failure, Exception) else KeyboardInterrupt
    for _ in range(2):
        with pytest.raises(expected) as caught:
            store.get(Made())
        assert set(remote.store) == {"/place/.edgerift"}
    if expected is StoreError:
        message = one_line(caught)
        assert message.startswith("the mirror remote://place cannot be written: ")
        assert f"the result is kept in {store.root / name_of(Made())}, and the next run puts it there" in message
    assert not Store(tmp_path / "other", "remote://place").has(Made())
    assert (store.root / name_of(Made()) / "text").exists()
    assert not (store.root / ".work" / f"{name_of(Made())}.tar").exists()
    remote.failures.clear()
    Store(tmp_path / "store", "remote://place").get(Made())
    assert Store(tmp_path / "other", "remote://place").has(Made())
    assert built(store) == ["hello"]


@pytest.mark.parametrize("failure", [FileExistsError(), KeyboardInterrupt()])
def test_a_machine_that_was_first_with_the_same_result_is_no_failure(tmp_path, remote, failure):
    """The other machine's object appears after the question whether it is there; the move does not replace it."""

    class Second(Remote):
        def mv(self, path1, path2, **options):
            self.store[path2] = self.store[path1]
            raise failure

    fsspec.register_implementation("remote", Second, clobber=True)
    store = Store(tmp_path / "store", "remote://place")
    with nullcontext() if isinstance(failure, Exception) else pytest.raises(KeyboardInterrupt):
        store.get(Made())
    assert set(remote.store) == {"/place/.edgerift", f"/place/{name_of(Made())}.tar"}


@pytest.mark.parametrize(("call", "recipe_runs"), [("info", False), ("pipe_file", False), ("get_file", False)])
def test_a_mirror_that_fails_is_told_before_anything_is_built(tmp_path, remote, call, recipe_runs):
    if call == "get_file":
        Store(tmp_path / "first", "remote://place").get(Made())
    store = Store(tmp_path / "store", "remote://place")
    remote.failures[call] = PermissionError("Forbidden")
    with pytest.raises(StoreError, match=r"the mirror remote://place cannot be (read|written): Forbidden; check"):
        store.get(Made())
    assert built(store) == []
    assert not (store.root / name_of(Made())).exists()
    remote.failures.clear()
    store.get(Made())


def test_has_passes_on_that_the_mirror_cannot_be_read(tmp_path, remote):
    remote.failures["ls"] = ConnectionError("no route to host")
    with pytest.raises(StoreError, match=r"remote://place cannot be read: no route to host; check the URL") as caught:
        Store(tmp_path / "store", "remote://place").has(Made())
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_disk_that_fills_while_a_result_is_fetched_is_not_the_mirrors_fault(tmp_path, remote):
    Store(tmp_path / "first", "remote://place").get(Made())
    remote.failures["get_file"] = OSError(28, "No space left on device")
    with pytest.raises(StoreError, match=r"^the disk is full: .*second/.work/made-"):
        Store(tmp_path / "second", "remote://place").get(Made())


def test_a_result_with_a_link_is_not_put(tmp_path, share):
    with pytest.raises(StoreError, match=r"link is no file and no folder") as caught:
        Store(tmp_path / "store", share).get(Linked())
    one_line(caught)
    assert objects(share)[0] == set()


def cut(data):
    return data[:20_000]


REFUSED = {
    "empty": (lambda own: b"", "is damaged"),
    "no tar": (lambda own: b"\xff" * 2000, "is damaged"),
    "nothing in it": (lambda own: make_tar(), "has no recipe.json"),
    "another's": (lambda _: make_tar(own(Made(text="other"))), "has a recipe.json that is not its own"),
    "no recipe": (lambda own: make_tar(entry("text")), "has no recipe.json"),
    "recipe is a folder": (lambda own: make_tar(entry("recipe.json", kind=tarfile.DIRTYPE)), "has no recipe.json"),
    "above": (lambda own: make_tar(entry("../evil", b"evil"), own), r"holds the name '../evil', which is not below"),
    "above later": (lambda own: make_tar(entry("a/../../evil"), own), r"which is not below its folder"),
    "absolute": (lambda own: make_tar(entry("/tmp/evil", b"evil"), own), r"holds the name '/tmp/evil'"),
    "itself": (lambda own: make_tar(entry("."), own), r"holds the name '.'"),
    "link": (
        lambda own: make_tar(entry("a", kind=tarfile.SYMTYPE, target="/tmp"), entry("a/b"), own),
        r"holds 'a', which is no file and no folder",
    ),
    "hard link": (
        lambda own: make_tar(own, entry("b", kind=tarfile.LNKTYPE, target="recipe.json")),
        r"holds 'b', which is no file and no folder",
    ),
    "device": (lambda own: make_tar(entry("null", kind=tarfile.CHRTYPE), own), r"holds 'null', which is no file"),
    "pipe": (lambda own: make_tar(entry("pipe", kind=tarfile.FIFOTYPE), own), r"holds 'pipe', which is no file"),
    "twice": (lambda own: make_tar(own, own), r"holds 'recipe.json' twice"),
    "a zero in a name": (lambda own: make_tar(own, entry("x", named="a\0b")), r"is damaged \(.*null"),
    "file as folder": (lambda own: make_tar(entry("a"), entry("a/b"), own), r"holds 'a/b' below a file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_object_that_is_not_the_result_is_refused_and_nothing_of_it_stays(tmp_path, share, case):
    make, message = REFUSED[case]
    plant(share, Made(), make(own(Made())))
    (tmp_path / "deep").mkdir()
    store = Store(tmp_path / "deep" / "store", share)
    with pytest.raises(StoreError, match=message) as caught:
        store.get(Made())
    address = f"{share}/{name_of(Made())}.tar"
    assert one_line(caught).startswith(address)
    assert one_line(caught).endswith("; delete it and run again")
    assert built(store) == []
    assert [str(path.relative_to(store.root)) for path in store.root.rglob("*")] == [".work"]
    assert not list(tmp_path.rglob("evil"))
    (tmp_path / "share" / f"{name_of(Made())}.tar").unlink()
    assert (store.get(Made()) / "text").read_text() == "hello"


def test_an_object_that_was_cut_short_anywhere_is_refused(tmp_path, share):
    Store(tmp_path / "first", share).get(Made())
    whole = (tmp_path / "share" / f"{name_of(Made())}.tar").read_bytes()
    end = whole.rstrip(b"\0").__len__()
    for length in [*range(0, end, 512), end - 1]:
        plant(share, Made(), whole[:length])
        with pytest.raises(StoreError, match="delete it and run again"):
            Store(tmp_path / "second", share).get(Made())
        assert not (tmp_path / "second" / name_of(Made())).exists()


@given(place=st.integers(0, 1500), change=st.binary(min_size=1, max_size=40))
def test_a_damaged_object_is_a_result_or_an_error_of_one_line(tmp_path_factory, place, change):
    base = tmp_path_factory.mktemp("damage")
    data = make_tar(entry("text", b"hello"), own(Made()))
    plant(f"file://{base}/share", Made(), data[:place] + change + data[place + len(change) :])
    store = Store(base / "store", f"file://{base}/share")
    message = ""
    try:
        folder = store.get(Made())
    except StoreError as error:
        message = str(error)
    assert "\n" not in message
    assert store.has(Made())
    if message:
        assert not (store.root / name_of(Made())).exists()
    else:
        assert (folder / "recipe.json").read_text() == Made().canonical_json() + "\n"
    assert {path.name for path in base.iterdir()} <= {"share", "store"}


def test_killed_in_the_middle_of_a_put(tmp_path):
    done = subprocess.run([*PROGRAM, "half", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    url = f"file://{tmp_path}/mirror"
    shown, hidden = objects(url)
    assert shown == set()
    assert len(hidden) == 2
    (result,) = (tmp_path / "root").glob("steps-*")
    other = subprocess.run([*PROGRAM, "steps", str(tmp_path / "root")], capture_output=True, text=True, timeout=60)
    assert other.returncode == 0, other.stderr
    assert result.is_dir()


@pytest.mark.slow
def test_a_run_with_a_mirror_killed_anywhere_and_started_again_ends_the_same(tmp_path):
    done = subprocess.run(
        [*PROGRAM, "mirrored-kills", str(tmp_path / "kills")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_a_store_goes_to_another_process(tmp_path, url):
    store = Store(tmp_path / "store", url)
    store.get(Made())
    assert store.has(Made())
    copy = pickle.loads(pickle.dumps(store))
    assert (copy.root, copy.mirror, repr(copy)) == (store.root, url, repr(store))
    assert copy.has(Made())
    copy.get(Made(text="other"))
    assert len(objects(url)[0]) == 2
    assert pickle.loads(pickle.dumps(Store(tmp_path))).mirror is None


@pytest.mark.parametrize(
    ("given_url", "shown"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("sftp://me:se/c@ret@host:22/share", "sftp://***@host:22/share"),
        ("sftp://me:secret@host/share", "sftp://***@host/share"),
        ("https://secret@host/share?sig=secret", "https://***@host/share?***"),
        ("memory://", "memory://"),
        ("simplecache::sftp://me:secret@host", "simplecache::sftp://***@host"),
    ],
)
def test_the_mirror_is_shown_without_credentials(given_url, shown):
    store = Store("/root", given_url)
    assert repr(store) == f"Store('/root', mirror={shown!r})"
    assert store.mirror == (given_url if shown == "memory://" else given_url.rstrip("/"))
    assert (Store("/root").mirror, repr(Store("/root"))) == (None, "Store('/root')")


@pytest.mark.parametrize("written", ["s%2Fcret", "s/cret"])
def test_credentials_are_in_no_error(tmp_path, remote, written):
    url = f"remote://me:{written}@host/place"
    failure = PermissionError(f"wrong password {written} (s/cret) for {url}")
    for call in ("ls", "info", "pipe_file", "put_file"):
        remote.failures.clear()
        remote.failures[call] = failure
        store = Store(tmp_path / call, url)
        with pytest.raises(StoreError, match=r"\*\*\*@host") as caught:
            (store.has if call == "ls" else store.get)(Made())
        assert "cret" not in one_line(caught)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("bucket/prefix", r"the mirror bucket/prefix is not a URL; give one such as s3://"),
        ("s33://bucket", r"the mirror s33://bucket: unknown protocol 's33'; did you mean 's3(a)?'\?"),
        ("file://share/place", r"depends on the working folder; give an absolute one, file:///share/place"),
        ("s33://me:secret@bucket", r"the mirror s33://\*\*\*@bucket: unknown protocol"),
    ],
)
def test_urls_that_cannot_be_meant(tmp_path, url, message):
    with pytest.raises(StoreError, match=message) as caught:
        Store(tmp_path, url)
    assert "secret" not in one_line(caught)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    for ask in (Store(tmp_path, "s3://bucket").get, Store(tmp_path, "s3://bucket").has):
        with pytest.raises(StoreError, match=r"s3://bucket cannot be read: .*; run `pip install s3fs`") as caught:
            ask(Made())
        one_line(caught)


def test_a_mirror_costs_nothing_until_it_is_used():
    code = "import sys, edgerift.steps; edgerift.steps.Store('x'); assert 'fsspec' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_running_while_a_thread_a_process_or_the_recipe_itself_holds_the_lock(tmp_path):
    store = Store(tmp_path / "store")
    assert not store.running(Made())
    assert not store.root.exists()
    assert (store.get(Asking()) / "answer").read_text() == "[True, False]"
    assert not store.running(Asking())

    begun, go_on, answers = threading.Event(), threading.Event(), []

    def progress(*_):
        begun.set()
        assert go_on.wait(20)

    class Waiting(Recipe):
        type: Literal["waiting"] = "waiting"
        version: Literal[1] = 1

        def produce(self, folder, store, progress):
            progress("waiting", 0, 1)

    thread = threading.Thread(target=lambda: store.get(Waiting(), progress))
    thread.start()
    assert begun.wait(20)
    answers += [store.running(Waiting()), Store(store.root).running(Waiting())]
    go_on.set()
    thread.join(20)
    assert answers == [True, True]
    assert not store.running(Waiting())
    before = sorted(store.root.rglob("*"))
    assert not store.running(Waiting(version=1))
    assert sorted(store.root.rglob("*")) == before


def test_running_sees_another_process_until_it_is_killed(tmp_path):
    store = Store(tmp_path)
    with subprocess.Popen([*PROGRAM, "stuck", str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        (lock,) = (tmp_path / ".work").glob("stuck-*.lock")
        recipe = Made()
        shutil.copy(lock, lock.with_name(f"{name_of(recipe)}.lock"))
        assert not store.running(recipe)
        os.link(lock, other := lock.with_name("linked"))
        other.replace(lock.with_name(f"{name_of(recipe)}.lock"))
        assert store.running(recipe)
        process.kill()
        process.wait(20)
        assert not store.running(recipe)
