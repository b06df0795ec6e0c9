"""Compare attacks over several seeds: which one succeeds more often, and is the difference larger than the noise?

Usage: python examples/08_study.py
"""

from pathlib import Path

from edgerift import run
from edgerift import study as studies
from edgerift.measure import spread
from edgerift.steps import Store

FILE = """
study: example
title: PGD, DIVA and the default attack
seeds: [0, 1, 2]
size: 16
data: [digits]
originals: {LeNet: {model: lenet}}
train: {epochs: 6, batch_size: 64}
adapt: {epochs: 1, batch_size: 64}
evasion:
  adaptations: [qat]
  attacks:
    pgd: {preset: pgd}
    diva: {preset: diva-2022}
    default: {preset: default}
  count: 40
  shown: diva
profiles: {tiny: {}}
"""


def main() -> None:
    """Run the study and print each attack's evasive rate over the seeds; a second run builds nothing."""
    path = Path("example.yaml")
    path.write_text(FILE, encoding="utf-8")
    study = studies.read_study(path, "tiny")
    cells, store = studies.make_cells(study), Store("store")
    for turn in ("first", "second"):
        workers = run.Here(run.Place(store=store.root))
        done = run.run_steps([cell.recipe for cell in cells], store, workers)
        print(f"{turn} run: {done.built} steps built")
    result = studies.collect(study, "tiny", cells, store)
    for name in ("pgd", "diva", "default"):
        found = spread([cell.report.attacks[name].evasive.value for cell in result.pairs])
        print(f"{name:<8} {found.value:>6.1%} [{found.low:.1%}, {found.high:.1%}] over {found.count} seeds")


if __name__ == "__main__":
    main()
