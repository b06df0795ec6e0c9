"""What hardening a build against theft costs and buys: victims of one original side by side, each of them stolen."""

from edgerift.harden._document import AlphaPoint as AlphaPoint
from edgerift.harden._document import Hardening as Hardening
from edgerift.harden._document import Thieves as Thieves
from edgerift.harden._document import VictimPart as VictimPart
from edgerift.harden._recipe import HardenRecipe as HardenRecipe
from edgerift.harden._rows import PAPER_ROWS as PAPER_ROWS
from edgerift.harden._rows import RowName as RowName
