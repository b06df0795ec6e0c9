"""The registry: every figure that documents have, declared once, part by part in the order of `records.csv`."""

from __future__ import annotations

import math
from typing import Final

from edgerift.adapt import Search, Trial
from edgerift.audit import AttackPart, ComparisonPart
from edgerift.defend import Defence, SweepPoint, strength_of
from edgerift.extract import CurvePoint
from edgerift.facts._beside import AGREES as AGREES
from edgerift.facts._beside import AGREES_ORIGINAL as AGREES_ORIGINAL
from edgerift.facts._beside import BIT_FLIPS as BIT_FLIPS
from edgerift.facts._beside import BITS_NEEDED as BITS_NEEDED
from edgerift.facts._beside import BITS_REACH as BITS_REACH
from edgerift.facts._beside import DIFFER as DIFFER
from edgerift.facts._beside import DIFFER_BUILD_WRONG as DIFFER_BUILD_WRONG
from edgerift.facts._beside import DIFFER_CHANCE_ALONE as DIFFER_CHANCE_ALONE
from edgerift.facts._beside import DIFFER_ORIGINAL_WRONG as DIFFER_ORIGINAL_WRONG
from edgerift.facts._beside import DIFFER_SEARCH_ALONE as DIFFER_SEARCH_ALONE
from edgerift.facts._beside import DIFFERENCES as DIFFERENCES
from edgerift.facts._beside import EMBEDDING as EMBEDDING
from edgerift.facts._beside import FEATURES_MOVE as FEATURES_MOVE
from edgerift.facts._beside import FLIPPED_ACCURACY as FLIPPED_ACCURACY
from edgerift.facts._beside import LANDED as LANDED
from edgerift.facts._beside import PAID as PAID
from edgerift.facts._beside import RANDOM_DIFFERENCES as RANDOM_DIFFERENCES
from edgerift.facts._beside import RANDOM_FLIPPED_ACCURACY as RANDOM_FLIPPED_ACCURACY
from edgerift.facts._beside import SURROGATE as SURROGATE
from edgerift.facts._beside import ZEROS_BESIDE_ONES as ZEROS_BESIDE_ONES
from edgerift.facts._metric import ITS_TABLES, Metric, Part
from edgerift.facts._views import LABELS as LABELS
from edgerift.facts._views import Clone as Clone
from edgerift.facts._views import Evaded as Evaded
from edgerift.facts._views import correlation, measured, ratio, relative_time
from edgerift.harden import (
    AlphaPoint,
    ClosedFormPart,
    DataFreeEntry,
    Hardening,
    StudentPoint,
    TimesPart,
    VariantPart,
)
from edgerift.measure import ReliabilityBin
from edgerift.study import EpochPart, PairReport

_ANY: Final = (-math.inf, math.inf)
_COSINE: Final = (-1.0, 1.0)


_ACCURACY: Final = Metric("accuracy", better="owner")
_CHANCE: Final = Metric("error at chance")
_ADVERSARY: Final = Metric("adversary's error", better="owner")
_DEFENDER: Final = Metric("defender's error", better="attacker")
_DISAGREEMENT: Final = Metric("disagreement", better="owner")
_L1: Final = Metric("l1", "l1")
_KL: Final = Metric("KL to the original", "nats", title="KL to the original")
_SLOPES: Final = Metric("correlation of differences and slopes", "", "attacker", _COSINE, title="correlation")

# Pairs of an original and an adapted model.
ORIGINAL: Final[Part[PairReport]] = Part("original")
ORIGINAL_ACCURACY: Final = ORIGINAL.measure(_ACCURACY, lambda one: one.original_accuracy, paper=[ITS_TABLES])
ORIGINAL_CHANCE: Final = ORIGINAL.measure(_CHANCE, lambda one: 1 - 1 / len(one.classes), recorded=False)

ADAPTED: Final[Part[PairReport]] = Part("adapted")
ADAPTED_ACCURACY: Final = ADAPTED.measure(_ACCURACY, lambda one: one.build_accuracy, paper=[ITS_TABLES])
INSTABILITY: Final = ADAPTED.measure(Metric("instability", better="attacker"), lambda one: one.instability)
ATTACKED: Final = ADAPTED.measure(Metric("images attacked", "count"), lambda one: one.attacked)

EPOCH: Final[Part[EpochPart]] = Part("epoch")
LOSS: Final = EPOCH.measure(Metric("training loss", "nats"), lambda one: one.loss, paper=[ITS_TABLES])
TRAINING: Final = EPOCH.measure(
    Metric("training accuracy", better="owner"), lambda one: one.train_accuracy, paper=[ITS_TABLES]
)
VALIDATION: Final = EPOCH.measure(
    Metric("validation accuracy", better="owner"), lambda one: one.validation_accuracy, paper=[ITS_TABLES]
)

ATTACK: Final[Part[AttackPart]] = Part("attack")
EVASIVE: Final = ATTACK.measure(Metric("evasive at any step", better="attacker"), lambda one: one.evasive)
EVASIVE_LAST: Final = ATTACK.measure(
    Metric("evasive at the last step", better="attacker"), lambda one: one.evasive_last
)
EVASIVE_TOP5: Final = ATTACK.measure(Metric("evasive, top five", better="attacker"), lambda one: one.evasive_top5)
FOOLED: Final = ATTACK.measure(Metric("adapted wrong", better="attacker"), lambda one: one.fooled)
ORIGINAL_FOOLED: Final = ATTACK.measure(Metric("original wrong"), lambda one: one.original_fooled)
CONFIDENCE: Final = ATTACK.measure(Metric("confidence difference", better="attacker"), lambda one: one.confidence_delta)
CLEAN_CONFIDENCE: Final = ATTACK.measure(Metric("confidence difference before"), lambda one: one.clean_confidence_delta)
VOID: Final = ATTACK.measure(Metric("void", "count"), lambda one: one.void)
STEPS: Final = ATTACK.measure(Metric("steps to a success", "count", "owner"), lambda one: one.steps)
GRADIENTS: Final = ATTACK.measure(Metric("gradients for a success", "count", "owner"), lambda one: one.gradient_calls)
ADAPTED_QUESTIONS: Final = ATTACK.measure(
    Metric("questions to the adapted model for a success", "count", "owner"), lambda one: one.build_questions
)
ORIGINAL_QUESTIONS: Final = ATTACK.measure(
    Metric("questions to the original for a success", "count", "owner"), lambda one: one.original_questions
)
LINF: Final = ATTACK.measure(Metric("L-infinity", "grey levels", "owner"), lambda one: one.linf)
L2: Final = ATTACK.measure(Metric("L2", "grey levels", "owner"), lambda one: one.l2)
SSIM: Final = ATTACK.measure(Metric("SSIM", "", "attacker", _COSINE), lambda one: one.ssim)

CLASS: Final[Part[Evaded]] = Part("class")
CLASS_EVASIVE: Final = CLASS.measure(Metric("evasive of a class", better="attacker"), lambda one: one.share)

CALLS: Final[Part[Evaded]] = Part("calls")
CUMULATIVE: Final = CALLS.measure(Metric("evasive after so many gradients", better="attacker"), lambda one: one.share)

COMPARED: Final[Part[ComparisonPart]] = Part("compared")
ONLY_FIRST: Final = COMPARED.measure(Metric("evaded by the first alone", "count"), lambda one: one.only_first)
ONLY_SECOND: Final = COMPARED.measure(Metric("evaded by the second alone", "count"), lambda one: one.only_second)
MCNEMAR: Final = COMPARED.measure(Metric("McNemar's p", "p"), lambda one: one.p)

# Comparisons of hardened victims.
VICTIM: Final[Part[VariantPart]] = Part("victim")
DEFENDER_ERROR: Final = VICTIM.measure(_DEFENDER, lambda one: one.defender_error, paper=[ITS_TABLES])
L1: Final = VICTIM.measure(_L1, lambda one: one.l1, paper=["table I", ITS_TABLES])
L1_QUESTIONS: Final = VICTIM.measure(Metric("l1 on the questions", "l1"), lambda one: one.l1_queries)
CHANGED: Final = VICTIM.measure(
    Metric("labels changed", better="attacker"), lambda one: one.changed, paper=["table I"], tables=["cost"]
)
KL: Final = VICTIM.measure(_KL, lambda one: one.divergence)
CALIBRATION: Final = VICTIM.measure(
    Metric("calibration error", better="attacker"), lambda one: one.calibration_error, tables=["cost"]
)
LIKELIHOOD: Final = VICTIM.measure(
    Metric("negative log-likelihood", "nats", "attacker"), lambda one: one.negative_log_likelihood
)
TOP1: Final = VICTIM.measure(Metric("highest probability"), lambda one: one.top1)
TOP2: Final = VICTIM.measure(Metric("second probability"), lambda one: one.top2)
STRENGTH: Final = VICTIM.measure(Metric("strength of the training's defence", "strength"), lambda one: one.strength)

DEFENCE: Final[Part[Defence]] = Part("defence")
DEFENCE_STRENGTH: Final = DEFENCE.measure(Metric("strength of {}", "strength"), strength_of)

BIN: Final[Part[ReliabilityBin]] = Part("bin")
BIN_CONFIDENCE: Final = BIN.measure(Metric("reliability: mean confidence"), lambda one: one.confidence)
BIN_ACCURACY: Final = BIN.measure(Metric("reliability: accuracy", better="owner"), lambda one: one.accuracy)

TIMES: Final[Part[TimesPart]] = Part("times")
ANSWER_TIME: Final = TIMES.measure(
    Metric("time of an answer", "ms", "attacker"), lambda one: one.answer_milliseconds, paper=["table I"]
)
DEFENCE_TIME: Final = TIMES.measure(
    Metric("time that the defence adds", "ms", "attacker"), lambda one: one.defence_milliseconds, paper=["table I"]
)
SLOWDOWN: Final = TIMES.measure(
    Metric("whole answer over plain QAT's", "ratio", "attacker"), lambda one: one.slowdown, paper=["table I"]
)
RELATIVE_TIME: Final = TIMES.measure(
    Metric("time that the defence adds over that of an answer", "percent", "attacker"), relative_time, recorded=False
)

SHIPPING: Final[Part[VariantPart]] = Part("shipping")
SHIPPED: Final = SHIPPING.measure(
    Metric("shipped", "bytes", "attacker"), lambda one: one.shipped_bytes, paper=["table I"]
)

SHIPPED_KILOBYTES: Final = SHIPPING.measure(
    Metric("shipped, in kB", "kB", "attacker"),
    lambda one: None if one.shipped_bytes is None else one.shipped_bytes / 1000,
    recorded=False,
)

CLONE: Final[Part[Clone]] = Part("clone")
CLONE_ERROR: Final = CLONE.measure(_ADVERSARY, lambda one: one.error, paper=[ITS_TABLES])
CLONE_DISAGREEMENT: Final = CLONE.measure(_DISAGREEMENT, lambda one: one.disagreement)
BEST_EPOCH: Final = CLONE.measure(
    Metric("adversary's error of the best epoch", better="owner"),
    lambda one: getattr(one.victim.best_epoch, one.labels).error,
    at=lambda one: int(getattr(one.victim.best_epoch, one.labels).epoch),
)

COMPARISON: Final[Part[Hardening]] = Part("comparison")
NOISE: Final = COMPARISON.measure(Metric("l1 of another seed", "l1"), lambda one: one.noise.test, paper=["table I"])
NOISE_QUESTIONS: Final = COMPARISON.measure(
    Metric("l1 of another seed on the questions", "l1"), lambda one: one.noise.queries
)
CHANCE: Final = COMPARISON.measure(_CHANCE, lambda one: one.data.guessing, recorded=False)
SPENT: Final = COMPARISON.measure(Metric("questions asked", "count"), lambda one: one.thief.spent, recorded=False)

SEARCH: Final[Part[Search]] = Part("search")
CHOSEN: Final = SEARCH.measure(Metric("search: chosen strength", "strength"), lambda one: one.chosen)
FLOOR: Final = SEARCH.measure(Metric("search: l1 of another seed", "l1"), lambda one: one.floor)
REFERENCE: Final = SEARCH.measure(
    Metric("search: accuracy of the plain model", better="owner"), lambda one: one.reference_accuracy
)
ALLOWED_L1: Final = SEARCH.measure(Metric("search: allowed l1", "l1"), lambda one: one.allowance.l1, recorded=False)
ALLOWED_DROP: Final = SEARCH.measure(
    Metric("search: allowed loss of accuracy"), lambda one: one.allowance.accuracy_drop, recorded=False
)
BEYOND_NOISE: Final = SEARCH.measure(
    Metric("search: beyond another seed", "", range=(0.0, 1.0)), lambda one: one.beyond_noise, recorded=False
)

TRIAL: Final[Part[Trial]] = Part("trial")
TRIAL_L1: Final = TRIAL.measure(Metric("search: l1", "l1"), lambda one: one.l1)
TRIAL_KL: Final = TRIAL.measure(Metric("search: KL to the original", "nats"), lambda one: one.divergence)
TRIAL_ACCURACY: Final = TRIAL.measure(Metric("search: accuracy", better="owner"), lambda one: one.accuracy)
TRIAL_CHANGED: Final = TRIAL.measure(Metric("search: labels changed", better="attacker"), lambda one: one.changed)
TRIAL_ALLOWED: Final = TRIAL.measure(Metric("search: allowed", "", range=(0.0, 1.0)), lambda one: float(one.allowed))

DIVERGED_TRIAL: Final[Part[float]] = Part("diverged trial")
DIVERGED: Final = DIVERGED_TRIAL.measure(Metric("search: strength that diverged", "strength"), lambda one: one)

THEORY: Final[Part[ClosedFormPart]] = Part("theory")
MARGIN: Final = THEORY.measure(Metric("theory: median margin", "nats", range=_ANY), lambda one: one.margin)
LOW_MARGIN: Final = THEORY.measure(
    Metric("theory: 10th percentile of the margins", "nats", range=_ANY), lambda one: one.low_margin, recorded=False
)
HIGH_MARGIN: Final = THEORY.measure(
    Metric("theory: 90th percentile of the margins", "nats", range=_ANY), lambda one: one.high_margin, recorded=False
)
APPEARS: Final = THEORY.measure(Metric("theory: alpha of a poisoned optimum", "strength"), lambda one: one.appears)
FLIPS: Final = THEORY.measure(Metric("theory: alpha that turns the label", "strength"), lambda one: one.flips)
FIRST_BEYOND: Final = THEORY.measure(
    Metric("first alpha beyond another seed", "strength"), lambda one: one.first_beyond_noise
)
FIRST_FLIP: Final = THEORY.measure(
    Metric("first alpha that costs too much accuracy", "strength"), lambda one: one.first_flip
)

ALPHA: Final[Part[AlphaPoint]] = Part("alpha")
ALPHA_DEFENDER: Final = ALPHA.measure(_DEFENDER, lambda one: one.defender_error, paper=["figure 4"])
ALPHA_ERROR: Final = ALPHA.measure(_ADVERSARY, lambda one: one.adversary_error, paper=["figure 4"])
ALPHA_DISAGREEMENT: Final = ALPHA.measure(_DISAGREEMENT, lambda one: one.disagreement, paper=["figure 5"])

DIVERGED_ALPHA: Final[Part[float]] = Part("diverged alpha")
ALPHA_DIVERGED: Final = DIVERGED_ALPHA.measure(Metric("alpha that diverged", "strength"), lambda one: one)

ALPHA_THEFT: Final[Part[StudentPoint]] = Part("theft at an alpha")
ALPHA_THEFT_ERROR: Final = ALPHA_THEFT.measure(_ADVERSARY, lambda one: one.adversary_error, paper=["figure 4"])
ALPHA_THEFT_DISAGREEMENT: Final = ALPHA_THEFT.measure(_DISAGREEMENT, lambda one: one.disagreement, paper=["figure 5"])

ALPHA_ANSWERS: Final[Part[AlphaPoint]] = Part("answers at an alpha")
ALPHA_KL: Final = ALPHA_ANSWERS.measure(_KL, lambda one: one.divergence, paper=["figure 6"])
ALPHA_L1: Final = ALPHA_ANSWERS.measure(_L1, lambda one: one.l1)

STUDENT: Final[Part[StudentPoint]] = Part("student")
STUDENT_ERROR: Final = STUDENT.measure(_ADVERSARY, lambda one: one.adversary_error, paper=["figure 3"])
STUDENT_DISAGREEMENT: Final = STUDENT.measure(_DISAGREEMENT, lambda one: one.disagreement, paper=["figure 3"])

SWEEP: Final[Part[SweepPoint]] = Part("sweep")
SWEEP_L1: Final = SWEEP.measure(Metric("sweep of {}: l1", "l1"), lambda one: one.l1)
SWEEP_ERROR: Final = SWEEP.measure(Metric("sweep of {}: error", better="attacker"), lambda one: one.error)
SWEEP_CHANGED: Final = SWEEP.measure(Metric("sweep of {}: labels changed", better="attacker"), lambda one: one.changed)

SWEEP_CALIBRATION: Final = SWEEP.measure(
    Metric("sweep of {}: calibration error", better="attacker"), lambda one: one.ece, recorded=False
)
SWEEP_LIKELIHOOD: Final = SWEEP.measure(
    Metric("sweep of {}: negative log-likelihood", "nats", "attacker"), lambda one: one.nll, recorded=False
)

# Data-free extraction.
DATA_FREE: Final[Part[DataFreeEntry]] = Part("theft without images")
DATA_FREE_DEFENDER: Final = DATA_FREE.measure(_DEFENDER, lambda one: one.theft.defender_error)
DATA_FREE_ERROR: Final = DATA_FREE.measure(_ADVERSARY, lambda one: one.theft.adversary_error, paper=[ITS_TABLES])
DATA_FREE_VALIDATION: Final = DATA_FREE.measure(
    Metric("adversary's error, validation images", better="owner"), lambda one: one.theft.validation_error
)
DATA_FREE_DISAGREEMENT: Final = DATA_FREE.measure(_DISAGREEMENT, lambda one: one.theft.disagreement)
DATA_FREE_KL: Final = DATA_FREE.measure(
    Metric("KL of clone and victim", "nats", "owner"), lambda one: one.theft.divergence
)
DATA_FREE_L1: Final = DATA_FREE.measure(Metric("l1 of the defence", "l1"), lambda one: one.theft.l1)
DATA_FREE_SPENT: Final = DATA_FREE.measure(Metric("questions", "count"), lambda one: one.theft.spent)
ZERO: Final = DATA_FREE.measure(Metric("differences that are zero", better="owner"), lambda one: one.zero_share)
CORRELATION: Final = DATA_FREE.measure(_SLOPES, lambda one: correlation(one.masking))
RATIO: Final = DATA_FREE.measure(Metric("size of differences over slopes", ""), lambda one: ratio(one.masking))
BLIND: Final = DATA_FREE.measure(Metric("blind", "", "owner", (0.0, 1.0)), lambda one: one.is_blind, recorded=False)

CURVE: Final[Part[CurvePoint]] = Part("curve")
CURVE_LOSS: Final = CURVE.measure(Metric("curve: clone's loss", "", range=_ANY), lambda one: one.clone_loss)
CURVE_ZERO: Final = CURVE.measure(
    Metric("curve: differences that are zero", better="owner"), lambda one: one.zero_share
)
CURVE_ERROR: Final = CURVE.measure(Metric("curve: adversary's error", better="owner"), measured(lambda one: one.error))
CURVE_DISAGREEMENT: Final = CURVE.measure(
    Metric("curve: disagreement", better="owner"), measured(lambda one: one.disagreement)
)
CURVE_CORRELATION: Final = CURVE.measure(
    Metric("curve: correlation of differences and slopes", "", "attacker", _COSINE),
    measured(lambda one: correlation(one.masking)),
)
CURVE_KL: Final = CURVE.measure(
    Metric("curve: KL of clone and victim", "nats", "owner"),
    measured(lambda one: one.divergence),
    recorded=False,
)
CURVE_RATIO: Final = CURVE.measure(
    Metric("curve: size of differences over slopes", ""),
    measured(lambda one: ratio(one.masking)),
    recorded=False,
)
