"""Registries: what is registered is listed by rank and name, found by name, and found in a folder when first asked."""

import sys

import pytest

from edgerift.errors import ModelError, RecipeError
from edgerift.settings import Registry


def test_parts_stand_by_rank_and_then_by_name():
    registry: Registry[int] = Registry("number")
    for name, rank in (("c", 0), ("b", 1), ("a", 1), ("d", -1)):
        registry.register(name, ord(name), rank=rank)
    assert registry.names() == ("d", "c", "a", "b")
    assert registry.parts() == tuple(ord(name) for name in registry.names())
    assert dict(registry.items()) == {name: ord(name) for name in "dcab"}


def test_a_name_belongs_to_one_part():
    registry: Registry[int] = Registry("number")
    assert registry.register("one", 1) == registry.register("one", 1) == 1
    with pytest.raises(RecipeError, match="there is a number 'one' already"):
        registry.register("one", 2)
    assert registry["one"] == 1


def test_an_unknown_name_is_the_registrys_own_error():
    registry: Registry[int] = Registry("number", error=ModelError)
    registry.register("one", 1)
    assert "one" in registry
    assert "oen" not in registry
    with pytest.raises(ModelError, match="unknown number 'oen'; did you mean 'one'"):
        registry["oen"]


def test_modules_of_the_folder_are_imported_when_somebody_looks(tmp_path, monkeypatch):
    folder = tmp_path / "some_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from edgerift.settings import Registry\nPARTS = Registry('part', 'some_parts')\n"
    )
    for name in ("second", "first"):
        (folder / f"_{name}.py").write_text(f"from some_parts import PARTS\nPARTS.register({name!r}, {name!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    import some_parts

    assert "some_parts._first" not in sys.modules
    assert some_parts.PARTS.names() == ("first", "second")
    assert "some_parts._first" in sys.modules
