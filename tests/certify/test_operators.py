"""Programs of every operator: what they answer lies inside the bounds, which are narrow for one image."""

import made_networks
import pytest
import torch
from linear_pair import StandInBuild, image_set
from made_networks import random_images
from program_maker import ProgramMaker
from torch import Tensor, nn

from edgerift.certify import certify
from edgerift.deploy import quiet, twin, twin_scores
from edgerift.errors import ModelError
from edgerift.evade import Pair

NETWORKS = ("layers", "residual", "clamps", "pools", "averages", "branches", "unrounded")
RUNTIMES = {"executorch": "xnnpack", "onnxruntime": "onnxruntime"}


def pair_of(network: str, runtime: str, moved: float = 0.0) -> Pair:
    """Make a pair of a program's twin and a linear original, which have no operator in common."""
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    maker = ProgramMaker("server" if network == "unrounded" else "mobile", size=8)
    program = maker.program(getattr(made_networks, network)(maker))
    model = twin(program, RUNTIMES[runtime])
    torch.manual_seed(0)
    original = nn.Sequential(nn.Flatten(), nn.Linear(192, program.classes)).eval()

    class Follows(StandInBuild):
        pass

    Follows.runtime = runtime
    return Pair(original, program, Follows(lambda images: twin_scores(model, images) + moved))


def leads(scores: Tensor, labels: Tensor) -> Tensor:
    lead = scores - scores.gather(1, labels[:, None])
    return lead.scatter(1, labels[:, None], float("-inf")).amax(1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("network", NETWORKS)
def test_answers_lie_inside_the_bounds(network: str, runtime: str) -> None:
    if network == "averages":
        pytest.skip("a window of 8 needs larger images")
    pair = pair_of(network, runtime)
    images = random_images(6, size=8)
    labels = pair.original_scores(images).argmax(1)
    found = certify(pair, image_set(images, labels, pair.program.classes), epsilon=1, eligible_only=False)
    assert not found.aligned
    draws = torch.Generator().manual_seed(0)
    for _ in range(10):
        moved = (images + torch.randint(-1, 2, images.shape, generator=draws)).clamp(0, 255).to(torch.uint8)
        right = pair.original_scores(moved).argmax(1) == labels
        assert (found.lead >= leads(pair.build_scores(moved), labels))[right].all()


@pytest.mark.parametrize("network", ["layers", "residual", "pools"])
def test_answers_of_another_program_are_noticed(network: str) -> None:
    pair = pair_of(network, "executorch", moved=2.0)
    images = random_images(6, size=8)
    labels = pair.original_scores(images).argmax(1)
    with pytest.raises(ModelError, match="outside what its program can answer"):
        certify(pair, image_set(images, labels, pair.program.classes), epsilon=0, eligible_only=False)
