"""The layers of a program or of a build's file, as they are stored."""

from __future__ import annotations

from pathlib import Path

from edgerift.deploy.builds._digest import whole_artefact
from edgerift.deploy.builds._runtime import RUNTIMES
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._stored_layers import StoredLayer, program_layers
from edgerift.deploy.twins.onnx._files import proto_of
from edgerift.errors import BuildError, ModelError


def stored_layers(source: Program | Path | bytes, runtime: str = "") -> tuple[StoredLayer, ...]:
    """Read the convolutions and linear layers of a program, or of a file of a runtime, in its order; no code runs.

    Float ones are read too, with a batch normalisation behind them folded in. `source` may be what a file holds. Raises
    :class:`~edgerift.errors.ModelError` for a runtime whose files do not tell, and that or
    :class:`~edgerift.errors.BuildError` for a file that cannot be read.
    """
    if isinstance(source, Program):
        return program_layers(source)
    read = RUNTIMES[runtime].layers
    if read is None:
        known = " or ".join(
            entry.suffix for entry in RUNTIMES.parts() if entry.layers is not None and not entry.files_of
        )
        raise ModelError(
            f"the weights of a {RUNTIMES[runtime].suffix} file cannot be read back: {runtime} packs them for its "
            f"kernels; give the program that it was compiled from, or a {known} file"
        )
    return read(whole_artefact(runtime, source) if isinstance(source, Path) else source)


def runtime_of_suffix(suffix: str) -> str | None:
    """Name the runtime whose files have a suffix and whose weights can be read back; None where there is none.

    >>> runtime_of_suffix(".onnx"), runtime_of_suffix(".pt2")
    ('onnxruntime', None)
    """
    found = (name for name, entry in RUNTIMES.items() if entry.suffix == suffix and entry.layers is not None)
    return next(found, None)


def written_by(path: Path) -> str:
    """Name the tool that a file says it was written by, "" where it does not say; only ONNX files do.

    Nothing keeps a file from saying so wrongly.
    """
    if path.suffix != ".onnx":
        return ""
    try:
        return str(proto_of(path).producer_name)
    except BuildError:
        return ""
