"""The audit of a pair: evasion, theft, checks of the evaluation, explanations, evidence, and the gate."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.audit._baseline import judge_baseline as judge_baseline
    from edgerift.audit._baseline import read_audit as read_audit
    from edgerift.audit._document import Audit as Audit
    from edgerift.audit._document import Examined as Examined
    from edgerift.audit._document import GatePart as GatePart
    from edgerift.audit._document import Made as Made
    from edgerift.audit._document import Measured as Measured
    from edgerift.audit._document import SuggestionPart as SuggestionPart
    from edgerift.audit._document_evasion import AttackPart as AttackPart
    from edgerift.audit._document_evasion import ClassPart as ClassPart
    from edgerift.audit._document_evasion import ComparisonPart as ComparisonPart
    from edgerift.audit._document_evasion import ControlPart as ControlPart
    from edgerift.audit._document_evasion import EmbeddingPart as EmbeddingPart
    from edgerift.audit._document_evasion import EvasionPart as EvasionPart
    from edgerift.audit._document_evasion import FidelityPart as FidelityPart
    from edgerift.audit._document_evasion import KnowledgePart as KnowledgePart
    from edgerift.audit._document_evasion import LayerPart as LayerPart
    from edgerift.audit._document_evasion import SurrogatePart as SurrogatePart
    from edgerift.audit._document_finding import FindingPart as FindingPart
    from edgerift.audit._document_fleet import DisagreementPart as DisagreementPart
    from edgerift.audit._document_fleet import FleetPart as FleetPart
    from edgerift.audit._document_fleet import MemberPart as MemberPart
    from edgerift.audit._document_pair import DataPart as DataPart
    from edgerift.audit._document_pair import FlagPart as FlagPart
    from edgerift.audit._document_pair import GuardPart as GuardPart
    from edgerift.audit._document_pair import PairPart as PairPart
    from edgerift.audit._document_theft import TheftPart as TheftPart
    from edgerift.audit._evidence import FindingFile as FindingFile
    from edgerift.audit._folder import judged as judged
    from edgerift.audit._folder import run_audit as run_audit
    from edgerift.audit._folder import schema as schema
    from edgerift.audit._frameworks import CATALOGUES as CATALOGUES
    from edgerift.audit._measures import attack_part as attack_part
    from edgerift.audit._measures import comparison as comparison
    from edgerift.audit._opened import guard_part as guard_part
    from edgerift.audit._policy import Policy as Policy
    from edgerift.audit._policy import judge as judge
    from edgerift.audit._policy import read_policy as read_policy
    from edgerift.audit._reasons import embedded as embedded
    from edgerift.audit._recipe import AuditRecipe as AuditRecipe
    from edgerift.audit._replay import Replay as Replay
    from edgerift.audit._replay import replay as replay
    from edgerift.audit._surrogate import Knowledge as Knowledge
    from edgerift.audit._surrogate import SurrogateRecipe as SurrogateRecipe
    from edgerift.audit._surrogate import surrogate_part as surrogate_part
    from edgerift.audit._tampering import TamperingSettings as TamperingSettings
    from edgerift.audit._theft import TheftSettings as TheftSettings
else:
    __getattr__, __dir__, __all__ = exported(__name__)
