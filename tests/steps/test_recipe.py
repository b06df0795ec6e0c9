import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from edgerift.errors import RecipeError
from edgerift.settings import Settings
from edgerift.steps import Recipe, read, silent


class Data(Recipe):
    type: Literal["data"] = "data"
    version: Literal[1] = 1
    source: str = "digits"
    size: int = 32
    rate: float = 0.1
    names: frozenset[str] = frozenset()
    extra: dict[str, float] = Field(default_factory=dict)
    root: Path | None = None
    device: str = Field(default="cpu", exclude=True)

    def produce(self, folder, store, progress):
        progress("data", 1, 1)


class Objective(Settings):
    reference: Data | None = None
    weight: float = 1.0


class Training(Recipe):
    type: Literal["training"] = "training"
    version: Literal[2] = 2
    data: Data = Data()
    objective: Objective = Objective()
    more: tuple[Data, ...] = ()
    by_name: dict[str, Data] = Field(default_factory=dict)
    start: Recipe | None = None
    seed: int = 0

    def produce(self, folder, store, progress):
        pass


KNOWN = (Data, Training)


def test_canonical_json_by_hand():
    expected = (
        '{"extra":{"a":2.0,"b":1e-07},"names":["x","y","z"],"rate":0.1,"root":"/tmp/\\u00e9","size":32,'
        '"source":"digits","type":"data","version":1}'
    )
    recipe = Data(names=["z", "x", "y"], extra={"b": 1e-7, "a": 2}, root="/tmp/é", device="cuda")
    assert recipe.canonical_json() == expected
    assert recipe.digest() == hashlib.sha256(expected.encode()).hexdigest()[:32]


def test_the_digest_sees_every_field_defaults_type_and_version():
    class Renamed(Data):
        type: Literal["other"] = "other"

    class Newer(Data):
        version: Literal[2] = 2

    class Resized(Data):
        size: int = 64

    changed = [Data(), Data(size=33), Data(rate=0.2), Data(source="x"), Renamed(), Newer(), Resized()]
    assert len({recipe.digest() for recipe in changed}) == len(changed)
    assert Resized().digest() == Data(size=64).digest()


def test_what_a_subclass_adds_is_not_lost_below_a_base_type():
    first, second = (Training(start=Training(seed=seed)) for seed in (0, 1))
    assert first.digest() != second.digest()
    assert json.loads(second.canonical_json())["start"]["seed"] == 1


values = st.fixed_dictionaries(
    {
        "source": st.text(),
        "size": st.integers(),
        "rate": st.floats(allow_nan=False, allow_infinity=False),
        "names": st.frozensets(st.text()),
        "extra": st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    }
)


@given(values, st.randoms())
def test_the_digest_does_not_depend_on_the_order_of_fields(fields: dict[str, Any], random):
    shuffled = list(fields.items())
    random.shuffle(shuffled)
    extra = list(fields["extra"].items())
    random.shuffle(extra)
    other = Data(**dict(shuffled) | {"extra": dict(extra)})
    assert other.digest() == Data(**fields).digest()


@given(values, values)
def test_equal_recipes_and_only_they_have_equal_text(first, second):
    first, second = Data(**first), Data(**second)
    assert (first == second) == (first.canonical_json() == second.canonical_json())
    assert Data(rate=-0.0).canonical_json() == Data(rate=0.0).canonical_json()


@given(values)
def test_a_recipe_comes_back_from_its_json(fields):
    recipe = Training(data=fields, start=Training(objective={"reference": fields}))
    again = read(recipe.canonical_json(), KNOWN)
    assert again == recipe
    assert again.digest() == recipe.digest()


def test_the_digest_is_the_same_in_every_process():
    program = (
        "from typing import Literal\nfrom edgerift.steps import Recipe\n"
        "class Data(Recipe):\n"
        "    type: Literal['d'] = 'd'\n    version: Literal[1] = 1\n"
        "    names: frozenset[str] = frozenset('abcdefgh')\n"
        "    def produce(self, folder, store, progress): ...\n"
        "import sys; sys.stdout.write(Data().digest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 32


def test_inputs_are_the_direct_recipes_once_in_order():
    first, second, third, fourth = (Data(size=size) for size in (1, 2, 3, 4))
    inner = Training(data=Data(size=99))
    recipe = Training(
        data=first,
        objective=Objective(reference=second),
        more=(third, first),
        by_name={"a": fourth, "b": third},
        start=inner,
    )
    assert recipe.inputs() == (first, second, third, fourth, inner)
    assert Data().inputs() == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "no recipe"),
        ('{"type":"data"}', "no recipe"),
        ('{"type":"dta","version":1}', "unknown recipe type 'dta'; did you mean 'data'?"),
        ('{"type":"data","version":7}', "a 'data' recipe has version 7; this edgerift reads version 1"),
        ('{"type":"data","version":1,"siz":2}', "unknown field 'siz'; did you mean 'size'?"),
        (
            '{"type":"training","version":2,"start":{"type":"data","version":2}}',
            "a 'data' recipe has version 2; this edgerift reads version 1",
        ),
    ],
)
def test_reading_what_is_not_a_known_recipe(text, message):
    with pytest.raises(RecipeError) as caught:
        read(text, KNOWN)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "version", "message"),
    [
        (str, Literal[1], "Broken.type must be one fixed name"),
        (Literal["Upper Case"], Literal[1], "Broken.type must be one fixed name"),
        (Literal["a", "b"], Literal[1], "Broken.type must be one fixed name"),
        (Literal["../a"], Literal[1], "Broken.type must be one fixed name"),
        (Literal["a"], int, "Broken.version must be one fixed whole number"),
        (Literal["a"], Literal[0], "Broken.version must be one fixed whole number"),
    ],
)
def test_a_recipe_class_fixes_its_type_and_version(kind, version, message):
    def default(annotation):
        return getattr(annotation, "__args__", ("a",))[0]

    namespace = {
        "__module__": __name__,
        "__annotations__": {"type": kind, "version": version},
        "type": default(kind),
        "version": default(version),
        "produce": lambda self, folder, store, progress: None,
    }
    with pytest.raises(RecipeError, match=message):
        type(Recipe)("Broken", (Recipe,), namespace)


def test_a_value_without_json_is_refused():
    class Odd(Settings):
        anything: Any

    class Holder(Recipe):
        type: Literal["holder"] = "holder"
        version: Literal[1] = 1
        odd: Odd

        def produce(self, folder, store, progress):
            pass

    with pytest.raises(RecipeError, match="a recipe holds a value of type object, which has no JSON"):
        Holder(odd=Odd(anything=object())).digest()
    with pytest.raises(RecipeError, match="its numbers must be finite"):
        Holder(odd=Odd(anything=[float("nan")])).digest()


def test_silent_says_nothing(capsys):
    assert silent("task", 1, 2, "note") is None
    assert capsys.readouterr() == ("", "")
