"""The adapted model: a quantized graph as plain data, that is saved and loaded without running code from the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, fx

from edgerift.deploy.program._checked import check_keywords, check_program
from edgerift.deploy.program._encoding import Json, decode, encode
from edgerift.deploy.program._names import PlainName, check_graph_names, check_tensor_names
from edgerift.deploy.program._operators import ALLOWED, keyword_names, operator_name, resolve
from edgerift.deploy.program._quiet import quiet
from edgerift.deploy.program._target import Target
from edgerift.errors import ProgramError, RecipeError, unknown_name
from edgerift.images import ImageShape
from edgerift.settings import Settings, is_file, is_none
from edgerift.steps import read_tensors, write_whole

_FORMAT: Final = "edgerift-program-2"
_FIRST_FORMAT: Final = "edgerift-program-1"


class Operation(Settings):
    """One node of a program's graph: `name = operator(*arguments, **keywords)`.

    Arguments are JSON; `{"node": n}` stands for another node's value, `{"tensor": t}` for a stored tensor.
    """

    name: PlainName
    operator: str
    arguments: list[Json]
    keywords: dict[PlainName, Json] = Field(default_factory=dict)


def _is_empty(value: object) -> bool:
    return value == ()


class Provenance(Settings):
    """Where a program came from: the method and its settings, and the digest of the original's weights.

    `classes` names the classes of its answers, in order; empty if the original's file does not name them. `trained_on`
    is the number of images in each epoch of a method that trains, None where that is not known.
    """

    method: str
    settings: dict[str, Json] = Field(default_factory=dict)
    original: str = ""
    classes: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)
    trained_on: int | None = Field(default=None, exclude_if=is_none)


class _Header(Settings):
    """The contents of a program file besides its tensors."""

    format: Literal["edgerift-program-2"]
    target: Target
    classes: int
    shape: tuple[int, int, int]
    image: PlainName
    operations: list[Operation]
    output: PlainName
    provenance: Provenance

    @model_validator(mode="before")
    @classmethod
    def _renew(cls, fields: Any) -> Any:
        """Read the first format, whose images are squares in colour, of the side `size`."""
        if not isinstance(fields, dict) or fields.get("format") != _FIRST_FORMAT or "size" not in fields:
            return fields
        side = fields["size"]
        others = {name: value for name, value in fields.items() if name != "size"}
        return {**others, "format": _FORMAT, "shape": (3, side, side)}


@dataclass(frozen=True)
class Program:
    """A converted, quantized graph with its scales, its target and where it came from.

    `operations` run in order. The one input, named `image`, is float32 `[N,C,H,W]` in `[0,1]` with the C, H and W of
    `shape`; `output` names the node that holds the float32 logits `[N,classes]`. `tensors` holds the int8 weights,
    their scales and the biases.
    """

    operations: tuple[Operation, ...]
    tensors: Mapping[str, Tensor]
    output: str
    target: Target
    classes: int
    shape: ImageShape
    image: str = "image"
    provenance: Provenance = field(default_factory=lambda: Provenance(method="unknown"))

    def module(self) -> fx.GraphModule:
        """Build the converted graph as a module: images float32 `[N,C,H,W]` in `[0,1]` of its shape to logits.

        Its weights lie in channels-last order, which decides the order in which convolutions sum and so their last
        bit; a twin computes in the same order. Raises :class:`~edgerift.errors.ProgramError` for an operator that a
        program may not hold, and for names that no graph can have.
        """
        root = torch.nn.Module()
        attributes = {name: f"tensor_{index}" for index, name in enumerate(self.tensors)}
        for name, attribute in attributes.items():
            root.register_buffer(attribute, self.tensors[name])
        check_graph_names(self.image, (operation.name for operation in self.operations))
        graph = fx.Graph()
        nodes: dict[str, fx.Node] = {self.image: graph.placeholder("image")}

        def stored(name: str) -> fx.Node:
            if name not in attributes:
                raise ProgramError(f"the program names a tensor {name[:80]!r} that it does not hold; it is damaged")
            return graph.get_attr(attributes[name])

        def earlier(name: str) -> fx.Node:
            if name not in nodes:
                raise ProgramError(f"the program uses {name[:80]!r} before it is computed; it is damaged")
            return nodes[name]

        for operation in self.operations:
            arguments = [decode(argument, earlier, stored) for argument in operation.arguments]
            keywords = {key: decode(value, earlier, stored) for key, value in operation.keywords.items()}
            function = resolve(operation.operator)
            check_keywords(operation, keyword_names(function))
            nodes[operation.name] = graph.create_node(
                "call_function", function, tuple(arguments), keywords, operation.name
            )
            if nodes[operation.name].name != operation.name or operation.name in ("self", "torch"):
                raise ProgramError(
                    f"a program may not name a node '{operation.name}': the name has a meaning of its own"
                )
        graph.output(earlier(self.output))
        with quiet():  # PyTorch would keep the source of each for as long as the process lives.
            module: Any = fx.GraphModule(root, graph, class_name="ConvertedProgram")
        arranged: fx.GraphModule = module.eval().to(memory_format=torch.channels_last)
        return arranged

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> Program:
        """Return the same program with some tensors replaced."""
        return replace(self, tensors={**self.tensors, **tensors})

    def save(self, path: Path) -> None:
        """Write the program, whole or not at all, as safetensors with the graph as JSON in the header."""
        from safetensors.torch import save

        header = _Header(
            format=_FORMAT,
            target=self.target,
            classes=self.classes,
            shape=self.shape,
            image=self.image,
            operations=list(self.operations),
            output=self.output,
            provenance=self.provenance,
        )
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        write_whole(Path(path), save(contiguous, metadata={"edgerift": header.model_dump_json()}))

    @staticmethod
    def load(path: Path) -> Program:
        """Read a program file; no code in it runs.

        Only operators on the allowed list, names that are plain identifiers, and a graph that gives `classes` scores
        for an image of its shape are accepted.

        Raises :class:`~edgerift.errors.ProgramError` when the file is missing, damaged, contradicts itself
        or is not a program.
        """
        path = Path(path)
        if not is_file(path):
            raise ProgramError(f"no program file at {path}; `edgerift adapt --out DIR` writes DIR/program.safetensors")
        metadata, tensors = read_tensors(
            path, lambda reason: ProgramError(f"{path} is not a readable program file ({reason}); write it again")
        )
        if "edgerift" not in metadata:
            raise ProgramError(f"{path} is a safetensors file but not a program; expected the format {_FORMAT}")
        try:
            header = _Header.model_validate_json(metadata["edgerift"])
        except RecipeError as error:
            raise ProgramError(f"{path} is damaged or of another version of edgerift: {error}") from None
        _check_operators(header.operations)
        check_tensor_names(tensors)
        program = Program(
            operations=tuple(header.operations),
            tensors=tensors,
            output=header.output,
            target=header.target,
            classes=header.classes,
            shape=ImageShape(*header.shape),
            image=header.image,
            provenance=header.provenance,
        )
        check_program(program)
        return program


def from_graph(
    module: fx.GraphModule,
    *,
    target: Target,
    classes: int,
    shape: ImageShape,
    provenance: Provenance,
    names: Mapping[str, str],
) -> Program:
    """Turn a converted graph module with one input and one output into a program.

    `names` gives the module's tensors better names, by their attribute. Constants in another floating-point type become
    float32. Raises :class:`~edgerift.errors.ProgramError` for an operator that a program may not hold, and for all that
    :meth:`Program.load` refuses.
    """
    operations: list[Operation] = []
    tensors: dict[str, Tensor] = {}
    image, output = "", ""
    for node in module.graph.nodes:
        if node.op == "placeholder":
            image = node.name
        elif node.op == "get_attr" and node.users:
            attribute = str(node.target)
            tensors[names.get(attribute, attribute)] = _stored(_attribute_of(module, attribute).detach())
        elif node.op == "output":
            output = _single_output(node).name
        elif node.op == "call_function":
            operator = operator_name(node.target)
            keywords = {key: encode(value, names) for key, value in node.kwargs.items()}
            arguments = [encode(argument, names) for argument in node.args]
            operations.append(Operation(name=node.name, operator=operator, arguments=arguments, keywords=keywords))
    _check_operators(operations)
    program = Program(tuple(operations), tensors, output, target, classes, shape, image, provenance)
    try:
        check_tensor_names(tensors)
        check_program(program)
    except ProgramError as error:
        told = str(error).removesuffix("; it is damaged")
        raise ProgramError(f"the model makes no program: {told}; write that part of it differently") from None
    return program


def _stored(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _attribute_of(module: torch.nn.Module, name: str) -> Tensor:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    tensor: Tensor = value
    return tensor


def _single_output(node: fx.Node) -> fx.Node:
    value: Any = node.args[0]
    while isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ProgramError(f"the model returns {len(value)} values; a classifier returns one tensor of logits")
        value = value[0]
    result: fx.Node = value
    return result


def _check_operators(operations: list[Operation]) -> None:
    for operation in operations:
        if operation.operator not in ALLOWED:
            wording = unknown_name("operator", operation.operator, ALLOWED).split(" Known:")[0]
            raise ProgramError(f"a program may not hold {wording} (node '{operation.name}')")
