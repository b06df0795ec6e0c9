"""Magnitude pruning: what is chosen, when, and that it stays 0 through training, quantization and the runtime."""

import pytest
import torch
from torch import nn

from edgerift import errors, train, zoo
from edgerift.adapt import (
    Pruning,
    QatSettings,
    magnitude_mask,
    prune,
    ptq,
    qat,
    run_finetune,
    sparsity,
)
from edgerift.deploy import RUNTIMES, build, stored_layers, twin, twin_scores
from edgerift.images import Augmentation, ImageSet
from edgerift.train import TrainSettings

TRAIN = TrainSettings(epochs=2, batch_size=16, learning_rate=0.05, device="cpu")
SHORT = Pruning(train=TRAIN)


@pytest.fixture(scope="module")
def few():
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 1, 12, 12), generator=draws, dtype=torch.uint8)
    labels = torch.arange(64) % 4
    images[torch.arange(64), 0, labels] = 255
    return ImageSet("stripes", images, labels, tuple("abcd"), "stripes-0", augmentation=Augmentation())


@pytest.fixture(scope="module")
def net(few):
    model = zoo.create("lenet", classes=4, size=12)
    return train.fit(model, few, None, settings=TRAIN.replace(epochs=1))


def weights(model):
    return {name: weight for name, weight in model.named_parameters() if weight.dim() > 1}


def test_the_share_of_least_magnitude_is_pruned_exactly():
    weight = torch.randn(10, 100, generator=torch.Generator().manual_seed(1))
    mask = magnitude_mask(weight, 0.8)
    assert int((~mask).sum()) == 800
    assert weight[mask].abs().min() > weight[~mask].abs().max()
    for share, pruned in ((0.0, 0), (0.29, 290), (0.7, 700), (0.9999, 999)):
        assert int((~magnitude_mask(weight, share)).sum()) == pruned


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_of_equal_weights_the_first_are_pruned(value):
    mask = magnitude_mask(torch.full((2, 5), value), 0.4)
    assert mask.flatten().tolist() == [False] * 4 + [True] * 6


def test_whole_channels_go_by_their_norm():
    weight = torch.ones(4, 3, 2, 2) * torch.tensor([3.0, -1.0, 2.0, 0.5]).view(4, 1, 1, 1)
    weight[3, 0, 0, 0] = 40.0
    assert magnitude_mask(weight, 0.5, channels=True).flatten(1).all(1).tolist() == [True, False, False, True]
    assert magnitude_mask(weight, 0.5, channels=True).shape == weight.shape


def test_the_schedule_is_the_published_polynomial():
    plan = Pruning(sparsity=0.8, initial=0.2, begin=0.25, end=0.75)
    assert plan.sparsity_at(0.0) == plan.sparsity_at(0.25) == 0.2
    assert plan.sparsity_at(0.75) == plan.sparsity_at(1.0) == 0.8
    assert plan.sparsity_at(0.5) == pytest.approx(0.8 - 0.6 / 8)
    told = [plan.sparsity_at(step / 100) for step in range(101)]
    assert told == sorted(told)
    assert Pruning(sparsity=0.8, begin=0.25, end=0.75).sparsity_at(0.5) == pytest.approx(0.8 * 7 / 8)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"begin": 0.8, "end": 0.2}, "neither may fall"),
        ({"initial": 0.9, "sparsity": 0.5}, "neither may fall"),
        ({"sparsity": 1.0}, "sparsity is 1.0; it must be less than 1"),
    ],
)
def test_wrong_settings_are_one_line(fields, text):
    with pytest.raises(errors.RecipeError, match=text):
        Pruning(**fields)


def test_a_layer_that_is_to_stay_dense_has_to_be_there(net, few):
    with pytest.raises(errors.RecipeError, match="unknown layer 'stem'"):
        prune(net, few, None, settings=SHORT.replace(dense=("stem",)))
    dense = tuple(sparsity(net))
    with pytest.raises(errors.ModelError, match="no layer whose weights could be pruned"):
        prune(net, few, None, settings=SHORT.replace(dense=dense))


def test_no_sparsity_is_fine_tuning_bit_for_bit(net, few):
    pruned = prune(net, few, None, settings=SHORT, sparsity=0.0)
    reference = run_finetune(net, few, None, settings=TRAIN).model
    assert all(torch.equal(one, reference.state_dict()[name]) for name, one in pruned.state_dict().items())


def pruned_on_black(weight, size, **fields):
    """Prune a linear layer without biases on black images, which give it no gradient, and return its weight."""
    classes = tuple("abcdefghij"[: len(weight)])
    pixels = torch.zeros(len(weight), 1, size, size, dtype=torch.uint8)
    black = ImageSet("black", pixels, torch.arange(len(weight)), classes, "b-0")
    model = nn.Sequential(nn.Flatten(), nn.Linear(size * size, len(weight), bias=False))
    model.image_channels = 1
    model[1].weight.data = weight.clone()
    settings = Pruning(train=TRAIN.replace(weight_decay=0.0), **fields)
    return prune(model, black, None, settings=settings)[1].weight.detach()


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_without_anything_to_learn_the_largest_weights_stay_bit_for_bit(end):
    """200 of 1,000 weights are left, untouched."""
    weight = torch.randn(10, 100, generator=torch.Generator().manual_seed(4))
    found = pruned_on_black(weight, 10, sparsity=0.8, end=end).flatten()
    largest = weight.flatten().abs().topk(200).indices
    assert torch.equal(found[largest], weight.flatten()[largest])
    assert int(found.count_nonzero()) == 200


def test_what_is_largest_in_the_layer_stays_and_not_in_each_row():
    weight = torch.tensor([[5.0, -4.0, 3.0, 0.4], [0.3, 0.2, -0.1, -2.0]])
    by_hand = torch.tensor([[5.0, -4.0, 3.0, 0.0], [0.0, 0.0, 0.0, -2.0]])
    assert torch.equal(pruned_on_black(weight, 2, sparsity=0.5), by_hand)


def test_at_every_step_as_many_weights_are_0_as_the_schedule_says(few):
    """Each step starts from what the step before left; weight decay and momentum would move what is not held."""
    counted = []

    class Counting(nn.Module):
        image_channels = 1

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(144, 4, bias=False)

        def forward(self, images):
            if self.training:
                counted.append(int((self.layer.weight == 0).sum()))
            return self.layer(images.flatten(1))

    torch.manual_seed(0)
    settings = TRAIN.replace(momentum=0.9, weight_decay=0.01)
    pruned = prune(Counting(), few, None, settings=Pruning(sparsity=0.5, end=0.5, train=settings))
    # 576 weights in 8 steps: before the end at step 4, half of them less (1 - k / 4) ** 3 of that half.
    assert counted == [0, 166, 252, 283, 288, 288, 288, 288]
    assert int((pruned.layer.weight == 0).sum()) == 288


@pytest.mark.parametrize("end", [0.0, 0.5, 1.0])
def test_every_layer_ends_at_the_sparsity(net, few, end):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    pruned = prune(net, few, None, settings=SHORT.replace(end=end), sparsity=0.75)
    for name, weight in weights(pruned).items():
        assert int((weight == 0).sum()) == int(0.75 * weight.numel()), name
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_pruned_weight_may_come_back_until_the_end_and_not_after():
    """One linear layer whose smaller weights grow faster: pruned at first, their momentum brings them back."""
    images = torch.full((8, 1, 1, 2), 255, dtype=torch.uint8)
    images[:, :, :, 1] = 25
    image_set = ImageSet("two", images, torch.zeros(8, dtype=torch.int64), ("a", "b"), "two-0")

    def pruned(end):
        linear = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor([[0.01, 0.08], [-0.01, -0.08]]))
        model = nn.Sequential(nn.Flatten(), linear)
        model.image_channels = 1
        settings = TRAIN.replace(
            epochs=8, batch_size=8, learning_rate=0.1, nesterov=False, schedule="constant", weight_decay=0.0
        )
        return prune(model, image_set, None, settings=Pruning(sparsity=0.5, initial=0.5, end=end, train=settings))[
            1
        ].weight

    assert (pruned(0.0)[:, 0] == 0).all()
    assert (pruned(1.0)[:, 1] == 0).all()


class KilledError(Exception):
    pass


@pytest.mark.parametrize("end", [0.3, 0.9])
def test_a_killed_pruning_ends_in_the_same_weights(net, few, end, tmp_path):
    settings = SHORT.replace(end=end, train=TRAIN.replace(epochs=3))

    def kill(task, done, total, note=""):
        if done == 10:
            raise KilledError

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        prune(net, few, None, settings=settings, checkpoint=checkpoint, progress=kill)
    resumed = prune(net, few, None, settings=settings, checkpoint=checkpoint)
    whole = prune(net, few, None, settings=settings)
    assert all(torch.equal(one, whole.state_dict()[name]) for name, one in resumed.state_dict().items())


class Tiny(nn.Module):
    """A network that exports quickly; its normalisation is folded into the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8 * 100, 4)

    def forward(self, images):
        return self.last(self.norm(self.conv(images)).relu().flatten(1))


@pytest.fixture(scope="module")
def tiny(few):
    torch.manual_seed(0)
    model = Tiny()
    nn.init.constant_(model.norm.bias, 0.1)
    return prune(model, few, None, settings=SHORT, sparsity=0.5)


def test_biases_and_normalisations_are_not_pruned(tiny):
    left = {name: tensor for name, tensor in tiny.named_parameters() if name not in ("conv.weight", "last.weight")}
    assert set(left) == {"conv.bias", "norm.weight", "norm.bias", "last.bias"}
    for name, tensor in left.items():
        assert (tensor != 0).all(), name


def test_a_layer_that_is_to_stay_dense_has_no_zeros(few):
    torch.manual_seed(0)
    pruned = prune(Tiny(), few, None, settings=SHORT.replace(dense=("last",)), sparsity=0.5)
    assert sparsity(pruned) == {"conv": 0.5, "last": 0.0}


def zeros_of(model, program):
    for layer in ("conv", "last"):
        yield program.tensors[f"{layer}.weight"][model.get_parameter(f"{layer}.weight") == 0]


@pytest.mark.parametrize("batch_norm", ["frozen", "alive"])
def test_zeros_stay_0_through_quantization_aware_training_where_they_are_kept(tiny, few, batch_norm):
    settings = QatSettings(train=TRAIN.replace(epochs=1), batch_norm=batch_norm)
    kept = qat(tiny, few, None, target="server", settings=settings.replace(keep_zeros=True))
    assert [len(codes) for codes in zeros_of(tiny, kept)] == [108, 1600]
    assert not any(codes.any() for codes in zeros_of(tiny, kept))
    for layer, share in sparsity(tiny).items():
        assert float((kept.tensors[f"{layer}.weight"] == 0).double().mean()) >= share == 0.5
    if batch_norm == "frozen":
        free = qat(tiny, few, None, target="server", settings=settings)
        assert sum(int(codes.count_nonzero()) for codes in zeros_of(tiny, free)) > 100


def test_whole_channels_stay_0_through_quantization(few):
    torch.manual_seed(0)
    pruned = prune(Tiny(), few, None, settings=SHORT.replace(channels=True), sparsity=0.5)
    assert sparsity(pruned) == {"conv": 0.5, "last": 0.0}
    codes = ptq(pruned, few, target="server").tensors["conv.weight"]
    assert torch.equal((codes == 0).flatten(1).all(1), (pruned.conv.weight == 0).flatten(1).all(1))


@pytest.mark.slow
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize(("target", "runtime"), [("server", "onnxruntime"), ("mobile", "executorch")])
def test_what_is_built_has_the_zeros(tiny, few, tmp_path, target, runtime, trained):
    settings = QatSettings(train=TRAIN.replace(epochs=1), keep_zeros=True)
    program = qat(tiny, few, None, target=target, settings=settings) if trained else ptq(tiny, few, target=target)
    assert not any(codes.any() for codes in zeros_of(tiny, program))
    made = build(program, runtime, tmp_path / "model", images=few.images)
    stored = {layer.codes.shape: layer for layer in stored_layers(made.path, runtime)}
    for layer in ("conv", "last"):
        weight = tiny.get_parameter(f"{layer}.weight")
        found = stored[weight.shape]
        assert not found.zero_point.any()
        assert not found.codes[weight == 0].any()
        assert found.codes[weight != 0].any()
    followed = twin(program, RUNTIMES[runtime].arithmetic)
    assert torch.equal(made.predict(few.images), twin_scores(followed, few.images))
