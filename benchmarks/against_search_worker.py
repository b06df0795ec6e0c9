"""One side of against_search.py: runs with the sources that PYTHONPATH names, the old ones or the new ones."""

from __future__ import annotations

import gc
import json
import sys
import time
import warnings
from pathlib import Path

import torch

from edgerift import deploy, images, train, zoo
from edgerift.evade import Pair, Selection, preset, search_selected, select


def main() -> None:
    """Open the pair, then run the attack that each line of the input names, and answer a line of JSON."""
    folder, root, count, batch = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    train.keep_freed_memory()  # As the command line of both sides does.
    warnings.simplefilter("ignore")
    program = deploy.Program.load(folder / "program.safetensors")
    original = zoo.load(folder / "original.safetensors")
    pair = Pair(original, program, deploy.open_build(folder / "model.pte"))
    test = images.load("cifar10", size=32, root=root).test
    found = select(pair, test.select(torch.arange(min(len(test), 5 * count))))
    chosen = Selection(found.index[:count], found.original[:count], found.build[:count], found.dropped)
    steering = pair.white_box()
    for line in sys.stdin:
        gc.collect()
        started = time.process_time()
        result = search_selected(pair, test, chosen, preset(line.strip()), steering=steering, batch_size=batch)
        spent = time.process_time() - started
        means = {
            "gradient calls": result.gradient_calls,
            "build queries": result.build_questions,
            "original queries": result.original_questions,
        }
        answer = {
            "seconds": spent,
            "images": len(result),
            "evasive": result.index[result.evasive].tolist(),
            "void": int(result.void.sum()),
            "precision": getattr(result, "precision", "float32"),
            **{name: float(value.float().mean()) for name, value in means.items()},
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
