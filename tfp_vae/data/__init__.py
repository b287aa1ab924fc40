"""Data sets: reading, measuring, splitting, scaling and checking examples. `load` does all of it.

To add a named data set, write a function that returns a `Dataset` and enter it in `DATASETS` of `named`. To add a kind
of file, enter its reader in `READERS` of `readers.sources`. A new scaling or binarization is a class in `transforms`.
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
        named,
        profile,
        readers,
        schema,
        splits,
        transforms,
    )
    from tfp_vae.data.dataset import Dataset, Split
    from tfp_vae.data.loading import load
    from tfp_vae.data.named import DATASETS
    from tfp_vae.data.profile import Profile

_PLACES = {
    "DATASETS": "named",
    "Dataset": "dataset",
    "Profile": "profile",
    "Split": "dataset",
    "load": "loading",
}

__all__ = [
    "DATASETS",
    "Dataset",
    "Profile",
    "Split",
    "dataset",
    "downloads",
    "inspection",
    "load",
    "loading",
    "named",
    "profile",
    "readers",
    "schema",
    "splits",
    "transforms",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
