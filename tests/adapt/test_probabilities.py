"""Originals that answer probabilities: every training makes of them what it makes of their logits."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgerift.adapt import (
    Divqat,
    LabelSmoothing,
    MisleadingTargets,
    PtqSettings,
    QatSettings,
    finetune,
    qat,
    run_hardened,
)
from edgerift.deploy import twin, twin_scores
from edgerift.images import ImageSet
from edgerift.train import TrainSettings

pytestmark = pytest.mark.filterwarnings("ignore::edgerift.errors.ProbabilitiesWarning")

IMAGES = torch.randint(256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SET = ImageSet("made", IMAGES, torch.arange(40) % 5, tuple("abcde"), "made")
SETTINGS = QatSettings(
    train=TrainSettings(epochs=2, batch_size=8, learning_rate=0.02, device="cpu"),
    calibration=PtqSettings(calibration_images=16),
    observe_epochs=1,
)


def network(*, ends_in_softmax: bool = False) -> nn.Sequential:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    for number, parameter in enumerate(body.parameters()):
        draws = torch.Generator().manual_seed(number)
        parameter.data = torch.randn(parameter.shape, generator=draws) / 4
    return body.append(nn.Softmax(1)).eval() if ends_in_softmax else body.eval()


def hardened(defence: Any, stage: str = "quantized") -> Any:
    def train(original: nn.Module) -> Tensor:
        found = run_hardened(
            original,
            SET,
            SET,
            target="server",
            defence=defence,
            settings=SETTINGS,
            stage=stage,  # type: ignore[arg-type]
        )
        return twin_scores(twin(found.program), IMAGES)

    return train


TRAININGS: dict[str, Any] = {
    "finetune": lambda original: twin_scores(finetune(original, SET, SET, settings=SETTINGS.train), IMAGES),
    "qat": lambda original: twin_scores(twin(qat(original, SET, SET, target="server", settings=SETTINGS)), IMAGES),
    "divqat": hardened(Divqat(alpha=0.5)),
    "mislead": hardened(MisleadingTargets()),
    "divqat in float": hardened(Divqat(alpha=0.5), "float"),
    "mislead in float": hardened(MisleadingTargets(), "float"),
    "smoothing in float": hardened(LabelSmoothing(share=0.3), "float"),
}


@pytest.mark.parametrize("training", TRAININGS)
def test_training_on_probabilities_is_training_on_logits(training: str) -> None:
    plain, ending = (TRAININGS[training](network(ends_in_softmax=softmax)).softmax(1) for softmax in (False, True))
    assert not torch.allclose(plain, twin_scores(network(), IMAGES).softmax(1), atol=0.01)
    torch.testing.assert_close(ending, plain, atol=2e-3, rtol=2e-3)


class Keeping(nn.Module):
    """Keeps its features, with their gradient, by a forward hook, as networks do that are looked into."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.kept = network(), torch.zeros(1)
        self.body[2].register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, features: Tensor) -> None:
        self.kept = features

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.body(images.to(self.body[0].weight.dtype))
        return scores


@pytest.mark.parametrize("training", ["finetune", "divqat", "mislead in float"])
def test_originals_that_keep_features_or_have_small_weights_are_copied(training: str) -> None:
    keeping = Keeping()
    keeping(IMAGES / 255)
    assert keeping.kept.requires_grad
    torch.testing.assert_close(TRAININGS[training](keeping), TRAININGS[training](network()))
    small = network().bfloat16()
    torch.testing.assert_close(TRAININGS[training](small), TRAININGS[training](copy.deepcopy(small).float()))
