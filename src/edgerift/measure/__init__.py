"""Measures: rates with exact intervals, agreement, distances and speed, as pure functions of scores."""

from edgerift.measure._comparison import Quadrants as Quadrants
from edgerift.measure._comparison import agreement as agreement
from edgerift.measure._comparison import l1_distance as l1_distance
from edgerift.measure._comparison import quadrants as quadrants
from edgerift.measure._distance import l2_distance as l2_distance
from edgerift.measure._distance import linf_distance as linf_distance
from edgerift.measure._distance import ssim as ssim
from edgerift.measure._latency import Latency as Latency
from edgerift.measure._latency import latency as latency
from edgerift.measure._rate import Rate as Rate
from edgerift.measure._rate import fisher as fisher
from edgerift.measure._rate import mcnemar as mcnemar
from edgerift.measure._scores import Predict as Predict
from edgerift.measure._scores import accuracy as accuracy
from edgerift.measure._scores import predict_all as predict_all
