"""The oracle against simple models of it: what it answers, what that costs, and what it keeps to itself."""

import copy
import hashlib
import json
import threading
import time
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from counted_victim import CountedVictim, distinct_images
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from linear_pair import StandInBuild
from torch import Tensor, nn

from edgerift.defend import Defence, GaussianNoise, LabelOnly, ReverseSigmoid, Rounding, TopK
from edgerift.errors import BudgetError, InputError, ModelError, StoreError
from edgerift.extract import Oracle, image_keys, posteriors
from edgerift.extract import _oracle as oracle_module
from edgerift.images import to_float

IMAGES = distinct_images(60)


class Training(nn.Module):
    """A network whose answers in training mode differ from those in evaluation mode, and change it."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Dropout(), nn.Linear(32, 5)
            )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(images)
        return logits


@pytest.mark.parametrize(
    "chain",
    [
        (),
        ReverseSigmoid(beta=0.7),
        (TopK(k=3), Rounding(decimals=1)),
        (Rounding(decimals=1), TopK(k=3)),
        [GaussianNoise(sigma=0.2), LabelOnly()],
        TopK(k=2, renormalise=False),
    ],
    ids=range(6),
)
def test_answers_are_the_softmax_and_then_the_defences_in_order(chain: Defence | Sequence[Defence]) -> None:
    victim = CountedVictim()
    logits = victim.logits(IMAGES).double()
    expected = (logits.exp() / logits.exp().sum(1, keepdim=True)).float()
    clean = Oracle(victim, budget=60).ask(IMAGES)
    assert (clean.dtype, clean.shape) == (torch.float32, (60, 5))
    assert torch.allclose(clean, expected, atol=1e-6)
    answers = clean
    for defence in chain if isinstance(chain, tuple | list) else (chain,):
        answers = defence(answers)
    assert torch.equal(Oracle(victim, budget=60, defence=chain).ask(IMAGES), answers)


def test_a_module_is_asked_in_evaluation_mode_and_stays_as_it_is() -> None:
    victim = Training().train()
    before = copy.deepcopy(victim)
    oracle = Oracle(victim, budget=60)
    answers = oracle.ask(IMAGES[:50])
    with torch.no_grad():
        expected = before.eval()(to_float(IMAGES)).softmax(1)
    assert torch.allclose(answers, expected[:50], atol=1e-6)
    assert torch.allclose(posteriors(victim, IMAGES), expected, atol=1e-6)
    assert all(module.training for module in victim.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in victim.parameters())
    for name, tensor in victim.state_dict().items():
        assert torch.equal(tensor, before.state_dict()[name]), name
    with torch.no_grad():
        victim.body[-1].weight.zero_()
    assert torch.allclose(oracle.ask(IMAGES)[50:], expected[50:], atol=1e-6)
    assert not answers.requires_grad
    assert not answers.is_inference()


def test_a_build_and_a_function_are_asked_as_they_are() -> None:
    victim = CountedVictim()
    build = StandInBuild(victim.logits)
    for kind in (build, victim.logits, build.predict):
        assert torch.equal(Oracle(kind, budget=60).ask(IMAGES), victim.posteriors(IMAGES))
        assert torch.equal(posteriors(kind, IMAGES), victim.posteriors(IMAGES))


def test_a_function_with_gradients_gives_none_away() -> None:
    weight = torch.ones(48, 2, requires_grad=True)
    answers = Oracle(lambda images: images.flatten(1).float() @ weight, budget=60).ask(IMAGES)
    assert not answers.requires_grad


def test_neither_order_nor_batches_change_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_module, "PART", 7)
    victim = CountedVictim()
    expected = victim.posteriors(IMAGES)
    generator = torch.Generator().manual_seed(0)
    for size in (1, 5, 60):
        oracle = Oracle(victim, budget=60, defence=GaussianNoise(sigma=0.3))
        order = torch.randperm(60, generator=generator)
        answers = torch.cat([oracle.ask(IMAGES[chosen]) for chosen in order.split(size)])
        assert torch.equal(answers, GaussianNoise(sigma=0.3)(expected[order]))
        assert torch.equal(oracle.ask(IMAGES), GaussianNoise(sigma=0.3)(expected))
        assert (oracle.spent, oracle.remaining) == (60, 0)
    assert set(victim.asked.values()) == {3}


def test_each_image_is_paid_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_module, "PART", 4)
    victim = CountedVictim()
    oracle = Oracle(victim, budget=20)
    places = torch.tensor([3, 3, 9, 0, 3, 9, 12, 11, 10, 9, 1])
    answers = oracle.ask(IMAGES[places])
    assert torch.equal(answers, victim.posteriors(IMAGES[places]))
    assert (oracle.spent, oracle.remaining, oracle.budget) == (7, 13, 20)
    assert torch.equal(oracle.ask(IMAGES[:13]), victim.posteriors(IMAGES[:13]))
    assert oracle.spent == 13
    assert set(victim.asked.values()) == {1}


def test_what_was_looked_up_is_not_paid_for_again_where_somebody_has_meanwhile() -> None:
    victim = CountedVictim()
    oracle = Oracle(victim, budget=12)
    asked = IMAGES[:8]
    found = oracle.look_up(image_keys(asked))
    assert (found.new, found.spent) == (list(range(8)), 0)
    oracle.ask(IMAGES[4:12])
    assert torch.equal(oracle.answer(asked, found), victim.posteriors(asked))
    assert oracle.spent == 12
    assert set(victim.asked.values()) == {1}
    # What was looked up too late for the budget is not paid for at all.
    other = image_keys(IMAGES[11:13])
    with pytest.raises(BudgetError, match="1 new images cost more than the 0 left"):
        oracle.answer(IMAGES[11:13], oracle.look_up(other))
    assert oracle.spent == 12


def test_a_question_that_costs_too_much_costs_nothing() -> None:
    victim = CountedVictim()
    oracle = Oracle(victim, budget=10)
    oracle.ask(IMAGES[:4])
    with pytest.raises(BudgetError, match="7 new images cost more than the 6 left of a budget of 10"):
        oracle.ask(IMAGES[torch.tensor([0, 0, *range(3, 11)])])
    assert (oracle.spent, len(victim.asked)) == (4, 4)
    oracle.ask(IMAGES[torch.tensor([0, 0, *range(3, 10)])])
    assert (oracle.spent, oracle.remaining) == (10, 0)
    with pytest.raises(BudgetError, match="1 new images"):
        oracle.ask(IMAGES[9:11])
    assert torch.equal(oracle.ask(IMAGES[:10]), victim.posteriors(IMAGES[:10]))


def test_progress_ends_with_the_last_new_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_module, "PART", 8)
    told: list[tuple[object, ...]] = []
    oracle = Oracle(CountedVictim(), budget=60)
    oracle.ask(IMAGES[8:16])
    oracle.ask(IMAGES[:30], lambda *progress: told.append(progress))
    assert told == [("query the victim", done, 30) for done in (8, 24, 30)]
    oracle.ask(IMAGES[:30], lambda *progress: told.append(progress))
    assert len(told) == 3


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_is_at_least_one(budget: int) -> None:
    with pytest.raises(InputError, match=f"a budget of {budget} images"):
        Oracle(CountedVictim(), budget=budget)


@pytest.mark.parametrize(
    "images",
    [IMAGES.float(), IMAGES[0], IMAGES[:, :2], IMAGES[:0], IMAGES.char()],
    ids=["float", "one", "two channels", "no", "int8"],
)
def test_only_batches_of_images_are_answered(images: Tensor) -> None:
    with pytest.raises(InputError, match=r"uint8 images \[N,C,H,W\] of 1 or 3 channels, at least one"):
        Oracle(CountedVictim(), budget=9).ask(images)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (torch.zeros(3, 5), ModelError),
        (torch.zeros(4, 5, 1), ModelError),
        (torch.zeros(4), ModelError),
        (torch.full((4, 5), torch.nan), ModelError),
        (torch.full((4, 5), torch.inf), ModelError),
        (torch.zeros(4, 1), InputError),
    ],
    ids=range(6),
)
def test_a_victim_that_answers_nonsense_is_not_paid(tmp_path: Path, answer: Tensor, error: type[Exception]) -> None:
    with Oracle(lambda images: answer, budget=9, ledger=tmp_path / "ledger") as oracle:
        with pytest.raises(error):
            oracle.ask(IMAGES[:4])
        assert oracle.spent == 0
    assert not (tmp_path / "ledger").exists()


class Stop(Exception):  # noqa: N818
    pass


def test_an_attack_that_was_stopped_goes_on_without_paying_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle_module, "PART", 8)
    victim = CountedVictim()

    def stop(task: str, done: int, total: int, note: str = "") -> None:
        if done == 24:
            raise Stop

    with Oracle(victim, budget=60, ledger=tmp_path / "ledger") as oracle:
        with pytest.raises(Stop):
            oracle.ask(IMAGES, stop)
        assert oracle.spent == 24
    with Oracle(victim, budget=60, ledger=str(tmp_path / "ledger")) as oracle:
        assert oracle.spent == 24
        assert torch.equal(oracle.ask(IMAGES), victim.posteriors(IMAGES))
    assert set(victim.asked.values()) == {1}
    with Oracle(victim, budget=10, ledger=tmp_path / "ledger") as oracle:
        assert (oracle.spent, oracle.remaining) == (60, 0)
        assert torch.equal(oracle.ask(IMAGES[:30]), victim.posteriors(IMAGES[:30]))


def test_a_torn_batch_is_asked_about_again_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bits of a float model's answers depend on the batch, so the batches of a second run are the first's."""
    monkeypatch.setattr(oracle_module, "PART", 16)
    path = tmp_path / "ledger"
    with Oracle(CountedVictim(), budget=60, ledger=path) as oracle:
        oracle.ask(IMAGES)
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    sizes: list[int] = []

    def watch(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return CountedVictim()(images)

    path.write_bytes(whole[: header + 12 + 16 * 36 + 12 + 7 * 36])
    with Oracle(watch, budget=60, ledger=path) as oracle:
        assert oracle.spent == 16
        oracle.ask(IMAGES)
    assert sizes == [16, 16, 12]
    assert path.read_bytes() == whole


def test_what_was_paid_for_can_be_read_after_closing(tmp_path: Path) -> None:
    with Oracle(CountedVictim(), budget=60, ledger=tmp_path / "ledger") as oracle:
        answers = oracle.ask(IMAGES[:5])
    assert torch.equal(oracle.ask(IMAGES[:5]), answers)
    with pytest.raises(StoreError, match="closed"):
        oracle.ask(IMAGES[:6])
    assert oracle.spent == 5


def test_an_oracle_can_be_closed_by_another_thread(tmp_path: Path) -> None:
    oracle = Oracle(CountedVictim(), budget=60, ledger=tmp_path / "ledger")
    thread = threading.Thread(target=oracle.close)
    thread.start()
    thread.join()
    Oracle(CountedVictim(), budget=60, ledger=tmp_path / "ledger").close()


def test_a_ledger_belongs_to_one_victim_and_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    chain = (TopK(k=3), Rounding(decimals=1))
    first, second = Training(), Training()
    with torch.no_grad():
        second.body[-1].bias[0] += 1e-3
    with Oracle(first, budget=60, defence=chain, ledger=path) as oracle:
        oracle.ask(IMAGES)
    Oracle(copy.deepcopy(first).eval(), budget=5, defence=chain, ledger=path).close()
    for victim, defences in [
        (second, chain),
        (first, chain[::-1]),
        (first, chain[:1]),
        (first, ()),
        (first, (TopK(k=3), Rounding(decimals=2))),
        (StandInBuild(CountedVictim()), chain),
        (CountedVictim(), chain),
    ]:
        with pytest.raises(StoreError, match="another victim or to other defences"):
            Oracle(victim, budget=60, defence=defences, ledger=path)


def test_a_ledger_from_when_defences_had_a_name_for_a_type_goes_on(tmp_path: Path) -> None:
    described = ["", [{"name": "top-k", "k": 3, "renormalise": True}]]
    with Oracle(CountedVictim(), budget=60, defence=TopK(k=3), ledger=tmp_path / "ledger") as oracle:
        oracle.ask(IMAGES)
    identity = json.loads((tmp_path / "ledger").read_bytes().splitlines()[0])["identity"]
    assert identity == hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]


def test_a_function_of_other_classes_cannot_use_a_ledger(tmp_path: Path) -> None:
    with Oracle(CountedVictim(5), budget=60, ledger=tmp_path / "ledger") as oracle:
        oracle.ask(IMAGES[:5])
    with Oracle(CountedVictim(6), budget=60, ledger=tmp_path / "ledger") as oracle:
        with pytest.raises(StoreError, match="5 classes, this one has 6"):
            oracle.ask(IMAGES[:6])
        assert oracle.spent == 5


def reachable(start: object) -> Iterator[object]:
    """Walk attributes, slots, items and what methods are bound to; not what functions close over."""
    seen: set[int] = set()
    left = [start]
    while left:
        found = left.pop()
        if id(found) in seen or isinstance(found, type | types.ModuleType):
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, dict):
            left += [*found.keys(), *found.values()]
        elif isinstance(found, list | tuple | set | frozenset):
            left += found
        slots = [name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in [
            *slots,
            *getattr(found, "__dict__", {}),
            "__self__",
            "__wrapped__",
            "__defaults__",
            "__kwdefaults__",
        ]:
            if name != "__weakref__" and hasattr(found, name):
                left.append(getattr(found, name))


@pytest.mark.parametrize("kind", ["module", "build", "method", "function"])
def test_no_attribute_leads_to_the_victim(tmp_path: Path, kind: str) -> None:
    build = StandInBuild(CountedVictim())
    victim = {"module": Training(), "build": build, "method": build.predict, "function": CountedVictim()}[kind]
    secrets = nn.Module, StandInBuild, CountedVictim
    with Oracle(victim, budget=60, defence=TopK(k=2), ledger=tmp_path / "ledger") as oracle:
        oracle.ask(IMAGES)
        everything = list(reachable(oracle))
        assert any(found is oracle._ledger for found in everything)
        assert not [found for found in everything if isinstance(found, secrets)]
    assert [found for found in reachable([types.SimpleNamespace(held=victim)]) if isinstance(found, secrets)]


def test_threads_never_spend_more_than_the_budget(tmp_path: Path) -> None:
    """Sixteen threads ask for overlapping parts of 600 images with a budget of 371, of a victim that takes its time."""
    images = distinct_images(600)

    class Slow(CountedVictim):
        def __call__(self, images: Tensor) -> Tensor:
            time.sleep(0.002)
            return super().__call__(images)

    victim = Slow()
    expected = victim.posteriors(images)
    refused, answered, wrong = [], [], []

    def ask(number: int, oracle: Oracle) -> None:
        generator = torch.Generator().manual_seed(number)
        for _ in range(12):
            places = torch.randint(600, (int(torch.randint(1, 30, (), generator=generator)),), generator=generator)
            try:
                answers = oracle.ask(images[places])
            except BudgetError:
                refused.append(places)
                continue
            answered.extend(places.tolist())
            if not torch.equal(answers, expected[places]) or oracle.spent > 371:
                wrong.append(places)

    with Oracle(victim, budget=371, ledger=tmp_path / "ledger") as oracle:
        threads = [threading.Thread(target=ask, args=(number, oracle)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert refused
        assert oracle.spent == len(set(answered)) == len(victim.asked) <= 371
        assert set(victim.asked.values()) == {1}
        left = sorted(set(range(600)) - set(answered))[: oracle.remaining]
        if left:
            oracle.ask(images[torch.tensor(left)])
        assert (oracle.spent, oracle.remaining) == (371, 0)
    with Oracle(victim, budget=371, ledger=tmp_path / "ledger") as oracle:
        assert oracle.spent == 371
        assert torch.equal(oracle.ask(images[torch.tensor(answered)]), expected[torch.tensor(answered)])


PART = 3


class Machine(RuleBasedStateMachine):
    """An oracle with a ledger against a list of the images paid for, in blocks, through closing and tearing."""

    folder: Path

    @initialize(budget=st.integers(1, 20))
    def begin(self, budget: int) -> None:
        self.path = self.folder / f"{time.perf_counter_ns()}"
        self.budget = budget
        self.victim = CountedVictim()
        self.expected = self.victim.posteriors(IMAGES)
        self.blocks: list[list[int]] = []
        self.charged = 0
        self.oracle = Oracle(self.victim, budget=budget, ledger=self.path)

    def paid(self) -> list[int]:
        return [place for block in self.blocks for place in block]

    @rule(places=st.lists(st.integers(0, 29), min_size=1, max_size=12))
    def ask(self, places: list[int]) -> None:
        new = [place for place in dict.fromkeys(places) if place not in self.paid()]
        images = IMAGES[torch.tensor(places)]
        if len(new) > max(0, self.budget - len(self.paid())):
            with pytest.raises(BudgetError):
                self.oracle.ask(images)
            return
        assert torch.equal(self.oracle.ask(images), self.expected[places])
        self.charged += len(new)
        self.blocks += [new[start : start + PART] for start in range(0, len(new), PART)]

    @rule(budget=st.integers(1, 20))
    def reopen(self, budget: int) -> None:
        self.oracle.close()
        self.budget = budget
        self.oracle = Oracle(self.victim, budget=budget, ledger=self.path)

    @precondition(lambda self: self.blocks)
    @rule(lost=st.integers(1, 200))
    def tear(self, lost: int) -> None:
        self.oracle.close()
        sizes = [12 + len(block) * 36 for block in self.blocks]
        lost = min(lost, sum(sizes))
        with self.path.open("r+b") as file:
            file.truncate(self.path.stat().st_size - lost)
        while lost > 0:
            lost -= sizes.pop()
            self.blocks.pop()
        self.oracle = Oracle(self.victim, budget=self.budget, ledger=self.path)

    @invariant()
    def agrees(self) -> None:
        paid = self.paid()
        assert self.oracle.spent == len(paid)
        assert self.oracle.remaining == max(0, self.budget - len(paid))
        assert self.victim.asked.total() == self.charged
        if paid:
            assert torch.equal(self.oracle.ask(IMAGES[torch.tensor(paid)]), self.expected[paid])

    def teardown(self) -> None:
        if hasattr(self, "oracle"):
            self.oracle.close()


def test_an_oracle_is_its_simple_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_module, "PART", PART)
    # The state machine is about what is in the file, not about when it reaches the disk.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)

    class Here(Machine):
        folder = tmp_path

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


class NotingPrecision(nn.Module):
    """A victim that notes in which arithmetic cuDNN would convolve when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def __deepcopy__(self, memo: object) -> "NotingPrecision":
        return self

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(torch.backends.cudnn.allow_tf32)
        return images.mean((2, 3))


@pytest.mark.parametrize("pixels", ["whole", "float"])
def test_a_float_victim_is_asked_in_float32(pixels: str) -> None:
    victim = NotingPrecision()
    Oracle(victim, budget=4, pixels=pixels).stream(torch.rand(4, 3, 8, 8))  # type: ignore[arg-type]
    assert victim.seen
    assert not any(victim.seen)
    assert torch.backends.cudnn.allow_tf32
