"""Cells of text as numbers: the same in every process, container and release of Python."""

from hashlib import blake2b

import numpy as np


def cell_hashes(cells):
    """Give equal cells equal numbers, and different cells almost surely different ones.

    Parameters
    ----------
    cells : list of (str, number or None)
        None stands for missing, which differs from the empty text. Numbers are equal if they are
        as float64: 1, 1.0 and True are; 1 and "1" are not.

    Returns
    -------
    hashes : ndarray of shape (n_cells,) and dtype uint64
        The first 64 bits of BLAKE2b. Among a million different cells the probability that any two
        have the same one is 3e-8.
    """
    distinct = dict.fromkeys(cells)
    digests = b"".join(blake2b(_as_bytes(cell), digest_size=8).digest() for cell in distinct)
    hash_of = dict(zip(distinct, np.frombuffer(digests, "<u8").tolist(), strict=True))
    return np.fromiter(map(hash_of.__getitem__, cells), np.uint64, len(cells))


def _as_bytes(cell):
    if isinstance(cell, str):
        return b"text " + cell.encode(errors="surrogatepass")
    if cell is None:
        return b""
    number = float(cell) if abs(cell) < 1e300 else cell  # an integer may be too large for a float
    return b"number " + repr(number).encode()
