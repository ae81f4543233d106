"""The inputs and outputs of an ONNX model: their names, types and shapes.

What goes in is one tensor of all columns, if they hold numbers, else one tensor per column.
"""

from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np

from skdistill.columns import PlainColumns, column_values

#: Input of a model whose columns all hold numbers.
MATRIX = "X"

#: The missing string; ONNX has no null.
MISSING = ""


LABEL, PROBABILITIES, PREDICTION = "label", "probabilities", "variable"


@dataclass(frozen=True)
class InputColumn:
    """How one raw column is fed.

    Attributes
    ----------
    name : str
        The column.
    input : str
        The input it goes to: `MATRIX`, or one of its own.
    kind : str
        "number" or "string".
    missing : str or None
        The string for missing; None for numbers, which have NaN.
    """

    name: str
    input: str
    kind: str
    missing: str | None = None

    def to_dict(self):
        """Return the fields as a dict that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True)
class Cells:
    """The raw columns in a graph.

    Attributes
    ----------
    numbers : str or None
        Tensor of shape (N, n_numbers); None if there are no numbers.
    position : dict of int to int
        Where in it a column of the table stands.
    strings : dict of int to str
        Tensor of shape (N, 1) of every column of strings.
    dtype : type
        Of the numbers: numpy.float32 or numpy.float64.
    """

    numbers: str | None
    position: dict
    strings: dict
    dtype: type


def input_columns(columns, taken):
    """Decide how columns are fed; one whose name is empty or taken gets another as an input.

    ValueError if the levels of a column are of several types, or neither numbers nor strings.
    """
    kinds = [_kind(column) for column in columns]
    if "string" not in kinds:
        return tuple(InputColumn(column.name, MATRIX, "number") for column in columns)
    names = input_names([column.name for column in columns], taken)
    return tuple(
        InputColumn(column.name, name, kind, _missing(column) if kind == "string" else None)
        for column, name, kind in zip(columns, names, kinds, strict=True)
    )


def input_names(names, taken):
    """Give every column an input of its name, or a like one if that is empty or in use."""
    taken = set(taken)
    inputs = []
    for j, wish in enumerate(names):
        name = wish or f"x{j}"
        while name in taken:
            name += "_"
        taken.add(name)
        inputs.append(name)
    return inputs


def declared_inputs(inputs, dtype):
    """List the inputs of a graph as tuples (name, type, shape), see `value_infos`."""
    width = Counter(column.input for column in inputs)
    kinds = {column.input: column.kind for column in inputs}
    types = {"number": dtype, "string": object}
    return [(name, types[kinds[name]], ["N", width[name]]) for name in kinds]


def cells_of(graph, inputs, dtype):
    """Put the inputs of a graph together as `Cells`."""
    numbers = [j for j, column in enumerate(inputs) if column.kind == "number"]
    tensors = list(dict.fromkeys(inputs[j].input for j in numbers))
    return Cells(
        graph.join(tensors) if numbers else None,
        {j: position for position, j in enumerate(numbers)},
        {j: column.input for j, column in enumerate(inputs) if column.kind == "string"},
        dtype,
    )


def output_names(classes):
    """Name the outputs as skl2onnx does."""
    return [PREDICTION] if classes is None else [LABEL, PROBABILITIES]


def declared_outputs(classes, dtype):
    """List the outputs of a graph as tuples (name, type, shape), see `value_infos`."""
    if classes is None:
        return [(PREDICTION, dtype, ["N", 1])]
    label_type = class_labels(classes).dtype
    return [(LABEL, label_type, ["N"]), (PROBABILITIES, dtype, ["N", len(classes)])]


def class_labels(classes):
    """Return the labels as ONNX has them: strings (object), or int64; booleans are 0 and 1."""
    strings = all(isinstance(label, str) for label in classes)
    return np.array(classes, dtype=object if strings else np.int64)


def feeds(inputs, rows, dtype):
    """Turn raw rows into the tensors that onnxruntime is fed with, by the name of the input.

    ValueError if the rows have other columns.
    """
    if not isinstance(rows, PlainColumns) and not hasattr(rows, "shape"):
        rows = np.asarray(rows)
    if rows.shape[1] != len(inputs):
        raise ValueError(
            f"The rows have {rows.shape[1]} columns; the ONNX model takes {len(inputs)}: "
            f"{[column.name for column in inputs]}."
        )
    tensors = {}
    for j, column in enumerate(inputs):
        cells = _cells(column_values(rows, j), column, dtype)
        tensors.setdefault(column.input, []).append(cells)
    return {name: np.stack(cells, axis=1) for name, cells in tensors.items()}


def _cells(values, column, dtype):
    if column.kind == "string":
        filled = [column.missing if value is None else str(value) for value in values]
        return np.array(filled, dtype=object)
    if values.dtype == object and any(isinstance(value, str) for value in values):
        raise ValueError(
            f"Column {column.name!r} holds strings; it held numbers when the student was fitted."
        )
    with np.errstate(over="ignore"):  # too large for float32 is infinite, and gives NaN
        return values.astype(np.float64).astype(dtype)  # None becomes NaN


def _kind(column):
    if not column.is_mixed:
        return "string" if column.holds_text else "number"
    types = sorted({type(level).__name__ for level in column.levels})
    raise ValueError(
        f"Column {column.name!r} has categories of the types {', '.join(types)}; an ONNX tensor is "
        "of one type, so only strings or only numbers were expected. Convert the categories into "
        "strings and fit again."
    )


def _missing(column):
    """Choose the string for missing: empty, unless that is a category."""
    marker = MISSING
    while marker in column.levels:
        marker += "missing"
    return marker


def distinct_levels(column, dtype):
    """Return the levels of a column, categories that are numbers, as a type distinguishes them."""
    levels = np.array(column.levels, dtype=dtype)
    if len(np.unique(levels)) < len(levels):
        raise ValueError(
            f"Column {column.name!r} has categories that {np.dtype(dtype)} cannot distinguish. "
            "Pass dtype='float64', or convert the categories into strings and fit again."
        )
    return levels
