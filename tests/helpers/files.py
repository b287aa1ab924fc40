"""Write data files of every kind."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tfp_vae.data.dataset import Dataset, Split


def encoded(pixels: np.ndarray | Image.Image, kind: str = "png", **more: object) -> bytes:
    buffer = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(buffer, kind, **more)
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


PIXELS = np.random.default_rng(3).integers(0, 256, (20, 4, 5)).astype(np.uint8)


def write_table(path: Path, rows: int = 30, header: str = "a,b,kind") -> Path:
    draw = np.random.default_rng(1)
    lines = [f"{x:.6f},{1000 + 100 * z:.4f},{'cat' if x > 0 else 'dog'}" for x, z in draw.normal(size=(rows, 2))]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def dataset(x: np.ndarray) -> Dataset:
    return Dataset("some", "", Split(x), Split(x), Split(x))


def idx(values: np.ndarray, code: int = 0x08, shape: tuple[int, ...] | None = None) -> bytes:
    shape = values.shape if shape is None else shape
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values.tobytes()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


GOOD = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)


def write_mnist(folder: Path, train: int = 5_010, test: int = 4) -> None:
    draw = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        images = draw.integers(0, 256, (count, 6, 5), np.uint8)
        labels = draw.integers(0, 10, count).astype(np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))


LABELS = (np.arange(20) % 2).astype(np.uint8)


def as_npy(folder: Path) -> Path:
    np.save(folder / "a.npy", PIXELS)
    return folder / "a.npy"


def as_npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", x=PIXELS, y=LABELS)
    return folder / "a.npz"


def as_idx(folder: Path) -> Path:
    (folder / "my-images-idx3-ubyte").write_bytes(idx(PIXELS))
    (folder / "my-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    return folder / "my-images-idx3-ubyte"


def as_zipped_idx(folder: Path) -> Path:
    (folder / "a.idx3.gz").write_bytes(gzip.compress(idx(PIXELS)))
    return folder / "a.idx3.gz"


def as_folder(folder: Path) -> Path:
    return write(folder / "pictures", {f"{i:02}.png": encoded(x) for i, x in enumerate(PIXELS)})


FORMS: list[Callable[[Path], Path]] = [as_npy, as_npz, as_idx, as_zipped_idx, as_folder]


def gif_bomb(side: int = 65_535) -> bytes:
    """A GIF of a few bytes whose header promises side x side pixels."""
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0)


def png_text_bomb(characters: int = 1 << 22) -> bytes:
    """A PNG file of a few kilobytes with a text that unpacks to millions of characters."""
    good = encoded(np.zeros((2, 2), np.uint8))
    text = b"Description\0\0" + zlib.compress(bytes(characters))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    end_of_header = good.index(b"IDAT") - 4
    return good[:end_of_header] + chunk + good[end_of_header:]


def png_bomb(side: int = 30_000) -> bytes:
    """A PNG file of a few bytes whose header promises side x side pixels."""
    good = bytearray(encoded(np.zeros((2, 2), np.uint8)))
    good[16:24] = struct.pack(">II", side, side)
    good[29:33] = struct.pack(">I", zlib.crc32(bytes(good[12:29])))
    return bytes(good)
