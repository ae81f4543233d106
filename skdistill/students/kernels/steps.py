"""Training steps by compiled C, on as many threads as may be used."""

import ctypes
from functools import lru_cache

import numpy as np
from scipy.linalg import cython_blas

from skdistill.sklearn_private import n_openmp_threads
from skdistill.students.kernels.library import library

#: Losses by their number in C.
LOSSES = "kl", "logit_mse", "brier", "js"

#: Rows of a part of a batch, which one thread works on; and the largest number of parts.
PART_ROWS, MOST_PARTS = 256, 8

_INT, _POINTER = ctypes.c_int, ctypes.c_void_p


class _Training(ctypes.Structure):
    _fields_ = [
        *((name, _POINTER) for name in ("first", "gemm")),
        *((name, _INT) for name in ("n_layers", "n_classes", "n_terms", "packed_width")),
        *((name, _INT) for name in ("batch_size", "n_parts", "most_threads", "n_threads")),
        *((name, _POINTER) for name in ("widths", "losses")),
        *((name, _POINTER) for name in ("temperatures", "positions", "packed")),
        *((name, ctypes.c_long) for name in ("n_weights", "n_scratch")),
        *((name, _POINTER) for name in ("weights", "served", "mean", "square")),
        ("weight_decay", ctypes.c_float),
        *((name, _POINTER) for name in ("gradients", "scratch", "part_losses")),
        *((name, _INT) for name in ("n_waiting", "round")),
    ]


class NetworkSteps:
    """Steps of AdamW that minimise a loss of an MLP on encoded columns.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.
    The result does not depend on the number of threads.

    Parameters
    ----------
    kernels : CurveKernels
        Of the columns.
    widths : list of int
        Outputs of the first layer, of all others, and of the network.
    terms : list of (str, float)
        Loss and temperature of every term, see `DistillationLoss`; none in regression.
    n_classes : int
        0 in regression.
    positions, packed : ndarray of shape (n_rows, n_columns) and (n_rows, width)
        The rows, and targets and weights of the terms; float32, C-contiguous.
    weights, served : ndarray of shape (n_weights,)
        The weights of the network, layer by layer, which are changed, and their moving average;
        float32.
    weight_decay : float
        Of AdamW.
    batch_size : int
        Rows of a step.
    """

    def __init__(
        self,
        kernels,
        widths,
        terms,
        n_classes,
        positions,
        packed,
        weights,
        served,
        weight_decay,
        batch_size,
    ):
        n_parts = int(np.clip(batch_size // PART_ROWS, 1, MOST_PARTS))
        n_threads = min(n_openmp_threads(), n_parts)
        part_rows = -(-batch_size // n_parts)
        of_table = kernels.n_points * widths[0]
        of_rows = part_rows * (2 * positions.shape[1] + sum(widths) + 2 * max(widths))
        n_scratch = 2 * of_table + of_rows + 3 * n_classes
        self.losses = np.zeros(n_parts)
        #: Kept, as C has only their addresses.
        self._arrays = {
            "widths": np.array(widths, dtype=np.intc),
            "losses": np.array([LOSSES.index(loss) for loss, _ in terms], dtype=np.intc),
            "temperatures": np.array([temperature for _, temperature in terms], dtype=np.float32),
            "positions": positions,
            "packed": packed,
            "weights": weights,
            "served": served,
            "mean": np.zeros_like(weights),
            "square": np.zeros_like(weights),
            "gradients": np.empty((n_parts, len(weights)), dtype=np.float32),
            "scratch": np.empty((n_threads, n_scratch), dtype=np.float32),
            "part_losses": self.losses,
        }
        self._kernels = kernels
        self._training = _Training(
            first=kernels.address,
            gemm=sgemm(),
            n_layers=len(widths) - 1,
            n_classes=n_classes,
            n_terms=len(terms),
            packed_width=packed.shape[1],
            batch_size=batch_size,
            n_parts=n_parts,
            most_threads=n_threads,
            n_weights=len(weights),
            n_scratch=n_scratch,
            weight_decay=weight_decay,
            **{name: array.ctypes.data for name, array in self._arrays.items()},
        )
        self.batch_size, self._n_steps = batch_size, 0

    def run(self, order, learning_rates, shares):
        """Take some steps.

        Parameters
        ----------
        order : ndarray of shape (n_steps * batch_size,), int64
            The rows of one batch after the other.
        learning_rates, shares : ndarray of shape (n_steps,), float32
            The learning rate of every step, and how far the average moves towards the weights.

        Returns
        -------
        loss : float
            The sum of the losses of all rows.
        """
        self.losses[:] = 0
        addresses = [each.ctypes.data for each in (order, learning_rates, shares)]
        take = len(shares), self._n_steps + 1
        library().network_steps(self._address, addresses[0], *take, *addresses[1:])
        self._n_steps += len(shares)
        return float(self.losses.sum())

    def loss(self, positions, packed):
        """Compute the sum of the losses of other rows by the moving average of the weights.

        Parameters
        ----------
        positions, packed : ndarray of shape (n_rows, n_columns) and (n_rows, width)
            As those that are learned from.

        Returns
        -------
        loss : float
            Of all rows.
        """
        rows = positions.ctypes.data, packed.ctypes.data, len(positions)
        return library().network_loss(self._address, *rows)

    @property
    def _address(self):
        return ctypes.addressof(self._training)


@lru_cache
def sgemm():
    """Return the address of the matrix product of SciPy's BLAS; None if it counts with 64 bits."""
    capsule = cython_blas.__pyx_capi__["sgemm"]
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = _POINTER, [ctypes.py_object, ctypes.c_char_p]
    signature = name_of(capsule)
    return pointer_of(capsule, signature) if b" int *," in signature else None
