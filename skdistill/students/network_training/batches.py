"""Bring rows to the training device and cut them into batches."""

import math

import torch

#: Share of a GPU's free memory that the rows may take; the rest is for training on them.
SHARE_OF_MEMORY = 0.6

#: What is sent at a time to a GPU that cannot hold all rows.
CHUNK_BYTES = 2**28


class Batches:
    """Iterate over batches of two tensors, in a new order each time if there is a generator.

    A loader that collates row by row spends most of the time of a small network on it; slices of
    a permuted tensor cost next to nothing.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Holds two tensors, both on `device` or both in main memory.
    batch_size : int
        Rows per batch; a last, smaller one is left out of a pass in random order.
    device : str
        Where the batches are wanted.
    generator : torch.Generator or None, default=None
        Source of the order, on the device of the tensors.
    chunk_bytes : int or None, default=None
        What is sent at a time to a device that does not hold the tensors; None if it does.
    """

    def __init__(self, dataset, batch_size, device, generator=None, chunk_bytes=None):
        self.tensors = dataset.X, dataset.y
        self.n_rows = len(dataset.X)
        self.batch_size = min(batch_size, self.n_rows)
        self.device = torch.device(device)
        self.generator = generator
        self.chunk_bytes = chunk_bytes

    def __len__(self):
        if self.generator is None:
            return math.ceil(self.n_rows / self.batch_size)
        return self.n_rows // self.batch_size

    def __iter__(self):
        if self.generator is None:
            for batch in zip(*(t.split(self.batch_size) for t in self.tensors), strict=True):
                yield tuple(part.to(self.device) for part in batch)
            return
        order = self.new_order()
        if self.chunk_bytes is None:
            for rows in order.split(self.batch_size):
                yield tuple(t.index_select(0, rows) for t in self.tensors)
            return
        for rows in order.split(self.batch_size * self._batches_per_chunk()):
            chunk = [t.index_select(0, rows).to(self.device) for t in self.tensors]
            yield from zip(*(t.split(self.batch_size) for t in chunk), strict=True)

    def new_order(self):
        """Draw the rows of all batches of a pass in random order, one batch after the other."""
        order = torch.randperm(self.n_rows, generator=self.generator, device=self.generator.device)
        return order[: len(self) * self.batch_size]

    def _batches_per_chunk(self):
        row_bytes = sum(t.nbytes for t in self.tensors) / self.n_rows
        return max(1, int(self.chunk_bytes / (row_bytes * self.batch_size)))


def has_room(tensors, device):
    """Tell whether a device can hold tensors and still train on them."""
    if torch.device(device).type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(t.nbytes for t in tensors) <= SHARE_OF_MEMORY * free
