"""Quantization alone, the controls, and with the head in float."""

from __future__ import annotations

from edgerift.harden._means import Means, means

means(Means(name="ptq", title="PTQ", base="ptq"), rank=1)
means(Means(name="ptq-float", title="PTQ, head in float", base="ptq", float_logits=True), rank=1.5)
means(Means(name="qat", title="QAT", base="qat"), rank=2)
