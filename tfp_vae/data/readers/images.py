"""Folders of images -> arrays of 8-bit or of 16-bit pixels. Each header is checked before its image is decoded.

Pillow decodes; before it does, the header is checked for size, type and frames, so that a file of a few bytes cannot
ask for gigabytes. Files are taken in the order of their names, and so fall into the same splits wherever the folder
lies.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tfp_vae.core.errors import DataError, one_line
from tfp_vae.data.readers.arrays import check_file

__all__ = ["CHANNELS", "Channels", "Pictures", "read_folder", "read_zip"]

Channels: TypeAlias = Literal["auto", "grey", "colour"]
"""How colours are read: grey, in three channels, or as the files are."""

CHANNELS: tuple[Channels, ...] = ("auto", "grey", "colour")

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
IGNORED = ("thumbs.db", "desktop.ini")
"""What file managers leave behind, beside hidden files."""

MOST_PIXELS = 1 << 24
"""The most pixels that a header may promise: about 50 MB once decoded, whatever the file's size."""

MOST_VALUES = 1 << 31
"""The most values that all images of a folder may have together."""

RESIZE = "Set `resize`"
"""The advice on images of several sizes."""

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}

LISTED, LOOKED_FOR = 5, 100
"""How many images a message names that cannot be used, and after how many no more are looked for."""

_DEEP_MODES = ("I;16", "I")
"""What Pillow calls grey PNG images of 16 bits, now and in older releases."""

_BIT_DEPTH = 24
"""The place in a PNG file of the byte that says how many bits a channel has: in the header, which comes first."""

_GREY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class Pictures(NamedTuple):
    """Images x, uint8 or uint16 [N, H, W, C], their labels y [N] where they lie in sub-folders, and their names [N]."""

    x: np.ndarray
    y: np.ndarray | None
    names: np.ndarray


class _Entry(NamedTuple):
    """An image that is to be read: its label, what it is called among the others and in messages, how it is opened."""

    label: str | None
    name: str
    where: str
    opened: Callable[[], IO[bytes]]


def read_folder(
    path: Path, *, resize: tuple[int, int] | None = None, channels: Channels = "auto"
) -> Mapping[str, Pictures]:
    """Return the PNG and JPEG images of a folder, by split; under "" where the folder has no splits.

    Images lie in the folder itself, or in sub-folders that are named for their labels; either in `train` and `test`
    (and `validation`) where the folder is split. They are read in the order of their names.

    Args:
      path: the folder.
      resize: (height, width) to which each image is brought, with antialiasing; their sides' ratio may change.
      channels: `grey` or `colour`; `auto` gives three channels if any image has colours.

    Returns:
      Split -> images, uint8 [N, H, W, C], C 1 or 3; uint16 where all are PNG images of 16 bits a pixel, in grey; in
        memory whole, at most 2^31 values in all.

    Raises:
      DataError: no images, images of several sizes or of 8 and of 16 bits, a file of another kind, or one that is
        damaged, transparent, of 16 bits a colour, or larger than 16 million pixels. Of several, the first five are
        named, each with what is wrong.
    """
    with _reading(path):
        folders = _split_folders(path)
        _refuse(path, [_of_another_kind(file) for folder in folders.values() for file in _others(folder)])
        listed = {split: _entries(folder) for split, folder in folders.items()}
    return _of_one_shape(path, listed, _decoded_all(path, listed, resize, channels))


def read_zip(path: Path, label: Callable[[str], str], *, resize: tuple[int, int]) -> Pictures:
    """Return the grey images of a zip archive in the order of their names, each labelled by its name.

    Args:
      path: the archive.
      label: name in the archive -> label.
      resize: (height, width).

    Raises:
      DataError: as `read_folder`, or an archive that is damaged.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(SUFFIXES))
        entries = [_Entry(label(name), f"{path}, {name}", f"{path}, {name}", _opener(archive, name)) for name in names]
        return _of_one_shape(path, {"": entries}, _decoded_all(path, {"": entries}, resize, "grey"))[""]


def _opener(archive: zipfile.ZipFile, name: str) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(name)


def _split_folders(path: Path) -> dict[str, Path]:
    """Return the folder of each split, or the folder itself under "".

    Only where `train` and `test` are there and every other folder is a split too: a class may be called test.
    """
    inner = {entry.name: entry for entry in _visible(path) if entry.is_dir()}
    if {"train", "test"} <= inner.keys() <= SPLIT_FOLDERS.keys():
        return {SPLIT_FOLDERS[name]: folder for name, folder in inner.items()}
    return {"": path}


def _entries(folder: Path) -> list[_Entry]:
    """Return a folder's images: its own, or those of its sub-folders with their labels."""
    inner = [entry for entry in _visible(folder) if entry.is_dir()]
    own = _images(folder, None, ignoring=inner)
    if inner and own:
        raise DataError(
            f"{folder}: expected images, or sub-folders of images, found both ({inner[0].name} and {own[0].name}); "
            "put each image into the sub-folder of its label."
        )
    found = own or [entry for sub in inner for entry in _images(sub, sub.name)]
    if not found:
        raise DataError(f"{folder}: expected PNG or JPEG images, or sub-folders of them, found none; check the path.")
    return found


def _images(folder: Path, label: str | None, ignoring: Sequence[Path] = ()) -> list[_Entry]:
    prefix = "" if label is None else f"{label}/"
    files = [entry for entry in _visible(folder) if entry not in ignoring]
    return [_Entry(label, f"{prefix}{file.name}", str(file), _path_opener(file)) for file in files]


def _others(folder: Path) -> Iterator[Path]:
    """Give what lies in a folder of images, or in its sub-folders, and is no image by its name."""
    for entry in _visible(folder):
        inner = _visible(entry) if entry.is_dir() else [entry]
        yield from (file for file in inner if file.is_dir() or file.suffix.lower() not in SUFFIXES)


def _of_another_kind(file: Path) -> str:
    what = "a folder" if file.is_dir() else "a file of another kind"
    return f"{file}: expected a PNG or JPEG image, found {what}; convert it or move it elsewhere."


def _refuse(path: Path, faults: Sequence[str], *, all_looked_at: bool = True) -> None:
    """Raise DataError if there are faults: the one that there is, or the first few and how many more there are.

    Args:
      path: of the folder.
      faults: sentences that begin with the path of what is wrong.
      all_looked_at: whether there are no others.
    """
    if not faults:
        return
    if len(faults) == 1:
        raise DataError(faults[0])
    named = [fault.removeprefix(f"{path}{os.sep}").removesuffix(".") for fault in faults[:LISTED]]
    told = " ".join(f"({i}) {fault}." for i, fault in enumerate(named, 1))
    least = "" if all_looked_at else "at least "
    more = f" And {least}{len(faults) - LISTED} more." if len(faults) > LISTED else ""
    raise DataError(f"{path}: {least}{len(faults)} files cannot be used: {told}{more}")


def _path_opener(path: Path) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        check_file(path)
        return path.open("rb")

    return opened


def _visible(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and p.name.lower() not in IGNORED]


def _decoded_all(
    path: Path, listed: Mapping[str, Sequence[_Entry]], resize: tuple[int, int] | None, channels: Channels
) -> list[np.ndarray]:
    """Return the images of all splits, of one size and one type, decoded one after another.

    After the first the memory that all will take is known, and refused before the second is decoded.
    """
    entries = [entry for inner in listed.values() for entry in inner]
    images: list[np.ndarray] = []
    faults: list[str] = []
    for entry in entries:
        with _noted(faults):
            images.append(_alike(_decoded(entry, resize, channels), entry, images))
        if len(images) == 1:
            _check_memory(images[0], entry, len(entries))
        if len(faults) == LOOKED_FOR:
            break
    _refuse(path, faults, all_looked_at=len(faults) < LOOKED_FOR)
    return images


@contextmanager
def _noted(faults: list[str]) -> Iterator[None]:
    """Add a DataError's sentence to `faults`, and go on."""
    try:
        yield
    except DataError as error:
        faults.append(str(error))


def _check_memory(image: np.ndarray, entry: _Entry, count: int) -> None:
    if count * image.size > MOST_VALUES:
        raise DataError(
            f"expected at most {MOST_VALUES:,} values in all, found {count:,} images like {entry.where} of "
            f"{image.size:,} values; choose a smaller `resize`."
        )


def _alike(image: np.ndarray, entry: _Entry, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return an image, refusing one of another type or another size than those before it."""
    first = others[0] if others else image
    if image.dtype != first.dtype:
        bits = [8 * each.itemsize for each in (first, image)]
        raise DataError(
            f"{entry.where}: expected images of one depth, {bits[0]} bits as the first, found {bits[1]}; save all of "
            "them alike."
        )
    expected, found = ("{}x{}".format(*each.shape) for each in (first, image))
    if expected != found:
        raise DataError(f"{entry.where}: expected images of one size, {expected}, found {found}. {RESIZE}.")
    return image


def _decoded(entry: _Entry, resize: tuple[int, int] | None, channels: Channels) -> np.ndarray:
    """Return one image, uint8 or uint16 [H, W, C], turned as its EXIF data say.

    EXIF says how the camera was held, of which the pixels know nothing.
    """
    from PIL import Image, ImageOps

    with _reading(entry.where), warnings.catch_warnings(), entry.opened() as stream:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        content = _in_memory(stream)
        with Image.open(content, formats=FORMATS) as image:
            _check_header(image, entry.where, content)
            pixels_of = _deep_pixels if image.mode in _DEEP_MODES else _pixels
            pixels = pixels_of(ImageOps.exif_transpose(image), entry.where, resize, channels)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _pixels(image: Any, name: str, resize: tuple[int, int] | None, channels: Channels) -> np.ndarray:
    converted = _opaque(image, name).convert(DECODED[channels](image.mode))
    return np.asarray(_resized(converted, resize))


def _deep_pixels(image: Any, name: str, resize: tuple[int, int] | None, channels: Channels) -> np.ndarray:
    """Return pixels of 16 bits as they are; resized by way of float32, which holds each of them."""
    from PIL import Image

    pixels = np.asarray(image).astype(np.uint16)
    if (pixels == image.info.get("transparency")).any():
        raise DataError(_TRANSPARENT.format(name))
    if resize is not None:
        resized = _resized(Image.fromarray(pixels.astype(np.float32)), resize)
        pixels = np.rint(np.asarray(resized)).astype(np.uint16)
    return np.repeat(pixels[..., np.newaxis], Image.getmodebands(DECODED[channels](image.mode)), axis=2)


def _resized(image: Any, resize: tuple[int, int] | None) -> Any:
    from PIL import Image

    return image if resize is None else image.resize(resize[::-1], Image.Resampling.BILINEAR)


def _in_memory(stream: IO[bytes]) -> io.BytesIO:
    """Return what is in a file; of a file itself, as many bytes as its header promises would be made room for.

    So Pillow is given a file whose end it meets, rather than one whose promised length it makes room for.
    """
    content = io.BytesIO()
    shutil.copyfileobj(stream, content)
    content.seek(0)
    return content


def _natural(mode: str) -> str:
    return "L" if mode in _GREY_MODES + _DEEP_MODES else "RGB"


DECODED: dict[str, Callable[[str], str]] = {
    "auto": _natural,
    "grey": lambda mode: "L",
    "colour": lambda mode: "RGB",
}
"""How channels are asked for, and the mode into which an image of a mode is decoded.

Images of 16 bits have as many channels as that mode.
"""


def _check_header(image: Any, name: str, content: io.BytesIO) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{name}: expected at most {MOST_PIXELS:,} pixels, its header promises {image.height} x {image.width}; "
            "make it smaller."
        )
    shallow = _GREY_MODES + _COLOUR_MODES
    if image.mode not in shallow + _DEEP_MODES or (image.mode in shallow and _bits(image, content) > 8):
        raise DataError(_MODE.format(name, image.mode))
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{name}: expected one picture, found an animation of {image.n_frames}; save its frames.")


def _bits(image: Any, content: io.BytesIO) -> int:
    """Return how many bits a channel of a file has; Pillow would take the upper half of 16 without a word."""
    return content.getbuffer()[_BIT_DEPTH] if image.format == "PNG" else 8


_MODE = (
    "{}: expected 8 bits a channel, or grey of 16 bits, found more bits in an image of mode {}; convert it, or put its "
    "pixels into an .npy array and train with `scaling=divided:by=65535`."
)
_TRANSPARENT = "{}: expected an opaque image, found transparent pixels; flatten it on a background."


def _opaque(image: Any, name: str) -> Any:
    """Return an image without its transparency, refusing one that can be seen through.

    A transparent pixel has whatever colour the file's maker left there: it would be data that nobody has seen.
    """
    if not image.has_transparency_data:
        return image
    full = image.convert("RGBA")
    if full.getchannel("A").getextrema()[0] < 255:
        raise DataError(_TRANSPARENT.format(name))
    return full.convert(_natural(image.mode))


def _of_one_shape(
    path: Path, listed: Mapping[str, Sequence[_Entry]], images: Sequence[np.ndarray]
) -> dict[str, Pictures]:
    """Return the images of each split as one array, grey ones in three channels if any has colours."""
    count = max((image.shape[2] for image in images), default=0)
    if not count:
        raise DataError(f"{path}: expected PNG or JPEG images, found none; get it anew.")
    rest = (np.repeat(image, count // image.shape[2], axis=2) for image in images)
    return {
        split: Pictures(
            np.stack(list(itertools.islice(rest, len(entries)))),
            _labels(entries),
            np.array([entry.name for entry in entries]),
        )
        for split, entries in listed.items()
    }


def _labels(entries: Sequence[_Entry]) -> np.ndarray | None:
    labels = [entry.label for entry in entries]
    return None if None in labels else np.array(labels)


_MALFORMED = (ArithmeticError, EOFError, LookupError, SyntaxError, TypeError, ValueError, struct.error, zlib.error)
"""What Pillow raises for files that make no sense, beside OSError."""


@contextmanager
def _reading(name: str | Path) -> Iterator[None]:
    """Turn whatever is wrong with an image, a folder or an archive into a DataError that names it."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{name}: expected at most {MOST_PIXELS:,} pixels, its header promises far more; get it anew."
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not a readable PNG or JPEG image, but something else; get it anew.") from error
    except (*_MALFORMED, zipfile.BadZipFile) as error:
        raise DataError(f"{name}: not a readable PNG or JPEG image ({one_line(error)}); get it anew.") from error
    except OSError as error:
        raise DataError(f"{name}: could not be read ({error.strerror or one_line(error)}); get it anew.") from error
