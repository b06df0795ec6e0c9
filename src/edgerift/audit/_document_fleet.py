"""The audit's result on a fleet: builds of one original, such as one file run by several sets of kernels."""

from __future__ import annotations

from edgerift.audit._document_finding import FindingPart
from edgerift.deploy import Fingerprint
from edgerift.evade import Attack
from edgerift.measure import Interval
from edgerift.settings import Settings


class MemberPart(Settings):
    """One build of a fleet, and its accuracy on all test images before any attack."""

    fingerprint: Fingerprint
    accuracy: Interval

    @property
    def runtime(self) -> str:
        """The runtime, by whose name a member goes."""
        return self.fingerprint.runtime


class DisagreementPart(Settings):
    """Two members: images that `right` labels correctly and `wrong` does not.

    `clean`: of all test images, before any attack; `evasive`: of the attacked ones, replayed from the PNG file; `void`:
    found, but not replayed.
    """

    right: str
    wrong: str
    clean: Interval
    evasive: Interval
    void: int

    @property
    def name(self) -> str:
        """The name in findings."""
        return disagreement_name(self.right, self.wrong)


class FleetPart(Settings):
    """What an attack reaches against several builds of one original, the audited one first.

    `attacked` images were attacked, all of which the original and every member label correctly. `apart`: the attacked
    images for which some member was made wrong while another stayed right; `evasive_on_all`: those that the original
    gets right and every member wrong. `clean_apart`: of all test images, those that get several labels before any
    attack. In `findings` the original's label and probability are those of the member that stays right.
    """

    attack: Attack
    members: tuple[MemberPart, ...]
    attacked: int
    clean_apart: Interval
    apart: Interval
    evasive_on_all: Interval
    pairs: tuple[DisagreementPart, ...]
    findings: tuple[FindingPart, ...]

    def pair_of(self, finding: FindingPart) -> DisagreementPart | None:
        """Find the two members that disagree on a finding; None for one of the original and the audited build."""
        return {pair.name: pair for pair in self.pairs}.get(finding.attack)


def disagreement_name(right: str, wrong: str) -> str:
    """Name the search for images that one runtime gets right and another wrong.

    >>> disagreement_name("litert", "litert-builtin")
    'litert-right-litert-builtin-wrong'
    """
    return f"{right}-right-{wrong}-wrong"
