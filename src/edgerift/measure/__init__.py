"""Measures: rates with exact intervals, agreement, distances and latency, as pure functions of scores."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.measure._comparison import Quadrants as Quadrants
    from edgerift.measure._comparison import agreement as agreement
    from edgerift.measure._comparison import l1_distance as l1_distance
    from edgerift.measure._comparison import quadrants as quadrants
    from edgerift.measure._distance import l2_distance as l2_distance
    from edgerift.measure._distance import linf_distance as linf_distance
    from edgerift.measure._distance import ssim as ssim
    from edgerift.measure._frame import data_frame as data_frame
    from edgerift.measure._interval import Interval as Interval
    from edgerift.measure._interval import MeanInterval as MeanInterval
    from edgerift.measure._interval import interval as interval
    from edgerift.measure._interval import mean_interval as mean_interval
    from edgerift.measure._interval import rate_of as rate_of
    from edgerift.measure._latency import Latency as Latency
    from edgerift.measure._latency import latency as latency
    from edgerift.measure._logits import MODULE_CALL as MODULE_CALL
    from edgerift.measure._logits import Logits as Logits
    from edgerift.measure._logits import LogitsModule as LogitsModule
    from edgerift.measure._logits import LogitsReader as LogitsReader
    from edgerift.measure._logits import Predict as Predict
    from edgerift.measure._logits import are_probabilities as are_probabilities
    from edgerift.measure._logits import array_of as array_of
    from edgerift.measure._logits import images_of as images_of
    from edgerift.measure._logits import log_probabilities as log_probabilities
    from edgerift.measure._logits import say_probabilities as say_probabilities
    from edgerift.measure._logits import tensor_of as tensor_of
    from edgerift.measure._margin import margin as margin
    from edgerift.measure._posteriors import Mean as Mean
    from edgerift.measure._posteriors import ReliabilityBin as ReliabilityBin
    from edgerift.measure._posteriors import expected_calibration_error as expected_calibration_error
    from edgerift.measure._posteriors import mean as mean
    from edgerift.measure._posteriors import negative_log_likelihood as negative_log_likelihood
    from edgerift.measure._posteriors import posterior_kl as posterior_kl
    from edgerift.measure._posteriors import posterior_l1 as posterior_l1
    from edgerift.measure._posteriors import reliability as reliability
    from edgerift.measure._rate import Rate as Rate
    from edgerift.measure._rate import fisher as fisher
    from edgerift.measure._rate import is_far_below as is_far_below
    from edgerift.measure._rate import is_near_chance as is_near_chance
    from edgerift.measure._rate import mcnemar as mcnemar
    from edgerift.measure._scores import accuracy as accuracy
    from edgerift.measure._scores import predict_all as predict_all
    from edgerift.measure._selective import Selective as Selective
    from edgerift.measure._selective import score_gap as score_gap
    from edgerift.measure._selective import selective as selective
    from edgerift.measure._spread import Spread as Spread
    from edgerift.measure._spread import spread as spread
    from edgerift.measure._strongest import strongest as strongest
else:
    __getattr__, __dir__, __all__ = exported(__name__)
