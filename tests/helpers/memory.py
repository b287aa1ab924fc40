"""Bounds on memory that hold whatever was done before, as the greatest resident size of a process only ever grows."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def at_most(peak: int) -> Iterator[None]:
    """Assert that Python and NumPy hold at most so many bytes more at any moment within."""
    tracemalloc.start()
    try:
        yield
        _, found = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found < peak, f"{found:,} bytes at once"


@contextmanager
def address_space(more: int) -> Iterator[None]:
    """Let the kernel refuse, to whatever library, what exceeds the memory mapped now by so many bytes."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
