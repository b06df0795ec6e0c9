"""The figures beside an attack's rate: where its images land, who steers it, flipped bits, and unlabelled images."""

from __future__ import annotations

from typing import Final

from edgerift.audit import EmbeddingPart, SurrogatePart
from edgerift.facts._metric import Metric, Part
from edgerift.facts._views import landed, moved_more, zeros_beside_ones
from edgerift.study import DifferedPart, FlippedPart

#: A share minus another one, in percent.
_BOTH_WAYS: Final = (-100.0, 100.0)

EMBEDDING: Final[Part[EmbeddingPart]] = Part("embedding")
FEATURES_MOVE: Final = EMBEDDING.measure(
    Metric("way of the features over the original's", "ratio", "attacker"), moved_more, recorded=False
)
LANDED: Final = EMBEDDING.measure(
    Metric("attacked images beside the class they are taken for", "percent", "attacker", _BOTH_WAYS),
    landed,
    recorded=False,
)
ZEROS_BESIDE_ONES: Final = EMBEDDING.measure(
    Metric("attacked images of class 0 beside class 1", "percent", "attacker", _BOTH_WAYS),
    zeros_beside_ones,
    recorded=False,
)

SURROGATE: Final[Part[SurrogatePart]] = Part("surrogate")
PAID: Final = SURROGATE.measure(Metric("queries paid", "count", "owner"), lambda one: one.queries)
AGREES: Final = SURROGATE.measure(
    Metric("agreement of the surrogate with the build", better="attacker"), lambda one: one.agreement
)
AGREES_ORIGINAL: Final = SURROGATE.measure(
    Metric("agreement of the surrogate with the original", better="attacker"), lambda one: one.agreement_original
)

BIT_FLIPS: Final[Part[FlippedPart]] = Part("flips")
BITS_NEEDED: Final = BIT_FLIPS.measure(
    Metric("flipped bits to chance", "count", "owner"), lambda one: None if one.needed is None else one.needed.value
)
BITS_REACH: Final = BIT_FLIPS.measure(
    Metric("searches for bits that reach chance", better="attacker"), lambda one: one.reached / one.trials
)
FLIPPED_ACCURACY: Final = BIT_FLIPS.measure(
    Metric("accuracy after chosen flips", better="owner"), lambda one: one.flipped
)
RANDOM_FLIPPED_ACCURACY: Final = BIT_FLIPS.measure(
    Metric("accuracy after random flips", better="owner"), lambda one: one.random.value
)

DIFFER: Final[Part[DifferedPart]] = Part("differ")
DIFFERENCES: Final = DIFFER.measure(Metric("differences found", better="attacker"), lambda one: one.search.found)
RANDOM_DIFFERENCES: Final = DIFFER.measure(
    Metric("differences found at random", better="attacker"), lambda one: one.control.found
)
DIFFER_BUILD_WRONG: Final = DIFFER.measure(
    Metric("differences with the build wrong", "count", "attacker"), lambda one: one.search.build_wrong
)
DIFFER_ORIGINAL_WRONG: Final = DIFFER.measure(
    Metric("differences with the original wrong", "count"), lambda one: one.search.original_wrong
)
DIFFER_SEARCH_ALONE: Final = DIFFER.measure(
    Metric("differences found by the search alone", "count"), lambda one: one.only_search
)
DIFFER_CHANCE_ALONE: Final = DIFFER.measure(
    Metric("differences found at random alone", "count"), lambda one: one.only_control
)
