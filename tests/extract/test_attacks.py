"""What the attacks' publications say, as numbers, and which parts fit together."""

from typing import Any, Literal, TypeAlias

import pytest

from edgerift.errors import RecipeError
from edgerift.extract import DATA_FREE, AttackName, DataFree, Differences
from edgerift.settings import canonical_json

Mode: TypeAlias = Literal["train", "eval"] | None

PAPERS: dict[AttackName, dict[str, Any]] = {
    "dfme": {
        "student": "resnet34_8x",
        "batch_size": 256,
        "latent": 256,
        "width": 128,
        "affine": False,
        "generator_steps": 1,
        "clone_steps": 5,
        "clones": 1,
        "loss": "l1",
        "differences.directions": 1,
        "differences.epsilon": 1e-3,
        "differences.scheme": "forward",
        "differences.split": False,
        "differences.antithetic": False,
        "rehearsal": None,
        "positives": None,
        "summed": False,
        "reuse": False,
        "grey": None,
        "clone.optimizer": "sgd",
        "clone.learning_rate": 0.1,
        "clone.momentum": 0.9,
        "clone.weight_decay": 5e-4,
        "clone.schedule": "steps",
        "clone.milestones": (0.1, 0.3, 0.5),
        "clone.factor": 0.3,
        "generator.optimizer": "adam",
        "generator.learning_rate": 1e-4,
        "generator.milestones": (0.1, 0.3, 0.5),
        "generator.factor": 0.3,
        "queries": 256 * 7,
    },
    "maze": {
        "student": "resnet34_8x",
        "batch_size": 128,
        "latent": 100,
        "affine": True,
        "generator_steps": 1,
        "clone_steps": 5,
        "loss": "kl",
        "differences.directions": 10,
        "differences.epsilon": 1e-3,
        "summed": False,
        "reuse": True,
        "rehearsal.steps": 10,
        "rehearsal.adds": "last",
        "clone.optimizer": "sgd",
        "clone.learning_rate": 0.1,
        "clone.schedule": "cosine",
        "generator.optimizer": "sgd",
        "generator.momentum": 0.9,
        "generator.weight_decay": 5e-4,
        "generator.learning_rate": 1e-3,
        "generator.schedule": "cosine",
        "queries": 1920,
    },
    "maze-dfme": {
        "batch_size": 128,
        "latent": 256,
        "affine": False,
        "loss": "kl",
        "differences.directions": 10,
        "summed": True,
        "reuse": False,
        "rehearsal": None,
        "clone.schedule": "steps",
        "generator.optimizer": "sgd",
        "generator.learning_rate": 1e-4,
        "queries": 128 * 16,
    },
    "disguide": {
        "student": "resnet18",
        "batch_size": 256,
        "latent": 256,
        "clones": 2,
        "clone_steps": 1,
        "generator_steps": 1,
        "loss": "l1",
        "differences": None,
        "diversity": 0.2,
        "grey": 8,
        "rehearsal.steps": 3,
        "rehearsal.capacity": 1_000_000,
        "rehearsal.adds": "each",
        "clone.learning_rate": 0.03,
        "clone.milestones": (0.4, 0.8),
        "clone.factor": 0.3,
        "generator.optimizer": "adam",
        "generator.learning_rate": 1e-4,
        "generator.milestones": (0.4, 0.8),
        "queries": 256,
    },
    "disguide-hard": {
        "student": "resnet18",
        "loss": "cross-entropy",
        "clones": 2,
        "clone.learning_rate": 0.03,
        "generator_mode": "eval",
        "queries": 256,
    },
}


def test_every_attack_has_its_paper() -> None:
    assert tuple(PAPERS) == DATA_FREE.names()


@pytest.mark.parametrize(
    ("name", "field", "value"), [(name, *item) for name, fields in PAPERS.items() for item in fields.items()]
)
def test_published_constants(name: AttackName, field: str, value: object) -> None:
    found: Any = DataFree(name=name)
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize("batch", [1, 8, 256])
@pytest.mark.parametrize("steps", [(1, 5), (3, 2), (2, 1)])
@pytest.mark.parametrize("directions", [1, 10])
def test_queries_of_an_iteration(batch: int, steps: tuple[int, int], directions: int) -> None:
    g, d = steps
    fields: dict[str, Any] = {"batch_size": batch, "generator_steps": g, "clone_steps": d}
    forward, central = Differences(directions=directions), Differences(directions=directions, scheme="central")
    m = directions
    assert DataFree(name="dfme", **fields, differences=forward).queries == batch * (g * (m + 1) + d)
    assert DataFree(name="maze", **fields, differences=forward).queries == batch * ((d - 1) + (1 + m) * g)
    assert DataFree(name="maze-dfme", **fields, differences=forward).queries == batch * (d + (1 + m) * g)
    assert DataFree(name="dfme", **fields, differences=central).queries == batch * (2 * g * m + d)
    split = central.replace(split=True)
    assert DataFree(name="dfme", **fields, differences=split).queries == batch * (g * (2 * m + 1) + d)
    assert DataFree(name="disguide", **fields).queries == batch * d


def test_a_field_that_is_given_goes_before_the_paper() -> None:
    chosen = DataFree(name="maze", rehearsal=None, loss="l1", differences=Differences(epsilon=1.0))
    assert (chosen.rehearsal, chosen.loss, chosen.batch_size) == (None, "l1", 128)
    assert chosen.differences == Differences(epsilon=1.0, directions=1)
    again = DataFree.model_validate_json(chosen.model_dump_json())
    assert again == chosen
    assert chosen.replace(seed=3).rehearsal is None


def test_a_mapping_changes_some_fields_of_a_published_part() -> None:
    maze = DataFree.model_validate({"name": "maze", "differences": {"epsilon": 0.5}, "clone": {"learning_rate": 0.2}})
    assert maze.differences == Differences(epsilon=0.5, directions=10)
    assert (maze.clone.learning_rate, maze.clone.schedule) == (0.2, "cosine")
    assert DataFree(name="maze", differences=Differences(epsilon=0.5)).differences == Differences(epsilon=0.5)


@pytest.mark.parametrize("name", DATA_FREE.names())
@pytest.mark.parametrize("part", ["generator", "clone"])
def test_a_mapping_changes_one_field_of_each_descent(name: AttackName, part: str) -> None:
    """Also of one that the publication shares with all others."""
    published = getattr(DataFree(name=name), part)
    changed = DataFree.model_validate({"name": name, part: {"learning_rate": 5e-5}})
    assert getattr(changed, part) == published.replace(learning_rate=5e-5)


def test_where_it_runs_is_no_part_of_what_it_is() -> None:
    chosen = DataFree(name="dfme", compile=True, device="cpu")
    assert chosen.model_dump_json() == DataFree(name="dfme").model_dump_json()


@pytest.mark.parametrize("name", ["dfme", "disguide"])
@pytest.mark.parametrize("mode", [None, "train", "eval"])
def test_the_generators_mode_is_as_published_unless_it_is_given(
    name: AttackName, mode: Literal["train", "eval"]
) -> None:
    chosen = DataFree(name=name, generator_mode=mode)
    assert chosen.generator_mode == (mode or DataFree(name=name).generator_mode)
    assert DataFree.model_validate_json(chosen.model_dump_json()) == chosen
    assert chosen.replace(seed=1).replace(seed=0) == chosen
    # Attacks without it have the names that they had before there was such a field.
    assert ("generator_mode" in canonical_json(chosen)) == (chosen.generator_mode is not None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "dfme", "clone": {"milestones": [0.5, 3.0]}}, "milestones are shares of all iterations"),
        ({"name": "dmfe"}, "unknown data-free attack 'dmfe'; did you mean 'dfme'"),
        ({"name": ["dfme"]}, "name"),
        ({}, "name"),
        ({"name": "dfme", "differences": None}, "a generator needs a gradient"),
        ({"name": "disguide", "clones": 1}, "a generator needs a gradient"),
        ({"name": "dfme", "loss": "cross-entropy"}, "use disguide-hard"),
        ({"name": "maze", "differences": {"scheme": "central"}}, "use forward differences"),
        ({"name": "disguide", "reuse": True}, "use forward differences"),
        ({"name": "dfme", "differences": {"directions": 3, "antithetic": True}}, "directions is 3, give an even one"),
        (
            {"name": "dfme", "differences": {"directions": 2, "scheme": "central", "antithetic": True}},
            "leave out antithetic",
        ),
        ({"name": "dfme", "differences": {"epsilon": 0}}, "epsilon"),
        ({"name": "dfme", "differences": {"directions": 0}}, "directions"),
        ({"name": "dfme", "batch_size": 0}, "batch_size"),
        ({"name": "dfme", "clone_steps": 0}, "clone_steps"),
        ({"name": "dfme", "rehearsal": {"steps": 1}}, "capacity"),
        ({"name": "dfme", "generator": {"momentum": 1.0}}, "momentum"),
        ({"name": "dfme", "studnet": "lenet"}, "student"),
        ({"name": "disguide", "summed": True}, "summed is for the estimated gradient"),
        ({"name": "maze", "diversity": 0.1}, "diversity is for attacks with several clones"),
    ],
)
def test_parts_that_do_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        DataFree.model_validate(fields)
    assert "\n" not in str(error.value)
