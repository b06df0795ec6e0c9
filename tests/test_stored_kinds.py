"""Every kind of result in a store: a byte flipped in any of its files is refused with its remedy, never used."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_pair import SmallPair

from edgerift import cli, zoo
from edgerift.adapt import (
    AdaptRecipe,
    Allowance,
    AttemptRecipe,
    CompressRecipe,
    Divqat,
    FinetuneRecipe,
    FloatLogitsRecipe,
    HardenedRecipe,
    Pruning,
    PtqSettings,
    QatSettings,
    TunedRecipe,
)
from edgerift.audit import AuditRecipe, SurrogateRecipe
from edgerift.defend import GuardRecipe
from edgerift.deploy import BuildRecipe
from edgerift.differ import DifferRecipe, DifferSettings
from edgerift.errors import StoreError
from edgerift.evade import EvadeRecipe, EvadeShard, PairSettings, SelectRecipe, preset
from edgerift.extract import DataFree, DataFreeRecipe, Differences, ExtractRecipe, Knockoff, QuerySettings
from edgerift.flips import FlipSettings, FlipsRecipe
from edgerift.harden import (
    DataFreeHardenRecipe,
    EvasionHardenRecipe,
    HardenRecipe,
    MisleadingRecipe,
    TrialRecipe,
    TunedAnswersRecipe,
)
from edgerift.steps import Recipe, Store, entries, verify
from edgerift.study import PairRecipe
from edgerift.train import TrainRecipe, TrainSettings

TRAIN = TrainSettings(epochs=1, batch_size=64, learning_rate=0.05, device="cpu")
QAT = QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN)
THIEF = Knockoff(student="lenet", training=TRAIN)
DFME = DataFree(
    name="dfme",
    differences=Differences(epsilon=0.5),
    student="lenet",
    batch_size=8,
    latent=8,
    width=4,
)


class Table:
    """A small recipe of each kind, on a pair that is a file and on an original that is trained."""

    def __init__(self, pair: SmallPair) -> None:
        self.images, self.given = pair.images, pair.settings()

    @property
    def train(self) -> TrainRecipe:
        architecture = zoo.Architecture(name="lenet", classes=10, size=12)
        return TrainRecipe(images=self.images, architecture=architecture, settings=TRAIN)

    @property
    def adapt(self) -> AdaptRecipe:
        return self.qat.replace(method="ptq")

    @property
    def qat(self) -> AdaptRecipe:
        return AdaptRecipe(original=self.given.original, images=self.images, target="server", settings=QAT)

    @property
    def build(self) -> BuildRecipe:
        return BuildRecipe(program=self.adapt, runtime="onnxruntime")

    @property
    def evade(self) -> EvadeRecipe:
        return EvadeRecipe(pair=self.given, images=self.images, attack=preset("default", 16, 2), count=8)

    @property
    def hardened(self) -> HardenedRecipe:
        return HardenedRecipe(
            original=self.given.original, images=self.images, target="server", settings=QAT, defence=Divqat(alpha=1.0)
        )

    @property
    def harden(self) -> HardenRecipe:
        return HardenRecipe(
            original=self.given.original,
            images=self.images,
            target="server",
            runtime="onnxruntime",
            settings=QAT,
            rows=("ptq", "qat"),
            queries=QuerySettings(images=self.images, collages=32),
            budget=32,
            attack=THIEF,
        )

    @property
    def extract(self) -> ExtractRecipe:
        queries = QuerySettings(images=self.images, collages=32)
        return ExtractRecipe(victim=self.given.build, images=self.images, queries=queries, budget=32, attack=THIEF)

    @property
    def trial(self) -> TrialRecipe:
        return TrialRecipe(
            original=self.given.original,
            program=self.adapt,
            build=self.build,
            images=self.images,
            coverage=0.9,
            epsilons=(2,),
            steps=2,
            count=8,
        )

    @property
    def pair(self) -> PairSettings:
        return PairSettings(original=self.given.original, program=self.adapt, build=self.build)


KINDS: dict[str, Callable[[Table], Recipe]] = {
    "given-original": lambda table: table.given.original,
    "given-program": lambda table: table.given.program,
    "given-build": lambda table: table.given.build,
    "train": lambda table: table.train,
    "adapt": lambda table: table.adapt,
    "finetune": lambda table: FinetuneRecipe(original=table.given.original, images=table.images, settings=TRAIN),
    "compress": lambda table: CompressRecipe(
        original=table.given.original, images=table.images, compression=Pruning(train=TRAIN)
    ),
    "float-logits": lambda table: FloatLogitsRecipe(program=table.adapt),
    "build": lambda table: table.build,
    "calibrate-guard": lambda table: GuardRecipe(build=table.build, images=table.images, coverage=0.9),
    "hardened": lambda table: table.hardened,
    "attempt": lambda table: AttemptRecipe(hardened=table.hardened),
    "tuned": lambda table: TunedRecipe(hardened=table.hardened, allowance=Allowance(high=1.0, steps=0)),
    "tuned-answers": lambda table: TunedAnswersRecipe(
        defence="reverse-sigmoid", build=table.build, reference=table.build, images=table.images, budget_l1=0.6
    ),
    "train-misleading": lambda table: MisleadingRecipe(
        original=table.given.original, images=table.images, settings=TRAIN
    ),
    "select": lambda table: SelectRecipe(pair=table.given, images=table.images),
    "evade": lambda table: table.evade,
    "evade-shard": lambda table: EvadeShard(evade=table.evade, parts=1),
    "extract": lambda table: table.extract,
    "surrogate": lambda table: SurrogateRecipe(extract=table.extract, knows="answers", target="server"),
    "data-free": lambda table: DataFreeRecipe(
        victim=table.build, images=table.images, budget=2 * DFME.queries, attack=DFME, points=1
    ),
    "audit": lambda table: AuditRecipe(
        pair=table.given, images=table.images, attacks={"default": table.evade.attack}, main="default", count=8
    ),
    "differ": lambda table: DifferRecipe(
        pair=table.given, images=table.images, settings=DifferSettings(epsilon=24, step=6, steps=2), count=24
    ),
    "flips": lambda table: FlipsRecipe(
        program=table.given.program,
        images=table.images,
        runtime="onnxruntime",
        settings=FlipSettings(flips=1, images=16, trials=1, candidates=1),
        count=40,
    ),
    "harden": lambda table: table.harden,
    "evasion-trial": lambda table: table.trial,
    "harden-evasion": lambda table: EvasionHardenRecipe(
        original=table.given.original,
        images=table.images,
        target="server",
        runtime="onnxruntime",
        settings=QAT,
        means=("ptq",),
        epsilon=2,
        judging="default",
        steps=2,
        count=8,
    ),
    "data-free-harden": lambda table: DataFreeHardenRecipe(
        victims=table.harden.victims, attacks=(DFME,), rows=("qat",), budget=2 * DFME.queries, points=1
    ),
    "pair": lambda table: PairRecipe(
        pair=table.pair, images=table.images, attacks={"default": table.evade.attack}, count=8
    ),
}
#: Each of them takes a minute.
SLOW = ("tuned", "harden", "data-free-harden")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all kinds, which start from each other's results."""
    return tmp_path_factory.mktemp("kinds")


def test_the_table_has_every_kind() -> None:
    assert cli.main is not None

    def below(kind: type[Recipe]) -> Iterator[type[Recipe]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    kinds = {each.model_fields["type"].default for each in below(Recipe) if each.__module__.startswith("edgerift.")}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow if kind in SLOW else ()) for kind in KINDS])
def test_no_flipped_byte_is_used(small_pair: SmallPair, root: Path, kind: str) -> None:
    recipe = KINDS[kind](Table(small_pair))
    folder = Store(root).get(recipe)
    assert folder.name.rpartition("-")[0] == kind
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert {"recipe.json", "SHA256SUMS"} < {path.name for path in files}
    for path in files:
        whole = path.read_bytes()
        for place in sorted({0, len(whole) // 2, len(whole) - 1}):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            with pytest.raises(StoreError) as caught:
                Store(root).get(recipe)
            message = str(caught.value)
            assert message.startswith(f"the result {folder.name} ")
            assert message.endswith(f"; delete {folder} and run again")
            assert "\n" not in message
            assert [verify(entry).state for entry in entries(Store(root)) if entry.folder == folder] == ["damaged"]
        path.write_bytes(whole)
    assert Store(root).find(recipe) == folder


def test_a_file_by_path_is_what_its_recipe_names(small_pair: SmallPair, tmp_path: Path) -> None:
    """What was changed between naming and opening is refused, and what the store has is compared with the name."""
    for name in ("original", "program", "build"):
        recipe = getattr(small_pair.settings(), name)
        whole = recipe.path.read_bytes()
        copy = tmp_path / recipe.path.name
        copy.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        store = Store(tmp_path / name)
        with pytest.raises(Exception, match="has changed since it was named"):
            store.get(recipe.replace(path=copy))
        folder = store.get(recipe)
        ((file, digest),) = recipe.named_files().items()
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest == hashlib.sha256(whole).hexdigest()
        # A store of an earlier edgerift has no seal to tell by.
        (folder / "SHA256SUMS").unlink()
        (folder / file).write_bytes(copy.read_bytes())
        with pytest.raises(StoreError, match=f"{file} is not the file that its recipe names"):
            Store(tmp_path / name).get(recipe)
