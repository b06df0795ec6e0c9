"""The twin that learns: it starts and ends as the program, and in between its ranges follow the batches."""

import dataclasses

import numpy as np
import pytest
import torch
from made_networks import averages, branches, clamps, layers, pools, residual

from edgerift import errors
from edgerift.deploy import FloatWeight, trainable_twin, twin
from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._groups import grid_groups
from edgerift.deploy.twins._rounded_weights import channel_scales
from edgerift.deploy.twins._running_ranges import affine_grid


def made(make_program, network, target="mobile"):
    maker = make_program(target)
    return maker.program(network(maker)), maker.images


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("network", [layers, residual, clamps, pools, averages, branches])
def test_what_it_computes_is_what_the_program_it_converts_to_computes(make_program, network, target):
    program, images = made(make_program, network, target)
    student = trainable_twin(program)
    student.train()
    for _ in range(3):
        student(images)
    student.eval()
    converted = student.program()
    assert torch.equal(student(images), twin(converted)(images))
    assert converted.tensors.keys() == program.tensors.keys()
    assert all(converted.tensors[name].dtype == tensor.dtype for name, tensor in program.tensors.items())


def test_without_training_the_grids_are_those_of_the_program(make_program):
    program, _ = made(make_program, residual)
    assert trainable_twin(program).program().operations == program.operations


def test_a_range_moves_by_a_hundredth_of_what_a_batch_shows(make_program):
    program, images = made(make_program, layers)
    student = trainable_twin(program).train()
    index = student.groups["step_0"]
    before = student.ranges.running[index].clone()
    student(images)
    seen = torch.stack([images.min(), images.max()])
    assert torch.allclose(student.ranges.running[index], before + 0.01 * (seen - before))


def test_a_range_behind_a_relu_never_falls_below_zero(make_program):
    program, images = made(make_program, residual)
    student = trainable_twin(program).train()
    for _ in range(3):
        student(images)
    bounded = [part for part in student.body.modules() if getattr(part, "bounds", None) == (0.0, float("inf"))]
    assert len(bounded) == 2
    assert all(student.ranges.running[part.index, 0] >= 0 for part in bounded)


@pytest.mark.parametrize("still", ["eval", "frozen"])
def test_ranges_stand_still_in_evaluation_and_when_frozen(make_program, still):
    program, images = made(make_program, residual)
    student = trainable_twin(program).train()
    student(images)
    if still == "eval":
        student.eval()
    else:
        student.ranges.observing = False
    before = student.ranges.running.clone()
    student(2 * images)
    assert torch.equal(student.ranges.running, before)


def test_the_grids_follow_from_the_saved_state_alone(make_program):
    """A run that goes on from a checkpoint after the ranges were frozen has to round as the first one did."""
    program, images = made(make_program, residual)
    first = trainable_twin(program).train()
    for _ in range(4):
        first(1.5 * images)
    first.ranges.observing = False
    second = trainable_twin(program).train()
    second.ranges.observing = False
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))
    assert first.program().operations == second.program().operations != program.operations


@pytest.mark.parametrize(("low", "high"), [(-127, 127), (-128, 127)])
def test_channel_scales_are_the_largest_magnitude_over_half_the_levels(low, high):
    weight = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = np.abs(weight.numpy()).reshape(6, -1).max(1) / ((high - low) / 2)
    assert np.allclose(channel_scales(weight, low, high, torch.zeros(6)).numpy(), expected)
    floor = torch.tensor([0.0, 1.0, 0.0, 2.0, 0.0, 0.0])
    assert np.allclose(channel_scales(weight, low, high, floor).numpy(), np.maximum(expected, floor.numpy()))


@pytest.mark.parametrize(
    ("least", "greatest", "zero_point"), [(-1.0, 1.0, -1), (0.0, 6.0, -128), (0.5, 6.0, -128), (-3.0, -1.0, 127)]
)
def test_an_affine_grid_holds_zero_and_both_ends(least, greatest, zero_point):
    grid = affine_grid(least, greatest, Grid(1.0, 0, -128, 127))
    assert abs(grid.zero_point - zero_point) <= 1
    assert grid.low <= 0 <= grid.high
    assert grid.scale * grid.low <= min(least, 0) + grid.scale
    assert grid.scale * grid.high >= max(greatest, 0) - grid.scale


def test_weights_get_the_gradient_of_the_rounded_weight_times_its_gain(make_program):
    """Straight through the rounding: d loss / d weight = gain * d loss / d rounded weight."""
    maker = make_program(size=2)
    flat = maker.call("aten.flatten.using_ints", maker.rounded("image", grid=(1 / 255, -128)), 1)
    program = maker.program(maker.rounded(maker.linear(maker.rounded(flat, grid=(1 / 255, -128)), 4), grid=(0.5, 0)))
    weight = torch.randn(4, 12, generator=torch.Generator().manual_seed(2)) / 12
    gain = torch.tensor([[1.0], [2.0], [0.5], [3.0]])
    student = trainable_twin(program, {"layer_0": FloatWeight(weight, gain)}).eval()
    images = torch.rand(3, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    student(images).sum().backward()
    parameters = dict(student.named_parameters())
    (learned,) = [value for name, value in parameters.items() if name.endswith("weight")]
    inputs = torch.round(images.flatten(1) * 255) / 255
    assert torch.allclose(learned.grad, gain * inputs.sum(0), rtol=1e-4)


def test_a_step_of_training_changes_the_program_and_lowers_the_loss(make_program):
    program, images = made(make_program, residual)
    labels = torch.arange(len(images)) % 3
    student = trainable_twin(program).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.003)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(student(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert any(
        not torch.equal(student.program().tensors[name], tensor)
        for name, tensor in program.tensors.items()
        if tensor.dtype == torch.int8
    )


def test_grids_are_shared_where_an_operator_keeps_them(make_program):
    program, _ = made(make_program, pools)
    groups, grids = grid_groups(program.module())
    numbers = {name: group for name, group in groups.items() if name.startswith("step_")}
    pairs = [step for step in program.operations if "quantize_per_tensor" in step.operator]
    for step in pairs:
        arguments = step.arguments
        grid = Grid(arguments[1], arguments[2], arguments[3], arguments[4])
        assert grids[numbers[step.name]] == grid
    # The maximum pooling and the flattening keep the grid of the average before them.
    assert len(grids) == len({(step.arguments[1], step.arguments[2]) for step in pairs})


def test_equal_grids_that_nothing_connects_stay_apart(make_program):
    maker = make_program()
    grid = (0.05, 3)
    first = maker.rounded(maker.convolution(maker.rounded("image"), 4), grid=grid)
    second = maker.rounded(maker.convolution(first, 4), grid=grid)
    groups, _ = grid_groups(maker.program(second).module())
    assert groups[first] != groups[second]


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_range_that_is_not_finite_moves_nothing(make_program, poison):
    program, images = made(make_program, residual)
    student = trainable_twin(program).train()
    student(images)
    before = student.ranges.running.clone()
    student(images * poison)
    student.ranges.observing = False
    assert torch.isfinite(student.ranges.running).all()
    first = student.groups[next(entry.name for entry in program.operations if entry.name in student.groups)]
    assert torch.equal(student.ranges.running[first], before[first])
    assert torch.isfinite(student(images)).all()


def test_a_layer_whose_arguments_training_would_drop_is_refused(make_program):
    program, _ = made(make_program, residual)
    name = next(entry.name for entry in program.operations if entry.operator == "aten.conv2d.default")
    operations = tuple(
        entry.replace(arguments=entry.arguments[:3], keywords={"padding": [1, 1]}) if entry.name == name else entry
        for entry in program.operations
    )
    with pytest.raises(errors.ProgramError, match=f"layer '{name}' cannot be trained"):
        trainable_twin(dataclasses.replace(program, operations=operations))
