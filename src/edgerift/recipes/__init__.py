"""Recipes: frozen, validated descriptions of a step, with one text and one digest for each.

`Settings` is the base of everything a user configures; `Recipe` is a `Settings` that knows how to produce its
result in a folder, and is what the store keeps results by.
"""

from edgerift.recipes._progress import Progress as Progress
from edgerift.recipes._progress import silent as silent
from edgerift.recipes._reading import read as read
from edgerift.recipes._recipe import Recipe as Recipe
from edgerift.recipes._settings import Settings as Settings
from edgerift.recipes._wording import NotAllowedError as NotAllowedError
from edgerift.recipes._wording import Problem as Problem
from edgerift.recipes._wording import problems as problems
