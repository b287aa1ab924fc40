"""Files of public data sets: found where they lie, or downloaded with a checksum, whole or not at all.

A file that lies in one of the places is taken as it is, whatever its checksum: people recompress them, and readers
check its form. One that is downloaded has to have the checksum, or is not kept.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import platformdirs

from tfp_vae.core.errors import DataError
from tfp_vae.core.files import make_folder, raise_if_disk

__all__ = ["Progress", "Remote", "data_folder", "obtain"]


class Remote(NamedTuple):
    """A file that can be downloaded.

    name: what it is called on disk.
    url: where it is.
    checksum: `algorithm:digest` of the file as downloaded.
    """

    name: str
    url: str
    checksum: str


class Progress(Protocol):
    """Shows how many bytes of a download have arrived, such as a progress bar of tqdm.

    total: the size of the file in bytes. It is set before the first update.
    """

    total: int

    @abc.abstractmethod
    def update(self, n: int) -> object:
        """Add n bytes to those that have arrived."""

    @abc.abstractmethod
    def reset(self) -> object:
        """Set the bytes that have arrived to 0."""

    @abc.abstractmethod
    def close(self) -> object:
        """End the download."""


def data_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """Return where data files lie: `data_dir`, else `TFP_VAE_DATA_DIR`, else the user's cache folder.

    Args:
      data_dir: as asked, or None.

    Returns:
      A path that need not exist; `~` is the home folder.
    """
    chosen = data_dir or os.environ.get("TFP_VAE_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("tfp_vae")) / "data"


def obtain(remotes: Sequence[Remote], places: Sequence[Path], progress: Progress | None = None) -> list[Path]:
    """Return the paths of a data set's files, downloading those that are not there.

    Args:
      remotes: the files.
      places: the folders where they may lie, gzipped or not; a download goes to the first.
      progress: shows the progress of each download.

    Raises:
      DataError: a file is not there and could not be downloaded, or is not the file expected.
    """
    return [_found(remote, places) or _download(remote, places, progress) for remote in remotes]


def _found(remote: Remote, places: Sequence[Path]) -> Path | None:
    """Return where a file lies, plain or gzipped, in the first of the places that has it; None if none has."""
    plain = remote.name.removesuffix(".gz")
    candidates = (place / name for place in places for name in (plain, f"{plain}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _download(remote: Remote, places: Sequence[Path], progress: Progress | None) -> Path:
    import pooch

    target = places[0]
    make_folder(target)
    downloader = pooch.HTTPDownloader(progressbar=progress or False, timeout=30)
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(pooch.retrieve(remote.url, remote.checksum, remote.name, target, downloader=downloader))
    except ValueError as error:
        raise DataError(
            f"{remote.url}: the download does not have the expected checksum {remote.checksum}; nothing was kept."
        ) from error
    except OSError as error:
        raise_if_disk(error, target / remote.name)
        looked = " or ".join(dict.fromkeys(map(str, places)))
        raise DataError(
            f"expected {remote.name} in {looked}, found none, and {remote.url} could not be reached "
            f"({type(error).__name__}); put the file there, or name its folder with `data_dir`."
        ) from error
