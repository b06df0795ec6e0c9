"""A float classifier that is cheap to attack: the same values, and input gradients with less time and memory."""

from __future__ import annotations

import operator
from typing import Any, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from edgerift.deploy.twins._frozen_layers import Bounds, Fork, FrozenConvolution, add_into, slope_of
from edgerift.deploy.twins._integer_convolution import Geometry
from edgerift.deploy.twins._pure_graph import make_pure
from edgerift.images import in_channels
from edgerift.train import forgotten_sources
from edgerift.zoo import frozen_copy

_ADDS: Final = (operator.add, torch.add)
_RELUS: Final = (F.relu, torch.relu)
#: In evaluation mode each of them hands its input on.
_NOTHING: Final = (
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


@final
class Folded(nn.Module):
    """A frozen copy of a classifier that computes in channels-last layout; see :func:`folded`."""

    def __init__(self, body: nn.Module, image_channels: int | None = None) -> None:
        """Freeze `body`; of a model that takes so many channels the one of grey images is repeated here."""
        super().__init__()
        self.body = body
        self.image_channels = image_channels
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,C,H,W]` in any layout."""
        if self.image_channels is not None:
            images = in_channels(images, self.image_channels)
        logits: Tensor = self.body(images.contiguous(memory_format=torch.channels_last))
        return logits


def folded(model: nn.Module) -> nn.Module:
    """Copy a float classifier into a frozen form whose gradient w.r.t. the image is cheaper.

    The copy is in evaluation mode, has no parameters that learn, takes images in any memory format and returns the
    answers of `model`, up to the rounding of float. Batch normalisations are folded into the convolutions before them,
    a division by a constant into the convolution after it, and activations work in place. Its gradient cannot be
    differentiated again. `model` itself stays as it is.

    It needs a model that :func:`torch.fx.symbolic_trace` can trace. One whose code branches on values becomes a frozen
    copy in channels-last layout without further changes.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    >>> images = torch.rand(5, 3, 4, 4)
    >>> torch.allclose(folded(network)(images), network(images), atol=1e-6)
    True
    """
    if model._forward_pre_hooks or model._forward_hooks:
        return _unfolded(model)  # A trace would omit the model's own hooks.
    with forgotten_sources():
        return _traced(model)


def _traced(model: nn.Module) -> Folded:
    body = frozen_copy(model, None)
    try:
        module = fx.symbolic_trace(body)
        make_pure(module)
    except Exception:  # Tracing runs the user's code on stand-ins, which may raise anything.
        return _unfolded(model)
    channels = getattr(model, "image_channels", None)
    _drop_what_does_nothing(module, repeated=channels is not None)
    _convolutions(module)
    _fork(module)
    _add_in_place(module)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    module.delete_all_unused_submodules()
    return Folded(module, channels)


def _unfolded(model: nn.Module) -> Folded:
    plain: Any = frozen_copy(model, None)
    return Folded(plain.to(memory_format=torch.channels_last), getattr(model, "image_channels", None))


def _called(module: fx.GraphModule, node: Any) -> nn.Module | None:
    """The layer that a node calls; None too for one with hooks, which may change what it reads or answers."""
    if not isinstance(node, fx.Node) or node.op != "call_module" or node.kwargs:
        return None
    layer = module.get_submodule(str(node.target))
    return None if layer._forward_pre_hooks or layer._forward_hooks else layer


def _only_user(node: Any) -> fx.Node | None:
    """The node that alone reads another one's result, or None."""
    return next(iter(node.users)) if isinstance(node, fx.Node) and len(node.users) == 1 else None


def _remove(node: fx.Node) -> None:
    node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
    node.graph.erase_node(node)


def _drop_what_does_nothing(module: fx.GraphModule, *, repeated: bool) -> None:
    """Drop layers without effect, and the repetition of a grey image's channel where that was `repeated` before."""
    for node in list(module.graph.nodes):
        is_repetition = repeated and node.target is in_channels and node.args[0].op == "placeholder"
        if is_repetition or isinstance(_called(module, node), _NOTHING):
            _remove(node)


def _bounds(module: fx.GraphModule, node: Any) -> Bounds | None:
    """What a node clamps its first argument to, if it is an activation that clamps."""
    called = _called(module, node)
    if isinstance(called, nn.Hardtanh):  # ReLU6 is one.
        return Bounds(float(called.min_val), float(called.max_val))
    is_function = isinstance(node, fx.Node) and node.op == "call_function" and node.target in _RELUS
    is_method = isinstance(node, fx.Node) and node.op == "call_method" and node.target == "relu"
    return Bounds(0.0, float("inf")) if isinstance(called, nn.ReLU) or is_function or is_method else None


def _is_own_memory(module: fx.GraphModule, node: Any) -> bool:
    """Return whether a node answers with memory that nothing else holds, not even for its own gradient."""
    if isinstance(_called(module, node), (FrozenConvolution, nn.BatchNorm2d, nn.Linear)):
        return True
    return isinstance(node, fx.Node) and node.op == "call_function" and node.target in _ADDS


def _may_be_written(module: fx.GraphModule, node: Any) -> bool:
    return _is_own_memory(module, node) and _only_user(node) is not None


def _convolutions(module: fx.GraphModule) -> None:
    convolutions = [node for node in module.graph.nodes if _geometry(_called(module, node)) is not None]
    folding = {}
    for node in convolutions:  # All of them first: what is folded here is no lone normalisation to the next ones.
        follower = _only_user(node)
        norm = _fixed_norm(module, follower)
        if follower is not None and norm is not None:
            folding[node] = norm
            _remove(follower)
    for node in convolutions:
        _freeze(module, node, folding.get(node))


def _geometry(layer: nn.Module | None) -> Geometry | None:
    """How a layer convolves, if it is a plain convolution of images with zeros around them."""
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros":
        return None
    padding: Any = layer.padding
    if isinstance(padding, str):
        reach = [step * (size - 1) for step, size in zip(layer.dilation, layer.kernel_size, strict=True)]
        if padding == "same" and any(pixels % 2 for pixels in reach):
            return None
        padding = tuple(pixels // 2 if padding == "same" else 0 for pixels in reach)
    return Geometry(layer.stride, padding, layer.dilation, layer.groups)


def _fixed_norm(module: fx.GraphModule, node: Any) -> nn.BatchNorm2d | None:
    norm = _called(module, node)
    return norm if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None else None


def _freeze(module: fx.GraphModule, node: fx.Node, follower: nn.BatchNorm2d | None) -> None:
    layer: Any = _called(module, node)
    geometry = _geometry(layer)
    assert geometry is not None
    weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    if follower is not None:
        slope = slope_of(follower)
        mean, shift = follower.running_mean, follower.bias
        weight = weight * slope.view(-1, 1, 1, 1)
        moved = -mean if bias is None else bias - mean  # type: ignore[operator]
        bias = moved * slope if shift is None else moved * slope + shift.detach()
    weight = _undivided(module, node, weight, geometry)
    bounds, norm = _absorbed(module, node)
    name = f"frozen_{node.name}"
    module.add_submodule(name, FrozenConvolution(weight, bias, geometry, bounds, norm))
    node.target = name


def _undivided(module: fx.GraphModule, node: fx.Node, weight: Tensor, geometry: Geometry) -> Tensor:
    """Fold a division of the input by constants `[1,C,1,1]` into the weight; padding by zeros is not changed by it."""
    source: Any = node.args[0]
    if _only_user(source) is None or source.target is not operator.truediv or geometry.groups != 1:
        return weight
    divisor: Any = source.args[1]
    if not isinstance(divisor, fx.Node) or divisor.op != "get_attr":
        return weight
    values: Tensor = operator.attrgetter(str(divisor.target))(module)
    if values.shape != (1, weight.shape[1], 1, 1):
        return weight
    _remove(source)
    return weight / values.detach()


def _absorbed(module: fx.GraphModule, node: fx.Node) -> tuple[Bounds | None, nn.BatchNorm2d | None]:
    """Take an activation and a batch normalisation before a convolution out of the graph, if it alone reads them."""
    activation: Any = node.args[0]
    bounds = _bounds(module, activation)
    before: Any = activation if bounds is None else activation.args[0]
    norm = _fixed_norm(module, before)
    if _only_user(activation) is None or (bounds is not None and not _may_be_written(module, before)):
        return None, None
    if bounds is not None:
        _remove(activation)
    if norm is not None and _only_user(before) is not None:
        _remove(before)
        return bounds, norm
    return bounds, None


def _fork(module: fx.GraphModule) -> None:
    """Apply the other activations in place, and add the gradients of several readers in place."""
    for node in list(module.graph.nodes):
        bounds = _bounds(module, node)
        source = node if bounds is None else node.args[0]
        readers = list(node.users)
        fresh = tuple(isinstance(_called(module, reader), FrozenConvolution) for reader in readers)
        if bounds is None and not (_is_own_memory(module, node) and len(readers) > 1 and any(fresh)):
            continue
        if bounds is not None and not _may_be_written(module, source):
            continue
        name = f"fork_{node.name}"
        module.add_submodule(name, Fork(bounds, fresh))
        with module.graph.inserting_after(node):
            forked = module.graph.call_module(name, (source,))
        for index, reader in enumerate(readers):
            with module.graph.inserting_before(reader):
                reader.replace_input_with(node, module.graph.call_function(operator.getitem, (forked, index)))
        if bounds is not None:
            module.graph.erase_node(node)


def _add_in_place(module: fx.GraphModule) -> None:
    for node in module.graph.nodes:
        if node.op != "call_function" or node.target not in _ADDS or node.kwargs or len(node.args) != 2:
            continue
        first, second = node.args
        if not isinstance(first, fx.Node) or not isinstance(second, fx.Node) or first is second:
            continue
        for own, other in ((first, second), (second, first)):
            if isinstance(_called(module, own), FrozenConvolution) and _only_user(own) is not None:
                node.target, node.args = add_into, (own, other)
                break
