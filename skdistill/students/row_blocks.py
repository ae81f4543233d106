"""Pass through many rows block by block, on the threads that may be used."""

import threading
from contextlib import contextmanager
from functools import lru_cache

from sklearn.utils import gen_batches
from threadpoolctl import ThreadpoolController

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
    left, errors = iter(blocks), []  # every block is given to one thread only

    def work_on():
        try:
            for block in left:
                if errors:
                    return
                work(block)
        except BaseException as error:
            errors.append(error)

    with one_blas_thread():
        others = [threading.Thread(target=work_on, daemon=True) for _ in range(n_threads - 1)]
        # Where no thread can be started, as while Python shuts down, the others do it all.
        started = [other for other in others if _starts(other)]
        work_on()
        for other in started:
            other.join()
    if errors:
        raise errors[0]


def _starts(thread):
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


_LOCK, _users = threading.Lock(), []


@contextmanager
def one_blas_thread():
    """Let BLAS use one thread for each of ours; several callers at once may want that.

    Limits of threadpoolctl are those of the process: the last caller takes them back.
    """
    with _LOCK:
        if not _users:
            _users.append(_blas().limit(limits=1))
        _users.append(None)
    try:
        yield
    finally:
        with _LOCK:
            _users.pop()
            if len(_users) == 1:
                _users.pop().restore_original_limits()


@lru_cache(maxsize=1)
def _blas():
    return ThreadpoolController().select(user_api="blas")
