"""Folders of images -> arrays of 8-bit pixels. Each header is checked before its image is decoded.

Pillow decodes; before it does, the header is checked for size, type and frames, so that a file of a few bytes cannot
ask for gigabytes. Files are taken in the order of their names, and so fall into the same splits wherever the folder
lies.
"""

from __future__ import annotations

import io
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

from tfp_vae.errors import DataError
from tfp_vae.files import refuse_special

__all__ = ["CHANNELS", "Channels", "Pictures", "read_folder", "read_zipped"]

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

RESIZE = "give --resize"
"""What is advised on images of several sizes, of data to train on."""

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}

_GREY_MODES = ("1", "L", "LA")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class Pictures(NamedTuple):
    """Images x, uint8 [N, H, W, C], their labels y [N] where they lie in sub-folders, and their names [N]."""

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
      Split -> images, uint8 [N, H, W, C], C 1 or 3; in memory whole, at most 2^31 values in all.

    Raises:
      DataError: no images, images of several sizes, a file of another kind, or one that is damaged, transparent, of
        more than 8 bits a channel, or larger than 16 million pixels.
    """
    with _reading(path):
        listed = {split: _entries(folder) for split, folder in _split_folders(path).items()}
    decoded = {split: _decoded_all(entries, resize, channels) for split, entries in listed.items()}
    return _of_one_shape(path, listed, decoded)


def read_zipped(path: Path, label: Callable[[str], str], *, resize: tuple[int, int]) -> Pictures:
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
        return _of_one_shape(path, {"": entries}, {"": _decoded_all(entries, resize, "grey")})[""]


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
    files = [entry for entry in _visible(folder) if entry not in ignoring]
    other = [file for file in files if file.is_dir() or file.suffix.lower() not in SUFFIXES]
    if other:
        what = "a folder" if other[0].is_dir() else "a file of another kind"
        raise DataError(f"{other[0]}: expected a PNG or JPEG image, found {what}; convert it or move it elsewhere.")
    prefix = "" if label is None else f"{label}/"
    return [_Entry(label, f"{prefix}{file.name}", str(file), _path_opener(file)) for file in files]


def _path_opener(path: Path) -> Callable[[], IO[bytes]]:
    def opened() -> IO[bytes]:
        refuse_special(path)
        return path.open("rb")

    return opened


def _visible(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and p.name.lower() not in IGNORED]


def _decoded_all(entries: Sequence[_Entry], resize: tuple[int, int] | None, channels: Channels) -> list[np.ndarray]:
    """Return the images of one size, decoded one after another.

    After the first the memory that all will take is known, and refused before the second is decoded.
    """
    images: list[np.ndarray] = []
    for entry in entries:
        images.append(_decoded(entry, resize, channels))
        if len(images) == 1 and len(entries) * images[0].size > MOST_VALUES:
            raise DataError(
                f"expected at most {MOST_VALUES:,} values in all, found {len(entries):,} images like {entry.where} of "
                f"{images[0].size:,} values; choose a smaller --resize."
            )
        first, size = ("{}x{}".format(*image.shape) for image in (images[0], images[-1]))
        if first != size:
            raise DataError(f"{entry.where}: expected images of one size, {first}, found {size}; {RESIZE}.")
    return images


def _decoded(entry: _Entry, resize: tuple[int, int] | None, channels: Channels) -> np.ndarray:
    """Return one image, uint8 [H, W, C], turned as its EXIF data say.

    EXIF says how the camera was held, of which the pixels know nothing.
    """
    from PIL import Image, ImageOps

    with _reading(entry.where), warnings.catch_warnings(), entry.opened() as stream:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(_in_memory(stream), formats=FORMATS) as image:
            _check_header(image, entry.where)
            upright = _opaque(ImageOps.exif_transpose(image), entry.where).convert(DECODED[channels](image.mode))
        if resize is not None:
            upright = upright.resize(resize[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(upright)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _in_memory(stream: IO[bytes]) -> io.BytesIO:
    """Return what is in a file; of a file itself, as many bytes as its header promises would be made room for.

    So Pillow is given a file whose end it meets, rather than one whose promised length it makes room for.
    """
    content = io.BytesIO()
    shutil.copyfileobj(stream, content)
    content.seek(0)
    return content


def _natural(mode: str) -> str:
    return "L" if mode in _GREY_MODES else "RGB"


DECODED: dict[str, Callable[[str], str]] = {
    "auto": _natural,
    "grey": lambda mode: "L",
    "colour": lambda mode: "RGB",
}
"""How channels are asked for, and the mode into which an image of a mode is decoded."""


def _check_header(image: Any, name: str) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{name}: expected at most {MOST_PIXELS:,} pixels, its header promises {image.height} x {image.width}; "
            "make it smaller."
        )
    if image.mode not in _GREY_MODES + _COLOUR_MODES:
        raise DataError(_MODE.format(name, image.mode))
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{name}: expected one picture, found an animation of {image.n_frames}; save its frames.")


_MODE = (
    "{}: expected 8 bits a channel, found an image of mode {}; convert it, or put pixels of 16 bits into an "
    ".npy array and train with --scaling divided:by=65535."
)


def _opaque(image: Any, name: str) -> Any:
    """Return an image without its transparency, refusing one that can be seen through.

    A transparent pixel has whatever colour the file's maker left there: it would be data that nobody has seen.
    """
    if not image.has_transparency_data:
        return image
    full = image.convert("RGBA")
    if full.getchannel("A").getextrema()[0] < 255:
        raise DataError(f"{name}: expected an opaque image, found transparent pixels; flatten it on a background.")
    return full.convert(_natural(image.mode))


def _of_one_shape(
    path: Path, listed: Mapping[str, Sequence[_Entry]], decoded: Mapping[str, list[np.ndarray]]
) -> dict[str, Pictures]:
    """Return the images of each split as one array, grey ones in three channels if any has colours."""
    count = max((image.shape[2] for images in decoded.values() for image in images), default=0)
    if not count:
        raise DataError(f"{path}: expected PNG or JPEG images, found none; get it anew.")
    return {
        split: Pictures(
            np.stack([np.repeat(image, count // image.shape[2], axis=2) for image in images]),
            _labels(listed[split]),
            np.array([entry.name for entry in listed[split]]),
        )
        for split, images in decoded.items()
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
    except (*_MALFORMED, zipfile.BadZipFile, UnidentifiedImageError) as error:
        raise DataError(f"{name}: not a readable PNG or JPEG image ({_one_line(error)}); get it anew.") from error
    except OSError as error:
        raise DataError(f"{name}: could not be read ({error.strerror or _one_line(error)}); get it anew.") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
