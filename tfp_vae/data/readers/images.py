"""Readers of images: folders and zip archives of PNG and JPEG files, as pixels of 8 or of 16 bits.

Pillow decodes them. Before that, the header is checked for size, type and frames, so that a file of a few bytes cannot
ask for gigabytes. Images are read in the order of their names, so the splits do not depend on the machine.
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
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from tfp_vae.core.errors import DataError, one_line
from tfp_vae.data.readers.arrays import check_file

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["CHANNELS", "Channels", "Pictures", "read_folder", "read_zip"]

Channels: TypeAlias = Literal["auto", "grey", "colour"]
"""How colours are read: grey, in three channels, or like the files."""

CHANNELS: tuple[Channels, ...] = ("auto", "grey", "colour")

SUFFIXES = (".png", ".jpg", ".jpeg")

FORMATS = ("PNG", "JPEG")

IGNORED = ("thumbs.db", "desktop.ini")
"""Files that file managers leave in folders. Hidden files are ignored too."""

MOST_PIXELS = 1 << 24
"""The most pixels that a header may promise, about 50 MB once decoded."""

MOST_VALUES = 1 << 31
"""The most values of all images of a folder."""

RESIZE = "Set `resize`"
"""The advice on images of several sizes."""

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
"""Names of folders, and their splits."""

LISTED = 5
"""The most bad images that an error lists."""

LOOKED_FOR = 100
"""Stop reading after this many bad images."""

DEEP_MODES = ("I;16", "I")
"""Pillow's modes for grey PNG images of 16 bits, in newer and older releases."""

BIT_DEPTH = 24
"""The position of the byte in a PNG file that holds the number of bits of a channel."""

GREY_MODES = ("1", "L", "LA")

COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

MALFORMED = (
    ArithmeticError,
    EOFError,
    LookupError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""Errors that Pillow and zipfile raise for files that make no sense, in addition to OSError."""


class Pictures(NamedTuple):
    """Images with their labels and names.

    x: uint8 or uint16 [N, H, W, C].
    y: labels [N], if the images lie in sub-folders.
    names: names [N].
    """

    x: np.ndarray
    y: np.ndarray | None
    names: np.ndarray


class Entry(NamedTuple):
    """An image that is to be read.

    label: its label, if it has one.
    name: its name among the others.
    where: its name in messages.
    open: opens it.
    """

    label: str | None
    name: str
    where: str
    open: Callable[[], IO[bytes]]


def read_folder(
    path: Path, *, resize: tuple[int, int] | None = None, channels: Channels = "auto"
) -> Mapping[str, Pictures]:
    """Return the PNG and JPEG images of a folder by split, or under "" if the folder has no splits.

    Images lie in the folder itself, or in sub-folders named for their labels. A folder has splits if it contains
    `train` and `test`, perhaps `validation`, and no other folder, because a class may be called test.

    Args:
      path: the folder.
      resize: the height and width to which each image is resized, with antialiasing. Its proportions may change.
      channels: `grey` or `colour`. `auto` gives three channels if any image has colours.

    Returns:
      Split -> images [N, H, W, C] with C 1 or 3. They are uint8, or uint16 if all are grey PNG images of 16 bits.

    Raises:
      DataError: there are no images, they differ in size or depth, or a file has another kind, is damaged, transparent
        or too large, or has colours of 16 bits. The error lists the first five such files.
    """
    with name_image_errors(path):
        inner = {entry.name: entry for entry in list_visible(path) if entry.is_dir()}
        is_split = {"train", "test"} <= inner.keys() <= SPLIT_FOLDERS.keys()
        folders = {SPLIT_FOLDERS[name]: folder for name, folder in inner.items()} if is_split else {"": path}
        faults = []
        for entry in (entry for folder in folders.values() for entry in list_visible(folder)):
            for file in list_visible(entry) if entry.is_dir() else [entry]:
                if file.is_dir() or file.suffix.lower() not in SUFFIXES:
                    kind = "a folder" if file.is_dir() else "a file of another kind"
                    faults.append(
                        f"{file}: expected a PNG or JPEG image, found {kind}. Convert it or move it elsewhere."
                    )
        refuse_files(path, faults)
        entries = {split: list_images(folder) for split, folder in folders.items()}
    return read_images(path, entries, resize, channels)


def read_zip(path: Path, label: Callable[[str], str], *, resize: tuple[int, int]) -> Pictures:
    """Return the grey images of a zip archive in the order of their names.

    Args:
      path: the archive.
      label: returns the label of an image, given its name in the archive.
      resize: height and width.

    Raises:
      DataError: see `read_folder`, or the archive is damaged.
    """
    with name_image_errors(path), zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(SUFFIXES))
        where = {name: f"{path}, {name}" for name in names}
        entries = [Entry(label(name), where[name], where[name], partial(archive.open, name)) for name in names]
        if not entries:
            raise DataError(f"{path}: expected PNG or JPEG images, found none. Download it again.")
        return read_images(path, {"": entries}, resize, "grey")[""]


def list_visible(folder: Path) -> list[Path]:
    """Return the files and folders in a folder by name, without hidden ones and those of file managers."""
    return [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and p.name.lower() not in IGNORED]


def list_images(folder: Path) -> list[Entry]:
    """Return the images of a folder: its own, or those of its sub-folders with their labels.

    Args:
      folder: with images, or with sub-folders of images.

    Raises:
      DataError: there are none, or both.
    """
    own, inner = list[Path](), list[Path]()
    for path in list_visible(folder):
        (inner if path.is_dir() else own).append(path)
    if inner and own:
        raise DataError(
            f"{folder}: expected images, or sub-folders of images, found both ({inner[0].name} and {own[0].name}). Put "
            "each image into the sub-folder of its label."
        )
    found = [Entry(None, file.name, str(file), partial(open_image, file)) for file in own]
    for sub in inner:
        files = list_visible(sub)
        found += [Entry(sub.name, f"{sub.name}/{file.name}", str(file), partial(open_image, file)) for file in files]
    if not found:
        raise DataError(f"{folder}: expected PNG or JPEG images, or sub-folders of them, found none. Check the path.")
    return found


def open_image(path: Path) -> IO[bytes]:
    """Open a file for reading, unless it is a pipe, a device or empty."""
    check_file(path)
    return path.open("rb")


def refuse_files(path: Path, faults: Sequence[str], *, at_least: bool = False) -> None:
    """Raise DataError if there are faults. It lists the first five and counts the others.

    Args:
      path: the folder.
      faults: sentences that begin with the path of a file.
      at_least: whether there may be more faults.
    """
    if len(faults) == 1:
        raise DataError(faults[0])
    if faults:
        prefix = f"{path}{os.sep}"
        listed = " ".join(f"({i}) {fault.removeprefix(prefix)}" for i, fault in enumerate(faults[:LISTED], 1))
        least = "at least " if at_least else ""
        more = f" And {least}{len(faults) - LISTED} more." if len(faults) > LISTED else ""
        raise DataError(f"{path}: {least}{len(faults)} files cannot be used: {listed}{more}")


def read_images(
    path: Path, entries: Mapping[str, Sequence[Entry]], resize: tuple[int, int] | None, channels: Channels
) -> dict[str, Pictures]:
    """Return the images of all splits in arrays of one size and one type.

    The first image tells how much memory all will take. This is checked before the second is decoded.

    Args:
      path: the folder or archive.
      entries: the images of each split.
      resize: height and width, or None to keep the size.
      channels: see `read_folder`.

    Raises:
      DataError: images cannot be used, or there are too many values.
    """
    images, faults = list[np.ndarray](), list[str]()
    count = sum(map(len, entries.values()))
    for entry in itertools.chain(*entries.values()):
        try:
            image = decode_image(entry, resize, channels)
            check_alike(image, images[0] if images else image, entry)
            images.append(image)
        except DataError as error:
            faults.append(str(error))
        if len(images) == 1 and count * images[0].size > MOST_VALUES:
            raise DataError(
                f"expected at most {MOST_VALUES:,} values in all, found {count:,} images like {entry.where} of "
                f"{images[0].size:,} values. Choose a smaller `resize`."
            )
        if len(faults) == LOOKED_FOR:
            break
    refuse_files(path, faults, at_least=len(faults) == LOOKED_FOR)
    depth = max(image.shape[2] for image in images)
    rest = (np.repeat(image, depth // image.shape[2], axis=2) for image in images)  # grey images among colour ones
    pictures = {}
    for split, listed in entries.items():
        labels, names = [entry.label for entry in listed], np.array([entry.name for entry in listed])
        x = np.stack(list(itertools.islice(rest, len(listed))))
        pictures[split] = Pictures(x, None if None in labels else np.array(labels), names)
    return pictures


def check_alike(image: np.ndarray, first: np.ndarray, entry: Entry) -> None:
    """Raise DataError if an image has another type or size than the first one."""
    bits, sizes = ([8 * x.itemsize for x in (first, image)], ["{}x{}".format(*x.shape) for x in (first, image)])
    if bits[0] != bits[1]:
        raise DataError(
            f"{entry.where}: expected images of one depth, {bits[0]} bits as the first, found {bits[1]}. Save all in "
            "the same depth."
        )
    if sizes[0] != sizes[1]:
        raise DataError(f"{entry.where}: expected images of one size, {sizes[0]}, found {sizes[1]}. {RESIZE}.")


def decode_image(entry: Entry, resize: tuple[int, int] | None, channels: Channels) -> np.ndarray:
    """Return one image, uint8 or uint16 [H, W, C], turned by its EXIF orientation.

    Pillow reads from memory. It would allocate as many bytes as the header of a file promises.

    Args:
      entry: the image.
      resize: height and width, or None to keep the size.
      channels: see `read_folder`.

    Raises:
      DataError: the image cannot be used.
    """
    from PIL import Image, ImageOps

    content = io.BytesIO()
    with name_image_errors(entry.where), warnings.catch_warnings(), entry.open() as stream:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        shutil.copyfileobj(stream, content)
        content.seek(0)
        with Image.open(content, formats=FORMATS) as image:
            bits = content.getbuffer()[BIT_DEPTH] if image.format == "PNG" else 8
            check_image_header(image, bits, entry.where)
            upright, mode = ImageOps.exif_transpose(image), DECODED[channels](image.mode)
            if image.mode in DEEP_MODES:
                pixels = np.asarray(upright).astype(np.uint16)
                refuse_transparency(bool((pixels == image.info.get("transparency")).any()), entry.where)
                if resize is not None:  # in float32, which holds every value of 16 bits
                    exact = Image.fromarray(pixels.astype(np.float32)).resize(resize[::-1], Image.Resampling.BILINEAR)
                    pixels = np.rint(np.asarray(exact)).astype(np.uint16)
                return np.repeat(pixels[..., np.newaxis], Image.getmodebands(mode), axis=2)
            if upright.has_transparency_data:  # the colour of a transparent pixel is invisible, so it is not data
                full = upright.convert("RGBA")
                refuse_transparency(np.asarray(full)[..., 3].min() < 255, entry.where)
                upright = full.convert(DECODED["auto"](upright.mode))
            upright = upright.convert(mode)
            pixels = np.asarray(upright if resize is None else upright.resize(resize[::-1], Image.Resampling.BILINEAR))
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def refuse_transparency(transparent: bool, name: str) -> None:
    """Raise DataError if an image has transparent pixels."""
    if transparent:
        raise DataError(f"{name}: expected an opaque image, found transparent pixels. Flatten it on a background.")


DECODED: dict[str, Callable[[str], str]] = {
    "auto": lambda mode: "L" if mode in GREY_MODES + DEEP_MODES else "RGB",
    "grey": lambda mode: "L",
    "colour": lambda mode: "RGB",
}
"""Settings of channels, and the Pillow mode into which an image of a mode is decoded.

Images of 16 bits have as many channels as that mode.
"""


def check_image_header(image: Image, bits: int, name: str) -> None:
    """Raise DataError if an image is too large, has colours of 16 bits, or is an animation.

    Args:
      image: open but not decoded.
      bits: of a channel. Pillow would drop the lower half of 16 bits without a warning.
      name: the image's name in messages.
    """
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{name}: expected at most {MOST_PIXELS:,} pixels, its header promises {image.height} x {image.width}. "
            "Make it smaller."
        )
    if not (image.mode in DEEP_MODES or (image.mode in GREY_MODES + COLOUR_MODES and bits <= 8)):
        raise DataError(
            f"{name}: expected 8 bits a channel, or grey of 16 bits, found more bits in an image of mode {image.mode}. "
            "Convert it, or put its pixels into an .npy array and train with `scaling=divided:by=65535`."
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{name}: expected one picture, found an animation of {frames}. Save its frames.")


@contextmanager
def name_image_errors(name: str | Path) -> Iterator[None]:
    """Turn every error of reading an image, a folder or an archive into a DataError that names it."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{name}: expected at most {MOST_PIXELS:,} pixels, its header promises far more. Check the file."
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not a readable PNG or JPEG image, but something else. Check the file.") from error
    except MALFORMED as error:
        raise DataError(f"{name}: not a readable PNG or JPEG image ({one_line(error)}). Check the file.") from error
    except OSError as error:
        raise DataError(f"{name}: could not be read ({error.strerror or one_line(error)}). Check the file.") from error
