"""Model extraction: an oracle with a query budget, and the attacks that query it.

No attack sees a victim's weights or gradients: every attack goes through the :class:`Oracle`.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.extract._clones import Vote as Vote
    from edgerift.extract._curve import CurvePoint as CurvePoint
    from edgerift.extract._curve import Measured as Measured
    from edgerift.extract._data_free_settings import AttackName as AttackName
    from edgerift.extract._data_free_settings import DataFree as DataFree
    from edgerift.extract._datafree import DataFreeClone as DataFreeClone
    from edgerift.extract._datafree import data_free as data_free
    from edgerift.extract._datafree_recipe import DataFreeRecipe as DataFreeRecipe
    from edgerift.extract._datafree_recipe import DataFreeTheft as DataFreeTheft
    from edgerift.extract._difference_settings import Differences as Differences
    from edgerift.extract._differences import Estimate as Estimate
    from edgerift.extract._differences import estimate as estimate
    from edgerift.extract._endpoint_settings import GivenEndpoint as GivenEndpoint
    from edgerift.extract._endpoint_settings import given_endpoint as given_endpoint
    from edgerift.extract._generator import Generator as Generator
    from edgerift.extract._inversion import Inversion as Inversion
    from edgerift.extract._inversion import Pairs as Pairs
    from edgerift.extract._inversion import learn_inversion as learn_inversion
    from edgerift.extract._inversion_table import inversion_table as inversion_table
    from edgerift.extract._inversion_table import refined as refined
    from edgerift.extract._kept import KeptAnswers as KeptAnswers
    from edgerift.extract._kept import kept_answers as kept_answers
    from edgerift.extract._knockoff import Clone as Clone
    from edgerift.extract._knockoff import Knockoff as Knockoff
    from edgerift.extract._knockoff import knockoff as knockoff
    from edgerift.extract._ledger import image_keys as image_keys
    from edgerift.extract._masking import Masking as Masking
    from edgerift.extract._masking import masking as masking
    from edgerift.extract._oracle import Lookup as Lookup
    from edgerift.extract._oracle import Oracle as Oracle
    from edgerift.extract._parts import Descent as Descent
    from edgerift.extract._parts import Positives as Positives
    from edgerift.extract._parts import Rehearsal as Rehearsal
    from edgerift.extract._policy import Policy as Policy
    from edgerift.extract._posteriors import posteriors as posteriors
    from edgerift.extract._published import DATA_FREE as DATA_FREE
    from edgerift.extract._published import Published as Published
    from edgerift.extract._query_policy import QUERY_POLICIES as QUERY_POLICIES
    from edgerift.extract._query_policy import Asking as Asking
    from edgerift.extract._query_policy import QueryPolicy as QueryPolicy
    from edgerift.extract._query_policy import query_policy as query_policy
    from edgerift.extract._query_sets import COLLAGES as COLLAGES
    from edgerift.extract._query_sets import HELD_BACK as HELD_BACK
    from edgerift.extract._query_sets import QUERY_SETS as QUERY_SETS
    from edgerift.extract._recipe import BestEpoch as BestEpoch
    from edgerift.extract._recipe import ExtractRecipe as ExtractRecipe
    from edgerift.extract._recipe import QuerySettings as QuerySettings
    from edgerift.extract._recipe import Theft as Theft
    from edgerift.extract._recipe import Victim as Victim
    from edgerift.extract._recipe import open_victim as open_victim
    from edgerift.extract._recovery import recover_logits as recover_logits
    from edgerift.extract._remote import RemoteFingerprint as RemoteFingerprint
    from edgerift.extract._remote import RemoteVictim as RemoteVictim
    from edgerift.extract._start import Start as Start
    from edgerift.extract._start import start_from as start_from
    from edgerift.extract.policies._jacobian import JacobianPolicy as JacobianPolicy
    from edgerift.extract.policies._random import RandomPolicy as RandomPolicy
else:
    __getattr__, __dir__, __all__ = exported(__name__)
