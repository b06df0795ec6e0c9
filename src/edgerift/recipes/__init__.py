"""Recipes: frozen, validated descriptions of a step, with one text and one digest for each.

`Settings` is the base of everything a user configures; `Recipe` is a `Settings` that knows how to produce its
result in a folder, and is what the store keeps results by.
"""

from edgerift.recipes._documents import LARGEST_DOCUMENT as LARGEST_DOCUMENT
from edgerift.recipes._documents import LARGEST_MODEL as LARGEST_MODEL
from edgerift.recipes._documents import Document as Document
from edgerift.recipes._documents import is_file as is_file
from edgerift.recipes._documents import is_folder as is_folder
from edgerift.recipes._documents import parse_json as parse_json
from edgerift.recipes._numbers import BatchSize as BatchSize
from edgerift.recipes._numbers import ClassNumber as ClassNumber
from edgerift.recipes._numbers import Count as Count
from edgerift.recipes._numbers import LearningRate as LearningRate
from edgerift.recipes._numbers import Parts as Parts
from edgerift.recipes._numbers import Seed as Seed
from edgerift.recipes._numbers import Threads as Threads
from edgerift.recipes._numbers import Times as Times
from edgerift.recipes._numbers import TimesOrNone as TimesOrNone
from edgerift.recipes._numbers import require_seed as require_seed
from edgerift.recipes._progress import Progress as Progress
from edgerift.recipes._progress import silent as silent
from edgerift.recipes._reading import read as read
from edgerift.recipes._recipe import Recipe as Recipe
from edgerift.recipes._settings import Settings as Settings
from edgerift.recipes._wording import NotAllowedError as NotAllowedError
from edgerift.recipes._wording import Problem as Problem
from edgerift.recipes._wording import problems as problems
from edgerift.recipes._yaml import LARGEST_YAML as LARGEST_YAML
from edgerift.recipes._yaml import Node as Node
from edgerift.recipes._yaml import Place as Place
from edgerift.recipes._yaml import read_yaml as read_yaml
from edgerift.recipes._yaml import settings_of as settings_of
