"""Specifications: how a model wants its images, and what it answers.

A model of edgerift takes float32 images `[N,3,H,W]` in `[0,1]` and answers logits. A :class:`Specification` says where
another model differs: its layout, number type, channels and normalisation, and the meaning of its outputs.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.specification._explain import Explanation as Explanation
    from edgerift.specification._explain import explain as explain
    from edgerift.specification._files import read_specification as read_specification
    from edgerift.specification._files import sidecar as sidecar
    from edgerift.specification._guard import Guard as Guard
    from edgerift.specification._input import InputSpecification as InputSpecification
    from edgerift.specification._module import SpecifiedModule as SpecifiedModule
    from edgerift.specification._normalisations import NORMALISATIONS as NORMALISATIONS
    from edgerift.specification._output import OutputSpecification as OutputSpecification
    from edgerift.specification._prepare import Prepare as Prepare
    from edgerift.specification._quantization import Quantization as Quantization
    from edgerift.specification._specification import Specification as Specification
    from edgerift.specification._spelling import parse_specification as parse_specification
    from edgerift.specification._spelling import spelled as spelled
else:
    __getattr__, __dir__, __all__ = exported(__name__)
