"""An ONNX graph while it grows: nodes and constants with names of their own."""

import numpy as np
from onnx import helper, numpy_helper

#: What onnxruntime 1.20, onnxruntime-web and OpenVINO read, and skl2onnx writes.
OPSET, ML_OPSET, IR_VERSION = 17, 4, 8

#: Domain of the operators for trees and labels.
ML = "ai.onnx.ml"


class GraphBuilder:
    """Collects nodes and constants.

    `unique_name` turns a name into one that is not in use; by default names in use are those of the
    graph and those `taken`.
    """

    def __init__(self, unique_name=None, taken=()):
        self._taken = set(taken)
        self.unique_name = unique_name or self._unique_name
        self.nodes = []
        self.constants = {}

    def add(self, op, *inputs, output=None, domain="", **attributes):
        """Add a node and return the name of its output."""
        output = output or self.unique_name(op)
        self.nodes.append((op, list(inputs), output, domain, attributes))
        return output

    def constant(self, values, name="constant"):
        """Add an array, and return its name."""
        name = self.unique_name(name)
        self.constants[name] = np.asarray(values)
        return name

    def join(self, parts):
        """Put tensors of shape (N, n) side by side."""
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)

    def cast(self, value, dtype):
        """Convert to a NumPy type."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def node_protos(self):
        """Return the nodes as NodeProtos."""
        return [
            helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes)
            for op, inputs, output, domain, attributes in self.nodes
        ]

    def constant_protos(self):
        """Return the constants as TensorProtos."""
        return [numpy_helper.from_array(values, name) for name, values in self.constants.items()]

    def _unique_name(self, wish):
        name, number = wish, 0
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name


def value_infos(ends):
    """Turn inputs or outputs, tuples (name, NumPy type, shape), into ValueInfoProtos."""
    return [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
        for name, dtype, shape in ends
    ]
