"""The step rules against closed forms, straightforward NumPy, and a linear-programming solver."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from edgerift.evade import Attack, CrossEntropy, PairMargin
from edgerift.evade._steps import Slope, State, step_rule, step_size

SHAPE = (3, 3, 2, 2)
EPSILON = 8.0

Objective = Callable[[np.ndarray, int], tuple[float, np.ndarray]]
"""A flat position in grey levels and a sample's number, to its value and its gradient."""


def centres() -> Tensor:
    return torch.randint(0, 256, SHAPE, generator=torch.Generator().manual_seed(1)).double()


def moved(attack: Attack, objective: Objective) -> tuple[np.ndarray, np.ndarray, list[State]]:
    """Move three samples together; returns the starts, the positions after each step `[T,B,D]`, and each state."""
    start = centres()
    rule = step_rule(attack)
    state: State = {
        "position": start.clone(),
        "low": (start - EPSILON).clamp_min(0),
        "high": (start + EPSILON).clamp_max(255),
        "taken": torch.zeros(len(start), dtype=torch.int64),
        **rule.remember(start.clone()),
    }
    positions, states = [], []
    for _ in range(attack.steps):
        answers = [objective(row.flatten().numpy(), number) for number, row in enumerate(state["position"])]
        values = torch.tensor([value for value, _ in answers], dtype=torch.float64)
        gradient = torch.stack([torch.from_numpy(slope) for _, slope in answers]).view(SHAPE)
        rule.move(state, Slope(values, gradient))
        state["taken"] += 1
        positions.append(state["position"].flatten(1).numpy().copy())
        states.append({name: value.clone() for name, value in state.items()})
    return start.flatten(1).numpy(), np.stack(positions), states


def bounds(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.maximum(start - EPSILON, 0), np.minimum(start + EPSILON, 255)


def linear(position: np.ndarray, number: int) -> tuple[float, np.ndarray]:
    slope = np.random.default_rng(number).integers(-2, 3, position.size).astype(float)
    return float(position @ slope), slope


def bowl(position: np.ndarray, number: int) -> tuple[float, np.ndarray]:
    """Fall away from a point near the sample's start, at another rate along every axis: steps overshoot it."""
    draws = np.random.default_rng(100 + number)
    start = centres().flatten(1).numpy()[number]
    top = start + draws.uniform(-12, 12, position.size)
    steep = draws.uniform(0.1, 3, position.size) * [1.0, 0.1, 0.01][number]
    return float(-(steep * (position - top) ** 2).sum()), -2 * steep * (position - top)


@pytest.mark.parametrize("step", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("rule", ["sign", "momentum"])
def test_a_linear_objective_is_climbed_by_whole_steps_up_to_the_box(rule: str, step: float) -> None:
    start, positions, _ = moved(Attack(rule=rule, step=step, steps=12), linear)
    low, high = bounds(start)
    slopes = np.stack([linear(row, number)[1] for number, row in enumerate(start)])
    for taken, position in enumerate(positions, 1):
        np.testing.assert_array_equal(position, np.clip(start + taken * step * np.sign(slopes), low, high))


def test_a_shrinking_step_falls_in_a_line_to_one_part_of_the_first() -> None:
    attack = Attack(step=2.0, steps=8, schedule="linear")
    sizes = step_size(attack, {"taken": torch.arange(8)})
    assert sizes.shape == (8, 1, 1, 1)
    assert sizes.flatten().tolist() == [2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25]
    start, positions, _ = moved(attack, linear)
    low, high = bounds(start)
    slopes = np.stack([linear(row, number)[1] for number, row in enumerate(start)])
    np.testing.assert_array_equal(positions[2], np.clip(start + (2 + 1.75 + 1.5) * np.sign(slopes), low, high))


def test_a_constant_step_keeps_its_size() -> None:
    assert step_size(Attack(step=1.5, steps=4), {"taken": torch.arange(4)}).flatten().tolist() == [1.5] * 4


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_momentum_is_mi_fgsm(decay: float) -> None:
    """g <- decay g + gradient / |gradient|_1, x <- clip(x + step sign g), of Dong et al., CVPR 2018."""
    start, positions, _ = moved(Attack(rule="momentum", decay=decay, step=2.0, steps=15), bowl)
    low, high = bounds(start)
    for number in range(len(start)):
        position, running = start[number], 0.0
        for taken in range(15):
            slope = bowl(position, number)[1]
            running = decay * running + slope / np.abs(slope).sum()
            position = np.clip(position + 2.0 * np.sign(running), low[number], high[number])
            np.testing.assert_allclose(positions[taken, number], position, atol=1e-9)


def test_momentum_stands_still_where_every_gradient_is_zero() -> None:
    start, positions, _ = moved(Attack(rule="momentum", steps=2), lambda position, _: (0.0, np.zeros_like(position)))
    np.testing.assert_array_equal(positions[-1], start)


def apgd(start: np.ndarray, number: int, objective: Objective, steps: int, first_step: float):
    """Algorithm 1 of Croce and Hein, ICML 2020, one sample, as it is printed; each x and each step size."""
    low, high = (side[number] for side in bounds(centres().flatten(1).numpy()))
    shares = [0.0, 0.22]
    while shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06) <= 1 + 1e-9:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    checkpoints = [int(np.ceil(np.round(share * steps, 6))) for share in shares]

    def ascent(x: np.ndarray, gradient: np.ndarray, size: float) -> np.ndarray:
        return np.clip(x + size * np.sign(gradient), low, high)

    xs, sizes = [start], [first_step]
    values = [objective(start, number)[0]]
    size, halved_before = first_step, False
    best, best_at = start, [values[0]]
    x, before = start, start
    for k in range(steps):
        if k in checkpoints[1:]:
            j = checkpoints.index(k)
            rises = sum(values[i + 1] > values[i] for i in range(checkpoints[j - 1], k))
            stuck = not halved_before and best_at[-1] == max(values)
            halved_before = bool(rises < 0.75 * (k - checkpoints[j - 1]) or stuck)
            best_at.append(max(values))
            if halved_before:
                size, x = size / 2, best
        z = ascent(x, objective(x, number)[1], size)
        following = z if k == 0 else np.clip(x + 0.75 * (z - x) + 0.25 * (x - before), low, high)
        before, x = x, following
        xs.append(x)
        sizes.append(size)
        values.append(objective(x, number)[0])
        if values[-1] > max(values[:-1]):
            best = x
    return np.stack(xs[1:]), sizes[1:]


@pytest.mark.parametrize("steps", [1, 5, 20, 60])
@pytest.mark.parametrize("objective", [bowl, linear], ids=["bowl", "linear"])
def test_apgd_is_its_algorithm(objective: Objective, steps: int) -> None:
    start, positions, states = moved(
        Attack(rule="apgd", objective=CrossEntropy(), step=2 * EPSILON, steps=steps), objective
    )
    for number in range(len(start)):
        expected, sizes = apgd(start[number], number, objective, steps, 2 * EPSILON)
        assert [float(state["size"][number]) for state in states] == sizes
        np.testing.assert_allclose(positions[:, number], expected, atol=1e-9)
    if objective is bowl and steps >= 20:
        halvings = {float(size) for size in states[-1]["size"]}
        assert min(halvings) < 2 * EPSILON


@given(st.lists(st.sampled_from([1, 1, 1, 1, 0, -6]), min_size=20, max_size=20))
@example([0, -6, 1, 1, 1, 1] + [1] * 14)
@example([0, -6, 1, 1, 1, 1] + [0, 1, 1] * 4 + [1, 1])
@example([0, 1, 1, 1, 1, 0] + [1] * 14)
def test_apgd_halves_its_step_when_the_objective_rises_too_rarely_or_no_longer(changes: list[int]) -> None:
    """Checkpoints of 20 steps; the objective at the start is the best that the first period has to beat."""
    values = np.cumsum(changes).tolist()
    checkpoints = [0, 5, 9, 12, 14, 16, 18, 19]
    expected, halved = [16.0] * 5, False
    for before, here, after in zip(checkpoints, checkpoints[1:], [*checkpoints[2:], 20], strict=False):
        rises = sum(values[i + 1] > values[i] for i in range(before, here))
        no_better = max(values[: before + 1]) == max(values[: here + 1])
        halved = rises < 0.75 * (here - before) or (no_better and not halved)
        expected += [expected[-1] / (2 if halved else 1)] * (after - here)
    rule = step_rule(Attack(rule="apgd", step=16.0, steps=20))
    start = torch.full((1, 3, 1, 1), 100.0)
    state: State = {"position": start, "low": start - 8, "high": start + 8, "taken": torch.zeros(1, dtype=torch.int64)}
    state |= rule.remember(start)
    sizes = []
    for value in values:
        rule.move(state, Slope(torch.tensor([float(value)]), torch.ones(1, 3, 1, 1)))
        state["taken"] += 1
        sizes.append(float(state["size"]))
    assert sizes == expected


def test_apgd_takes_a_sample_as_if_it_were_alone() -> None:
    """Samples of a batch may be at different points of their search."""
    rule = step_rule(Attack(rule="apgd", step=16.0, steps=20))

    def fresh(rows: slice) -> State:
        start = centres()[rows]
        box = {"low": (start - EPSILON).clamp_min(0), "high": (start + EPSILON).clamp_max(255)}
        taken = torch.zeros(len(start), dtype=torch.int64)
        return {"position": start.clone(), **box, "taken": taken, **rule.remember(start)}

    def advance(state: State, numbers: list[int], count: int) -> None:
        for _ in range(count):
            rows = zip(state["position"], numbers, strict=True)
            answers = [bowl(row.flatten().numpy(), number) for row, number in rows]
            values = torch.tensor([value for value, _ in answers], dtype=torch.float64)
            gradient = torch.stack([torch.from_numpy(slope) for _, slope in answers])
            rule.move(state, Slope(values, gradient.view(-1, *SHAPE[1:])))
            state["taken"] += 1

    early, late = fresh(slice(0, 1)), fresh(slice(1, 2))
    advance(early, [0], 7)
    both = {name: torch.cat([early[name], late[name]]) for name in early}
    advance(both, [0, 1], 13)
    advance(early, [0], 13)
    advance(late, [1], 13)
    for row, alone in enumerate((early, late)):
        for name, value in alone.items():
            assert torch.equal(both[name][row : row + 1], value), name


BALANCE = Attack(rule="balance", objective=PairMargin(), step=1.0)


class Problem:
    """One move of the balance rule over 192 pixels, some of them at an end of their box."""

    def __init__(self, seed: int, level: float, *, common: float = 0.0) -> None:
        """`level` is the mean of the margins in shares of what a move can change it by; `common` ties the gradients."""
        draws = np.random.default_rng(seed)
        self.level_gradient = draws.standard_normal(192)
        self.gap = draws.standard_normal(192) + common * self.level_gradient
        self.position = 100 + draws.choice([-8.0, -7.6, 0.0, 3.3, 8.0], 192)
        self.down = np.maximum(92 - self.position, -1.0)
        self.up = np.minimum(108 - self.position, 1.0)
        ends = np.stack([self.level_gradient * self.down, self.level_gradient * self.up])
        self.most, self.least = ends.max(0).sum(), ends.min(0).sum()
        self.level = -level * (self.most if level < 0 else self.least)
        self.level *= -1 if level < 0 else 1

    def move(self) -> np.ndarray:
        state: State = {
            "position": self.tensor(self.position),
            "low": torch.full((1, 3, 8, 8), 92.0),
            "high": torch.full((1, 3, 8, 8), 108.0),
            "taken": torch.zeros(1, dtype=torch.int64),
        }
        level = torch.tensor([self.level], dtype=torch.float32)
        slope = Slope(level, self.tensor(255 * self.gap), level, self.tensor(255 * self.level_gradient))
        step_rule(BALANCE).move(state, slope)
        return state["position"].flatten().double().numpy() - self.position

    def tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).float().view(1, 3, 8, 8)


@pytest.mark.parametrize("common", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("level", [-3.0, -1.2, -0.9, -0.4, 0.0, 0.1, 0.6, 0.95, 1.2, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_balance_move_solves_its_linear_program(seed: int, level: float, common: float) -> None:
    """It raises the smaller margin as far as linear programming does, but for the one pixel that would be cut."""
    from scipy.optimize import linprog

    problem = Problem(seed, level, common=common)
    move = problem.move()
    assert (move >= problem.down - 1e-5).all()
    assert (move <= problem.up + 1e-5).all()
    # Margins are gap / 2 + level and gap / 2 - level; the smaller of them is raised as the last variable.
    sides = np.stack([problem.gap / 2 + problem.level_gradient, problem.gap / 2 - problem.level_gradient])
    levels = np.array([problem.level, -problem.level])
    reached = (sides @ move + levels).min()
    limits = [*zip(problem.down, problem.up, strict=True), (None, None)]
    raised = np.zeros(len(move) + 1)
    raised[-1] = -1.0
    best = linprog(raised, A_ub=np.column_stack([-sides, np.ones(2)]), b_ub=levels, bounds=limits)
    assert best.status == 0
    one_pixel = (np.abs(sides).max(0) * (problem.up - problem.down)).max()
    assert -best.fun - 1.2 * one_pixel <= reached <= -best.fun + 1e-3


@pytest.mark.parametrize("level", [-3.0, 3.0])
def test_a_balance_move_towards_a_sheet_out_of_reach_follows_the_model_that_is_behind(level: float) -> None:
    problem = Problem(2, level, common=0.0)
    problem.gap *= 0.1
    behind = problem.gap / 2 - np.sign(problem.level) * problem.level_gradient
    expected = np.where(behind > 0, problem.up, problem.down)
    np.testing.assert_allclose(problem.move(), expected, atol=1e-5)


@pytest.mark.parametrize(("gap", "level"), [(1.0, 0.0), (0.0, 0.0)], ids=["level flat", "both flat"])
def test_a_balance_move_follows_what_has_a_slope(gap: float, level: float) -> None:
    problem = Problem(3, 0.5)
    problem.gap *= gap
    problem.level_gradient *= level
    expected = np.where(problem.gap > 0, problem.up, np.where(problem.gap < 0, problem.down, 0.0))
    np.testing.assert_allclose(problem.move(), expected, atol=1e-5)


def test_a_balance_step_shrinks_on_its_schedule() -> None:
    rule = step_rule(BALANCE.replace(schedule="linear", steps=4, step=2.0))
    start = torch.full((4, 3, 1, 1), 100.0)
    state: State = {"position": start, "low": start - 8, "high": start + 8, "taken": torch.arange(4)}
    slope = torch.ones(4, 3, 1, 1)
    rule.move(state, Slope(torch.zeros(4), slope, torch.zeros(4), torch.zeros_like(slope)))
    assert (state["position"] - 100)[:, 0, 0, 0].tolist() == [2.0, 1.5, 1.0, 0.5]
