"""Pass through many rows block by block, on the threads that may be used."""

from concurrent.futures import ThreadPoolExecutor

from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from skdistill.sklearn_private import n_openmp_threads

#: Rows that are worked on at a time: what is computed of them fits in the processor's cache.
BLOCK_ROWS = 2048

#: With fewer blocks one thread is as fast as several.
FEWEST_BLOCKS = 8


def in_blocks(work, n_rows):
    """Call `work` with slices of rows that together are all, at the same time on several threads.

    They are as many as OpenMP may use: the processors, or what ``OMP_NUM_THREADS``, threadpoolctl
    or joblib allow. `work` should release the GIL for most of its time.
    """
    blocks = list(gen_batches(n_rows, BLOCK_ROWS))
    n_threads = n_openmp_threads() if len(blocks) >= FEWEST_BLOCKS else 1
    if n_threads == 1:
        for block in blocks:
            work(block)
        return
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(work, blocks):
            pass  # to raise what was raised there
