"""Limits on memory that do not depend on earlier tests, unlike the peak resident size of a process."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def at_most(peak: int) -> Iterator[None]:
    """Assert that Python and NumPy allocate at most this many more bytes within the block."""
    tracemalloc.start()
    try:
        yield
        _, found = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found < peak, f"{found:,} bytes at once"


@contextmanager
def address_space(more: int) -> Iterator[None]:
    """Limit the memory of the process, for all libraries, to this many bytes more than are mapped now."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
