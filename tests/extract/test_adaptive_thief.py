"""Thieves with shadow models, tables and other weights to start from, on a tiny victim."""

from pathlib import Path

import pytest
import torch

from edgerift import zoo
from edgerift.defend import Mad, ReverseSigmoid, defended
from edgerift.errors import EdgeriftError
from edgerift.extract import Knockoff, Oracle, knockoff, start_from
from edgerift.images import ImageSet
from edgerift.train import TrainSettings

TRAINING = TrainSettings(epochs=1, batch_size=16, learning_rate=0.05)


def some(count: int = 48) -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet("some", images, torch.zeros(count, dtype=torch.int64), ("a", "b", "c"), "some")


def victim(images: torch.Tensor) -> torch.Tensor:
    means = images.float().mean((2, 3)) / 255
    return 40 * (means - means.mean(1, keepdim=True))


@pytest.mark.parametrize("way", ["network", "table"])
def test_shadows_undo_a_defence_that_looks_at_images(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 60)
    defence, queries = Mad(epsilon=0.5, surrogate="resnet8"), some()
    settings = Knockoff(student="resnet8", undo=(defence,), undo_by=way, shadows=2, training=TRAINING, seed=3)
    answers = []
    for _ in range(2):
        with Oracle(victim, budget=len(queries), defence=defence) as oracle:
            answers.append(knockoff(oracle, queries, settings=settings).answers)
            assert oracle.spent == len(queries)
    assert torch.equal(*answers)
    assert torch.allclose(answers[0].sum(1), torch.ones(len(queries)), atol=1e-5)
    with Oracle(victim, budget=len(queries)) as oracle:
        clone = knockoff(oracle, queries, settings=Knockoff(student="resnet8", training=TRAINING, seed=3))
        clean, images = clone.answers, clone.questions.images
    changed = defended(clean, [defence], images)
    off = [(found - clean).abs().sum(1).mean() for found in (answers[0], changed)]
    assert not torch.equal(answers[0], changed)
    if way == "table":
        assert off[0] < off[1]


def test_a_table_of_made_up_answers_leaves_little_of_an_invertible_defence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgerift.extract._knockoff._TABLE_BATCHES", 4)
    defence, queries = ReverseSigmoid(beta=0.05), some()
    plain = Knockoff(student="resnet8", training=TRAINING)
    with Oracle(victim, budget=48) as oracle:
        clean = knockoff(oracle, queries, settings=plain).answers
    with Oracle(victim, budget=48, defence=defence) as oracle:
        found = knockoff(oracle, queries, settings=plain.replace(undo=(defence,), undo_by="table")).answers
    changed = float((defence(clean) - clean).abs().sum(1).median())
    assert changed > 0.01
    assert float((found - clean).abs().sum(1).median()) < 0.1 * changed


def test_a_clone_starts_from_weights_that_fit(tmp_path: Path) -> None:
    given = zoo.create("resnet8", classes=5, size=8, seed=9)
    zoo.save(given, tmp_path / "given.safetensors")
    start = start_from(tmp_path / "given.safetensors")
    frozen = TrainSettings(epochs=1, batch_size=16, learning_rate=1e-30, weight_decay=0)
    with Oracle(victim, budget=48) as oracle:
        clone = knockoff(oracle, some(), settings=Knockoff(student="resnet8", training=frozen, start=start)).model
        weights, own = dict(given.named_parameters()), dict(clone.named_parameters())
        same = [name for name in own if own[name].shape == weights[name].shape]
        assert len(same) == len(own) - 2  # All but the weights and the bias of the classes.
        assert all(torch.allclose(own[name], weights[name], atol=1e-12) for name in same)
        zoo.save(zoo.create("lenet", classes=3, size=12), tmp_path / "other.safetensors")
        other = start_from(tmp_path / "other.safetensors")
        with pytest.raises(EdgeriftError, match="clone with --student lenet"):
            knockoff(oracle, some(), settings=Knockoff(student="resnet8", training=frozen, start=other))
    (tmp_path / "given.safetensors").write_bytes(b"other")
    with Oracle(victim, budget=48) as oracle, pytest.raises(EdgeriftError, match="has changed"):
        knockoff(oracle, some(), settings=Knockoff(student="resnet8", training=frozen, start=start))


def test_the_place_of_a_start_is_no_part_of_its_name(tmp_path: Path) -> None:
    zoo.save(zoo.create("lenet", classes=3, size=12), tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    first, second = (Knockoff(start=start_from(tmp_path / name)) for name in ("a.safetensors", "b.safetensors"))
    assert first.model_dump_json() == second.model_dump_json()
