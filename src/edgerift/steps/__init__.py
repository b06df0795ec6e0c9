"""Steps: recipes that describe them, and the store that keeps each recipe's result once, complete or not at all.

A `Recipe` is a `Settings` that can produce its result in a folder. The store names the result after the recipe.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.steps._any import AnyRecipe as AnyRecipe
    from edgerift.steps._archive import pack as pack
    from edgerift.steps._archive import unpack as unpack
    from edgerift.steps._entry import RECIPE_FILE as RECIPE_FILE
    from edgerift.steps._held_folder import HeldFolder as HeldFolder
    from edgerift.steps._held_folder import held_folder as held_folder
    from edgerift.steps._locks import let_go as let_go
    from edgerift.steps._locks import lock_in_turn as lock_in_turn
    from edgerift.steps._locks import locked as locked
    from edgerift.steps._progress import Progress as Progress
    from edgerift.steps._progress import silent as silent
    from edgerift.steps._reading import read as read
    from edgerift.steps._recipe import Recipe as Recipe
    from edgerift.steps._results import read_document as read_document
    from edgerift.steps._seal import SEAL as SEAL
    from edgerift.steps._spilling_map import SpillingMap as SpillingMap
    from edgerift.steps._store import STORE_FILES as STORE_FILES
    from edgerift.steps._store import Store as Store
    from edgerift.steps._store import default_root as default_root
    from edgerift.steps._tensors import Tensors as Tensors
    from edgerift.steps._tensors import read_tensors as read_tensors
    from edgerift.steps._upkeep import Entry as Entry
    from edgerift.steps._upkeep import Verdict as Verdict
    from edgerift.steps._upkeep import entries as entries
    from edgerift.steps._upkeep import reachable as reachable
    from edgerift.steps._upkeep import remove as remove
    from edgerift.steps._upkeep import require_writable as require_writable
    from edgerift.steps._upkeep import stored_recipes as stored_recipes
    from edgerift.steps._upkeep import tidy as tidy
    from edgerift.steps._upkeep import unneeded as unneeded
    from edgerift.steps._upkeep import verify as verify
    from edgerift.steps._writing import disk_errors as disk_errors
    from edgerift.steps._writing import remove_unfinished as remove_unfinished
    from edgerift.steps._writing import require_regular as require_regular
    from edgerift.steps._writing import sync_tree as sync_tree
    from edgerift.steps._writing import write_whole as write_whole
else:
    __getattr__, __dir__, __all__ = exported(__name__)
