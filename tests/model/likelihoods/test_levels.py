"""The common part of likelihoods for a grid of levels."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.core.supports import BINARY
from tfp_vae.model.likelihoods import Categorical, DiscretizedLogistic, DiscretizedLogisticMixture
from tfp_vae.model.likelihoods.levels import DEFAULT_LEVELS, LevelLikelihood

FAMILIES = [Categorical, DiscretizedLogistic, DiscretizedLogisticMixture]


@pytest.mark.parametrize("family", FAMILIES)
def test_levels_are_counted_in_the_data_unless_set(family: type[LevelLikelihood]) -> None:
    x = np.float32([[0.0, 1 / 16, 1.0]])
    assert family.settings_from({"levels": None}, x) == {"levels": 17}
    assert family.settings_from({"levels": 33}, x) == {"levels": 33}


@pytest.mark.parametrize("family", FAMILIES)
def test_keeps_other_settings(family: type[LevelLikelihood]) -> None:
    assert family.settings_from({"levels": 4, "components": 7}, np.zeros([1, 2])) == {"levels": 4, "components": 7}


def test_data_off_any_grid_get_the_default() -> None:
    x = np.float32([[0.0, 1 / np.pi, 1.0, 2.0]])
    assert Categorical.settings_from({"levels": None}, x) == {"levels": DEFAULT_LEVELS}


@pytest.mark.parametrize("family", FAMILIES)
def test_count_is_the_setting_or_the_default(family: type[LevelLikelihood]) -> None:
    assert (family((1,)).count, family((1,), levels=9).count) == (DEFAULT_LEVELS, 9)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_levels_are_binary(family: type[LevelLikelihood]) -> None:
    assert family((1,), levels=2).support is BINARY


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [0, 1, 65_537, -3])
def test_number_of_levels_has_limits(family: type[LevelLikelihood], count: int) -> None:
    with pytest.raises(UsageError):
        family((1,), levels=count)


@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_of_all_levels_sum_to_one(family: type[LevelLikelihood], rng: np.random.Generator) -> None:
    likelihood = family((1,), levels=17)
    params = rng.normal(size=(8, likelihood.params_size)).astype(np.float32)
    x = np.linspace(0, 1, 17, dtype=np.float32)[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(np.exp(likelihood(params).log_prob(x)).sum(axis=0), 1, atol=1e-5)


def test_frequencies_count_observed_cells_and_give_every_level_a_share() -> None:
    x = np.array([[0, 0.5], [0, np.nan], [1, np.nan]])
    np.testing.assert_allclose(
        Categorical((2,), levels=3).frequencies(x), [[2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5], [0.2, 0.6, 0.2]]
    )
