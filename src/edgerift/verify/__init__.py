"""Verification: whether an int8 build is an honest quantization of its original."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.verify._disagreement import ClassDisagreement as ClassDisagreement
    from edgerift.verify._disagreement import class_disagreement as class_disagreement
    from edgerift.verify._document import BuildPart as BuildPart
    from edgerift.verify._document import CheckPart as CheckPart
    from edgerift.verify._document import LayerPart as LayerPart
    from edgerift.verify._document import Place as Place
    from edgerift.verify._document import Verdict as Verdict
    from edgerift.verify._document import Verification as Verification
    from edgerift.verify._evidence import CHECKS as CHECKS
    from edgerift.verify._evidence import BuildFile as BuildFile
    from edgerift.verify._evidence import Check as Check
    from edgerift.verify._evidence import Evidence as Evidence
    from edgerift.verify._matching import Matched as Matched
    from edgerift.verify._matching import Matching as Matching
    from edgerift.verify._matching import match as match
    from edgerift.verify._quantizers import QUANTIZERS as QUANTIZERS
    from edgerift.verify._quantizers import Quantizer as Quantizer
    from edgerift.verify._rates import BaseRate as BaseRate
    from edgerift.verify._rates import BaseRates as BaseRates
    from edgerift.verify._rates import base_rates as base_rates
    from edgerift.verify._rates import explained as explained
    from edgerift.verify._rates import limit as limit
    from edgerift.verify._repair import Repair as Repair
    from edgerift.verify._repair import chosen_repair as chosen_repair
    from edgerift.verify._repair import repaired as repaired
    from edgerift.verify._residuals import Spread as Spread
    from edgerift.verify._residuals import residual_spread as residual_spread
    from edgerift.verify._schema import schema as schema
    from edgerift.verify._statement import Statement as Statement
    from edgerift.verify._statement import file_digest as file_digest
    from edgerift.verify._statement import read_statement as read_statement
    from edgerift.verify._statement import write_statement as write_statement
    from edgerift.verify._triggers import Trigger as Trigger
    from edgerift.verify._triggers import TriggerSearch as TriggerSearch
    from edgerift.verify._triggers import TriggerSettings as TriggerSettings
    from edgerift.verify._triggers import search_triggers as search_triggers
    from edgerift.verify._verify import verify as verify
    from edgerift.verify.checks._behaviour import judged_triggers as judged_triggers
else:
    __getattr__, __dir__, __all__ = exported(__name__)
