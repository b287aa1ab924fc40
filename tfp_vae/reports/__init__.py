"""Reports: the pictures of a run and its HTML page.

`pictures` holds the table of all pictures, `drawing` the functions that draw them, and `page` the HTML page.
To add a picture, write the function of its name in `drawing` and add one entry to `PICTURES`. The command line and
the page then include it.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.reports import (
        drawing,
        page,
        pictures,
    )

__all__ = [
    "drawing",
    "page",
    "pictures",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
