"""Cost of an iteration of a data-free attack, relative to its bare forward and backward passes.

    python benchmarks/datafree.py [--attacks dfme disguide] [--student resnet8] [--victim resnet8] [--size 32] \
        [--batch 64] [--width 32] [--device cpu] [--precision float32] [--iterations 8] [--turns 5] \
        [--out benchmarks/datafree.json]

The bare passes are plain PyTorch on the same networks and the same batches: for each generator step the generator
forward and backward, the victim on every image that is paid for and the clones on its answers; for each clone step the
generator forward, the victim forward and the clones forward and backward; the optimisers' steps of both. What the
attack always computes in float32 is in float32 here too. The bare passes have no ledger, checksums, checkpoint, whole
grey levels, differences, loss, or copies into the replay memory (its steps train on a ready batch). Both run in turns.
The ratio is the median over turns, of CPU time on a CPU and of wall-clock time on a GPU. `--full` extrapolates the time
of the published budget of 20 million queries, and reports the share of the device's peak that the passes reach
(`--peak` in TFLOP/s).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgerift import zoo
from edgerift.extract import DataFree, Oracle, data_free
from edgerift.extract._clones import make_clones
from edgerift.extract._generator import Generator, squashed
from edgerift.train import exact_float32, keep_freed_memory

CLASSES = 10
FULL_BUDGET = 20_000_000


class Bare:
    """The forward and backward passes of an iteration, and nothing else."""

    def __init__(self, settings: DataFree, victim: nn.Module, size: int, device: torch.device) -> None:
        """Make the same networks as the attack has."""
        self.settings, self.size, self.device = settings, size, device
        self.generator = Generator(settings.latent, size, affine=settings.affine, width=settings.width)
        self.clones = nn.ModuleList(make_clones(settings.student, settings.clones, CLASSES, size, 0))
        self.victim = victim
        for module in (self.generator, self.clones):
            module.to(device, memory_format=torch.channels_last).train()
        self.optimizers = [
            torch.optim.Adam(self.generator.parameters(), fused=True),
            torch.optim.SGD(self.clones.parameters(), 0.01, momentum=0.9, fused=True),
        ]
        shape = (settings.batch_size, 3, size, size)
        self.ready = torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last)

    def __call__(self) -> None:
        """Run one iteration's passes."""
        settings = self.settings
        for _ in range(settings.generator_steps):
            # As the attack does: TF32 would hide small differences.
            with exact_float32():
                images = self._generator_step()
        for step in range(settings.clone_steps):
            if step > 0 or not settings.reuse:
                images = self._asked()
            self._clone_step(images)
        for _ in range(0 if settings.rehearsal is None else settings.rehearsal.steps):
            self._clone_step(self.ready)

    def _asked(self) -> Tensor:
        with torch.no_grad():
            with self._autocast():
                points = self._make()
            images = squashed(points.float())
            with exact_float32():
                self.victim(images)
        return images

    def _generator_step(self) -> Tensor:
        differences = self.settings.differences
        self.clones.eval().requires_grad_(False)
        with self._autocast():
            points = self._make()
        points = points.float()
        images = squashed(points.detach())
        if differences is None:
            loss = sum(clone(squashed(points)).sum() for clone in self.clones)
        else:
            with torch.no_grad():
                for _ in range(differences.queries):
                    self.victim(images)
                    if not differences.split:
                        self.clones[0](images)
            loss = points.sum()
            if differences.split:
                self.clones[0](images.clone().requires_grad_()).sum().backward()
        self.optimizers[0].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers[0].step()
        self.clones.train().requires_grad_(True)
        return images

    def _clone_step(self, images: Tensor) -> None:
        self.optimizers[1].zero_grad(set_to_none=True)
        with self._autocast():
            loss = sum(clone(images).float().sum() for clone in self.clones)
        loss.backward()
        self.optimizers[1].step()

    def _make(self) -> Tensor:
        latent = torch.randn(self.settings.batch_size, self.settings.latent, device=self.device)
        points: Tensor = self.generator(latent)
        return points.contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> torch.autocast:
        enabled = self.settings.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


def measured(settings: DataFree, victim: zoo.Classifier, given: argparse.Namespace) -> dict[str, Any]:
    """Compare one attack's iteration with its bare passes."""
    device = torch.device(given.device)
    victim = victim.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    bare = Bare(settings, victim, given.size, device)

    def passes() -> None:
        for _ in range(given.iterations):
            bare()

    seconds: dict[str, list[float]] = {"bare": [], "attack": []}
    passes()
    for _ in range(given.turns):
        seconds["bare"].append(clocked(passes, device) / given.iterations)
        seconds["attack"].append(attacked(settings, victim, given) / given.iterations)
    with FlopCounterMode(display=False) as counter:
        bare()
    ratios = [attack / plain for attack, plain in zip(seconds["attack"], seconds["bare"], strict=True)]
    found = {
        "attack": settings.name,
        "queries": settings.queries,
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "queries_per_second": settings.queries / statistics.median(seconds["attack"]),
        "flop": counter.get_total_flops(),
    }
    if given.full:
        found["full_minutes"] = FULL_BUDGET / found["queries_per_second"] / 60
        found["utilisation"] = found["flop"] / found["seconds"]["attack"] / (given.peak * 1e12)
    return found


def attacked(settings: DataFree, victim: nn.Module, given: argparse.Namespace) -> float:
    """Run the attack with its ledger and its checkpoint on the disk, and clock the iterations behind the first two."""
    began, ended = [0.0], [0.0]
    warm = 2 * settings.queries

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        if done == warm:
            began[0] = now(torch.device(given.device))
        if done == total:
            ended[0] = now(torch.device(given.device))

    with tempfile.TemporaryDirectory() as folder:
        budget = (given.iterations + 2) * settings.queries
        with Oracle(victim, budget=budget, ledger=Path(folder) / "ledger", pixels=given.pixels) as oracle:
            checkpoint = Path(folder) / "checkpoint"
            data_free(
                oracle,
                settings,
                classes=CLASSES,
                size=given.size,
                points=1,
                progress=progress,
                checkpoint=checkpoint,
            )
    return ended[0] - began[0]


def clocked(action: Callable[[], None], device: torch.device) -> float:
    """Time an action to its end on the device."""
    began = now(device)
    action()
    return now(device) - began


def now(device: torch.device) -> float:
    """Read the clock when the device has done all that it was given."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", nargs="+", default=["dfme", "maze", "disguide"])
    parser.add_argument("--student", default="resnet8")
    parser.add_argument("--victim", default="resnet8")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--pixels", choices=["whole", "float"], default="float")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peak", type=float, default=990.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/datafree.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    victim = zoo.create(given.victim, CLASSES, size=given.size).eval().requires_grad_(False)
    rows = []
    print(f"{'attack':<14}{'bare ms':>10}{'attack ms':>11}{'ratio':>8}{'queries/s':>11}")
    for name in given.attacks:
        settings = DataFree.model_validate(
            {
                "name": name,
                "student": given.student,
                "batch_size": given.batch,
                "width": given.width,
                "device": given.device,
                "precision": given.precision,
                "compile": given.compile,
            }
        )
        row = measured(settings, victim, given)
        rows.append(row)
        times = [1000 * row["seconds"][kind] for kind in ("bare", "attack")]
        print(f"{name:<14}{times[0]:>10.1f}{times[1]:>11.1f}{row['ratio']:>8.2f}{row['queries_per_second']:>11.0f}")
        if given.full:
            print(f"  20 M queries: {row['full_minutes']:.1f} min; {row['utilisation']:.1%} of the peak")
    facts = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
    given.out.write_text(json.dumps({"torch": torch.__version__, "settings": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
