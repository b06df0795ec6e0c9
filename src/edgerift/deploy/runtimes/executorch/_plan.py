"""The plan of a `.pte` as a graph: what XNNPACK computes, and the calls of ExecuTorch's own kernels between it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, final

from edgerift.deploy.runtimes.executorch._calls import Call, append_call, is_arithmetic_of_shapes
from edgerift.deploy.runtimes.executorch._collected import Collected
from edgerift.deploy.runtimes.executorch._file import METHOD, Delegate, Plan, plans, undamaged
from edgerift.deploy.runtimes.executorch._flatbuffer import Json
from edgerift.deploy.runtimes.executorch._fusion import fused
from edgerift.deploy.runtimes.executorch._nodes import ABSENT, append_node
from edgerift.deploy.runtimes.executorch._values import append_value, constant_of, tensor_of
from edgerift.deploy.twins.tflite._graph import TfliteGraph, UntranslatedError
from edgerift.deploy.twins.tflite._module import TfliteModule, graph_module
from edgerift.errors import BuildError

_DTYPES: Final = {"FLOAT": "float32", "CHAR": "int8", "BYTE": "uint8"}


def translate(path: Path, output: str | None) -> TfliteModule:
    """Make the module that computes what ExecuTorch does with a `.pte`; `output` names one of several.

    XNNPACK's kernels are those of LiteRT by default, so the same rules make it. Raises
    :class:`~edgerift.errors.ModelError` for what has no translation.
    """
    return graph_module(plan_graph(path), output, "default")


def plan_graph(path: Path) -> TfliteGraph:
    """Read the plan that a build answers with.

    Raises :class:`~edgerift.errors.ModelError` for a damaged file and for what has no translation.
    """
    try:
        with undamaged(path):
            for plan in plans(path):
                if plan.content["name"] == METHOD:
                    return _Translation(plan).graph()
    except BuildError as error:
        raise UntranslatedError(str(error)) from None
    raise UntranslatedError(f"{path.name} has no method '{METHOD}'")


@final
class _Translation:
    def __init__(self, plan: Plan) -> None:
        self._plan, self._delegates, self._constant = plan
        self._into = Collected()
        self._held: dict[int, int] = {}

    def graph(self) -> TfliteGraph:
        plan, into = self._plan, self._into
        images = [self._image(number) for number in plan["inputs"]]
        for chain in plan["chains"]:
            for instruction in chain["instructions"]:
                self._append(instruction["instr_args_type"], instruction["instr_args"])
        answers = [self._answer(number, place) for place, number in enumerate(plan["outputs"])]
        return into.graph(images, answers)

    def _image(self, number: int) -> int:
        """Add the input as it is given, and the view of it in the order that it has in memory."""
        value = self._tensor(number)
        made = self._into.tensor("images", self._dtype(value), value["sizes"])
        self._held[number] = self._in_order(made, list(value["dim_order"]))
        return made

    def _answer(self, number: int, place: int) -> int:
        value, made = self._tensor(number), self._read(number)
        order = list(value["dim_order"])
        return self._in_order(made, [order.index(axis) for axis in range(len(order))])

    def _in_order(self, made: int, order: list[int]) -> int:
        return made if order == sorted(order) else self._into.transposed(made, order, "the order in memory")

    def _tensor(self, number: int) -> Json:
        value = self._plan["values"][number]
        if number < 0 or value["val_type"] != "Tensor":
            raise UntranslatedError(f"value {number} of the plan is no tensor, where one is read")
        described: Json = value["val"]
        return described

    def _dtype(self, value: Json) -> str:
        return _DTYPES.get(value["scalar_type"], str(value["scalar_type"]).lower())

    def _read(self, number: int) -> int:
        value = self._tensor(number)
        if number not in self._held and value["data_buffer_idx"]:
            dtype, shape = self._dtype(value), self._extents(value)
            made = self._into.tensor(f"value {number} of the plan", dtype, shape)
            self._into.fill(made, constant_of(self._constant(value["data_buffer_idx"]), dtype, shape, "a constant"))
            self._held[number] = made
        if number not in self._held:
            raise UntranslatedError(f"value {number} of the plan is read, which nothing computes before")
        return self._held[number]

    def _append(self, kind: str, arguments: Json) -> None:
        if kind == "DelegateCall":
            self._delegated(self._delegates[arguments["delegate_index"]], arguments["args"])
        elif kind == "KernelCall":
            self._called(self._plan["operators"][arguments["op_index"]]["name"], arguments["args"])
        elif kind != "FreeCall":
            raise UntranslatedError(f"the plan holds a {kind}, which has no translation")

    def _called(self, name: str, arguments: list[int]) -> None:
        values = self._plan["values"]
        if is_arithmetic_of_shapes(name) and values[arguments[-1]]["val_type"] != "Tensor":
            return
        last = values[arguments[-1]]
        results = last["val"]["items"] if last["val_type"] == "TensorList" else [arguments[-1]]
        sizes = [self._tensor(number) for number in results]
        call = Call(name, [values[number] for number in arguments], self._read(arguments[0]), sizes, values)
        # Places of largest values come behind these and are not followed.
        for number, made in zip(results, append_call(self._into, call), strict=False):
            self._require(made, self._tensor(number), name)
            self._held[number] = made

    def _delegated(self, delegate: Delegate, arguments: list[int]) -> None:
        places: dict[int, int] = {}
        made: dict[int, int] = {}
        for value in delegate.graph["xvalues"]:
            tensor = tensor_of(value)
            outside = arguments[tensor["external_id"]] if tensor["external_id"] != ABSENT else None
            if outside is not None and tensor["flags"] & 1:
                place = self._entering(delegate, value, outside)
            else:
                place = append_value(self._into, delegate, value)
            if tensor["id_out"] in places:
                raise UntranslatedError(f"two values have the number {tensor['id_out']}")
            places[tensor["id_out"]] = place
            if outside is not None and not tensor["flags"] & 1:
                made[outside] = place
        for index, node in enumerate(fused(delegate.graph["xnodes"], frozenset(delegate.graph["output_ids"]))):
            append_node(self._into, node, index, places)
        for outside, place in made.items():
            self._require(place, self._tensor(outside), "XNNPACK")
            self._held[outside] = place

    def _entering(self, delegate: Delegate, value: Json, outside: int) -> int:
        """Find a value that comes from outside, which may learn its scale here."""
        place = self._read(outside)
        known, described = self._into.tensors[place], self._into.tensors[append_value(self._into, delegate, value)]
        if (known.dtype, known.shape) != (described.dtype, described.shape):
            told = f"{list(described.shape)} of {described.dtype}"
            raise UntranslatedError(f"XNNPACK takes {told}, and the plan gives {list(known.shape)} of {known.dtype}")
        if known.scales is None and described.scales is not None:
            self._into.quantize(place, described.scales)
        elif known.scales != described.scales:
            raise UntranslatedError(f"value {outside} of the plan is read on another grid than it has")
        return place

    @staticmethod
    def _extents(value: Json) -> tuple[int, ...]:
        """The extents in the order of memory; a single number is a list of one."""
        return tuple(value["sizes"][axis] for axis in value["dim_order"]) or (1,)

    def _require(self, place: int, value: Json, name: str) -> None:
        """Check that what was made is what the plan says, in the order of its memory."""
        made, wanted = self._into.tensors[place], self._extents(value)
        if made.shape != wanted or made.dtype != self._dtype(value):
            told = f"{list(wanted)} of {self._dtype(value)}"
            raise UntranslatedError(f"{name} makes {list(made.shape)} of {made.dtype}, and the plan says {told}")
