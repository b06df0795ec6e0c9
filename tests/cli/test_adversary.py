"""Adversarial training on the command line: what the options describe."""

import pytest

from edgerift.cli._options import DataOptions
from edgerift.cli._parsing import parse
from edgerift.cli._train import OriginalOptions, Train, train_recipe
from edgerift.errors import InputError
from edgerift.train import Adversary, adversary


def test_the_options_describe_the_adversary() -> None:
    command = parse(["train", "--adversary", "trades:4", "--out", "o"])
    assert isinstance(command, Train)
    recipe = train_recipe(DataOptions().images(), command.original.replace(model="lenet"))
    assert recipe.settings.adversary == adversary("trades", 4)
    assert isinstance(recipe.settings.adversary, Adversary)


@pytest.mark.parametrize(("given", "said"), [("trade", "did you mean 'trades'"), ("fast:far", "such as pgd-7:8")])
def test_a_wrong_one_is_told(given: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        train_recipe(DataOptions().images(), OriginalOptions(model="lenet", adversary=given))


@pytest.mark.parametrize("options", [OriginalOptions(model="lenet"), OriginalOptions(model="lenet", adversary=None)])
def test_without_one_the_recipe_is_what_it_was(options: OriginalOptions) -> None:
    assert '"adversary"' not in train_recipe(DataOptions().images(), options).canonical_json()
