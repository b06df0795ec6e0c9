"""A softmax at a network's end is left out of its program, whose grid is that of the logits."""

import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F

from edgerift.adapt import ptq
from edgerift.adapt._export import export
from edgerift.adapt._final_softmax import leave_out_final_softmax
from edgerift.deploy import Target, twin, twin_scores
from edgerift.errors import ProbabilitiesWarning
from edgerift.evade import Pair
from edgerift.images import ImageSet
from edgerift.measure import log_probabilities

IMAGES = torch.randint(256, (24, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SET = ImageSet("made", IMAGES, torch.arange(24) % 5, tuple("abcde"), "made")

ENDS = {
    "softmax": lambda scores: scores.softmax(1),
    "log-softmax": lambda scores: F.log_softmax(scores, dim=-1),
    "logarithm": lambda scores: scores.softmax(-1).log(),
    "floored logarithm": lambda scores: log_probabilities(scores.softmax(1)),
    "cast": lambda scores: scores.softmax(1).float(),
}


class Network(nn.Module):
    def __init__(self, end: object = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
        for number, parameter in enumerate(self.body.parameters()):
            draws = torch.Generator().manual_seed(number)
            parameter.data = torch.randn(parameter.shape, generator=draws) / 4
        self.end = end
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.body(images)
        return scores if self.end is None else self.end(scores)  # type: ignore[operator]


def exported(end: object, target: Target) -> fx.GraphModule:
    graph = export(Network(end), torch.zeros(2, 3, 8, 8), target)
    leave_out_final_softmax(graph)
    graph.recompile()
    return graph


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("end", ENDS, ids=lambda name: name.replace(" ", "-"))
def test_the_graph_ends_in_the_logits(end: str, target: Target) -> None:
    graph = exported(ENDS[end], target)
    images = IMAGES / 255
    torch.testing.assert_close(graph(images), Network()(images))
    assert [str(node.target) for node in graph.graph.nodes][-2:] == ["aten.linear.default", "output"]


@pytest.mark.parametrize(
    "end",
    [
        lambda scores: scores.softmax(1).softmax(1),
        lambda scores: scores.softmax(0),
        lambda scores: (scores.softmax(1) + 0.1).log(),
        lambda scores: scores.softmax(1).clamp_min(0.1).log(),
        lambda scores: scores.log_softmax(1).exp(),
    ],
    ids=["twice", "over-the-batch", "shifted", "large-floor", "exp"],
)
def test_what_means_something_else_is_kept(end: object) -> None:
    images = IMAGES / 255
    graph = exported(end, "mobile")
    torch.testing.assert_close(graph(images), Network(end)(images))


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_programs_are_those_of_the_logits(target: str) -> None:
    plain = twin_scores(twin(ptq(Network(), SET, target=target)), IMAGES)  # type: ignore[arg-type]
    for end in ("softmax", "log-softmax"):
        program = ptq(Network(ENDS[end]), SET, target=target)  # type: ignore[arg-type]
        assert torch.equal(twin_scores(twin(program), IMAGES), plain)
    with pytest.warns(ProbabilitiesWarning, match="the original"):
        original = Pair(Network(ENDS["softmax"]), program, None).original_scores(IMAGES)  # type: ignore[arg-type]
    torch.testing.assert_close(original.softmax(1), twin_scores(Network(), IMAGES).softmax(1))


def test_weights_of_other_sizes_are_adapted() -> None:
    plain = twin_scores(twin(ptq(Network(), SET)), IMAGES)
    assert torch.equal(twin_scores(twin(ptq(Network().double(), SET)), IMAGES), plain)
    near = twin_scores(twin(ptq(Network().bfloat16(), SET)), IMAGES)
    torch.testing.assert_close(near, plain, atol=0.2, rtol=0.1)
