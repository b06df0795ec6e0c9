"""Quantization alone, the controls."""

from __future__ import annotations

from edgerift.harden._means import Means, means

means(Means(name="ptq", title="PTQ", base="ptq"), rank=1)
means(Means(name="qat", title="QAT", base="qat"), rank=2)
