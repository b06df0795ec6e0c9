"""Truong et al., "Data-Free Model Extraction", CVPR 2021, https://arxiv.org/abs/2011.14779."""

from edgerift.extract._difference_settings import Differences
from edgerift.extract._published import DATA_FREE, Published

DATA_FREE.register(
    "dfme",
    Published(
        title="DFME",
        about="l1 loss on recovered logits; one finite difference per gradient of the victim",
        settings={"differences": Differences()},
    ),
    rank=1,
)
