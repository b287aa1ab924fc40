"""Readers of images: folders and zip archives of PNG, JPEG, WebP, TIFF and BMP files, as pixels of 8 or of 16 bits.

Pillow decodes them. Before that, the header is checked for size, type and frames, so that a file of a few bytes cannot
ask for gigabytes. Images are read in the order of their names, so the splits do not depend on the machine.
"""

from __future__ import annotations

import io
import itertools
import logging
import os
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

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import DataError, one_line
from tfp_vae.core.files import printable
from tfp_vae.data.readers.arrays import check_file, read_at_most
from tfp_vae.data.readers.roles import WHOLE, split_of

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Background", "Channels", "Pictures", "SplitFolders", "read_folder", "read_zip"]

logger = logging.getLogger("tfp_vae")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # because every fault becomes one error

Channels: TypeAlias = Literal["auto", "grey", "colour"]
"""How colours are read: grey, in three channels, or like the files."""

Background: TypeAlias = Literal["auto", "white", "black"]
"""The colour behind transparent pixels. `auto` is white, with a warning."""

SplitFolders: TypeAlias = Literal["auto", "classes"]
"""Whether folders such as `train` and `test` are splits, or classes like other folders."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")

IMAGE = "PNG, JPEG, WebP, TIFF or BMP image"

IGNORED = ("thumbs.db", "desktop.ini", "__macosx")
"""Files and folders that file managers leave in folders. Hidden files are ignored too."""

COMPANIONS = (".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log", ".py")
"""Suffixes of files that describe images and hold none."""

COMPANION_NAMES = ("readme", "license", "licence", "copying", "notice", "manifest", "changelog")

DEEPEST = 16
"""The most folders below each other."""

MOST_BYTES = 1 << 28
"""The most bytes of one file."""

MOST_PIXELS = 1 << 24
"""The most pixels that a header may promise, about 50 MB once decoded."""

MOST_VALUES = 1 << 31
"""The most values of all images of a folder."""

RESIZE = "Set `resize`"
"""The advice on images of several sizes."""

LISTED = 5
"""The most bad images that an error lists."""

LOOKED_FOR = 100
"""Stop reading after this many bad images."""

DEEP_MODES = ("I;16", "I;16B", "I")
"""Pillow's modes for grey images of 16 bits. Older releases read PNG files as the last."""

BIT_DEPTH = 24
"""The position of the byte in a PNG file that holds the number of bits of a channel."""

BITS_TAG = 258
"""The tag of a TIFF file that holds the bits of each channel."""

TILE_TAGS = (322, 323)
"""The tags of a TIFF file that hold the width and the height of a tile, for which its decoder makes room."""

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
    names: paths in the folder [N], which are unique because they keep the folders of splits.
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


class Style(NamedTuple):
    """How images are decoded: `resize`, `channels` and `background` of `read_folder`."""

    resize: tuple[int, int] | None = None
    channels: Channels = "auto"
    background: Background = "auto"


def read_folder(
    path: Path,
    *,
    resize: tuple[int, int] | None = None,
    channels: Channels = "auto",
    split_folders: SplitFolders = "auto",
    background: Background = "auto",
) -> Mapping[str, Pictures]:
    """Return the images of a folder by split, or under "" if the folder has no splits.

    Images lie in the folder itself, or in sub-folders named for their labels, which may have sub-folders in turn. A
    folder has splits if all images lie in folders such as `train`, `Validation` or `test`, see `roles.SPLIT_WORDS`.
    Files of text are left out with a warning.

    Args:
      path: the folder.
      resize: the height and width to which each image is resized, with antialiasing. Its proportions may change.
      channels: `grey` or `colour`. `auto` gives three channels if any image has colours.
      split_folders: `classes` if folders such as `train` are labels like other folders.
      background: the colour behind transparent pixels.

    Returns:
      Split -> images [N, H, W, C] with C 1 or 3. They are uint8, or uint16 if all are grey images of 16 bits.

    Raises:
      DataError: there are no images, only some lie in folders of splits, or they differ in size or depth. Or a file
        has another kind, is damaged or too large, or has colours of 16 bits. The error lists the first five such files.
    """
    with name_image_errors(path):
        files = list_files(path)
        if not files:
            raise DataError(f"{path}: expected {IMAGE}s, or sub-folders of them, found none. Check the path.")
        level = split_level(path, files) if split_folders == "auto" else None
    return read_images(path, sort_entries(path, files, level), Style(resize, channels, background))


def list_files(path: Path) -> list[Path]:
    """Return the images of a folder and its sub-folders in the order of their names, relative to the folder.

    Raises:
      DataError: there are images next to sub-folders, or files of another kind, or names that are not UTF-8.
    """
    found, companions, faults = list[Path](), list[Path](), list[str]()
    for folder, inner, files in walk(path):
        own = [file for file in files if file.suffix.lower() in SUFFIXES]
        if own and inner:
            faults.append(
                f"{folder}: expected images, or sub-folders of images, found both ({inner[0].name} and {own[0].name}). "
                "Put each image into the sub-folder of its label."
            )
        for file in files:
            if printable(file.name) != file.name:
                faults.append(f"{printable(str(file))}: expected a name in UTF-8, found other bytes. Rename it.")
            elif file.suffix.lower() in SUFFIXES:
                found.append(file.relative_to(path))
            elif file.suffix.lower() in COMPANIONS or file.stem.lower() in COMPANION_NAMES:
                companions.append(file.relative_to(path))
            else:
                faults.append(
                    f"{file}: expected a {IMAGE}, found a file of another kind. Convert it or move it elsewhere."
                )
    refuse_files(path, faults)
    if companions:
        logger.warning("%s: files that are not images are left out: %s.", path, list_names(companions))
    return found


def walk(path: Path) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """Yield each folder with its visible sub-folders and files, by name. Links may not lead back or too deep."""
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        if len(folder.parts) > len(path.parts) + DEEPEST:
            raise DataError(
                f"{path}: expected at most {DEEPEST} folders below each other. Check for links in a circle."
            )
        visible = [p for p in sorted(folder.iterdir()) if not p.name.startswith(".") and p.name.lower() not in IGNORED]
        folders = {p for p in visible if p.is_dir()}
        inner = [p for p in visible if p in folders]
        yield folder, inner, [p for p in visible if p not in folders]
        waiting.extend(reversed(inner))


def split_level(path: Path, files: Sequence[Path]) -> int | None:
    """Return how deep the folders that name splits lie in a folder, or None if there are none.

    Args:
      path: the folder.
      files: its images, relative to it.

    Raises:
      DataError: only some images lie in such a folder, or two folders are the same split.
    """
    folders = {file.parent.parts for file in files}
    named = {(*place[:i], word) for place in folders for i, word in enumerate(place) if split_of(word)}
    if not named:
        return None
    for level in range(DEEPEST):
        found = {place[: level + 1] for place in folders if split_of("".join(place[level : level + 1]))}
        if all(place[: level + 1] in found for place in folders):
            spelled = {(*place[:-1], split_of(place[-1])) for place in found}
            if len(spelled) < len(found):
                listed = ", ".join(sorted("/".join(place) for place in found))
                raise DataError(
                    f"{path}: expected one folder for each split, found {listed}. Join folders of the same split."
                )
            return level
    split = min(named)
    other = min((place for place in folders if not any(map(split_of, place))), default=())
    raise DataError(
        f"{path}: expected all images in folders of splits or none, found {'/'.join(split)} and "
        f"{'/'.join(other) or 'folders at other depths'}. Move one of them elsewhere, or set `split_folders=classes`."
    )


def sort_entries(path: Path, files: Sequence[Path], level: int | None) -> dict[str, list[Entry]]:
    """Return the images of each split with their labels, which are the folders below those that all images share.

    Args:
      path: the folder.
      files: its images, relative to it.
      level: how deep the folders of splits lie, see `split_level`.
    """
    places = [list(file.parent.parts) for file in files]
    splits = [WHOLE if level is None else str(split_of(place.pop(level))) for place in places]
    least, most = min(places), max(places)
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(least[:-1], most[:-1], strict=False))
    shared = min(len(list(alike)), *(max(0, len(place) - 1) for place in places))
    entries = dict[str, list[Entry]]()
    for file, split, place in zip(files, splits, places, strict=True):
        label, where = "/".join(place[shared:]) or None, path / file
        entries.setdefault(split, []).append(Entry(label, file.as_posix(), str(where), partial(open_image, where)))
    return entries


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
            raise DataError(f"{path}: expected {IMAGE}s, found none. Download it again.")
        return read_images(path, {WHOLE: entries}, Style(resize, "grey"))[WHOLE]


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


def read_images(path: Path, entries: Mapping[str, Sequence[Entry]], style: Style) -> dict[str, Pictures]:
    """Return the images of all splits in arrays of one size and one type.

    The first image tells how much memory all will take. This is checked before the second is decoded.

    Args:
      path: the folder or archive.
      entries: the images of each split.
      style: how to decode them.

    Raises:
      DataError: images cannot be used, or there are too many values.
    """
    images, faults, seen_through = list[np.ndarray](), list[str](), list[Entry]()
    count = sum(map(len, entries.values()))
    for entry in itertools.chain(*entries.values()):
        try:
            image, is_opaque = decode_image(entry, style)
            seen_through.extend([] if is_opaque else [entry])
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
    if seen_through and style.background == "auto":
        logger.warning(SEEN_THROUGH, path, len(seen_through), len(images), seen_through[0].name)
    depth = max(image.shape[2] for image in images)
    rest = (np.repeat(image, depth // image.shape[2], axis=2) for image in images)  # grey images among colour ones
    pictures = {}
    for split, listed in entries.items():
        labels, names = [entry.label for entry in listed], np.array([entry.name for entry in listed])
        x = np.stack(list(itertools.islice(rest, len(listed))))
        pictures[split] = Pictures(x, None if None in labels else np.array(labels), names)
    return pictures


SEEN_THROUGH = (
    "%s: %d of %d images have transparent pixels, which become white (first: %s). Set `background` to white or black."
)


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


def decode_image(entry: Entry, style: Style) -> tuple[np.ndarray, bool]:
    """Return one image, uint8 or uint16 [H, W, C], turned by its EXIF orientation, and whether it is opaque.

    Pillow reads from memory. It would allocate as many bytes as the header of a file promises.

    Args:
      entry: the image.
      style: how to decode it.

    Raises:
      DataError: the image cannot be used.
    """
    from PIL import Image, ImageOps

    with name_image_errors(entry.where), warnings.catch_warnings(), entry.open() as stream:
        warnings.simplefilter("ignore")  # because every fault becomes one error
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        content = read_at_most(stream, MOST_BYTES + 1)
        check_content(content, entry.where)
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            check_image_header(image, bit_depth(image, content), entry.where)
            upright = ImageOps.exif_transpose(image)
            decode = decode_deep if image.mode in DEEP_MODES else decode_shallow
            pixels, is_opaque = decode(upright, style, image.info.get("transparency"))
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis], is_opaque


def decode_deep(image: Image, style: Style, through: object) -> tuple[np.ndarray, bool]:
    """Return the pixels of a grey image of 16 bits, and whether it is opaque.

    Args:
      image: upright.
      style: how to decode it.
      through: the transparent level, if there is one.
    """
    from PIL import Image

    pixels = np.asarray(image).astype(np.uint16)
    hidden = pixels == through
    pixels[hidden] = BACKGROUNDS[style.background] * (np.iinfo(np.uint16).max // 255)
    if style.resize is not None:  # in float32, which holds every value of 16 bits
        exact = Image.fromarray(pixels.astype(np.float32)).resize(style.resize[::-1], Image.Resampling.BILINEAR)
        pixels = np.rint(np.asarray(exact)).astype(np.uint16)
    bands = Image.getmodebands(DECODED[style.channels](image.mode))
    return np.repeat(pixels[..., np.newaxis], bands, axis=2), not np.any(hidden)


def decode_shallow(image: Image, style: Style, through: object) -> tuple[np.ndarray, bool]:
    """Return the pixels of an image of 8 bits, and whether it is opaque.

    Args:
      image: upright.
      style: how to decode it.
      through: not used, because Pillow applies it.
    """
    from PIL import Image

    mode, is_opaque = DECODED[style.channels](image.mode), True
    if image.has_transparency_data:
        full = image.convert("RGBA")
        is_opaque = bool(np.asarray(full)[..., 3].min() == 255)
        if not is_opaque:
            level = BACKGROUNDS[style.background]
            full = Image.alpha_composite(Image.new("RGBA", full.size, (level, level, level, 255)), full)
        image = full.convert(DECODED["auto"](image.mode))
    image = image.convert(mode)
    size = image.size if style.resize is None else style.resize[::-1]
    return np.asarray(image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)), is_opaque


BACKGROUNDS: dict[Background, int] = {"auto": 255, "white": 255, "black": 0}
"""The level of 8 bits of each background."""


DECODED: dict[str, Callable[[str], str]] = {
    "auto": lambda mode: "L" if mode in GREY_MODES + DEEP_MODES else "RGB",
    "grey": lambda mode: "L",
    "colour": lambda mode: "RGB",
}
"""Settings of channels, and the Pillow mode into which an image of a mode is decoded.

Images of 16 bits have as many channels as that mode.
"""


def check_content(content: bytes, name: str) -> None:
    """Raise DataError if a file is too long, or a WebP file promises too many pixels.

    Pillow makes room for those pixels when it opens the file.

    Args:
      content: the file.
      name: the image's name in messages.
    """
    if len(content) > MOST_BYTES:
        raise DataError(f"{name}: expected at most {MOST_BYTES:,} bytes, found more. Make it smaller.")
    if content[:4] == b"RIFF" and content[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(content[start : start + 3], "little") for start in (24, 27))
        check_size(width, height, name)


def check_size(width: int, height: int, name: str) -> None:
    """Raise DataError if an image has too many pixels."""
    if width * height > MOST_PIXELS:
        raise DataError(
            f"{name}: expected at most {MOST_PIXELS:,} pixels, its header promises {height} x {width}. Make it smaller."
        )


def bit_depth(image: Image, content: bytes) -> int:
    """Return the bits of a channel.

    Args:
      image: open but not decoded.
      content: the file.
    """
    if image.format == "PNG":
        return content[BIT_DEPTH]
    return int(max(getattr(image, "tag_v2", {}).get(BITS_TAG, (8,))))


def check_image_header(image: Image, bits: int, name: str) -> None:
    """Raise DataError if an image is too large, has colours of 16 bits, or is an animation.

    Args:
      image: open but not decoded.
      bits: of a channel. Pillow would drop the lower half of 16 bits without a warning.
      name: the image's name in messages.
    """
    check_size(image.width, image.height, name)
    tags = getattr(image, "tag_v2", {})
    check_size(tags.get(TILE_TAGS[0], 1), tags.get(TILE_TAGS[1], 1), name)
    if not ((image.mode in DEEP_MODES and bits <= 16) or (image.mode in GREY_MODES + COLOUR_MODES and bits <= 8)):
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
        raise DataError(f"{name}: not a readable {IMAGE}, but something else. Check the file.") from error
    except MALFORMED as error:
        raise DataError(f"{name}: not a readable {IMAGE} ({one_line(error)}). Check the file.") from error
    except OSError as error:
        raise DataError(f"{name}: could not be read ({error.strerror or one_line(error)}). Check the file.") from error
