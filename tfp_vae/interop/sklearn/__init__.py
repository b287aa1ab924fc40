"""scikit-learn: a VAE as a density, an embedding and an outlier detector, and an imputer.

`VAE` and `VAEImputer` are estimators with the parameters of the command line. `rows` reads X, `fitted` holds a trained
model as plain arrays, and `engines` compiles each kind of model once per process. To add an estimator, write a module
with a class that has a `Fitted`, and export it below.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.interop.sklearn.imputer import VAEImputer
    from tfp_vae.interop.sklearn.vae import VAE

__all__ = ["VAE", "VAEImputer"]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, {"VAE": "vae", "VAEImputer": "imputer"})
