"""Facts: what the figures of a study say, and what of a paper's claims they bear out."""

from edgerift.facts._claims import Claim as Claim
from edgerift.facts._claims import Finding as Finding
from edgerift.facts._claims import claims as claims
