"""The VAE as an estimator of scikit-learn."""

from __future__ import annotations

import io
import pickle
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tfp_vae as tv
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import UsageError
from tfp_vae.data.readers.sources import Reading
from tfp_vae.interop.sklearn import VAE
from tfp_vae.interop.sklearn.rows import BLOCK
from tfp_vae.runs.recipe import NUMBERS_LIKELIHOOD, plan
from tfp_vae.runs.run import Run

SMALL = {"epochs": 2, "hidden": (4,), "latent_dim": 2, "iw_samples": 5, "execution": "graph", "random_state": 0}


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).normal([3.0, -2.0, 0.0], size=(80, 3))


@pytest.fixture(scope="module")
def model(x: np.ndarray) -> VAE:
    return VAE(**SMALL).fit(x)


def test_misspelt_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="latent_dim"):
        VAE(latent_dims=2)


@pytest.mark.parametrize(
    "settings", [{"contamination": 0.7}, {"iw_samples": 0}, {"refine": "lapalce"}, {"likelihood": 3}]
)
def test_wrong_settings_are_refused_before_training(settings: dict[str, object], x: np.ndarray) -> None:
    estimator = VAE(**(SMALL | settings))
    with pytest.raises(UsageError, match=next(iter(settings))):
        estimator.fit(x)
    assert not hasattr(estimator, "fitted_")


def test_parameters_are_settings_of_the_command_line() -> None:
    own = {"validation_fraction", "iw_samples", "refine", "contamination", "anomaly_score"}
    own |= {"random_state", "warm_start", "verbose"}
    settings = {(setting.key or name).replace("-", "_") for name, setting in tv.runs.SETTINGS.items()}
    assert VAE().get_params().keys() - own <= settings | {"hidden", "mc_samples", "dtype"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["score_samples", "transform", "decision_function", "predict"])
def test_result_of_a_row_depends_on_the_row_alone(method: str, model: VAE, x: np.ndarray) -> None:
    compute = getattr(model, method)
    every, order = compute(x), np.random.default_rng(1).permutation(len(x))
    np.testing.assert_array_equal(compute(x[order]), every[order])  # place
    np.testing.assert_array_equal(compute(x[5:6]), every[5:6])  # neighbours
    np.testing.assert_array_equal(compute(np.concatenate([x, x]))[70:], np.concatenate([every, every])[70:])  # batch


@pytest.mark.slow
def test_memory_of_scores_is_that_of_a_copy_of_the_rows() -> None:
    x = np.random.default_rng(0).normal(size=(6 * BLOCK + 1_000, 40)).astype(np.float32)
    model = VAE(**(SMALL | {"epochs": 1, "iw_samples": 1})).fit(x[:500])
    few = model.score_samples(x[:100])
    tracemalloc.start()
    try:
        scores = model.score_samples(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes + 16 * len(x) + 800 * BLOCK  # a scaled copy, the scores, and the estimates of a block
    np.testing.assert_array_equal(scores[:100], few)
    np.testing.assert_array_equal(scores[-7:], model.score_samples(x[-7:]))  # the last block


@pytest.mark.slow
def test_copies_have_the_same_scores(model: VAE, x: np.ndarray) -> None:
    scores, file = model.score_samples(x), io.BytesIO()
    joblib.dump(model, file)
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(io.BytesIO(file.getvalue()))):
        np.testing.assert_array_equal(copy.score_samples(x), scores)
        assert copy.offset_ == model.offset_
    assert clone(model).get_params() == model.get_params()
    np.testing.assert_array_equal(clone(model).fit(x).score_samples(x), scores)
    assert model.score(x) == pytest.approx(scores.mean())


@pytest.mark.slow
def test_embedding_has_names_and_returns_to_the_units_of_x(model: VAE, x: np.ndarray) -> None:
    assert list(model.get_feature_names_out()) == ["vae0", "vae1"]
    framed = clone(model).set_output(transform="pandas").fit_transform(x)
    assert list(framed.columns) == ["vae0", "vae1"]
    z = model.transform(x)
    np.testing.assert_array_equal(framed.to_numpy(), z)
    back = model.inverse_transform(z)
    expected = np.asarray(model.vae_.decoder(z.astype(np.float32)).mean())
    np.testing.assert_allclose(back, model.fitted_.config.data.unscaled(expected), atol=1e-5)
    assert model.transform(x.astype(np.float32)).dtype == np.float32
    with pytest.raises(UsageError, match="2 columns"):
        model.inverse_transform(x)


@pytest.mark.slow
def test_samples_repeat_and_are_in_the_units_of_x(model: VAE) -> None:
    samples = np.asarray(model.sample(500))
    np.testing.assert_array_equal(samples, model.sample(500))
    error = 4 * samples.std(axis=0) / np.sqrt(500)
    means = model.fitted_.config.data.unscaled(np.asarray(model.vae_.generate(20_000, seed=1).mean())).mean(axis=0)
    assert (np.abs(samples.mean(axis=0) - means) < error).all()


@pytest.mark.slow
def test_threshold_follows_contamination(x: np.ndarray) -> None:
    share = VAE(contamination=0.1, **SMALL).fit(x)
    assert np.sum(share.predict(x) == -1) == 8
    assert np.array_equal(share.predict(x) == -1, share.score_samples(x) < share.offset_)


@pytest.mark.slow
@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_shows_the_progress_on_stderr(verbose: int, x: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    VAE(verbose=verbose, **(SMALL | {"execution": "eager"})).fit(x)
    shown = capsys.readouterr()
    assert ("epoch 2/2" in shown.err) == bool(verbose)
    assert shown.out == ""


def best_elbo(model: VAE) -> float:
    """Return the best validation ELBO of a training."""
    return max(epoch.validation_elbo for epoch in model.history_)


@pytest.mark.slow
def test_remarks_report_a_small_latent_dimension_and_overfitting_that_are_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The validation ELBO confirms each remark."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 3)) @ draw.normal(size=(3, 9)) + 0.3 * draw.normal(size=(600, 9))
    few, enough = (VAE(latent_dim=size, epochs=40, random_state=0).fit(x) for size in (1, 3))
    assert any("may be too small" in remark for remark in few.history_.remarks)
    assert best_elbo(few) < best_elbo(enough) - 3
    assert not any("overfits" in remark for remark in enough.history_.remarks)
    settings = {"latent_dim": 10, "early_stopping": None, "random_state": 0, "verbose": 1, "validation_fraction": 0.4}
    over = VAE(**settings).fit(draw.normal(size=(100, 20)))  # which have nothing to learn
    assert any("overfits" in remark for remark in over.history_.remarks)
    assert "overfits" in caplog.text
    assert over.history_[-1].validation_elbo < best_elbo(over) - 1


@pytest.mark.slow
def test_warm_start_continues_from_the_weights_and_the_scaling(x: np.ndarray) -> None:
    warm = VAE(warm_start=True, **SMALL).fit(x)
    first = warm.fitted_
    warm.set_params(epochs=1, learning_rate=1e-12, early_stopping=None).fit(x + 5)
    assert warm.fitted_.config.data.scaling == first.config.data.scaling
    for name, array in first.weights.items():
        np.testing.assert_allclose(warm.fitted_.weights[name], array, atol=1e-6)
    with pytest.raises(UsageError, match="warm_start"):
        warm.fit(x[:, :2])


@pytest.mark.slow
def test_warm_start_with_another_seed_holds_out_the_same_rows(x: np.ndarray) -> None:
    warm = VAE(warm_start=True, **(SMALL | {"epochs": 1})).fit(x)
    first = warm.fitted_.held_out
    for seed in (1, 2):
        warm.set_params(random_state=seed).fit(x)
        np.testing.assert_array_equal(warm.fitted_.held_out, first)
    other = VAE(**(SMALL | {"epochs": 1, "random_state": 2})).fit(x).fitted_.held_out
    assert other is not None
    assert not np.isin(other, first).all()


@pytest.mark.slow
def test_words_and_missing_cells_are_scored_and_sampled() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"height": np.round(rng.normal(170, 9, 60), 1), "city": ["Rome", "Oslo", "Bern"] * 20})
    frame.loc[3, "height"], frame.loc[4, "city"] = np.nan, np.nan
    mixed = VAE(**SMALL).fit(frame)
    scores = mixed.score_samples(frame)
    assert np.isfinite(scores).all()
    order = rng.permutation(60)
    np.testing.assert_array_equal(mixed.score_samples(frame.iloc[order]), scores[order])
    samples = mixed.sample(20)
    assert list(samples.columns) == ["height", "city"]
    assert samples["height"].dtype == np.float64
    assert set(samples["city"]) <= {"Rome", "Oslo", "Bern"}
    assert set(mixed.inverse_transform(mixed.transform(frame))["city"]) <= {"Rome", "Oslo", "Bern"}
    with pytest.raises(UsageError, match="Paris"):
        mixed.score(pd.DataFrame({"height": [170.0], "city": ["Paris"]}))


@pytest.mark.slow
def test_cells_are_scored_given_the_rest_of_their_row() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1)) * [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=(300, 3))
    constant = np.insert(x, 1, 7.0, axis=1)
    settings = SMALL | {"epochs": 60, "hidden": (16,), "learning_rate": 1e-2, "latent_dim": 1, "early_stopping": None}
    model = VAE(likelihood="columns", **settings).fit(constant)
    columns = np.array([0, 2, 3, 0] * 10)
    wrong = constant.copy()
    wrong[np.arange(40), columns] += [3.0, -6.0, 3.0, -3.0] * 10
    wrong[299, 3] = np.nan
    found = model.score_cells(wrong)
    missing = np.zeros((300, 4), bool)
    missing[:, 1] = missing[299, 3] = True
    np.testing.assert_array_equal(np.isnan(found.values), missing)
    assert np.mean(np.nanargmax(found.surprise()[:40], axis=1) == columns) > 0.9
    np.testing.assert_array_equal(model.score_cells(wrong[5:6]).values[0], found.values[5])  # the row alone
    with pytest.raises(UsageError, match="likelihood='columns'"):
        VAE(**SMALL).fit(x).score_cells(x)


@pytest.mark.slow
def test_estimator_works_in_pipelines_and_searches(x: np.ndarray) -> None:
    columns = ColumnTransformer([("vae", VAE(**SMALL), [0, 1]), ("rest", "passthrough", [2])])
    assert columns.fit_transform(x).shape == (80, 3)
    pipeline = make_pipeline(StandardScaler(), VAE(**SMALL))
    assert np.isfinite(cross_val_score(pipeline, x, cv=2)).all()
    search = GridSearchCV(VAE(**SMALL), {"latent_dim": [1, 2]}, cv=2, n_jobs=2).fit(x)
    alone = GridSearchCV(VAE(**SMALL), {"latent_dim": [1, 2]}, cv=2).fit(x)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-6)


@pytest.mark.slow
def test_run_returns_as_a_fitted_estimator(model: VAE, x: np.ndarray, tmp_path: Path) -> None:
    model.to_run(tmp_path / "run")
    again = VAE.from_run(tmp_path / "run").set_params(iw_samples=5)
    np.testing.assert_array_equal(again.score_samples(x), model.score_samples(x))
    assert again.latent_dim == 2
    with pytest.raises(UsageError, match="threshold"):
        again.predict(x)
    again.offset_ = model.offset_
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_run_with_a_condition_is_refused(x: np.ndarray, tmp_path: Path) -> None:
    path, reading = tmp_path / "rows.csv", Reading(label_column="kind", condition="label")
    pd.DataFrame(x, columns=["a", "b", "c"]).assign(kind=np.arange(len(x)) % 2).to_csv(path, index=False)
    model = small_model(likelihood="normal")
    run = Run.create(tmp_path / "run", plan(str(path), None, None, model, small_training(), reading=reading)[0])
    with pytest.raises(UsageError, match="without binarization, dequantization and condition"):
        VAE.from_run(run.folder)


@pytest.mark.slow
def test_rare_values_of_other_columns_are_learned() -> None:
    rng = np.random.default_rng(0)
    groups = rng.random((700, 20)) < 0.04  # each makes four columns 1 at once
    ones = np.repeat(groups, 4, axis=1) ^ (rng.random((700, 80)) < 0.002)
    x = (ones - ones.mean(axis=0)) / ones.std(axis=0)
    train, test = x[:500], x[500:]
    permuted = rng.permuted(test, axis=0)  # every column as before, but no column knows another

    def auroc(**settings: object) -> float:
        model = VAE(random_state=0, **settings).fit(train)
        return float(np.mean(model.score_samples(permuted) < model.score_samples(test)[:, np.newaxis]))

    found, robust = auroc(), auroc(likelihood=NUMBERS_LIKELIHOOD)
    assert found > robust + 0.1


@pytest.mark.slow
def test_embedding_of_codes_has_a_column_for_each_element(x: np.ndarray) -> None:
    vae = VAE(
        latent_dim=2,
        posterior="categorical:codes=3",
        objective="rloo",
        hidden=(8,),
        epochs=1,
        random_state=0,
    )
    z = vae.fit_transform(x)
    assert z.shape == (len(x), len(vae.get_feature_names_out())) == (len(x), 6)
    np.testing.assert_allclose(z.reshape(len(x), 2, 3).sum(axis=-1), 1, rtol=1e-5)
    assert vae.inverse_transform(z).shape == x.shape


def test_codes_need_a_prior_over_codes(x: np.ndarray) -> None:
    with pytest.raises(UsageError, match="such as `prior=uniform`"):
        VAE(posterior="categorical", prior="standard-normal", objective="rloo", epochs=1).fit(x)
