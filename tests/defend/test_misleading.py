"""Training of what Adaptive Misinformation needs: the losses by hand, and what they lead to."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.defend import misleading_network, outlier_exposure
from edgerift.defend._misleading import exposure_loss, misleading_loss
from edgerift.errors import InputError
from edgerift.images import ImageSet
from edgerift.train import TrainSettings


def test_the_misleading_loss_by_hand() -> None:
    scores = torch.tensor([[0.3, -0.4]], requires_grad=True)

    class Fixed(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            return scores

    misleading_loss(Fixed(), torch.zeros(1), torch.tensor([0])).backward()
    found, scores.grad = scores.grad, None
    F.cross_entropy(scores, torch.tensor([1])).backward()  # Of two classes, to be wrong is to be the other one.
    torch.testing.assert_close(found, scores.grad)


def test_outliers_have_no_gradient_at_the_uniform_answer() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.5, 0.5]], requires_grad=True)

    class Fixed(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            return scores

    one = torch.zeros(1, 1)
    loss = exposure_loss(Fixed(), one, torch.tensor([0]), one, 1.0)
    loss.backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad[1], torch.zeros(2))
    expected = F.cross_entropy(scores[:1], torch.tensor([0])) + torch.tensor(2.0).log()
    torch.testing.assert_close(loss, expected)


def halves(count: int, seed: int) -> ImageSet:
    """Images that are brighter above (class 0) or below (class 1)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 100, (count, 3, 12, 12), dtype=torch.uint8, generator=generator)
    for image, label in zip(images, labels, strict=True):
        image[:, 6 * int(label) : 6 * int(label) + 6] += 120
    return ImageSet("halves", images, labels, ("above", "below"), f"halves-{seed}")


def test_a_misleading_network_is_wrong_and_an_exposed_one_unsure_of_outliers() -> None:
    train, outliers = halves(64, 0), halves(64, 1)
    noise = torch.randint(256, outliers.images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    outliers = ImageSet("noise", noise, outliers.labels, outliers.classes, "noise")
    settings = TrainSettings(epochs=4, learning_rate=0.05, batch_size=16, device="cpu")
    wrong = misleading_network("lenet", train, settings=settings)
    images = train.images.float() / 255
    exposed = outlier_exposure("lenet", train, outliers, settings=settings)
    with torch.no_grad():
        assert float((wrong(images).argmax(1) == train.labels).float().mean()) < 0.1
        assert float((exposed(images).argmax(1) == train.labels).float().mean()) > 0.9
        sure, unsure = (exposed(shown.float() / 255).softmax(1).amax(1).mean() for shown in (train.images, noise))
    assert unsure < 0.6
    assert sure > unsure + 0.02
    with pytest.raises(InputError, match="give the victim too"):
        misleading_network("lenet", train, outliers=outliers)
