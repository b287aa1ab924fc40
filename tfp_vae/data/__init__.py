"""Data sets: reading, checking, splitting and scaling examples. `load` does all of it.

To add a named data set, write a function that returns a `Dataset` and enter it in `DATASETS` of `dataset`. To add a
kind of file, enter its reader in `READERS` of `readers.sources`.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.data import (
        dataset,
        downloads,
        inspection,
        loading,
        profile,
        readers,
        transforms,
    )
    from tfp_vae.data.dataset import DATASETS, Dataset, Split
    from tfp_vae.data.loading import load

_PLACES = {
    "DATASETS": "dataset",
    "Dataset": "dataset",
    "Split": "dataset",
    "load": "loading",
}

__all__ = [
    "DATASETS",
    "Dataset",
    "Split",
    "dataset",
    "downloads",
    "inspection",
    "load",
    "loading",
    "profile",
    "readers",
    "transforms",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
