"""What the checks of `edgerift verify` say of honest and of tampered builds: `python benchmarks/verify.py`.

With `--rates` the base rates of honest quantizers are measured instead, and written to the table that ships with
edgerift; `--rates NAME ...` measures those of some quantizers and leaves the others as they are. `--foreign DIR` adds
the files of other tools that `benchmarks/foreign_files.py DIR` and `benchmarks/tflite_files.py DIR` made. The cases use
other seeds than the rates. `--keep DIR` keeps what was trained, so that it can be made in pieces; of that network both
scripts make files with `--given DIR`.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import tables
import torch
from torch import Tensor, nn

from edgerift import images, train, zoo
from edgerift.adapt import RoundingSettings, folded_layers, ptq, qat, reround, weights_digest
from edgerift.deploy import Program, stored_layers
from edgerift.images import ImageSet
from edgerift.train import TrainSettings
from edgerift.verify import QUANTIZERS, BaseRate, BaseRates, Verification, base_rates, verify

RATES: Final = Path(__file__).parents[1] / "src" / "edgerift" / "verify" / "base_rates.json"
RESULT: Final = Path(__file__).with_suffix(".json")
PAGE: Final = Path(__file__).parents[1] / "docs" / "verify.md"
SEEDS: Final = 3
BATCH: Final = 64
CHOSEN: Final = ("adaround", "reround")
#: Steps of AdaRound: as many as a repair takes, and ten times that.
LONG: Final = {"adaround": 300, "adaround, 3000 steps": 3000}
LEARNING_RATES: Final = (0.0003, 0.001, 0.003, 0.01)
#: Tools that other files' names begin with, by the quantizer whose rules they follow.
TOOLS: Final = {name: name for name in ("onnxruntime", "nncf", "aimet", "brevitas", "adaround", "litert")}


class Case(NamedTuple):
    """A build to verify: its name, whether it is honest, and what `verify` takes."""

    name: str
    honest: bool
    original: nn.Module
    program: Program | None = None
    build: Path | None = None
    quantizer: str | None = None


def trained(data: ImageSet, network: str, seed: int, epochs: int) -> zoo.Classifier:
    """Train an original."""
    torch.manual_seed(seed)
    model = zoo.create(network, classes=len(data.classes), size=data.shape.size, seed=seed)
    settings = TrainSettings(epochs=epochs, batch_size=BATCH, learning_rate=0.05, seed=seed, device="cpu")
    return train.fit(model, data, None, settings=settings)


def quantized_further(original: nn.Module, data: ImageSet, rate: float, epochs: int, seed: int) -> Program:
    """Quantization-aware training at one learning rate."""
    return qat(original, data, None, learning_rate=rate, epochs=epochs, batch_size=BATCH, seed=seed, device="cpu")


class Kept(NamedTuple):
    """A folder of what was trained for one data set, in which nothing is trained twice."""

    folder: Path

    def model(self, name: str, make: Callable[[], zoo.Classifier]) -> zoo.Classifier:
        """Load a model, or make it."""
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            zoo.save(make(), path)
            print(f"made {name}", flush=True)
        return zoo.load(path).eval()

    def program(self, name: str, make: Callable[[], Program]) -> Program:
        """Load a program, or make it."""
        path = self.folder / f"{name}.program.safetensors"
        if not path.is_file():
            make().save(path)
            print(f"made {name}", flush=True)
        return Program.load(path)

    def describe(self, original: zoo.Classifier, data: ImageSet) -> None:
        """Write weights and images for calibration in a form that other environments read."""
        weights = {name.removeprefix("body."): value.numpy() for name, value in original.state_dict().items()}
        np.savez(self.folder / "given.npz", images=data.images[:512].numpy(), **weights)


def turned(program: Program, share: float, seed: int = 0) -> Program:
    """Turn a share of the roundings to the other neighbour, which takes the float weights to know."""
    return _with_codes(program, lambda codes, other, draw: torch.where(draw < share, other, codes), seed)


def _with_codes(program: Program, choose: Any, seed: int) -> Program:
    generator = torch.Generator().manual_seed(seed)
    changed: dict[str, Tensor] = {}
    for layer in stored_layers(program):
        residual = FLOATS[layer.name] / layer.scale - layer.codes
        other = (layer.codes + residual.sign().long()).clamp(layer.low, layer.high)
        draw = torch.rand(layer.codes.shape, generator=generator)
        name = f"{layer.name}.weight"
        changed[name] = choose(layer.codes, other, draw).to(program.tensors[name].dtype)
    return program.with_tensors(changed)


#: The folded float weights of the original at hand, by layer.
FLOATS: dict[str, Tensor] = {}


def with_bit(program: Program, layer: str, bit: int) -> Program:
    """Flip one bit of a layer's first code."""
    name = f"{layer}.weight"
    codes = program.tensors[name].clone()
    flat = codes.view(-1).view(torch.uint8)
    flat[0] ^= 1 << bit
    return program.with_tensors({name: codes})


def moved_inside(original: nn.Module, program: Program, seed: int = 0) -> nn.Module:
    """Move the float weights inside of their codes: the program of the result is the same."""
    generator = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(original)
    own = dict(model.named_parameters())
    for layer in stored_layers(program):
        weight = own.get(f"{layer.name}.weight")
        if weight is None or layer.scale is None:
            continue
        folded = FLOATS[layer.name]
        gain = (folded.flatten(1) * weight.detach().double().flatten(1)).sum(1)
        gain = gain / weight.detach().double().flatten(1).square().sum(1)
        shift = (torch.randn(folded.shape, generator=generator, dtype=torch.float64) * 0.3).clamp(-0.499, 0.499)
        levels = torch.where(layer.codes.abs() >= layer.high, folded / layer.scale, layer.codes + shift)
        weight.data = (levels * layer.scale / gain.view([-1] + [1] * (folded.dim() - 1))).float()
    return model


def cases(data: ImageSet, network: str, epochs: int, seed: int, kept: Kept) -> Iterator[Case]:
    """Make the builds of edgerift's own, honest ones first."""
    original = kept.model("original", lambda: trained(data, network, seed, epochs))
    program = kept.program("ptq", lambda: ptq(original, data, calibration_images=512))
    FLOATS.clear()
    FLOATS.update((layer.name, layer.weight) for layer in folded_layers(original, program.shape))
    kept.describe(original, data)
    yield from honest_cases(original, program, data, seed, kept)
    yield from tampered_cases(original, program, len(data.classes))
    other = kept.model("another", lambda: trained(data, network, seed + 1, epochs))
    yield Case("another seed's original", False, other, program)


def honest_cases(original: nn.Module, program: Program, data: ImageSet, seed: int, kept: Kept) -> Iterator[Case]:
    """Quantize an original in ways that nobody is to be accused of."""
    yield Case("PTQ, mobile", True, original, program)
    server = kept.program("server", lambda: ptq(original, data, target="server", calibration_images=512))
    yield Case("PTQ, server", True, original, server)
    for rate in LEARNING_RATES[:3]:
        further = kept.program(f"qat-{rate:g}", partial(quantized_further, original, data, rate, 1, seed))
        yield Case(f"QAT, 1 epoch at {rate:g}", True, original, further)
    yield onnxruntime_case(original, data, kept.folder)
    for name, kind in {"AdaRound": "adaround", "re-rounded as a repair": "reround"}.items():
        chosen = kept.program(kind, partial(chosen_roundings, original, program, data, kind))
        yield Case(name, True, original, chosen)


def tampered_cases(original: nn.Module, program: Program, classes: int) -> Iterator[Case]:
    """Tamper with the program of an original, or with the original."""
    yield Case("20 % of the roundings turned", False, original, turned(program, 0.2))
    yield Case("1 % of the roundings turned", False, original, turned(program, 0.01))
    moved = moved_inside(original, program)
    claimed = program.provenance.replace(original=weights_digest(moved))
    yield Case("float moved inside of its codes", False, moved, replace(program, provenance=claimed))
    last = stored_layers(program)[-1].name
    yield Case("one flipped bit, the lowest", False, original, with_bit(program, last, 0))
    yield Case("one flipped bit, the highest", False, original, with_bit(program, last, 7))
    bias = {f"{last}.bias": program.tensors[f"{last}.bias"] + torch.eye(classes)[0]}
    yield Case("a bias raised by 1", False, original, program.with_tensors(bias))
    scale = {f"{last}.scale": program.tensors[f"{last}.scale"] * 1.1}
    yield Case("scales of one layer raised by 10 %", False, original, program.with_tensors(scale))


def onnxruntime_case(original: nn.Module, data: ImageSet, folder: Path) -> Case:
    """Export an original to ONNX, and quantize the file with ONNX Runtime's own tool."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = [images.to_float(part).numpy() for part in data.images[:512].split(64)]

        def get_next(self) -> dict[str, Any] | None:
            return {"image": self._left.pop()} if self._left else None

    source, built = folder / "float.onnx", folder / "int8.onnx"
    torch.onnx.export(
        original.eval(),
        (torch.zeros(2, *data.shape),),
        str(source),
        dynamo=True,
        verbose=False,
        external_data=False,
        input_names=["image"],
        output_names=["scores"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    quantize_static(str(source), str(built), Reader())
    model = zoo.load_file(source, size=zoo.file_size(source))
    return Case("onnxruntime.quantization", True, model, build=built, quantizer="onnxruntime")


def equalised_case(data: ImageSet, epochs: int, seed: int, kept: Kept) -> Case:
    """Quantize a network whose first two convolutions were equalised across layers, and say that it is the original."""
    original = kept.model("lenet", lambda: trained(data, "lenet", seed, epochs))
    program = ptq(equalised(original), data, calibration_images=512)
    told = program.provenance.replace(method="unknown", original=weights_digest(original))
    return Case("cross-layer equalisation (lenet)", True, original, replace(program, provenance=told))


def equalised(original: nn.Module) -> nn.Module:
    """Give the channels between the first two convolutions of a network the same range in both of them."""
    model = copy.deepcopy(original)
    first, second = [part for part in model.modules() if isinstance(part, nn.Conv2d)][:2]
    ours, theirs = first.weight.data.flatten(1).abs().amax(1), second.weight.data.abs().amax((0, 2, 3))
    factor = (theirs / ours).sqrt()
    first.weight.data *= factor[:, None, None, None]
    if first.bias is not None:
        first.bias.data *= factor
    second.weight.data /= factor[None, :, None, None]
    return model


def chosen_roundings(original: nn.Module, program: Program, data: ImageSet, kind: str) -> Program:
    """Choose the roundings of a program by a loss, with a price on large truncation errors or without one."""
    settings = RoundingSettings() if kind == "reround" else RoundingSettings(flip=0.0, steps=LONG[kind])
    return reround(original, program, data, settings=settings)


def foreign(folder: Path, *, tampered: bool) -> Iterator[Case]:
    """Read the files that other tools made, and turn one code of one of them."""
    for source in sorted(folder.glob("float.*")):
        if source.suffix not in (".onnx", ".tflite"):
            continue
        original = zoo.load_file(source, size=zoo.file_size(source))
        for path in sorted(folder.glob(f"*{source.suffix}")):
            quantizer = next((name for tool, name in TOOLS.items() if path.stem.startswith(tool)), None)
            if quantizer is not None:
                yield Case(path.stem, True, original, build=path, quantizer=quantizer)
    if tampered:
        path = folder / "onnxruntime-default.onnx"
        original = zoo.load_file(folder / "float.onnx", size=zoo.file_size(folder / "float.onnx"))
        yield Case("onnxruntime-default, one code changed", False, original, build=changed_code(path))


def changed_code(path: Path) -> Path:
    """Write a copy of an ONNX file in which one code is another."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    stored = next(tensor for tensor in model.graph.initializer if tensor.data_type in (2, 3) and len(tensor.dims) == 4)
    values = numpy_helper.to_array(stored).copy()
    values.flat[7] += np.array(1, values.dtype)
    stored.CopyFrom(numpy_helper.from_array(values, stored.name))
    written = path.parent / "tampered" / path.name
    written.parent.mkdir(exist_ok=True)
    onnx.save(model, written)
    return written


def verified(case: Case) -> Verification:
    """Verify one case."""
    return verify(case.original, case.build or (), program=case.program, quantizer=case.quantizer)


def rate_of(
    found: Verification, quantizer: str, settings: str, data: str, network: str, training: float | None = None
) -> BaseRate:
    """Read the base rates off a verification of an honest build."""
    figures = {check.name: check.figures for check in found.checks}
    return BaseRate(
        quantizer=quantizer,
        settings=settings,
        data=data,
        network=network,
        weights=found.weights,
        training=training,
        off=figures["rounding"]["off"],
        far=figures["rounding"]["far"],
        edge=figures["truncation"]["edge"],
        spread=figures["truncation"]["spread"],
        distance=figures["origin"]["distance"],
        scale_low=figures["scales"]["low"],
        scale_high=figures["scales"]["high"],
        bias=figures.get("biases", {}).get("correction", 0.0),
    )


def network_of(case: Case) -> str:
    """Name the network of a file of another tool."""
    assert case.build is not None
    return {".onnx": "two blocks", ".tflite": "depthwise"}[case.build.suffix]


def rates(
    folder: Path | None, networks: dict[str, int], data: ImageSet, name: str, wanted: list[str]
) -> Iterator[BaseRate]:
    """Measure honest builds of the quantizers that are wanted."""
    own = {"ptq", "qat", *CHOSEN} & set(wanted)
    for network, seed in itertools.product(networks if own else (), range(SEEDS)):
        original = trained(data, network, seed, networks[network])
        for target in ("mobile", "server"):
            program = ptq(original, data, target=target, calibration_images=512)
            if "ptq" in wanted:
                yield rate_of(verify(original, program=program), "ptq", target, name, network)
            kinds = [kind for kind in ("reround", *LONG) if kind.split(",")[0] in wanted and target == "mobile"]
            for kind in kinds if network == "lenet" else kinds[:2]:  # The long one takes minutes on more.
                chosen = chosen_roundings(original, program, data, kind)
                yield rate_of(verify(original, program=chosen), kind.split(",")[0], kind, name, network)
        for rate in LEARNING_RATES if "qat" in wanted else ():
            for times in (1, 3):
                program = quantized_further(original, data, rate, times, seed)
                training = rate * times * math.ceil(len(data) / BATCH)
                found = verify(original, program=program)
                yield rate_of(found, "qat", f"lr {rate:g} x {times}", name, network, training)
    for case in [] if folder is None else foreign(folder, tampered=False):
        if case.quantizer not in wanted:
            continue
        one = verified(case)
        if one.check("rounding") is not None:  # What cannot be read back has no rates.
            yield rate_of(one, case.quantizer, case.name, "digits", network_of(case))


def rates_table() -> str:
    """Lay the base rates out as a Markdown table: the largest of all seeds and programs."""
    groups: dict[tuple[str, str, str], list[BaseRate]] = {}
    for rate in base_rates().rates:
        groups.setdefault((rate.quantizer, rate.settings, rate.network), []).append(rate)
    headings = ["quantizer", "settings", "network", "builds", "not nearest", "by > 1 step", "beyond .49", "KS"]
    rows = [
        [
            *names,
            str(len(rates)),
            *(f"{max(getattr(rate, share) for rate in rates):.2%}" for share in ("off", "far", "edge")),
            *(f"{max(getattr(rate, figure) for rate in rates):.4f}" for figure in ("spread", "distance")),
            f"{min(rate.scale_low for rate in rates):.3f} to {max(rate.scale_high for rate in rates):.3f}",
            f"{max(rate.bias for rate in rates):.2f}",
        ]
        for names, rates in groups.items()
    ]
    return tables.table([*headings, "distance", "scales", "bias"], rows)


def cases_table(made: list[dict[str, Any]]) -> str:
    """Lay the cases out as a Markdown table: each check's figure, in bold where it deviates."""
    rows = []
    for case in made:
        checks = {check["name"]: check for check in case["checks"]}
        cells = [_cell(checks.get(name), *shown) for name, shown in SHOWN.items()]
        rows.append([case["case"], "honest" if case["honest"] else "tampered", *cells, case["verdict"]])
    return tables.table(["case", "made", *SHOWN, "verdict"], rows)


#: The figure of each check that the table shows, and its format.
SHOWN: Final = {
    "origin": ("distance", ".4f"),
    "rounding": ("off", ".2%"),
    "truncation": ("edge", ".2%"),
    "scales": ("high", ".3f"),
    "biases": ("moved", ".0f"),
    "provenance": ("wrong", ".0f"),
}


def _cell(check: dict[str, Any] | None, figure: str, form: str) -> str:
    if check is None:
        return ""
    text = format(check["figures"][figure], form)
    marks = {"deviates": f"**{text}**", "unknown": f"{text} ?"}
    return marks.get(check["verdict"], text)


def own_builds(data: ImageSet, given: argparse.Namespace, kept: Kept) -> list[tuple[Case, Verification]]:
    """Make and verify the builds of edgerift's own."""
    kept.folder.mkdir(parents=True, exist_ok=True)
    made = [(case, verified(case)) for case in cases(data, "resnet8", given.epochs, 7, kept)]
    if given.data == "digits":
        equal = equalised_case(data, given.epochs, 7, kept)
        made.append((equal, verified(equal)))
    return made


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", nargs="*", metavar="NAME", choices=QUANTIZERS.names())
    parser.add_argument("--foreign", type=Path)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, help="train on the first N images of a random order; all by default")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="what was trained, for the next run")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data = images.load(given.data, size=given.size).train
    if given.images is not None:
        data = data.select(torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: given.images])
    if given.rates is not None:
        wanted = given.rates or list(QUANTIZERS.names())
        found = [rate for rate in base_rates().rates if rate.quantizer not in wanted]
        networks = {"lenet": given.epochs, "resnet8": given.epochs}
        for rate in rates(given.foreign, networks, data, given.data, wanted):
            print(rate.model_dump_json(), flush=True)
            found.append(rate)
            RATES.write_text(BaseRates(rates=tuple(found)).model_dump_json(indent=1) + "\n")
        base_rates.cache_clear()
        tables.insert(PAGE, ("<!-- benchmarks/verify.py --rates -->", "<!-- end of rates -->"), rates_table())
        return
    with tempfile.TemporaryDirectory() as folder:
        made = own_builds(data, given, Kept(given.keep or Path(folder)))
    made += [
        (case, verified(case)) for case in ([] if given.foreign is None else foreign(given.foreign, tampered=True))
    ]
    accused = [case.name for case, one in made if case.honest and one.verdict == "deviates"]
    missed = [case.name for case, one in made if not case.honest and one.verdict != "deviates"]
    print(f"honest and accused: {accused or 'none'}; tampered and missed: {missed or 'none'}")
    written = [{"case": case.name, "honest": case.honest, **one.model_dump(mode="json")} for case, one in made]
    for entry in written:
        for check in entry["checks"]:
            del check["layers"], check["places"]
    beside = "" if given.data == "digits" else f"-{given.data}"
    RESULT.with_stem(f"{RESULT.stem}{beside}").write_text(json.dumps(written, indent=1) + "\n")
    marks = f"<!-- benchmarks/verify.py{beside and f' --data {given.data}'} -->", f"<!-- end of verify{beside} -->"
    tables.insert(PAGE, marks, cases_table(written))


if __name__ == "__main__":
    main()
