"""`Fitted`: a trained model as plain records and arrays, which can be copied, pickled and written as a run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import Purpose, fold, generator, places_of, seed_for, seed_for_evaluation
from tfp_vae.core.types import Tensor
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.transforms.scaling import scale
from tfp_vae.evaluation.anomalies import SCORES, Score
from tfp_vae.evaluation.importance import (
    FEW,
    LARGE_BATCH,
    MANY,
    Estimates,
    encode_batch,
    estimate,
    rows_at_once,
    slices,
)
from tfp_vae.evaluation.imputation import ColumnScores, Imputed, impute, score_columns
from tfp_vae.evaluation.imputation.expectations import blocks, expectations
from tfp_vae.interop.sklearn.anomalies import FittedScore
from tfp_vae.interop.sklearn.engines import Engine, engine_for
from tfp_vae.interop.sklearn.rows import BLOCK, TableRows
from tfp_vae.model import vae as models
from tfp_vae.model.compilation import compile_for
from tfp_vae.model.likelihoods import Columns
from tfp_vae.runs import run as runs
from tfp_vae.runs.build import build_from_config, build_model
from tfp_vae.runs.config import DataConfig, HandBuiltModel, ModelConfig, RunConfig, expand_shortcuts, read_settings
from tfp_vae.runs.folder.checkpoint import BEST, FINAL, shapes
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import OPEN, OPEN_TRAINING, Recipe, logger, prepare_for, still_open, suitable_batch
from tfp_vae.runs.recipe import choose as choose_settings
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import Checkpoints, environment, measure, training_result, write_snapshot
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.history import History
from tfp_vae.training.remarks import remarks
from tfp_vae.training.state import State
from tfp_vae.training.stopping import EarlyStopping

__all__ = ["BATCH", "Fitted", "fit_rows"]

BATCH = FEW
"""Rows are computed this many at a time. The last batch is padded, so a row's result depends on the row only."""

USUAL = {"epochs": 100, "early_stopping": 10, "learning_rate": 1e-3}
"""The training of rows for which the recipe has no settings of its own."""

SHORT = 20_000
"""A training run of fewer steps uses a graph, because XLA takes longer to compile than it saves."""

SAMPLES_AT_ONCE = 1_000
"""How many samples are decoded at once. The samples of a seed depend on it."""


@final
@check_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model.

    config: the settings of the data, the model and the training, as in a run.
    weights: the weights in use, by name.
    history: of the training.
    execution: `xla`, `graph` or `eager`. It is kept, because another one has other random numbers.
    types: the types of the columns of X by name, or None if X was an array.
    held_out: the validation rows, scaled. None for a run whose data could not be read.
    split_seed: decides the held-out rows, also those of a fit that continues from this one.
    anomalies: the anomaly score that decides about outliers.
    """

    config: RunConfig
    weights: Mapping[str, np.ndarray]
    history: History
    execution: str
    types: Mapping[str, object] | None
    held_out: np.ndarray | None
    split_seed: int
    anomalies: FittedScore = dataclasses.field(default_factory=FittedScore)

    @property
    def engine(self) -> Engine:
        """The compiled functions of this kind of model."""
        return engine_for(self.config.model, self.config.data.event_shape)

    def _batches(self, x: np.ndarray) -> dict[str, Any]:
        """Return the settings of an evaluation whose result for each of the rows x [N, C] depends on the row alone."""
        return {"places": pad(places_of(x)), "batch_size": BATCH, "execution": self.execution}

    def rows_at_once(self, count: int, refine: Member | str) -> int:
        """Return how many of `count` rows to estimate at once, see `importance.rows_at_once`."""
        with self.engine.hold(self.weights) as vae:
            return rows_at_once(vae, count, refine)

    def estimate(self, x: np.ndarray, *, iw_samples: int, refine: Member | str, batch_size: int = BATCH) -> Estimates:
        """Return the estimates of log p(x) for scaled rows x [N, C], in nats and in the units of the data.

        Diagnostics are NaN. The number of rows at once changes nothing.
        """
        with self.engine.hold(self.weights) as vae:
            found = estimate(
                vae,
                x,
                iw_samples=iw_samples,
                refine=refine,
                seed=seed_for_evaluation(0),
                places=places_of(x),
                batch_size=batch_size,
                execution=self.execution,
                pad=True,
                diagnose=False,
            )
            return found.rescale(measure(self.config, vae).log_scale)

    def log_likelihood(self, x: np.ndarray, *, iw_samples: int, refine: Member | str) -> np.ndarray:
        """Return the estimates of log p(x) alone, [N]. Beyond x and them, memory does not grow with N."""
        settings: dict[str, Any] = {"iw_samples": iw_samples, "refine": refine}
        settings["batch_size"] = self.rows_at_once(len(x), refine)
        return np.concatenate([self.estimate(x[part], **settings).log_likelihood for part in slices(len(x), BLOCK)])

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return E_q[z|x] for scaled rows x [N, C], [N, D]."""
        seed = seed_for_evaluation(0)
        with self.engine.hold(self.weights) as vae:
            x = np.asarray(vae.examples(x, "The encoder", density=False))
            function = compile_for(vae, encode_batch, BATCH, execution=self.execution)
            return in_batches(lambda x, places: function(x, places, fold(seed))[1], x, places_of(x))

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return E[x|z] for z [N, D], [N, C], scaled. Words are the most probable ones."""
        with self.engine.hold(self.weights) as vae:
            if not isinstance(vae.decoder.likelihood, Columns):
                return in_batches(compile_for(vae, decode_means, execution=self.execution), z.astype(np.float32))
            averages = in_batches(compile_for(vae, decode_columns, execution=self.execution), z.astype(np.float32))
            found = np.empty((len(z), *self.config.data.event_shape))
            for block in blocks(vae.decoder.likelihood):
                found[:, block.places] = block.best(averages)[0]
            return found

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Return n samples from p(x), [n, C], scaled."""
        parts = []
        with self.engine.hold(self.weights) as vae:
            for part in slices(n, SAMPLES_AT_ONCE):
                folded = seed_for(seed, Purpose.SAMPLE, part.start)
                parts.append(np.asarray(vae.sample(part.stop - part.start, seed=folded)))
        return np.concatenate(parts)

    def impute(self, x: np.ndarray, *, iw_samples: int, refine: Member | str, draws: int, seed: int) -> Imputed:
        """Return scaled rows x [N, C] with missing cells filled in."""
        with self.engine.hold(self.weights) as vae:
            return impute(
                vae,
                pad(x),
                iw_samples=iw_samples,
                refine=refine,
                draws=draws,
                interval=None,
                seed=seed,
                **self._batches(x),
            )

    def score_cells(self, x: np.ndarray, *, iw_samples: int, refine: Member | str) -> ColumnScores:
        """Return log p(x_j|x_rest) for the cells of scaled rows x [N, C], in nats and in the units of the columns."""
        with self.engine.hold(self.weights) as vae:
            found = score_columns(vae, pad(x), iw_samples=iw_samples, refine=refine, **self._batches(x))
        return ColumnScores(found.values[: len(x)], found.ess[: len(x)], found.iw_samples, found.refine)

    def build(self) -> models.VAE:
        """Return the model as a `VAE` of its own."""
        vae = build_from_config(self.config)
        State(vae).restore(self.weights)
        return vae

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Fitted:
        """Return the model of a run of rows.

        Raises:
          RunError: the run is missing or damaged.
          UsageError: its examples are not rows, its data have noise or a condition, or its VAE was built by hand.
        """
        run = Run.open(folder)
        config = run.config()
        data = config.data
        is_noisy = data.binarization.name != "none" or data.noise is not None
        is_other = isinstance(config.model, HandBuiltModel) or len(data.event_shape) > 1
        if is_other or is_noisy or data.condition is not None:
            raise UsageError(
                f"{run.folder}: expected a run of a table without binarization, dequantization and condition, and "
                "without a VAE of your own. Use `tv.load` for this run."
            )
        loaded = LoadedRun(run)
        snapshot = Checkpoints(run, config.identity()).read(shapes(config))
        history = History(list(snapshot.epochs), "loaded", True, snapshot)
        weights = State(loaded.vae).capture()
        types: dict[str, object] | None = {name: np.dtype(np.float64) for name in data.features} or None
        if data.reading.table is not None:
            types = {c.name: np.dtype(float if c.is_plain else object) for c in data.reading.table.columns}
        return cls(config, weights, history, loaded.choose_execution(), types, None, config.training.seed)

    def save(self, folder: str | os.PathLike[str]) -> Run:
        """Write the model as a run, without its training data."""
        folder, data = Path(folder), self.config.data
        Run.refuse_existing(folder)
        stored = {"dataset": str((folder / runs.DATA).resolve())} if data.stored else {}
        config = self.config.model_copy(update={"data": data.model_copy(update=stored)})
        vae, snapshot = self.build(), self.history.snapshot
        if snapshot is None:
            raise UsageError("The estimator has no state of its training. Fit it first.")
        in_use = FINAL if config.training.early_stopping is None else BEST
        run = Run.create(folder, config)
        with run.claim():
            run.write(runs.ENVIRONMENT, {**environment(), "execution": self.execution})
            write_snapshot(run, config.identity(), snapshot, in_use=in_use)
            run.write(runs.TRAINING, {**training_result(run, vae, self.history).content(), "weights": in_use})
            run.mark("finished")
        return run


def pad(x: np.ndarray) -> np.ndarray:
    """Return rows x [N, ...] with copies of the first one appended, so that there are at least `BATCH`."""
    return x if len(x) >= BATCH else np.concatenate([x, np.repeat(x[:1], BATCH - len(x), axis=0)])


def in_batches(function: Callable[..., Tensor], *columns: np.ndarray) -> np.ndarray:
    """Return function(*columns) for arrays [N, ...] of N rows, computed in batches of one size."""
    count, parts = len(columns[0]), []
    size = BATCH if count < MANY else LARGE_BATCH
    for part in slices(count, size):
        rows = np.minimum(np.arange(part.start, part.start + size), count - 1)
        parts.append(np.asarray(function(*(column[rows] for column in columns)))[: part.stop - part.start])
    return np.concatenate(parts)


def decode_means(vae: models.VAE, z: Tensor) -> Tensor:
    """Return E[x|z] for z [B, D], [B, C]."""
    return vae.decoder(z).mean()


def decode_columns(vae: models.VAE, z: Tensor) -> Tensor:
    """Return the expectations of the columns of p(x|z) for z [B, D], [B, F]."""
    return expectations(vae.decoder(z), blocks(vae.decoder.likelihood))[0]


@check_keywords
def fit_rows(
    rows: TableRows,
    settings: Mapping[str, Any],
    *,
    seed: int,
    validation_fraction: float,
    callbacks: Sequence[Callback] = (),
    start: Fitted | None = None,
    anomaly_score: Member | str = "log-likelihood",
    iw_samples: int = 100,
    refine: Member | str = "none",
) -> Fitted:
    """Return a model that is trained on rows.

    Args:
      rows: from `rows.learn_rows`.
      settings: the settings of `tfp-vae train` by name. None means the default, and `auto` for `early_stopping`. None
        for `early_stopping` trains for all epochs.
      seed: decides the held-out rows, the initial weights and all noise.
      validation_fraction: the share of the rows that are held out.
      callbacks: see `training.fit`.
      start: a fitted model of the same kind whose weights and scaling are kept. Equal rows are held out again, because
        the model has learned from the others.
      anomaly_score: a name from `SCORES` with settings.
      iw_samples, refine: the settings of the estimates that the score learns from.

    Raises:
      UsageError: a setting does not exist or does not fit.
      DataError: the likelihood has no density for the rows.
    """
    scorer: Score = SCORES.resolve(anomaly_score)
    given = {name: value for name, value in settings.items() if value is not None}
    split_seed = seed if start is None else start.split_seed
    train, validation = hold_out(rows.x, split_seed, validation_fraction)
    if given.get("early_stopping") == AUTO:
        del given["early_stopping"]
    named = expand_shortcuts(given)
    open_training = {name for name in OPEN_TRAINING if name not in named}
    if "early_stopping" in settings and settings["early_stopping"] is None:
        open_training.discard("early_stopping")
    known = USUAL if start is None else dict(start.config.training)
    usual = {name: known[name] for name in USUAL if name in open_training}
    if start is not None and "objective" in open_training:
        usual["objective"] = start.config.training.objective
    _, model, training = read_settings({"batch_size": suitable_batch(len(train)), **usual, **given, "seed": seed})
    empty = Split(train.x[:0])
    reading = rows.reading if start is None else start.config.data.reading
    raw = Dataset("X", f"a share of {validation_fraction:g} at random", train, validation, empty, reading)
    if start is None:
        data, recipe = prepare_rows(raw, model, named, still_open(open_training, training))
        model, training = recipe.model, training.model_copy(update=dict(recipe.training))
    else:
        data, model = prepare_again(raw, start)
    config = RunConfig(data=describe_rows(data), model=model, training=training)
    data = prepare_for(config, data)
    weights: Mapping[str, np.ndarray]
    if start is None:
        built = build_model(config.model, data.event_shape, seed, data.train_mean, data.train.x)
        weights, engine = State(built).capture(), engine_for(config.model, data.event_shape, built)
    else:
        weights, engine = start.weights, start.engine
    execution: str = training.execution
    if execution == AUTO and training.epochs * training.steps(len(data.train)) < SHORT:
        execution = "graph"
    with engine.hold(weights) as vae:
        execution = choose(vae, execution)
        scorer.check(vae)
    patience = training.early_stopping
    stop = [] if patience is None else [EarlyStopping(patience)]
    trained, history = engine.train(data, training, weights, [*stop, *callbacks], execution=execution)
    with engine.hold(trained) as vae:
        history.remarks = remarks(vae, data, history, best=patience is not None)
    fitted = Fitted(config, trained, history, execution, rows.types, data.validation.x, split_seed)
    learned = FittedScore.learn(fitted, scorer, data.train.x, iw_samples=iw_samples, refine=refine)
    return dataclasses.replace(fitted, anomalies=learned)


def hold_out(x: np.ndarray, seed: int, share: float) -> tuple[Split, Split]:
    """Return the rows for training and for validation, at least one each."""
    if not 0 < share < 1:
        raise UsageError(f"`validation_fraction` must be above 0 and below 1, found {share:g}.")
    count = min(len(x) - 1, max(1, round(share * len(x))))
    order = generator(seed, Purpose.SPLIT).permutation(len(x))
    return Split(x[order[count:]]), Split(x[order[:count]])


def prepare_rows(
    raw: Dataset, model: ModelConfig, named: Mapping[str, Any], open_training: Collection[str]
) -> tuple[Dataset, Recipe]:
    """Return scaled rows, and the settings that are chosen where they are open. The log names the choices."""
    recipe = choose_settings(
        raw.profile,
        model,
        open_choices=[name for name in OPEN if name not in named],
        open_training=open_training,
        scaling=named.get("scaling"),
    )
    for note in recipe.notes:
        logger.info("%s", note.text)
    if recipe.binarization.name != "none":
        raise UsageError(
            "The likelihood `bernoulli` needs values of 0 and 1. Binarize X, for example with "
            "`sklearn.preprocessing.Binarizer`, or choose another `likelihood`."
        )
    return scale(raw, recipe.scaling), recipe


def prepare_again(raw: Dataset, start: Fitted) -> tuple[Dataset, ModelConfig]:
    """Return rows scaled like those of an earlier fit, and its settings of the model."""
    known = start.config
    if raw.event_shape != known.data.event_shape:
        raise UsageError(f"`warm_start` needs {known.data.event_shape[0]} columns, found {raw.event_shape[0]}.")
    return scale(raw, known.data.scaling), known.model


def describe_rows(data: Dataset) -> DataConfig:
    """Return the config of scaled rows in memory."""
    return DataConfig(
        dataset=str(Path("X").absolute()),
        event_shape=data.event_shape,
        split_rule=data.split_rule,
        splits=cast("Any", {split: size for split, size in data.sizes().items() if size}),
        fingerprint=data.fingerprint(),
        reading=data.reading,
        scaling=data.scaling,
        binarization=Member("none", {}),
        stored=True,
    )
