"""Adversarial training on the command line: what the options describe."""

import pytest

from edgerift.cli._options import DataOptions
from edgerift.cli._parsing import parse
from edgerift.cli._train import OriginalOptions, Train, train_recipe
from edgerift.train import Adversary, adversary


def test_the_options_describe_the_adversary() -> None:
    command = parse(["train", "--adversary", "trades", "--adversary-epsilon", "4", "--out", "o"])
    assert isinstance(command, Train)
    recipe = train_recipe(DataOptions().images(), command.original.replace(model="lenet"))
    assert recipe.settings.adversary == adversary("trades", 4)
    assert isinstance(recipe.settings.adversary, Adversary)


@pytest.mark.parametrize("options", [OriginalOptions(model="lenet"), OriginalOptions(model="lenet", adversary=None)])
def test_without_one_the_recipe_is_what_it_was(options: OriginalOptions) -> None:
    assert '"adversary"' not in train_recipe(DataOptions().images(), options).canonical_json()
