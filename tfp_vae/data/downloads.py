"""Downloads: find the files of public data sets, or download them and check their checksums.

A file that exists is used no matter what its checksum is, because people recompress such files and readers check their
contents. A download with another checksum is not kept.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import platformdirs

from tfp_vae.core.errors import DataError
from tfp_vae.core.files import make_folder, raise_if_disk, user_path

__all__ = ["Progress", "Remote", "data_folder", "obtain"]


class Remote(NamedTuple):
    """A file that can be downloaded.

    name: its name on disk.
    url: its address.
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
    """Return the folder of data files: `data_dir`, else `TFP_VAE_DATA_DIR`, else one in the user's cache folder.

    Args:
      data_dir: the folder that the user chose, or None.

    Returns:
      A path that may not exist. `~` is the home folder.
    """
    chosen = data_dir or os.environ.get("TFP_VAE_DATA_DIR")
    return user_path(chosen) if chosen else Path(platformdirs.user_cache_dir("tfp_vae")) / "data"


def obtain(remotes: Sequence[Remote], places: Sequence[Path], progress: Progress | None = None) -> list[Path]:
    """Return the paths of a data set's files, after downloading those that are missing.

    Args:
      remotes: the files.
      places: the folders that may hold them, gzipped or not. Downloads go to the first.
      progress: shows the progress of each download.

    Raises:
      DataError: a file is missing and its download failed, or it has another checksum.
    """
    paths = []
    for remote in remotes:
        plain = remote.name.removesuffix(".gz")
        candidates = (place / name for place in places for name in (plain, f"{plain}.gz"))
        found = next((path for path in candidates if path.is_file()), None)
        paths.append(found or download(remote, places, progress))
    return paths


def download(remote: Remote, places: Sequence[Path], progress: Progress | None) -> Path:
    """Download a file into the first of the places, and return its path.

    Args:
      remote: the file.
      places: the folder for the file, and other folders that were searched for it.
      progress: shows the progress.

    Raises:
      DataError: the download failed, or has another checksum.
    """
    import pooch

    target = places[0]
    make_folder(target)
    downloader = pooch.HTTPDownloader(progressbar=progress or False, timeout=30)
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(pooch.retrieve(remote.url, remote.checksum, remote.name, target, downloader=downloader))
    except ValueError as error:
        raise DataError(
            f"{remote.url}: the download does not have the expected checksum {remote.checksum}. Nothing was kept."
        ) from error
    except OSError as error:
        raise_if_disk(error, target / remote.name)
        looked = " or ".join(dict.fromkeys(map(str, places)))
        raise DataError(
            f"expected {remote.name} in {looked}, found none, and {remote.url} could not be reached "
            f"({type(error).__name__}). Put the file there, or name its folder with `data_dir`."
        ) from error
