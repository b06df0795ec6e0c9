"""`edgerift inspect`: what a build's file is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Final

import tyro
from rich.table import Table
from rich.text import Text

from edgerift import deploy, specification
from edgerift.cli._build_options import BUILD_FILES, RUNTIME_NAMES, KernelsOption, runtime_of
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import Json
from edgerift.cli._terminal import progress_bars, show
from edgerift.deploy import RuntimeName

_KIBIBYTE: Final = 1024


class InspectCommand(Command):
    """Show what a build file contains.

    Its input and output, the operators that the runtime computes, the share of integer kernels, and whether the file
    gives an exact differentiable twin, and why not. The file may come from any tool.
    """

    example: ClassVar[str] = "edgerift inspect int8.onnx"

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE"), Shown(text=f"a {BUILD_FILES} file")]
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", metavar="NAME", default="by the suffix", text=f"runtime of the file: {RUNTIME_NAMES}"),
    ] = None
    kernels: KernelsOption = None
    trust: Annotated[bool, Shown(group="model")] = False
    """allow Inductor packages, which run code when they are opened"""
    as_json: Json = False

    def run(self) -> int:
        """Open the file and show what it is."""
        with progress_bars():
            found = deploy.inspect_build(self.file, runtime_of(self.runtime, self.kernels, self.file), trust=self.trust)
        show(found, inspection_table(found), self.as_json)
        return 0


def inspection_table(found: deploy.Inspection) -> Table:
    """Lay an inspection out for rich."""
    table = Table(show_header=False, title=found.file, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(found):
        table.add_row(name, Text(value))
    return table


def _rows(found: deploy.Inspection) -> list[tuple[str, str]]:
    print_ = found.fingerprint
    counts = sorted(found.operators.items(), key=lambda entry: (-entry[1], entry[0]))
    share = found.unread if found.integer_macs is None else f"{found.integer_macs:.1%} of the multiply-accumulates"
    rows = [
        ("runtime", f"{print_.runtime} {print_.version}"),
        ("size", f"{found.bytes / _KIBIBYTE:,.0f} KiB, SHA-256 {print_.sha256}"),
        ("input", _input(found)),
        ("output", _output(found)),
        ("operators", ", ".join(f"{count} {name}" for name, count in counts) or "machine code"),
        ("integer kernels", share),
    ]
    if found.dynamic:
        rows.append(("batches", "an answer depends on its batch, so images are answered one at a time"))
    return [*rows, ("twin", _twin(found))]


def _twin(found: deploy.Inspection) -> str:
    if found.no_twin:
        return f"none: {found.no_twin}"
    if found.equal_logits is None:
        return "the file gives one"
    if found.equal_logits == 1:
        return "exact: all logits of random images are equal"
    return f"near: {found.equal_logits:.1%} of the logits of random images are equal, the rest at most " + (
        f"{found.largest_difference:.2g} apart"
    )


def _input(found: deploy.Inspection) -> str:
    given = found.specification.input
    extents = "" if found.extents is None else ", ".join("any" if one is None else str(one) for one in found.extents)
    batch = "any" if given.batch is None else given.batch
    shape = f" [{batch}, {extents}]" if extents else ""
    told = specification.spelled(found.specification.replace(output=type(found.specification.output)()))
    return f"{given.name or 'images'}: {given.dtype}{shape}" + (f"; {told}" if told else "")


def _output(found: deploy.Inspection) -> str:
    output = found.specification.output
    return f"{output.name or 'the first'}: {output.kind or 'logits or probabilities, told apart by the answers'}"
