"""Sums of curves by compiled C: the first layer of students that encode their columns."""

import ctypes

import numpy as np

from skdistill.scorer.model import curve_positions
from skdistill.students.kernels.library import library

#: The points of a row, and their shares, lie on the stack.
MOST_COLUMNS = 10_000


class Curves(ctypes.Structure):
    """What C calls ``curves``."""

    _fields_ = [
        ("n_columns", ctypes.c_int),
        ("n_points", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("first", "n_edges", "n_others", "first_code")),
    ]


class CurveKernels:
    """Compiled sums over the curves of some columns.

    Parameters
    ----------
    n_edges : ndarray of shape (n_columns,)
        Edges of the curve of every column of numbers, 0 for one of categories.
    n_others : ndarray of shape (n_columns,)
        Its other points: levels, or 1 for missing numbers with a code.
    """

    def __init__(self, n_edges, n_others):
        n_codes = np.maximum(n_edges - 1, 0) + n_others
        sizes = n_edges + n_others
        self._columns = n_edges, n_others
        #: Numbers of points and of codes of all curves.
        self.n_points, self.n_codes = int(sizes.sum()), int(n_codes.sum())
        starts = [np.cumsum(each) - each for each in (sizes, n_codes)]
        self._arrays = [
            np.ascontiguousarray(each, dtype=np.intc)
            for each in (starts[0], n_edges, n_others, starts[1])
        ]
        pointers = [each.ctypes.data for each in self._arrays]
        self._curves = Curves(len(n_edges), self.n_points, *pointers)
        #: What the functions of `library` take as the curves.
        self.address = ctypes.addressof(self._curves)

    def table(self, weights):
        """Turn the weights of codes into curves, as `Encoding.curves` does, one after the other.

        Parameters
        ----------
        weights : ndarray of shape (n_codes, width)
            Float32 or float64.

        Returns
        -------
        table : ndarray of shape (n_points, width)
            Of the same type.
        """
        weights = np.ascontiguousarray(weights)
        out = np.empty((self.n_points, weights.shape[1]), dtype=weights.dtype)
        compute = getattr(library(), f"table_of_weights_d{weights.dtype.char}")
        compute(self.address, weights.ctypes.data, weights.shape[1], out.ctypes.data)
        return out

    def sums(self, positions, table, start):
        """Add up the curves, see `Encoding.sum_of_curves`.

        Parameters
        ----------
        positions : ndarray of shape (n_rows, n_columns)
            C-contiguous.
        table : ndarray of shape (n_points, width)
            The points of all curves; C-contiguous.
        start : ndarray of shape (width,)
            What is added to all sums, of the type of the table.

        Returns
        -------
        sums : ndarray of shape (n_rows, width)
            Of the type of the table.
        """
        return self._computed("curve_sums", positions, table, start)

    def pair_sums(self, positions, table):
        """Look up a table of two columns, see `PairTable`.

        Parameters
        ----------
        positions : ndarray of shape (n_rows, 2)
            C-contiguous.
        table : ndarray of shape (n_points_a, n_points_b, width)
            C-contiguous.

        Returns
        -------
        sums : ndarray of shape (n_rows, width)
            Of the type of the table.
        """
        return self._computed("pair_sums", positions, table)

    def weight_gradient(self, positions, gradient):
        """Compute the gradient of the weights of codes from that of the sums.

        Parameters
        ----------
        positions : ndarray of shape (n_rows, n_columns)
            C-contiguous.
        gradient : ndarray of shape (n_rows, width)
            Of the sums of every row; C-contiguous.

        Returns
        -------
        weights : ndarray of shape (n_codes, width)
            Of the type of the gradient.
        """
        kernels, width = library(), gradient.shape[1]
        variant = positions.dtype.char + gradient.dtype.char
        table, weights = (
            np.empty((n, width), dtype=gradient.dtype) for n in (self.n_points, self.n_codes)
        )
        u, g, t, w = (each.ctypes.data for each in (positions, gradient, table, weights))
        getattr(kernels, f"table_gradient_{variant}")(self.address, u, len(positions), g, width, t)
        getattr(kernels, f"weight_gradient_{variant}")(self.address, t, width, w)
        return weights

    def __reduce__(self):
        return CurveKernels, self._columns

    def _computed(self, name, positions, table, *more):
        out = np.empty((len(positions), table.shape[-1]), dtype=table.dtype)
        compute = getattr(library(), f"{name}_{positions.dtype.char}{table.dtype.char}")
        first, second, *others = [each.ctypes.data for each in (positions, table, *more, out)]
        compute(self.address, first, len(out), second, out.shape[1], *others)
        return out


class Positions:
    """Compiled positions of the numbers of a whole table.

    Parameters
    ----------
    edges : list of ndarray of shape (n_edges,)
        Increasing, of every column; float64.
    fill_values : list of float
        What replaces NaN in every column; it may be NaN.
    """

    def __init__(self, edges, fill_values):
        starts = np.cumsum([0, *map(len, edges)])
        self._arrays = (
            np.concatenate(edges),
            starts.astype(np.intc),
            np.array(fill_values, dtype=np.float64),
        )
        self._addresses = [each.ctypes.data for each in self._arrays]

    def __call__(self, values):
        """Compute positions, see `positions`; both are float64 of shape (n_rows, n_columns)."""
        if any(stride % values.itemsize for stride in values.strides):
            values = values.copy()
        strides = [stride // values.itemsize for stride in values.strides]
        found = np.empty(values.shape)
        n_rows, n_columns = values.shape
        library().all_positions(
            *(values.ctypes.data, n_rows, *strides, n_columns),
            *(*self._addresses, found.ctypes.data),
        )
        return found


def positions(edges, values, fill_value):
    """Compute positions, see `curve_positions`, of numbers of which the missing ones are filled in.

    Parameters
    ----------
    edges : ndarray of shape (n_edges,)
        Increasing; float64, C-contiguous.
    values : ndarray of shape (n_rows,)
        Float64.
    fill_value : float
        What replaces NaN; it may be NaN.

    Returns
    -------
    positions : ndarray of shape (n_rows,)
        Float64, NaN where missing.
    """
    kernels = library()
    if kernels is None:
        return curve_positions(edges, np.where(np.isnan(values), fill_value, values))
    if values.strides[0] % values.itemsize:
        values = values.copy()
    found = np.empty(len(values))
    kernels.curve_positions(
        *(values.ctypes.data, len(values), values.strides[0] // values.itemsize),
        *(edges.ctypes.data, len(edges), fill_value, found.ctypes.data, 1),
    )
    return found
