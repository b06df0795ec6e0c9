"""The store: each recipe's result, kept once, whole or not at all."""

from edgerift.store._documents import read_document as read_document
from edgerift.store._held_folder import HeldFolder as HeldFolder
from edgerift.store._held_folder import held_folder as held_folder
from edgerift.store._store import STORE_FILES as STORE_FILES
from edgerift.store._store import Store as Store
from edgerift.store._store import default_root as default_root
from edgerift.store._tensors import Tensors as Tensors
from edgerift.store._tensors import read_tensors as read_tensors
from edgerift.store._upkeep import Entry as Entry
from edgerift.store._upkeep import Verdict as Verdict
from edgerift.store._upkeep import entries as entries
from edgerift.store._upkeep import held as held
from edgerift.store._upkeep import reachable as reachable
from edgerift.store._upkeep import remove as remove
from edgerift.store._upkeep import require_writable as require_writable
from edgerift.store._upkeep import tidy as tidy
from edgerift.store._upkeep import unneeded as unneeded
from edgerift.store._upkeep import verify as verify
from edgerift.store._writing import remove_unfinished as remove_unfinished
from edgerift.store._writing import require_regular as require_regular
from edgerift.store._writing import write_whole as write_whole
