"""Which files of an earlier report go: those that a report wrote and nobody changed, and no others."""

import hashlib
from pathlib import Path

import pytest
from made_study import made_divqat

from edgerift.errors import StoreError
from edgerift.report import write_study
from edgerift.report.study._files import LIST, ReportFiles
from edgerift.study import StudyResult


def report(folder: Path, *names: str) -> None:
    files = ReportFiles(folder)
    for name in names:
        files.write(name, f"of {name}")
    files.remove_earlier()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LIST}


def entry(name: str, content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


@pytest.fixture
def figureless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: each picture is its name."""
    monkeypatch.setattr("edgerift.report.figures._registry.drawn", lambda *_: b"a picture")


@pytest.mark.usefixtures("figureless")
def test_a_report_removes_what_it_no_longer_has_and_nothing_of_others(tmp_path: Path) -> None:
    def made(**options: bool) -> StudyResult:
        return made_divqat(("gtsrb",), seeds=(0,), missing=False, **options)

    write_study(made(), tmp_path)
    tables, figures = tmp_path / "tables", tmp_path / "figures"
    assert {"alphas.tex", "students.csv", "students.tex", "victims.md"} <= names(tables)
    assert {"clones.png", "alpha.png"} <= names(figures)
    own = {
        tmp_path / "notes.md": b"mine",
        tables / "mine.tex": b"mine",
        tables / "students.tex": b"what the report wrote, corrected by hand",
        figures / "mine.png": b"mine",
        figures / "pca-mine-resnet-qat.png": b"named as a report names its pictures",
    }
    for path, content in own.items():
        path.write_bytes(content)

    fewer = made(students=False, alphas=False)
    write_study(fewer, tmp_path)
    write_study(fewer, tmp_path / "new")
    for folder in ("tables", "figures"):
        kept = {path.name for path in own if path.parent == tmp_path / folder}
        assert names(tmp_path / folder) == names(tmp_path / "new" / folder) | kept
        assert (tmp_path / folder / LIST).read_bytes() == (tmp_path / "new" / folder / LIST).read_bytes()
    assert {path: path.read_bytes() for path in own} == own

    # A report that has the table again writes it anew, and from then on it is a report's.
    write_study(made(), tmp_path)
    write_study(fewer, tmp_path)
    assert {path for path in own if not path.is_file()} == {tables / "students.tex"}


def test_files_from_before_there_were_lists_stay(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("of old.csv")
    report(tmp_path, "new.csv")
    report(tmp_path)
    assert names(tmp_path) == {"old.csv"}


def test_a_list_is_that_of_sha256sum(tmp_path: Path) -> None:
    report(tmp_path, "b.csv", "a.csv")
    assert (tmp_path / LIST).read_text() == entry("a.csv", b"of a.csv") + entry("b.csv", b"of b.csv")


def test_what_a_killed_report_wrote_is_known_to_the_next(tmp_path: Path) -> None:
    report(tmp_path, "first.csv", "both.csv")
    files = ReportFiles(tmp_path)
    files.write("both.csv", "newer")
    files.write("second.csv", "newest")
    assert names(tmp_path) == {"first.csv", "both.csv", "second.csv"}
    report(tmp_path, "third.csv")
    assert names(tmp_path) == {"third.csv"}


@pytest.mark.parametrize("there", [b"of both.csv", b"newer"])
def test_a_report_killed_before_or_after_a_file_knows_both_contents(tmp_path: Path, there: bytes) -> None:
    report(tmp_path, "both.csv")
    ReportFiles(tmp_path).write("both.csv", "newer")
    (tmp_path / "both.csv").write_bytes(there)
    report(tmp_path)
    assert names(tmp_path) == set()


def test_a_list_leads_nowhere_else(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.csv", tmp_path / "tables"
    folder.mkdir()
    outside.write_bytes(b"mine")
    (folder / "link.csv").symlink_to(outside)
    (folder / "folder.csv").mkdir()
    (folder / "kept.csv").write_bytes(b"mine")
    listed = [entry(name, b"mine") for name in ("../outside.csv", str(outside), "link.csv", "folder.csv", "gone.csv")]
    (folder / LIST).write_bytes("".join(listed).encode() + b"\xff\xfe no entry\n" + b"0" * 64 + b"  kept.csv\n")
    report(folder, "a.csv")
    assert outside.read_bytes() == b"mine"
    assert names(folder) == {"a.csv", "link.csv", "folder.csv", "kept.csv"}


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file")
    with pytest.raises(StoreError, match="cannot use"):
        write_study(made_divqat(("gtsrb",), seeds=(0,)), tmp_path)
    (tmp_path / LIST).mkdir()
    with pytest.raises(StoreError, match="cannot use"):
        report(tmp_path, "a.csv")
