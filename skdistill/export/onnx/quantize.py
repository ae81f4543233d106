"""The large matrices of a network as int8: a third of the size, at a loss that is measured."""

import numpy as np
from onnx import ModelProto, numpy_helper

from skdistill.export.onnx.graph import GraphBuilder

#: Matrices with fewer weights stay as they are: there is nothing to gain.
SMALLEST = 1024


def quantized(proto):
    """Return a copy of a model whose large matrices are int8, with one scale per column of each.

    onnxruntime multiplies integers and scales once, when it loads the model, so a row takes as long
    as before. Integer arithmetic takes the scales of hidden values from the rows at hand: a row's
    score would depend on its neighbours, and no certificate could cover it.
    """
    matrices = _large_matrices(proto)
    taken = [name for node in proto.graph.node for name in (node.name, *node.input, *node.output)]
    builder = GraphBuilder(taken=taken)
    for name, matrix in matrices.items():
        scale = np.abs(matrix).max(axis=0) / np.float32(127)
        scale[scale == 0] = 1.0
        integers = builder.constant(np.rint(matrix / scale).astype(np.int8), "integers")
        unit = builder.constant(scale, "scale")
        builder.add("Mul", builder.cast(integers, np.float32), unit, output=name)
    kept = [each for each in proto.graph.initializer if each.name not in matrices]
    small = ModelProto()
    small.CopyFrom(proto)
    del small.graph.node[:], small.graph.initializer[:]
    small.graph.node.extend([*builder.node_protos(), *proto.graph.node])
    small.graph.initializer.extend([*kept, *builder.constant_protos()])
    return small


def _large_matrices(proto):
    """Find the weights of layers and the tables of levels, by name."""
    weights = {node.input[1] for node in proto.graph.node if node.op_type == "Gemm"}
    weights |= {node.input[0] for node in proto.graph.node if node.op_type == "Gather"}
    arrays = {
        each.name: numpy_helper.to_array(each)
        for each in proto.graph.initializer
        if each.name in weights and np.prod(each.dims) >= SMALLEST and len(each.dims) == 2
    }
    return {name: array for name, array in arrays.items() if array.dtype == np.float32}
