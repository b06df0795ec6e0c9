"""The store: each recipe's result, kept once, whole or not at all."""

from edgerift.store._documents import read_document as read_document
from edgerift.store._store import STORE_FILES as STORE_FILES
from edgerift.store._store import Store as Store
from edgerift.store._store import default_root as default_root
from edgerift.store._writing import remove_unfinished as remove_unfinished
from edgerift.store._writing import require_regular as require_regular
from edgerift.store._writing import write_whole as write_whole
