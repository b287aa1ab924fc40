"""The part of a report that you can explore: test examples in latent space, and decoded examples around them.

A page cannot run the model. So `explore` decodes a grid of places in advance, and the page shows the place nearest to
the pointer. `charts` places the examples and the grid, `sheets` turns examples into pictures or texts, and `records`
holds the result, which a run keeps in `explorer.json`. Pages are made from that file, without the model.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.reports.explorer.exploring import explore
    from tfp_vae.reports.explorer.records import Explorer, read_explorer, write_explorer

_PLACES = {
    "Explorer": "records",
    "explore": "exploring",
    "read_explorer": "records",
    "write_explorer": "records",
}

__all__ = ["Explorer", "explore", "read_explorer", "write_explorer"]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
