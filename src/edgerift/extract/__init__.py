"""The attacks on the model: an oracle with a budget, and the thieves who ask it.

Nothing here ever sees a victim's weights or gradients: every attack goes through the :class:`Oracle`.
"""

from edgerift.extract._inversion import Inversion as Inversion
from edgerift.extract._inversion import learn_inversion as learn_inversion
from edgerift.extract._knockoff import Clone as Clone
from edgerift.extract._knockoff import Knockoff as Knockoff
from edgerift.extract._knockoff import knockoff as knockoff
from edgerift.extract._oracle import Oracle as Oracle
from edgerift.extract._oracle import posteriors as posteriors
from edgerift.extract._recipe import BestEpoch as BestEpoch
from edgerift.extract._recipe import ExtractRecipe as ExtractRecipe
from edgerift.extract._recipe import QuerySettings as QuerySettings
from edgerift.extract._recipe import Theft as Theft
from edgerift.extract._recipe import Victim as Victim
from edgerift.extract._recipe import open_victim as open_victim
