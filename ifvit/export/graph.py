"""An ONNX graph built node by node: names are given here, shared weights are stored once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""Version of the operators: the first with LayerNormalization, in runtimes since 2022."""

IR_VERSION = 8
"""Version of the file format that goes with it."""

TYPES = {"float": TensorProto.FLOAT, "bool": TensorProto.BOOL, "int": TensorProto.INT32}

Operand = str | float | np.generic | np.ndarray
"""A value by its name, or a constant; a plain number becomes float32."""


class Graph:
    """A graph under construction. Values are strings, the names that ONNX knows them by."""

    def __init__(self, name: str, tensors: Mapping[str, np.ndarray]) -> None:
        """Take the parameters by their places in the model, such as ``ResNet18/proj/kernel``."""
        self.name = name
        self.tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[bytes, tuple[str, np.ndarray]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, *shape: int | str) -> str:
        """Declare an input; sizes that are free are given by a name."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[kind], list(shape)))
        return name

    def output(self, name: str, value: str, kind: str, *shape: int | str) -> None:
        """Declare an output, and rename a value to it."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[kind], list(shape)))

    def op(self, kind: str, *operands: Operand, **attributes: Any) -> str:
        """Add a node with one output, and return that output's name."""
        return self.ops(kind, 1, *operands, **attributes)[0]

    def ops(self, kind: str, count: int, *operands: Operand, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs, and return their names."""
        names = [self._named(operand) for operand in operands]
        made = [f"{kind}_{len(self._nodes)}_{i}" for i in range(count)]
        self._nodes.append(helper.make_node(kind, names, made, **attributes))
        return made

    def tensor(self, name: str) -> np.ndarray:
        """Return a parameter in float64, to be combined with others before it is stored."""
        return np.asarray(self.tensors[name], np.float64)

    def weight(self, name: str) -> np.ndarray:
        """Return a parameter in float32, as an operand."""
        return np.asarray(self.tensors[name], np.float32)

    def size(self, value: str, axis: int) -> str:
        """Return the size of a value along an axis: int64 of shape (1,)."""
        return self.op("Shape", value, start=axis, end=axis + 1)

    def shape(self, *sizes: int | str) -> str:
        """Return sizes, fixed or of :meth:`size`, as one shape for Reshape."""
        parts = [np.array([s], np.int64) if isinstance(s, int) else s for s in sizes]
        return self.op("Concat", *parts, axis=0)

    def line(self, size: str, first: int = 0) -> str:
        """Return ``first``, ``first + 1``, … as int64, ``size`` numbers."""
        numbers = self.op("Range", np.int64(0), self.op("Squeeze", size), np.int64(1))
        return self.op("Add", numbers, np.int64(first)) if first else numbers

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Return the finished model, checked; equal graphs give equal bytes."""
        constants = [numpy_helper.from_array(a, name) for name, a in self._constants.values()]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="ifvit",
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _named(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return operand
        array = np.asarray(operand, np.float32 if isinstance(operand, float) else None)
        # Networks that are called twice, and equal shapes and numbers, are stored once.
        key = b"|".join([str((array.dtype, array.shape)).encode(), array.tobytes()])
        name, _ = self._constants.setdefault(key, (f"constant_{len(self._constants)}", array))
        return name
