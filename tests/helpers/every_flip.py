"""What every single flip of a bit does to the loss of a program's twin, by brute force."""

import itertools

import torch
from torch.nn import functional as F

from edgerift.deploy import coded_twin
from edgerift.flips import BITS, code_changes
from edgerift.images import to_float


def losses_of(program, images, labels):
    """The loss after each flip, by layer, place and bit."""
    own, losses = coded_twin(program), {}
    for layer, codes in own.codes.items():
        values = codes.data
        for place, bit in itertools.product(range(values.numel()), range(BITS)):
            where = torch.unravel_index(torch.tensor(place), values.shape)
            before = values[where].clone()
            values[where] += code_changes(before.to(torch.int8))[bit]
            losses[layer, place, bit] = float(F.cross_entropy(own(to_float(images)), labels).detach())
            values[where] = before
    return losses
