"""`VAEImputer`: missing cells filled in by a variational autoencoder, as an estimator of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from typing_extensions import Self

from tfp_vae.core.errors import check_counts
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.interop.sklearn.rows import FLOATS, fill_rows, is_frame, read_rows, value_errors
from tfp_vae.interop.sklearn.vae import VAE
from tfp_vae.runs.tables.holes import warn_about_holes

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from tfp_vae.interop.sklearn.rows import Rows, Switch, Whole

__all__ = ["VAEImputer"]


@final
@check_keywords
class VAEImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill in missing cells with E[x_missing|x_observed], and missing words with the most probable ones.

    A VAE with a likelihood for each column is trained on the rows as they are. The missing cells of a row are averages
    over importance samples of z given its observed cells. They depend on the row alone.

    ```python
    X = np.random.default_rng(0).normal(size=(60, 1)) * np.ones([1, 3])
    X[:10, 1] = np.nan
    vae = tv.interop.sklearn.VAE(epochs=2, hidden=(8,), execution="eager")
    tv.interop.sklearn.VAEImputer(vae, iw_samples=50, random_state=0).fit_transform(X)  # [60, 3]
    ```

    A column without any observed cell stays empty. A column with one value gets this value.

    Args:
      estimator: a `VAE` with the settings of the model and its training, and with `refine`. It is cloned. None is
        `VAE()`.
      missingness: why cells are missing, such as `self-masking`, a name from `MISSINGNESS` with settings. None uses the
        `missingness` of the estimator, which is `random` by default.
      iw_samples: importance samples per row with missing cells.
      sample_posterior: whether cells are drawn from p(x_missing|x_observed), for multiple imputation. By default they
        are means, or the most probable words.
      random_state: decides the training and the draws. None uses the `random_state` of the estimator.

    Attributes:
      estimator_: the fitted `VAE`.
      n_features_in_, feature_names_in_: the columns of X.

    References:
      Mattei and Frellsen (2019), MIWAE: deep generative modelling and imputation of incomplete data sets.
    """

    def __init__(
        self,
        estimator: VAE | None = None,
        *,
        missingness: Member | str | None = None,
        iw_samples: Whole = 1_000,
        sample_posterior: Switch = False,
        random_state: Whole | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.missingness = missingness
        self.iw_samples = iw_samples
        self.sample_posterior = sample_posterior
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Rows, y: object = None) -> Self:  # noqa: N803
        """Train the model on the rows of X, with their missing cells.

        Args:
          X: an array [N, C] or a DataFrame.
          y: ignored.

        Raises:
          ValueError: a parameter is wrong, or X has fewer than two rows, infinite numbers, or cells that do not fit.
        """
        with value_errors():
            check_counts(iw_samples=self.iw_samples)
        validate_names(self, X)
        vae = VAE() if self.estimator is None else clone(self.estimator)
        if self.random_state is not None:
            vae.set_params(random_state=check_random_state(self.random_state).randint(2**31 - 1))
        if self.missingness is not None:
            vae.set_params(missingness=self.missingness)
        self.estimator_ = vae.fit_columns(X)
        return self

    def transform(self, X: Rows) -> Rows:  # noqa: N803
        """Return X with its missing cells filled in. Other cells keep their values, types and places.

        Raises:
          ValueError: the columns differ from those of `fit`, or cells do not fit them.
        """
        check_is_fitted(self)
        if is_frame(X):
            validate_data(self, X, skip_check_array=True, reset=False)
        else:
            X = validate_data(self, X, dtype=FLOATS, ensure_all_finite="allow-nan", reset=False)  # noqa: N806
        fitted = self.estimator_.fitted_
        with value_errors():
            x = read_rows(self.estimator_, X, fitted.config.data)
            warn_about_holes(fitted.config, "X", x)
            random = self.estimator_.random_state if self.random_state is None else self.random_state
            seed = int(check_random_state(random).randint(2**31 - 1))
            draws = 1 if self.sample_posterior else 0
            refine = self.estimator_.refine
            found = fitted.impute(x, iw_samples=self.iw_samples, refine=refine, draws=draws, seed=seed)
            filled = found.draws[0] if draws else found.values
            return fill_rows(X, x, filled[: len(x)], fitted.config.data)


def validate_names(estimator: BaseEstimator, x: Rows) -> None:
    """Record the columns of X in an estimator."""
    if is_frame(x):
        validate_data(estimator, x, skip_check_array=True)
    else:
        validate_data(estimator, x, dtype=FLOATS, ensure_all_finite="allow-nan")
