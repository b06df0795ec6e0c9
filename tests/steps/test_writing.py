import errno
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import StoreError
from edgerift.steps import write_whole


@given(st.binary() | st.text(), st.binary())
def test_the_new_content_replaces_the_old(tmp_path_factory, new, old):
    path = tmp_path_factory.mktemp("write") / "file"
    path.write_bytes(old)
    write_whole(path, new)
    assert path.read_bytes() == (new.encode() if isinstance(new, str) else new)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(("step", "where"), [("fsync", os), ("replace", os)])
@pytest.mark.parametrize(("number", "message"), [(errno.ENOSPC, "the disk is full"), (errno.EIO, "Input/output error")])
def test_a_failed_write_leaves_the_old_content_and_nothing_beside(tmp_path, monkeypatch, step, where, number, message):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "file"
    write_whole(path, "old")
    monkeypatch.setattr(where, step, refuse)
    with pytest.raises(StoreError, match=message) as caught:
        write_whole(path, "new")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(StoreError, match="No such file or directory"):
        write_whole(tmp_path / "missing" / "file", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        write_whole(tmp_path / "folder", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


SPECIAL = {
    "pipe": lambda path: os.mkfifo(path),
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "device": lambda path: path.symlink_to("/dev/null"),
    "link": lambda path: (os.mkfifo(path.with_name("elsewhere")), path.symlink_to("elsewhere")),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / "special"
    SPECIAL[kind](path)
    before = path.lstat()
    with pytest.raises(StoreError, match=f"^{path} is not a regular file; give") as caught:
        write_whole(path, "text")
    assert "\n" not in str(caught.value)
    assert path.lstat() == before
    assert {entry.name for entry in tmp_path.iterdir()} <= {"special", "elsewhere"}


def test_a_link_to_a_file_or_to_nothing_is_replaced(tmp_path):
    (tmp_path / "file").write_text("old")
    for target in ("file", "nothing"):
        (tmp_path / "link").symlink_to(target)
        write_whole(tmp_path / "link", "new")
        assert not (tmp_path / "link").is_symlink()
        assert (tmp_path / "link").read_text() == "new"
        (tmp_path / "link").unlink()
    assert (tmp_path / "file").read_text() == "old"


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    write_whole(tmp_path / "whole", "")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode
