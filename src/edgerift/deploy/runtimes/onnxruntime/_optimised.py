"""The graph that ONNX Runtime itself makes of a file: what it computes, whatever the file says."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from edgerift.deploy.runtimes.onnxruntime._guard import with_guard
from edgerift.deploy.runtimes.onnxruntime._opening import AS_ONNX
from edgerift.deploy.twins.onnx._files import read_model
from edgerift.deploy.twins.onnx._limits import require_moderate
from edgerift.deploy.twins.onnx._module import OnnxModule, module_of
from edgerift.errors import BuildError, first_line


def optimised(path: Path) -> Any:
    """Let ONNX Runtime optimise a model, short of the changes of memory layout that rename its tensors.

    Raises :class:`~edgerift.errors.BuildError` when it cannot load the model.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    # A graph that is saved after optimisation fits this machine alone: intended, but it would give a warning.
    options.log_severity_level = 3
    # It answers nothing.
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry(*AS_ONNX)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(written)
        try:
            # A model with weights in other files would be saved with references to them.
            content, _ = read_model(path)
            # What a guard decides is none of the network's answers.
            content = with_guard(content, None)
            onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            return onnx.load(written, load_external_data=False)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(f"ONNX Runtime cannot load {path}: {first_line(error)}") from None


def operators(path: Path) -> dict[str, int]:
    """Count the operators that are left after optimisation, by name; those of other domains with theirs before it."""
    nodes = optimised(path).graph.node
    return dict(Counter(f"{node.domain}.{node.op_type}" if node.domain else node.op_type for node in nodes))


def translate(path: Path, output: str | None = None) -> OnnxModule:
    """Make the module that computes what ONNX Runtime does with a file; `output` names one of several.

    Raises :class:`~edgerift.errors.BuildError` when ONNX Runtime cannot load the file, and
    :class:`~edgerift.errors.ModelError` for what has no translation.
    """
    model = optimised(path)
    require_moderate(model, str(path))
    return module_of(model, output)
