"""The imputer as an estimator of scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.interop.sklearn import VAE, VAEImputer

SMALL = {"epochs": 2, "hidden": (4,), "latent_dim": 1, "execution": "graph"}


@pytest.mark.slow
def test_cells_follow_the_other_cells_of_their_row() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1)) * [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=(300, 3))
    holes = np.where(rng.random(x.shape) < 0.2, np.nan, x)
    hidden = np.isnan(holes)
    settings = SMALL | {"epochs": 60, "hidden": (16,), "learning_rate": 1e-2, "early_stopping": None}
    imputer = VAEImputer(VAE(**settings), iw_samples=100, random_state=0).fit(holes)
    full = imputer.transform(holes)
    np.testing.assert_array_equal(full[~hidden], holes[~hidden])
    means = np.broadcast_to(np.nanmean(holes, axis=0), x.shape)
    alone = hidden.all(axis=1)  # nothing is known about these rows
    error, usual = (np.sqrt(np.mean((guess - x)[hidden & ~alone[:, np.newaxis]] ** 2)) for guess in (full, means))
    assert error < 0.5 * usual
    order = rng.permutation(300)
    np.testing.assert_array_equal(imputer.transform(holes[order]), full[order])
    np.testing.assert_array_equal(imputer.transform(holes[7:8]), full[7:8])


@pytest.mark.slow
def test_words_are_filled_in_and_draws_vary() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"height": np.round(rng.normal(170, 9, 60), 1), "city": ["Rome", "Oslo", "Bern"] * 20})
    frame.loc[:9, "city"], frame.loc[20:29, "height"] = np.nan, np.nan
    imputer = VAEImputer(VAE(**SMALL), iw_samples=50, random_state=0).fit(frame)
    full = imputer.transform(frame)
    assert not full.isna().any(axis=None)
    assert set(full["city"]) <= {"Rome", "Oslo", "Bern"}
    assert list(imputer.get_feature_names_out()) == ["height", "city"]
    drawn = imputer.set_params(sample_posterior=True).transform(frame)
    assert drawn.loc[20:29, "height"].std() > full.loc[20:29, "height"].std()


@pytest.mark.slow
def test_missing_cells_of_a_constant_column_are_filled_in_although_the_model_leaves_it_out() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[:, 1] = 5.0
    holes = x.copy()
    holes[:7, 1] = np.nan
    np.testing.assert_array_equal(VAEImputer(VAE(**SMALL)).fit_transform(holes), x)


@pytest.mark.slow
def test_holes_that_the_fit_has_not_seen_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    imputer = VAEImputer(VAE(**(SMALL | {"execution": "eager", "epochs": 1})), iw_samples=5, random_state=0).fit(x)
    imputer.transform(x)
    assert "missing" not in caplog.text
    holes = np.where(np.arange(80).reshape(40, 2) == 3, np.nan, x)
    assert np.isfinite(imputer.transform(holes)).all()
    assert "1 row has missing cells" in caplog.text


@pytest.mark.slow
def test_proposals_are_refined_as_the_estimator_says() -> None:
    x = np.where(np.random.default_rng(0).random((40, 3)) < 0.2, np.nan, np.random.default_rng(1).normal(size=(40, 3)))
    imputer = VAEImputer(VAE(**SMALL, refine="none"), iw_samples=5, random_state=0).fit(x)
    plain = imputer.transform(x)
    imputer.estimator_.refine = "local:steps=2"
    refined = imputer.transform(x)
    missing = np.isnan(x)
    assert (refined[missing] != plain[missing]).any()
    np.testing.assert_array_equal(refined[~missing], plain[~missing])
    imputer.estimator_.refine = "loca"
    with pytest.raises(UsageError, match="local"):
        imputer.transform(x)


def test_a_wrong_number_of_samples_is_refused_before_training() -> None:
    imputer = VAEImputer(VAE(**SMALL), iw_samples=0)
    with pytest.raises(UsageError, match="iw_samples"):
        imputer.fit(np.zeros((40, 2)))
    assert not hasattr(imputer, "estimator_")


@pytest.mark.slow
def test_high_values_that_hide_are_imputed_higher_than_if_they_were_missing_at_random() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    holes = np.where((x > 0.5) & np.array([True, False]), np.nan, x)
    means = {}
    for missingness in ("random", "self-masking:hides=high"):
        estimator = VAE(**(SMALL | {"epochs": 40, "learning_rate": 1e-2, "early_stopping": None}))
        imputer = VAEImputer(estimator, missingness=missingness, iw_samples=20, random_state=0)
        means[missingness] = imputer.fit_transform(holes)[np.isnan(holes)].mean()
        assert imputer.estimator_.missingness == missingness
    assert means["self-masking:hides=high"] > means["random"] + 0.2


def test_assumption_about_missing_cells_of_the_imputer_overrides_that_of_its_estimator() -> None:
    holes = np.where(np.eye(40, 2) > 0, np.nan, np.random.default_rng(0).normal(size=(40, 2)))
    estimator = VAE(**SMALL, missingness="self-maskin")
    with pytest.raises(UsageError, match="self-masking"):
        VAEImputer(estimator).fit(holes)
    with pytest.raises(UsageError, match="random"):
        VAEImputer(estimator, missingness="rando").fit(holes)


def test_complete_rows_do_not_show_how_cells_hide() -> None:
    with pytest.raises(UsageError, match="needs missing cells"):
        VAEImputer(VAE(**SMALL), missingness="self-masking").fit(np.random.default_rng(0).normal(size=(40, 2)))
