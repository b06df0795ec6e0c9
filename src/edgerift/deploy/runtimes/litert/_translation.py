"""From a program to the content of a `.tflite`."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from edgerift.deploy.program._grid import grid_of, is_dequantize, is_quantize, quantize_arguments, stored
from edgerift.deploy.program._layers import regions_of
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._spelling import runtime_form
from edgerift.deploy.runtimes.litert._file import Options
from edgerift.deploy.runtimes.litert._integer import append_integer, is_integer
from edgerift.deploy.runtimes.litert._moving import append_move
from edgerift.deploy.runtimes.litert._real import append_real
from edgerift.deploy.runtimes.litert._writer import CHANNELS_LAST, Held, Writer
from edgerift.deploy.twins._twin_graph import stays_on_grid


def tflite_content(program: Program) -> bytes:
    """Write a program as a `.tflite`: float32 images `[N,H,W,C]` in `[0,1]` to its float32 logits, any N.

    Raises :class:`~edgerift.errors.BuildError` for an operator that the runtime does not compute to the last bit.
    """
    source = runtime_form(program)
    return _Translation(Writer(source, program.shape)).content()


class _Translation:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._levels: dict[fx.Node, Held] = {}
        self._reals: dict[fx.Node, Held] = {}

    def content(self) -> bytes:
        graph = self._writer.source.graph
        regions = {node: region for node, region in regions_of(graph).items() if is_integer(region)}
        image = answer = -1
        for node in graph.nodes:
            if node.op == "placeholder":
                image = self._image(node).index
            elif node in regions:
                inputs = [self._level(each.args[0]) for each in regions[node].inputs]
                self._levels[node] = append_integer(self._writer, regions[node], inputs)
            elif is_quantize(node):
                self._levels[node] = self._quantized(node)
            elif node.op == "output":
                answer = self._writer.plain(self._real(node.args[0])).index
        return self._writer.file.written(image, answer, "edgerift")

    def _image(self, node: fx.Node) -> Held:
        writer = self._writer
        shape = writer.shape(node)
        held = Held(-1, shape, CHANNELS_LAST, None)
        signature = [-1, *held.stored[1:]]
        index = writer.file.tensor("images", held.stored, torch.float32, signature=signature)
        self._reals[node] = Held(index, shape, CHANNELS_LAST, None)
        return self._reals[node]

    def _quantized(self, node: fx.Node) -> Held:
        source: Any = quantize_arguments(node)["input"]
        if stays_on_grid(node):
            return self._level(source)
        held = self._real(source)
        return self._writer.made(
            node, "QUANTIZE", [held.index], order=held.order, grid=grid_of(node), options=Options("Quantize")
        )

    def _level(self, node: Any) -> Held:
        """Find the levels of a quantize node, or of what moves levels."""
        if node in self._levels:
            return self._levels[node]
        if is_dequantize(node):
            return self._level(node.args[0])
        if node.op == "get_attr":
            reader = next(user for user in node.users if is_dequantize(user))
            held = self._writer.constant(node.name, stored(self._writer.source, node), grid_of(reader))
        else:
            held = append_move(self._writer, node, self._level)
        self._levels[node] = held
        return held

    def _real(self, node: Any) -> Held:
        """Find a real value, and append what computes it when it is first needed."""
        if node in self._reals:
            return self._reals[node]
        if is_dequantize(node):
            levels = self._level(node.args[0])
            held = self._writer.made(
                node, "DEQUANTIZE", [levels.index], order=levels.order, options=Options("Dequantize")
            )
        elif node.op == "get_attr":
            held = self._writer.constant(node.name, stored(self._writer.source, node))
        else:
            held = append_real(self._writer, node, self._real)
        self._reals[node] = held
        return held
