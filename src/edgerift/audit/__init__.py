"""The whole examination of a pair: attacks, checks of the evaluation, reasons, evidence, and the gate."""

from edgerift.audit._baseline import judge_baseline as judge_baseline
from edgerift.audit._baseline import read_audit as read_audit
from edgerift.audit._document import Audit as Audit
from edgerift.audit._document import FindingPart as FindingPart
from edgerift.audit._folder import judged as judged
from edgerift.audit._folder import run_audit as run_audit
from edgerift.audit._folder import schema as schema
from edgerift.audit._measures import attack_part as attack_part
from edgerift.audit._measures import comparison as comparison
from edgerift.audit._policy import Policy as Policy
from edgerift.audit._policy import judge as judge
from edgerift.audit._policy import read_policy as read_policy
from edgerift.audit._recipe import AuditRecipe as AuditRecipe
from edgerift.audit._recipe import Measured as Measured
from edgerift.audit._replay import Replay as Replay
from edgerift.audit._replay import replay as replay
