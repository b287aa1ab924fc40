"""Other ecosystems: adapters between their objects and this package's.

Each module serves one ecosystem and imports it only when it is used. To add one, write a module here and export its
adapter below. scikit-learn has a package of its own.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.interop import sklearn
    from tfp_vae.interop.keras import Keras3

__all__ = ["Keras3", "sklearn"]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, {"Keras3": "keras"})
