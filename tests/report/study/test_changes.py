"""In what a study's attacks are others than the published ones."""

from typing import get_args

import pytest

from edgerift.extract import AttackName, DataFree, Differences
from edgerift.report.tables._changes import changed_settings, changes_words


@pytest.mark.parametrize("name", get_args(AttackName))
def test_what_is_as_published_is_not_told(name: AttackName) -> None:
    published = DataFree(name=name)
    elsewhere = published.replace(student="lenet", seed=3, precision="bfloat16")
    assert changed_settings(published) == changed_settings(elsewhere) == []


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        ("dfme", {"batch_size": 1024}, ["batch_size 1,024"]),
        ("dfme", {"differences": Differences(epsilon=5.0)}, []),
        ("dfme", {"differences": Differences(epsilon=5.0, split=True)}, ["differences.split True"]),
        ("dfme", {"clone": {"milestones": (0.5, 0.8)}}, ["clone.milestones 0.5/0.8"]),
        ("dfme", {"rehearsal": {"steps": 4, "capacity": 10}}, None),
        ("disguide", {"rehearsal": None}, ["rehearsal none"]),
        ("disguide", {"generator_mode": "train"}, ["generator_mode train"]),
    ],
)
def test_what_is_changed_is_told(name: AttackName, fields: dict[str, object], told: list[str] | None) -> None:
    whole = ["rehearsal.steps 4", "rehearsal.capacity 10", "rehearsal.adds each"]
    assert changed_settings(DataFree.model_validate({"name": name, **fields})) == (whole if told is None else told)


def test_each_attack_is_told_once() -> None:
    small = [DataFree(name="dfme", latent=8, seed=seed) for seed in range(3)]
    assert changes_words([*small, DataFree(name="maze"), DataFree(name="maze-dfme", width=16)]) == (
        "Not as published: DFME: latent 8; MAZE, DFME's code: width 16."
    )
    assert changes_words([DataFree(name="maze")]) == changes_words([]) == "All other settings are the publications'."
