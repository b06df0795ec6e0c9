"""Facts: every figure of a study as one long table, and which of a paper's claims they support.

A figure is declared once, in the registry `readings`: its metric and how it is read from a part of a document. Tables,
figures, claims and tracking select it from the facts.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.facts import readings as readings
    from edgerift.facts._claims import Claim as Claim
    from edgerift.facts._claims import Finding as Finding
    from edgerift.facts._claims import claims as claims
    from edgerift.facts._collapsed import Collapse as Collapse
    from edgerift.facts._collapsed import collapsed as collapsed
    from edgerift.facts._collapsed import has_collapsed as has_collapsed
    from edgerift.facts._data_free import Theft as Theft
    from edgerift.facts._data_free import Thefts as Thefts
    from edgerift.facts._data_free import data_free_places as data_free_places
    from edgerift.facts._data_free import published_attacks as published_attacks
    from edgerift.facts._facts import Facts as Facts
    from edgerift.facts._facts import facts as facts
    from edgerift.facts._facts import record_rows as record_rows
    from edgerift.facts._metric import COLUMNS as COLUMNS
    from edgerift.facts._metric import READINGS as READINGS
    from edgerift.facts._metric import Fact as Fact
    from edgerift.facts._metric import Metric as Metric
    from edgerift.facts._metric import Part as Part
    from edgerift.facts._metric import Reading as Reading
    from edgerift.facts._metric import theft_name as theft_name
    from edgerift.facts._names import ADAPTATIONS as ADAPTATIONS
    from edgerift.facts._names import ATTACKS as ATTACKS
    from edgerift.facts._names import FLOATS as FLOATS
    from edgerift.facts._names import ORIGINAL_VICTIM as ORIGINAL_VICTIM
    from edgerift.facts._names import PAPER_ATTACKS as PAPER_ATTACKS
    from edgerift.facts._names import PLAIN as PLAIN
    from edgerift.facts._names import joint as joint
    from edgerift.facts._pooled import Pooled as Pooled
    from edgerift.facts._pooled import difference as difference
    from edgerift.facts._pooled import pooled as pooled
    from edgerift.facts._single import single as single
else:
    __getattr__, __dir__, __all__ = exported(__name__)
