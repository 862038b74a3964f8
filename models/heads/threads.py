"""NumPy's linear algebra on one thread while something is learnt in closed form (needs `infilink[train]`)."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread: on a busy machine its others wait for each other five times as long as they work."""
    with threadpool_limits(1, user_api="blas"):
        yield
