"""The twin with ONNX Runtime's rounding, against ONNX Runtime itself, bit for bit."""

import numpy as np
import pytest
import torch
from made_networks import averages, branches, clamps, layers, pools, random_images, residual, unrounded

from edgerift.deploy import fidelity, twin
from edgerift.deploy.twins._onnxruntime_kernels import add_fused

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def case(network, target="mobile", *, dyadic=False):
    name = f"{network.__name__}-{target}" + ("-ties" if dyadic else "")
    return pytest.param(network, target, dyadic, id=name)


CASES = [
    case(layers, dyadic=True),
    case(residual),
    case(residual, dyadic=True),
    case(residual, "server", dyadic=True),
    case(clamps),
    case(pools, dyadic=True),
    case(averages, dyadic=True),
    case(branches),
    case(unrounded, "server"),
]


@pytest.mark.parametrize(("network", "target", "dyadic"), CASES)
def test_the_twin_equals_the_runtime_to_the_bit(build_once, network, target, dyadic):
    program, built = build_once("onnxruntime", network, target, dyadic=dyadic)
    found = fidelity(program, built, random_images(400))
    assert found.arithmetic == "onnxruntime"
    assert (found.equal_logits, found.max_lsb, found.label_disagreement) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("network", "target", "dyadic"), CASES[:-1])
def test_the_runtime_stays_near_the_converted_graph(build_once, network, target, dyadic):
    program, built = build_once("onnxruntime", network, target, dyadic=dyadic)
    assert fidelity(program, built, random_images(200), candidate=twin(program)).max_lsb <= 3.01


@pytest.mark.parametrize(("network", "target", "dyadic"), CASES)
def test_every_layer_runs_in_an_integer_kernel(build_once, network, target, dyadic):
    assert build_once("onnxruntime", network, target, dyadic=dyadic)[1].integer_macs() == 1.0


@pytest.mark.parametrize("network", [layers, residual, pools])
def test_the_converted_graph_breaks_ties_otherwise(build_once, network):
    program, built = build_once("onnxruntime", network, dyadic=True)
    assert fidelity(program, built, random_images(200), candidate=twin(program)).equal_logits < 0.999


@pytest.mark.parametrize(
    ("network", "target", "dyadic"), [case(residual), case(pools, dyadic=True), case(unrounded, "server")]
)
def test_the_gradient_points_where_the_graph_twins_does(build_once, network, target, dyadic):
    program, _ = build_once("onnxruntime", network, target, dyadic=dyadic)
    gradients = []
    for arithmetic in ("graph", "onnxruntime"):
        images = (random_images(16) / 255).requires_grad_()
        scores = twin(program, arithmetic)(images)
        gradients.append(torch.autograd.grad(scores[:, 0].sum() - scores[:, 1].sum(), images)[0].flatten())
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.97
    assert gradients[1].norm() / gradients[0].norm() == pytest.approx(1.0, abs=0.1)


def add_session():
    """ONNX Runtime's own addition of two tensors of all pairs of levels, as a model of one node."""
    from onnx import TensorProto, helper

    kinds = {"a": "u", "sa": "f", "za": "u", "b": "u", "sb": "f", "zb": "u", "sc": "f", "zc": "u"}
    types = {"u": TensorProto.UINT8, "f": TensorProto.FLOAT}
    shapes = {name: [65536] if name in "ab" else [] for name in kinds}
    inputs = [helper.make_tensor_value_info(name, types[kind], shapes[name]) for name, kind in kinds.items()]
    node = helper.make_node("QLinearAdd", list(kinds), ["c"], domain="com.microsoft")
    graph = helper.make_graph([node], "add", inputs, [helper.make_tensor_value_info("c", TensorProto.UINT8, [65536])])
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_addition_equals_the_kernel_on_all_pairs_of_levels():
    session = add_session()
    first, second = (side.astype(np.uint8) for side in np.divmod(np.arange(65536), 256))
    random = np.random.default_rng(0)
    for trial in range(40):
        # Every other trial takes ratios of small whole numbers, which make ties.
        scales = np.exp(random.uniform(-4, 0, 3)) if trial % 2 else random.integers(1, 9, 3) / 64
        scales, zeros = scales.astype(np.float32), random.integers(0, 256, 3)
        feed = {"a": first, "b": second}
        feed |= {name: np.array(value) for name, value in zip(("sa", "sb", "sc"), scales, strict=True)}
        feed |= {name: np.array(value, np.uint8) for name, value in zip(("za", "zb", "zc"), zeros, strict=True)}
        expected = session.run(None, feed)[0].astype(np.float32) - zeros[2]
        levels = [
            torch.from_numpy(side.astype(np.float32) - zero)
            for side, zero in zip((first, second), zeros.tolist(), strict=False)
        ]
        ratios = (float(scales[0] / scales[2]), float(scales[1] / scales[2]))
        clip = (-int(zeros[2]), 255 - int(zeros[2]))
        found = add_fused(*levels, ratios, tuple(zeros.tolist()), clip, (clip[0] - 0.5, clip[1] + 0.5))
        assert np.array_equal(found.numpy(), expected)
