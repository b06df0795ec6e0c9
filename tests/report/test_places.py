"""Where an audit's folder lies in its repository."""

from pathlib import Path

import pytest

from edgerift.report import place_in_repository


@pytest.mark.parametrize(
    ("marks", "folder", "place"),
    [
        (["project/.git/HEAD"], "project/results/audit", "results/audit"),
        (["project/.git"], "project/audit", "audit"),
        (["project/.git/HEAD", "project/part/.git"], "project/part/audit", "audit"),
        (["project/.git/HEAD"], "project", "."),
        (["elsewhere/.git/HEAD"], "project/results/audit", "project/results/audit"),
    ],
    ids=["in a repository", "in a work tree", "in a submodule", "the root", "without a repository"],
)
def test_is_told_from_the_root_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marks: list[str], folder: str, place: str
) -> None:
    for mark in marks:
        (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mark).touch()
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path)
    assert place_in_repository(tmp_path / folder) == place
    assert place_in_repository(Path(folder)) == place


def test_a_folder_outside_has_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert place_in_repository(tmp_path / "there" / "audit") == "audit"
