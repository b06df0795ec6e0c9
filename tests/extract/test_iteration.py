"""One iteration: who is trained on what, in which direction, and what that costs."""

import copy
from typing import Any

import pytest
import torch
from small_thefts import ATTACKS, CLASSES, POSITIVES, SIZE, LinearVictim
from torch import Tensor, nn
from torch.backends import cudnn

from edgerift.extract import DataFree, Descent, Differences, Generator, Oracle, Positives, Rehearsal, Vote
from edgerift.extract import _iteration as iteration_module
from edgerift.extract._clones import class_imbalance, disagreement
from edgerift.extract._critic import Critic
from edgerift.extract._generator import squashed
from edgerift.extract._iteration import Iteration
from edgerift.extract._oracle import to_whole
from edgerift.extract._ranks import Ranks
from edgerift.extract._recovery import LOSSES
from edgerift.extract._replay import Replay
from edgerift.images import to_float


class Student(nn.Module):
    """A network with batch norm that notes what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(100, CLASSES)
        )
        self.trained_on: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.trained_on.append(images.detach().contiguous())
        logits: Tensor = self.body(images)
        return logits


class Noting(LinearVictim):
    """Notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        return super().__call__(images)


class Made:
    """An iteration and all its parts."""

    def __init__(self, name: str, *, total: int = 10, ranks: int = 1, **fields: Any) -> None:
        self.settings = settings = ATTACKS[name].replace(**fields)
        self.victim = Noting()
        self.oracle = Oracle(self.victim, budget=100_000)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.generator = Generator(settings.latent, SIZE, affine=settings.affine, width=settings.width)
            self.students = [Student() for _ in range(settings.clones)]
            self.critic = Critic() if settings.positives else None
        memory = settings.rehearsal
        self.replay = None if memory is None else Replay(memory.capacity, torch.device("cpu"))
        self.clones = Vote(self.students)
        self.ranks = Ranks()
        self.ranks.world_size = ranks
        self.iteration = Iteration(
            settings,
            self.oracle,
            iteration_module.Networks(self.generator.train(), self.clones.train(), self.critic),
            replay=self.replay,
            positives=POSITIVES if settings.positives else None,
            total=total,
            classes=CLASSES,
            ranks=self.ranks,
        )

    def step(self, number: int = 0, seed: int = 0) -> iteration_module.Seen:
        return self.iteration(number, torch.Generator().manual_seed(seed))

    def train_generator(self, seed: int = 0) -> None:
        draws = torch.Generator().manual_seed(seed)
        self.iteration._train_generator(self.iteration._points(draws), draws)

    def images(self, seed: int = 0, count: int = 200) -> Tensor:
        """Make many images without changing the generator."""
        latent = torch.randn(count, self.settings.latent, generator=torch.Generator().manual_seed(seed))
        return squashed(copy.deepcopy(self.generator)(latent))


def state(module: nn.Module | None) -> dict[str, Tensor]:
    return {} if module is None else copy.deepcopy(module.state_dict())


def same(module: nn.Module | None, before: dict[str, Tensor]) -> bool:
    return module is None or all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def parameters(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("name", list(ATTACKS))
class TestEachAttack:
    def test_an_iteration_costs_what_its_settings_say(self, name: str) -> None:
        made = Made(name)
        for number in range(3):
            made.step(number)
            expected = made.settings.queries * (number + 1)
            assert made.oracle.spent == made.victim.answered == expected

    def test_the_generators_step_leaves_clones_and_critic_as_they_are(self, name: str) -> None:
        made = Made(name)
        clones, critic, generator = state(made.clones), state(made.critic), state(made.generator)
        before = parameters(made.generator)
        made.train_generator()
        assert same(made.clones, clones)
        assert same(made.critic, critic)
        assert not same(made.generator, generator)
        assert not torch.equal(parameters(made.generator), before)
        assert all(parameter.requires_grad for parameter in made.clones.parameters())
        assert all(parameter.grad is None for parameter in made.clones.parameters())
        assert made.clones.training

    def test_the_clones_step_leaves_generator_and_critic_as_they_are(self, name: str) -> None:
        made = Made(name)
        batch = made.iteration._ask(torch.Generator().manual_seed(0))
        clones = [state(student) for student in made.students]
        critic, generator = state(made.critic), state(made.generator)
        made.iteration._train_clones(batch)
        assert same(made.generator, generator)
        assert same(made.critic, critic)
        assert not any(same(student, before) for student, before in zip(made.students, clones, strict=True))
        assert all(parameter.grad is None for parameter in made.generator.parameters())

    def test_clones_are_trained_on_what_the_victim_was_asked_and_answered(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = Made(name)
        learnt: list[Tensor] = []
        true = iteration_module.total_loss

        def noting(loss: Any, logits: Tensor, answers: Tensor) -> Tensor:
            learnt.append(answers)
            return true(loss, logits, answers)

        monkeypatch.setattr(iteration_module, "total_loss", noting)
        made.step()
        settings, size = made.settings, made.settings.batch_size
        asked = list(made.victim.asked)
        new = asked[-(settings.clone_steps - settings.reuse) :]
        if settings.reuse:
            new = [asked[0][:size], *new]
        assert len(new) == settings.clone_steps
        rehearsed = 0 if settings.rehearsal is None else settings.rehearsal.steps
        for student in made.students:
            assert len(student.trained_on) == settings.clone_steps + rehearsed
            for found, images in zip(student.trained_on, new, strict=False):
                assert torch.equal(found, to_float(images))
        answers = [made.victim.logits(images).softmax(1) for images in new]
        for step, expected in enumerate(answers):
            for number in range(settings.clones):
                assert torch.equal(learnt[settings.clones * step + number], expected)
        known = {image.numpy().tobytes(): row for image, row in zip(torch.cat(new), torch.cat(answers), strict=True)}
        for step, images in enumerate(made.students[0].trained_on[settings.clone_steps :], settings.clone_steps):
            for image, row in zip((images * 255).round().byte(), learnt[settings.clones * step], strict=True):
                assert torch.equal(known[image.numpy().tobytes()], row)

    def test_all_that_is_drawn_comes_from_one_generator(self, name: str) -> None:
        first, second, other = Made(name), Made(name), Made(name)
        torch.manual_seed(1)
        first.step(seed=5)
        torch.manual_seed(2)
        second.step(seed=5)
        other.step(seed=6)
        assert same(first.generator, state(second.generator))
        assert same(first.clones, state(second.clones))
        assert not same(first.clones, state(other.clones))

    def test_learning_rates_follow_their_schedules(self, name: str) -> None:
        made = Made(name, total=4, clone=Descent(learning_rate=0.2, milestones=(0.5,), factor=0.1))
        for number, expected in ((0, 0.2), (1, 0.2), (2, 0.02), (3, 0.02)):
            made.step(number)
            optimizers = made.iteration.parts.optimizers
            assert optimizers["clones"].param_groups[0]["lr"] == pytest.approx(expected)
        rate = made.settings.generator.learning_rate
        factor = (1 - 0.5**0.5) / 2 if made.settings.generator.schedule == "cosine" else None
        if factor is not None:
            assert optimizers["generator"].param_groups[0]["lr"] == pytest.approx(rate * factor)


GENTLE = Descent(learning_rate=0.02, momentum=0.0, weight_decay=0.0, schedule="constant")
EXACT = Differences(epsilon=1e-3, directions=64, scheme="central", split=True)


class Smooth(nn.Module):
    """A victim that answers floats, so that small steps are seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(3 * SIZE * SIZE, CLASSES, generator=torch.Generator().manual_seed(4)) / 4
        )

    def forward(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) @ self.weight


@pytest.mark.parametrize("loss", ["l1", "kl"])
@pytest.mark.parametrize("split", [True, False])
def test_the_generator_looks_for_what_the_clone_gets_wrong(loss: Any, split: bool) -> None:
    made = Made("dfme", loss=loss, generator=GENTLE, differences=EXACT.replace(split=split), batch_size=32)
    made.iteration._victim = Oracle(Smooth(), budget=10**6, pixels="float")

    def wrong() -> float:
        images = made.images()
        with torch.no_grad():
            answers = Smooth()(images).softmax(1)
            return float(LOSSES[loss](made.clones.eval()(images), answers).mean())

    before = wrong()
    for seed in range(15):
        made.train_generator(seed)
    assert wrong() > before * 1.02


def test_the_generator_looks_for_what_clones_disagree_on() -> None:
    made = Made("disguide", generator=GENTLE.replace(learning_rate=1.0), diversity=0.0, batch_size=32)

    def found() -> float:
        with torch.no_grad():
            images = made.images()
            return float(disagreement(torch.stack([student.eval()(images) for student in made.students])).mean())

    before = found()
    for seed in range(15):
        made.train_generator(seed)
    assert found() > before * 1.02
    assert made.victim.answered == 0


def test_diversity_keeps_all_classes_in() -> None:
    made = Made("disguide", generator=GENTLE.replace(learning_rate=1.0), diversity=50.0, batch_size=32)
    with torch.no_grad():
        for student in made.students:
            student.body[-1].bias[0] += 1

    def imbalance() -> float:
        with torch.no_grad():
            images = made.images()
            return float(class_imbalance(torch.stack([student.eval()(images) for student in made.students])))

    before = imbalance()
    for seed in range(15):
        made.train_generator(seed)
    assert imbalance() < before - 0.01


def test_the_critic_draws_the_generator() -> None:
    made = Made("disguide", generator=GENTLE, positives=Positives(count=5, weight=1000.0), batch_size=32)

    def like_real() -> float:
        with torch.no_grad():
            return float(made.critic(made.images()).mean())  # type: ignore[misc]

    before = like_real()
    for seed in range(15):
        made.train_generator(seed)
    assert like_real() > before + 0.001


def test_the_critic_learns_from_the_thiefs_own_images() -> None:
    made = Made("maze")
    assert made.critic is not None
    clones, generator, critic = state(made.clones), parameters(made.generator), state(made.critic)
    made.iteration._train_critic(torch.Generator().manual_seed(0))
    assert same(made.clones, clones)
    assert torch.equal(parameters(made.generator), generator)
    assert not same(made.critic, critic)
    assert made.victim.answered == 0


@pytest.mark.parametrize("name", ["dfme", "maze-dfme"])
def test_a_summed_loss_has_as_many_times_the_gradient(name: str) -> None:
    plain = Descent(learning_rate=1e-3, momentum=0.0, weight_decay=0.0, schedule="constant")
    moved = []
    for summed in (False, True):
        made = Made(name, generator=plain, summed=summed, differences=Differences(epsilon=1.0))
        before = parameters(made.generator)
        made.train_generator()
        moved.append(parameters(made.generator) - before)
    assert moved[0].norm() > 0
    assert torch.allclose(moved[1], 8 * moved[0], rtol=1e-3, atol=1e-6)


def test_each_clone_learns_as_if_it_were_alone() -> None:
    together, alone = Made("disguide", clone=GENTLE), Made("disguide", clone=GENTLE)
    batches = [together.iteration._ask(torch.Generator().manual_seed(seed)) for seed in range(2)]
    for batch in batches:
        together.iteration._train_clones(batch)
    for number, student in enumerate(alone.students):
        descent = torch.optim.SGD(student.parameters(), lr=GENTLE.learning_rate)
        for batch in batches:
            descent.zero_grad()
            LOSSES["l1"](student(to_float(batch.images)), batch.answers).mean().backward()
            descent.step()
        found = parameters(together.students[number])
        assert torch.allclose(found, parameters(student), atol=1e-6)
        assert not torch.allclose(found, parameters(Made("disguide").students[number]), atol=1e-5)


def test_steps_of_the_generator_do_not_add_up() -> None:
    """With gradients that somebody cleared in between a second step is the same."""
    made, once = Made("disguide", generator=GENTLE), Made("disguide", generator=GENTLE)
    for each, steps in ((made, 2), (once, 1)):
        for seed in range(steps):
            each.train_generator(seed)
    draws = torch.Generator().manual_seed(1)
    points = once.iteration._points(draws)
    once.iteration._optimizers["generator"].zero_grad()
    once.iteration._train_generator(points, draws)
    assert torch.equal(parameters(made.generator), parameters(once.generator))


def test_clones_get_better_at_what_they_are_trained_on() -> None:
    made = Made("disguide", clone=GENTLE)
    batch = made.iteration._ask(torch.Generator().manual_seed(0))
    losses = [float(made.iteration._train_clones(batch)) for _ in range(10)]
    assert losses[-1] < losses[0]


def test_the_loss_that_is_told_is_the_mean_of_clones_and_steps() -> None:
    made, losses = Made("disguide-hard"), list[float]()
    true = made.iteration._train_clones

    def noting(batch: Any) -> Tensor:
        found = true(batch)
        losses.append(float(found))
        return found

    made.iteration._train_clones = noting  # type: ignore[method-assign]
    seen = made.step()
    assert len(losses) == 3
    assert float(seen.clone_loss) == pytest.approx(sum(losses[:2]) / 2)
    assert seen.zero_share is None


@pytest.mark.parametrize(("adds", "remembered"), [("each", 3), ("last", 1)])
def test_what_is_remembered(adds: Any, remembered: int) -> None:
    made = Made("maze", rehearsal=Rehearsal(steps=1, capacity=1000, adds=adds))
    for number in range(1, 4):
        made.step(number)
        assert made.replay is not None
        assert made.replay.added == 8 * remembered * number
    drawn, _ = made.replay.draw(500, torch.Generator().manual_seed(0))  # type: ignore[union-attr]
    last = {image.numpy().tobytes() for image in made.victim.asked[-1]}
    assert last <= {image.numpy().tobytes() for image in drawn}


@pytest.mark.parametrize("every", [1, 3, 8, None])
def test_each_so_many_th_image_is_grey_before_anybody_sees_it(every: int | None) -> None:
    made = Made("disguide", grey=every)
    seen: list[Tensor] = []
    made.students[0].register_forward_pre_hook(lambda module, given: seen.append(given[0].detach()))
    for seed in range(6):
        made.step(seed=seed)
    batches = [*made.victim.asked, seen[0], *made.students[0].trained_on[:1]]
    for batch in batches:
        grey = [bool((image == image[:1]).all()) for image in batch]
        assert grey == [every is not None and number % every == 0 for number in range(8)]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_clones_images_come_from_the_generator_in_its_mode(mode: Any) -> None:
    made = Made("disguide", generator_mode=mode, grey=None)
    for number in range(3):
        made.step(number)
    generator, before = copy.deepcopy(made.generator), copy.deepcopy(made.generator.state_dict())
    asked = made.iteration._ask(torch.Generator().manual_seed(5)).images
    latent = torch.randn(made.settings.batch_size, made.settings.latent, generator=torch.Generator().manual_seed(5))
    copies = {"train": generator, "eval": copy.deepcopy(generator).eval()}
    expected = {each: squashed(one(latent)) for each, one in copies.items()}
    assert torch.equal(asked, to_whole(expected[mode]))
    assert not torch.equal(asked, to_whole(expected["eval" if mode == "train" else "train"]))
    after = made.generator.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items()) == (mode == "eval")
    assert made.generator.training, "it learns in training mode"


def test_grey_is_one_of_the_channels() -> None:
    """Each of them at some time, and the rest of the batch is left alone."""
    made, channels = Made("disguide", grey=2), set[int]()
    points = torch.randn(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for seed in range(20):
        images = made.iteration._images(points, torch.Generator().manual_seed(seed))
        colour = squashed(points)
        assert torch.equal(images[1::2], colour[1::2])
        (channel,) = (number for number in range(3) if torch.equal(images[0, 0], colour[0, number]))
        assert torch.equal(images[::2], colour[::2, channel : channel + 1].expand(-1, 3, -1, -1))
        channels.add(channel)
    assert channels == {0, 1, 2}
    assert images.requires_grad


def test_several_clones_vote_where_differences_are_taken() -> None:
    made = Made("dfme", clones=2)
    with torch.no_grad():
        images = made.images(count=4)
        voted = made.clones.eval()(images)
        assert torch.equal(made.iteration._voted(images), voted)
        assert torch.allclose(voted.softmax(1), sum(each(images).softmax(1) for each in made.students) / 2, atol=1e-6)  # type: ignore[arg-type]
        # Logits as those of one clone, by which recovered logits of a victim are compared.
        assert torch.allclose(voted.mean(1), torch.zeros(4), atol=1e-6)
        assert LOSSES["l1"](voted, voted.softmax(1)).max() < 1e-5
        alone = Made("dfme")
        alone.clones.eval()
        assert torch.allclose(alone.iteration._voted(images), alone.students[0](images), atol=1e-6)


@pytest.mark.parametrize("split", [False, True])
def test_differences_are_as_exact_in_half_precision(split: bool) -> None:
    gradients = []
    for precision in ("float32", "bfloat16"):
        made = Made("dfme", precision=precision, differences=Differences(epsilon=1e-3, split=split))
        points = torch.randn(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5), requires_grad=True)
        made.clones.eval()
        with torch.no_grad():
            in_full = made.students[0](points)
            in_part = made.iteration._logits_in_training(points)[0]
        assert torch.allclose(in_full, in_part, atol=1e-5) == (precision == "float32")
        found = made.iteration._train_generator(points, torch.Generator().manual_seed(0))
        assert found is not None
        gradients.append(found.gradient)
    assert torch.equal(*gradients)


def test_clones_disagree_exactly_in_half_precision() -> None:
    """What two clones that are nearly alike disagree on is less than bfloat16 can tell."""
    steps = []
    for precision in ("float32", "bfloat16"):
        made = Made("disguide", precision=precision, grey=None)
        points = torch.randn(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5), requires_grad=True)
        made.iteration._train_generator(points, torch.Generator().manual_seed(0))
        steps.append(points.grad)
    assert steps[0] is not None
    assert torch.equal(*steps)


@pytest.mark.parametrize("name", ["dfme", "disguide"])
def test_the_generators_step_is_computed_in_exact_float32(name: str) -> None:
    made, seen = Made(name), set()
    for student in made.students:
        student.register_forward_pre_hook(lambda module, _: seen.add((module.training, cudnn.allow_tf32)))
    made.step()
    assert seen == {(False, False), (True, True)}, "training may be faster"


def test_more_steps_of_the_generator_cost_more_and_are_all_seen() -> None:
    made = Made("dfme", generator_steps=3, clone_steps=1, differences=Differences(epsilon=1e-6))
    seen = made.step()
    assert made.oracle.spent == 8 * (3 * 2 + 1)
    # A millionth is far below a grey level.
    assert seen.zero_share == 1


def test_parts_name_all_that_changes() -> None:
    assert set(Made("maze").iteration.parts.modules) == {"generator", "clones", "critic"}
    assert set(Made("maze").iteration.parts.optimizers) == {"generator", "clones", "critic"}
    assert set(Made("dfme").iteration.parts.optimizers) == {"generator", "clones"}


def test_attacks_of_these_tests_are_of_each_kind() -> None:
    assert {attack.name for attack in ATTACKS.values()} == set(DataFree.model_fields["name"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "factor"), [("dfme", 1), ("maze-dfme", 2)])
def test_the_mean_over_ranks_is_the_gradient_of_the_whole_batch(name: str, factor: int) -> None:
    """Two ranks with the same share: the mean over the batch is the share's own, its sum is twice the share's."""
    alone = Made(name)
    shared = Made(name, batch_size=2 * alone.settings.batch_size, ranks=2)
    for made in (alone, shared):
        made.train_generator()
    for own, other in zip(alone.generator.parameters(), shared.generator.parameters(), strict=True):
        assert own.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(other.grad, factor * own.grad)
