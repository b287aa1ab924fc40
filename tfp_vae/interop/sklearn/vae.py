"""`VAE`: a variational autoencoder as an estimator of scikit-learn."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from tfp_vae.core.errors import DataError, UsageError, check_counts
from tfp_vae.core.registry import Member, check_keywords, parse
from tfp_vae.data.schema.layout import Schema
from tfp_vae.evaluation.anomalies import SCORES
from tfp_vae.interop.sklearn.outliers import Outliers, check_contamination, held_out_threshold, training_threshold
from tfp_vae.interop.sklearn.rows import learn_rows, read_rows, rows_like, value_errors
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.runs.tables.holes import warn_about_holes

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from tfp_vae.evaluation.imputation import ColumnScores
    from tfp_vae.interop.sklearn.anomalies import HeldOutThreshold
    from tfp_vae.interop.sklearn.fitted import Fitted
    from tfp_vae.interop.sklearn.rows import Number, Rows, Switch, Whole
    from tfp_vae.model import vae as models
    from tfp_vae.runs.run import Run

__all__ = ["VAE"]

logger = logging.getLogger("tfp_vae")

OWN = (
    *("schema", "column", "missing", "validation_fraction", "iw_samples", "refine", "contamination"),
    "anomaly_score",
    *("random_state", "warm_start", "verbose"),
)
"""Parameters that are no settings of the model or its training. The others have the names of the command line."""


@final
@check_keywords
class VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Outliers, DensityMixin, BaseEstimator):
    """A variational autoencoder as a density, an embedding and an outlier detector.

    `score_samples` estimates log p(x) of each row in nats, in the units of X. `transform` returns E_q[z|x].
    `predict` returns -1 for rows whose log p(x) is below the threshold `offset_`, and 1 for others. `anomaly_score`
    chooses another score. A row's results depend on the row alone, not on its place, the other rows or the size of a
    batch.

    ```python
    from sklearn.datasets import load_iris

    X = load_iris().data
    model = tv.interop.sklearn.VAE(epochs=2, hidden=(8,), random_state=0, execution="eager").fit(X)
    model.score_samples(X)  # [150], nats
    model.transform(X)  # [150, 2]
    ```

    X is an array or a DataFrame of pandas. With words, dates or missing cells it is a mixed table, and each column has
    a likelihood of its own. Missing cells are NaN.

    Args:
      latent_dim: dimension of z. By default, X decides it and `likelihood`, `encoder`, `decoder`, see `tv.build`.
      likelihood: a name from `LIKELIHOODS` with settings.
      posterior: a name from `POSTERIORS` with settings.
      prior: a name from `PRIORS` with settings. By default `standard-normal`, or `normal-mixture` with the objective
        `iwae:mc_samples=5` if X has at least 1,000 rows of real values in groups that lie far apart.
      encoder: a name from `NETWORKS` with settings.
      decoder: see `encoder`.
      hidden: layer widths of the networks that you leave out.
      dtype: `float32` or `float64`.
      missingness: why cells of a mixed table are missing, a name from `MISSINGNESS` with settings.
      objective: a name from `OBJECTIVES` with settings. By default `elbo`, see `prior`.
      mc_samples: samples of z per row in the objective.
      beta: weight of the rate.
      kl_warmup_epochs: epochs over which `beta` rises from 0.
      free_bits: rate that costs nothing, in nats per latent dimension.
      epochs: the most passes over X. By default 150 for real values, and 100 for other X.
      steps_per_epoch: steps of an epoch. By default one pass over X.
      batch_size: rows per step. By default an eighth of the rows, but between 16 and 128.
      optimizer: a name from `OPTIMIZERS` with settings.
      learning_rate: peak learning rate. By default 0.003 for real values, and 0.001 for other X.
      lr_schedule: a name from `SCHEDULES` with settings.
      clip_norm: largest global norm of a gradient.
      ema: decay of averaged weights.
      early_stopping: epochs to wait for a better validation bound. The best weights are restored. `auto` waits 20
        epochs for real values, and 10 for other X. None trains for all epochs and keeps the last weights.
      execution: `auto`, `xla`, `graph` or `eager`.
      scaling: a name from `SCALINGS` with settings. By default `standard` for real values.
      schema: the `Schema` of a mixed table, or the TOML file that holds it.
      column: the kinds of columns of a mixed table, such as `age=count`.
      missing: texts or numbers that mark missing cells, such as `-200`.
      validation_fraction: share of X that is held out for early stopping and for the threshold.
      iw_samples: importance samples per row for log p(x).
      refine: how the proposal is fitted to each row, see `log_likelihood`.
      anomaly_score: a name from `evaluation.anomalies.SCORES` with settings, for `decision_function` and `predict`.
      contamination: share of outliers in X, above 0 and at most 0.5. The threshold is then a quantile of the scores of
        X. `auto` takes it from the held-out rows, for a rate of false alarms of 5%, see `held_out_threshold`.
      random_state: decides the held-out rows, the initial weights and all noise.
      warm_start: whether `fit` continues from the weights and the scaling of the last fit. It holds out the same rows,
        also with another `random_state`. Without values of your own, it keeps `epochs`, `learning_rate` and
        `early_stopping` of the last fit.
      verbose: 1 shows the progress of `fit`, and warns if the model overfits or its latent dimension does not suit X.

    Attributes:
      offset_: the threshold of minus the anomaly score, in nats. By default, it is a log p(x). The one from held-out
        rows is computed when it is first needed.
      history_: the `History` of the training. Its `remarks` report if the model overfits, or has too few or too many
        latent dimensions.
      fitted_: the trained model as arrays.
      n_features_in_, feature_names_in_: the columns of X.
    """

    _offset: float | HeldOutThreshold

    def __init__(
        self,
        *,
        latent_dim: Whole | None = None,
        likelihood: Member | str | None = None,
        posterior: Member | str = "diagonal-normal",
        prior: Member | str | None = None,
        encoder: Member | str | None = None,
        decoder: Member | str | None = None,
        hidden: tuple[Whole, ...] | None = None,
        dtype: str = "float32",
        missingness: Member | str = "random",
        objective: Member | str | None = None,
        mc_samples: Whole | None = None,
        beta: Number = 1.0,
        kl_warmup_epochs: Whole = 0,
        free_bits: Number = 0.0,
        epochs: Whole | None = None,
        steps_per_epoch: Whole | None = None,
        batch_size: Whole | None = None,
        optimizer: Member | str = "adam",
        learning_rate: Number | None = None,
        lr_schedule: Member | str = "constant",
        clip_norm: Number | None = None,
        ema: Number | None = None,
        early_stopping: Whole | str | None = "auto",
        execution: str = "auto",
        scaling: Member | str | None = None,
        schema: str | os.PathLike[str] | Schema | None = None,
        column: str | Mapping[str, str] | None = None,
        missing: str | Sequence[str] | None = None,
        validation_fraction: Number = 0.1,
        iw_samples: Whole = 100,
        refine: Member | str = "none",
        anomaly_score: Member | str = "log-likelihood",
        contamination: Number | str = "auto",
        random_state: Whole | np.random.RandomState | None = None,
        warm_start: Switch = False,
        verbose: Whole = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.posterior = posterior
        self.prior = prior
        self.encoder = encoder
        self.decoder = decoder
        self.hidden = hidden
        self.dtype = dtype
        self.missingness = missingness
        self.objective = objective
        self.mc_samples = mc_samples
        self.beta = beta
        self.kl_warmup_epochs = kl_warmup_epochs
        self.free_bits = free_bits
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.clip_norm = clip_norm
        self.ema = ema
        self.early_stopping = early_stopping
        self.execution = execution
        self.scaling = scaling
        self.schema = schema
        self.column = column
        self.missing = missing
        self.validation_fraction = validation_fraction
        self.iw_samples = iw_samples
        self.refine = refine
        self.anomaly_score = anomaly_score
        self.contamination = contamination
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Rows, y: object = None) -> Self:  # noqa: N803
        """Train the model on the rows of X.

        Args:
          X: an array [N, C] or a DataFrame.
          y: ignored.

        Raises:
          ValueError: a parameter is wrong, or X has fewer than two rows, infinite numbers, or cells that do not fit.
          DivergenceError: training diverged.
        """
        chosen = self.likelihood  # of any type, and `_fit` refuses wrong ones
        mixed = isinstance(chosen, str | Mapping | Member) and parse(chosen)[0] == "columns"
        return self._fit(X, mixed=mixed)

    def fit_columns(self, X: Rows) -> Self:  # noqa: N803
        """Train the model with a likelihood for each column, although X may have neither words nor missing cells."""
        return self._fit(X, mixed=True)

    def _fit(self, X: Rows, *, mixed: bool) -> Self:  # noqa: N803
        from tfp_vae.evaluation.proposals import REFINEMENTS
        from tfp_vae.interop.sklearn.anomalies import HeldOutThreshold
        from tfp_vae.interop.sklearn.fitted import fit_rows
        from tfp_vae.training.progress import Progress

        start: Fitted | None = getattr(self, "fitted_", None) if self.warm_start else None
        schema, column, missing = self.schema, self.column, self.missing
        if start is not None:
            schema, column, missing = start.config.data.reading.table, None, None
        settings = {name: value for name, value in self.get_params(deep=False).items() if name not in OWN}
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with value_errors():
            check_counts(iw_samples=self.iw_samples)
            REFINEMENTS.resolve(self.refine)
            SCORES.resolve(self.anomaly_score)
            check_contamination(self.contamination)
            rows = learn_rows(self, X, mixed=mixed, schema=schema, column=column, missing=missing)
            if start is not None and (rows.reading.table is None) != (schema is None):
                raise UsageError(
                    "`warm_start` needs rows like those of the last fit, with missing cells in both or none."
                )
            self.fitted_ = fit_rows(
                rows,
                settings,
                seed=seed,
                validation_fraction=self.validation_fraction,
                callbacks=[Progress()] if self.verbose else [],
                start=start,
                anomaly_score=self.anomaly_score,
                iw_samples=self.iw_samples,
                refine=self.refine,
            )
            self.history_ = self.fitted_.history
            for remark in self.history_.remarks:
                logger.log(logging.WARNING if self.verbose else logging.INFO, "%s", remark)
            if isinstance(self.contamination, str):
                self._offset = HeldOutThreshold(self.fitted_, self.iw_samples, self.refine)
            else:
                self._offset = training_threshold(self._normal_scores(X), self.contamination)
        return self

    @property
    def offset_(self) -> float:
        """The threshold: from the held-out rows, or from X if `contamination` is its share of outliers."""
        return self._offset if isinstance(self._offset, float) else self._offset.value

    @offset_.setter
    def offset_(self, value: float) -> None:
        self._offset = float(value)

    def _read(self, X: Rows) -> np.ndarray:  # noqa: N803
        check_is_fitted(self)
        x = read_rows(self, X, self.fitted_.config.data)
        warn_about_holes(self.fitted_.config, "X", x)
        return x

    def _log_likelihood(self, x: np.ndarray) -> np.ndarray:
        return self.fitted_.log_likelihood(x, iw_samples=self.iw_samples, refine=self.refine)

    def _minus_score(self, x: np.ndarray) -> np.ndarray:
        return -self.fitted_.anomalies.values(self.fitted_, x, iw_samples=self.iw_samples, refine=self.refine)

    def _normal_scores(self, X: Rows) -> np.ndarray:  # noqa: N803
        with value_errors():
            return self._minus_score(self._read(X))

    def score_samples(self, X: Rows) -> np.ndarray:  # noqa: N803
        """Return the importance-weighted estimate of log p(x) for each row, [N], in nats.

        Densities are in the units of X. Missing cells of a mixed table are integrated out. The estimate is biased low,
        less so with more `iw_samples`.
        """
        with value_errors():
            return self._log_likelihood(self._read(X))

    def score(self, X: Rows, y: object = None) -> float:  # noqa: N803
        """Return the mean of log p(x) over the rows, in nats. `y` is ignored."""
        return float(np.mean(self.score_samples(X)))

    def score_cells(self, X: Rows) -> ColumnScores:  # noqa: N803
        """Return log p(x_j|x_rest) of each cell, in nats: how well the other cells of its row explain it.

        ```python
        X = np.random.default_rng(0).normal(size=(60, 1)) * np.ones([1, 3])
        vae = tv.interop.sklearn.VAE(likelihood="columns", epochs=2, hidden=(8,), execution="eager").fit(X)
        vae.score_cells(X).surprise().argmax(axis=1)  # [60], the column that is hardest to explain
        ```

        Returns:
          The `ColumnScores` of N rows with the columns of X. Missing cells are NaN, and so are columns that the model
          does not learn, such as ids.

        Raises:
          UsageError: the columns share one likelihood. Fit with `likelihood="columns"`.
        """
        with value_errors():
            x = self._read(X)
            schema = self.fitted_.config.data.reading.table
            if schema is None:
                raise UsageError("`score_cells` needs a likelihood for each column. Fit with `likelihood='columns'`.")
            found = self.fitted_.score_cells(x, iw_samples=self.iw_samples, refine=self.refine)
        return found.among([column.is_modelled for column in schema.columns])

    def transform(self, X: Rows) -> np.ndarray:  # noqa: N803
        """Return E_q[z|x] for each row, [N, D]."""
        with value_errors():
            x = self._read(X)
            z = self.fitted_.encode(x)
        return z.astype(np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64)

    def inverse_transform(self, X: np.ndarray) -> Rows:  # noqa: N803
        """Return E[x|z] for values X of z, [N, D], in the units and the form of the X of `fit`.

        Words are the most probable ones. Columns that are ids are left out.
        """
        check_is_fitted(self)
        z = check_array(X, dtype=np.float64)
        if z.shape[1] != self._n_features_out:
            raise UsageError(f"expected values of z with {self._n_features_out} columns, found {z.shape[1]}.")
        return rows_like(self.fitted_.decode(z), self.fitted_.config.data, self.fitted_.types)

    def sample(self, n_samples: Whole = 1) -> Rows:
        """Return samples from p(x) in the units and the form of the X of `fit`. `random_state` decides them.

        Unlike other densities of scikit-learn, the samples have words, dates and whole numbers as X has.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise UsageError(f"`n_samples` must be at least 1, found {n_samples}.")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        x = self.fitted_.sample(n_samples, seed)
        return rows_like(x, self.fitted_.config.data, self.fitted_.types)

    @property
    def _n_features_out(self) -> int:
        """The dimension of z, for `get_feature_names_out`."""
        model = self.fitted_.config.model
        return POSTERIORS.build(model.posterior, model.latent_dim).latent.size

    @property
    def vae_(self) -> models.VAE:
        """The trained model as a `tv.VAE` of its own."""
        check_is_fitted(self)
        return self.fitted_.build()

    @classmethod
    def from_run(cls, folder: str | os.PathLike[str]) -> Self:
        """Return the fitted estimator of a run of `tfp-vae train` or `to_run`.

        The threshold comes from the validation rows of the run. If its data cannot be read, `offset_` is NaN until you
        set it.

        Raises:
          RunError: the run is missing or damaged.
          UsageError: the run has images, noise, a condition, or a VAE of your own.
        """
        from tfp_vae.interop.sklearn.fitted import Fitted
        from tfp_vae.runs.recipe import reload

        fitted = Fitted.load(folder)
        config = fitted.config
        settings = {**dict(config.model), **dict(config.training), "scaling": config.data.scaling}
        names = set(cls._get_param_names()) - set(OWN)
        made = cls(**{name: value for name, value in settings.items() if name in names})
        made.random_state = config.training.seed
        made.fitted_, made.history_, made.offset_ = fitted, fitted.history, np.nan
        table = config.data.reading.table
        columns = config.data.features if table is None else [column.name for column in table.columns]
        made.n_features_in_ = len(columns) or config.data.event_shape[0]
        if columns:
            made.feature_names_in_ = np.array(columns, dtype=object)
        try:
            validation = reload(config).validation.x
        except DataError:
            return made
        if len(validation):
            made.offset_ = held_out_threshold(made._log_likelihood(validation))
        return made

    def to_run(self, folder: str | os.PathLike[str]) -> Run:
        """Write the trained model as a run, which the commands of `tfp-vae` take.

        The run does not hold X. Commands score, encode, impute and sample with it, but `evaluate` needs its data.

        Args:
          folder: a new or empty folder.

        Raises:
          RunError: the folder holds a run or other files.
          DiskError: a file could not be written.
        """
        check_is_fitted(self)
        return self.fitted_.save(folder)
