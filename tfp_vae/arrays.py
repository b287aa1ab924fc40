"""Where an array begins in memory: TensorFlow takes one without a copy if that is a multiple of 64 bytes."""

from __future__ import annotations

import numpy as np

__all__ = ["ALIGNMENT", "aligned", "is_aligned"]

ALIGNMENT = 64
"""Bytes of a line of the cache, and of the widest vector."""


def is_aligned(x: np.ndarray) -> bool:
    """Return whether x lies in one piece, and begins at a multiple of `ALIGNMENT` bytes."""
    return bool(x.flags.c_contiguous) and x.ctypes.data % ALIGNMENT == 0


def aligned(x: np.ndarray) -> np.ndarray:
    """Return x if it is aligned, else a copy that is.

    NumPy's own memory begins 16 bytes after such a place if it is much.
    """
    if is_aligned(x) or x.dtype.hasobject:
        return x
    room = np.empty(x.nbytes + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    found: np.ndarray = room[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    found[...] = x
    return found
