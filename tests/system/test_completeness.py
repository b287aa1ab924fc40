"""Every member with every other: results are finite, every variable learns, and saved weights come back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tfp_vae import VAE
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.importance import estimate
from tfp_vae.model.likelihoods import ELEMENTWISE
from tfp_vae.model.networks import NETWORKS
from tfp_vae.objectives import OBJECTIVES, elbo_for, has_closed_form_rate
from tfp_vae.training.state import State

TABLES = (builders.REAL_POSTERIORS, builders.REAL_PRIORS, builders.REAL_OBJECTIVES)

COMBINATIONS = [
    (posterior, prior, name)
    for (i, posterior), (j, prior), (k, name) in itertools.product(*map(enumerate, TABLES))
    if (i + j + k) % 3 == 0
]
"""A third of all triples. It has each pair of members from two tables, because each table has at least three."""


def pairs(first: Iterable[str], second: Iterable[str], usual: tuple[str, str]) -> list[object]:
    """Return all pairs as parameters. Those with a usual member are fast tests, and the others are slow ones."""
    return [
        pytest.param(*pair, marks=() if pair[0] == usual[0] or pair[1] == usual[1] else pytest.mark.slow)
        for pair in itertools.product(first, second)
    ]


def objective(name: str) -> object:
    return OBJECTIVES.build(OBJECTIVES.member(name))


def learn(vae: VAE, x: np.ndarray, name: str, steps: int = 2) -> None:
    """Take steps of plain gradient descent, and check that every variable receives a gradient and changes."""
    variables = vae.trainable_variables
    before = [variable.numpy() for variable in variables]
    received = [False] * len(variables)
    for step in range(steps):
        with tf.GradientTape() as tape:
            loss = objective(name).loss(vae, x, seed=(0, step))
        assert np.isfinite(loss)
        for i, (variable, gradient) in enumerate(zip(variables, tape.gradient(loss, variables), strict=True)):
            assert gradient is not None, f"{variable.name} receives no gradient"
            assert np.isfinite(gradient).all(), variable.name
            received[i] |= bool(np.abs(gradient).max() > 0)
            variable.assign_sub(1e-3 * gradient / (1e-6 + tf.norm(gradient)))
    for variable, old, reached in zip(variables, before, received, strict=True):
        assert reached, f"{variable.name} receives only zeros"
        assert (variable.numpy() != old).any(), f"{variable.name} does not move"


@pytest.mark.parametrize("posterior", builders.REAL_POSTERIORS)
def test_every_posterior_learns(posterior: str) -> None:
    learn(builders.model(posterior), builders.data("bernoulli"), "monte-carlo-elbo")


@pytest.mark.parametrize("prior", builders.REAL_PRIORS)
def test_every_prior_learns(prior: str) -> None:
    learn(builders.model(prior_name=prior), builders.data("bernoulli"), "monte-carlo-elbo")


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_every_objective_learns(name: str) -> None:
    learn(builders.model(), builders.data("bernoulli"), name)


@pytest.mark.parametrize(
    "prior",
    [pytest.param(name, marks=[pytest.mark.slow] if name == "learned" else []) for name in builders.CODE_PRIORS],
)
@pytest.mark.parametrize(
    ("posterior", "name"),
    [(p, o) for p in builders.CODE_POSTERIORS for o in ("rloo", "vimco", "gumbel-softmax")] + [("bernoulli", "disarm")],
)
def test_codes_learn(posterior: str, name: str, prior: str) -> None:
    learn(builders.model(posterior, prior), builders.data("bernoulli"), name)


@pytest.mark.parametrize("name", [name for name in builders.REAL_OBJECTIVES if name not in builders.OF_DIAGONALS])
def test_layers_learn_by_every_objective(name: str) -> None:
    posterior = builders.LAYERED_POSTERIORS[len(name) % len(builders.LAYERED_POSTERIORS)]
    learn(builders.model(posterior), builders.data("bernoulli"), name)


@pytest.mark.parametrize("posterior", builders.LAYERED_POSTERIORS)
def test_layers_have_no_closed_form_rate(posterior: str) -> None:
    with pytest.raises(UsageError, match="monte-carlo-elbo"):
        objective("elbo").loss(builders.model(posterior), builders.data("bernoulli"), seed=(0, 0))


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ELEMENTWISE)
def test_layers_learn_with_every_likelihood(likelihood: str) -> None:
    posterior = builders.LAYERED_POSTERIORS[len(likelihood) % len(builders.LAYERED_POSTERIORS)]
    vae, x = builders.model(posterior, likelihood_name=likelihood), builders.data(likelihood)
    learn(vae, x, "monte-carlo-elbo")
    assert vae.reconstruct(x).shape == vae.sample(len(x), seed=(0, 1)).shape == x.shape


def test_combinations_have_each_pair() -> None:
    for first, second in itertools.combinations((0, 1, 2), 2):
        tables = [TABLES[i] for i in (first, second)]
        assert {(each[first], each[second]) for each in COMBINATIONS} == set(itertools.product(*tables))


@pytest.mark.slow
@pytest.mark.parametrize(("posterior", "prior", "name"), COMBINATIONS)
def test_posterior_prior_objective(posterior: str, prior: str, name: str) -> None:
    vae, x = builders.model(posterior, prior), builders.data("bernoulli")
    if OBJECTIVES[name].needs_closed_form_rate and not has_closed_form_rate(vae.encoder.posterior, vae.prior):
        with pytest.raises(UsageError, match="monte-carlo-elbo"):
            objective(name).loss(vae, x, seed=(0, 0))
        return
    if not OBJECTIVES[name].trains(vae.encoder.posterior.capabilities):
        with pytest.raises(UsageError, match="cannot train NormalMixture"):
            objective(name).loss(vae, x, seed=(0, 0))
        return
    if OBJECTIVES[name].needs_dimensions and not vae.encoder.posterior.capabilities.diagonal:
        with pytest.raises(UsageError, match="posterior=diagonal-normal"):
            objective(name).loss(vae, x, seed=(0, 0))
        return
    learn(vae, x, name)


@pytest.mark.parametrize(("likelihood", "network"), pairs(ELEMENTWISE, NETWORKS, ("bernoulli", "mlp")))
def test_likelihood_network(likelihood: str, network: str) -> None:
    vae, x = builders.model(likelihood_name=likelihood, network_name=network), builders.data(likelihood)
    learn(vae, x, "elbo")
    assert vae.reconstruct(x).shape == x.shape
    samples = vae.sample(5, seed=(0, 1)).numpy()
    assert samples.shape == (5, *builders.SHAPE)
    assert vae.decoder.likelihood.support.contains(samples).all()


@pytest.mark.parametrize(
    "shape",
    [(8, 8, 1), (10, 10, 3), (7, 5, 2), *(pytest.param(s, marks=pytest.mark.slow) for s in [(28, 28, 1), (32, 32, 3)])],
)
@pytest.mark.parametrize("network", ["conv", "resnet", "mlp"])
def test_networks_take_any_image(network: str, shape: tuple[int, ...]) -> None:
    vae = builders.model(network_name=network, shape=shape)
    assert vae.reconstruct(builders.data("bernoulli", 2, shape)).shape == (2, *shape)


@pytest.mark.parametrize("network", ["conv", "resnet"])
def test_convolutions_refuse_vectors(network: str) -> None:
    with pytest.raises(UsageError, match="convolutions need images"):
        builders.network(network, (3,), 10, shape=(10,))


@pytest.mark.parametrize(
    ("posterior", "prior"),
    pairs(builders.REAL_POSTERIORS, builders.REAL_PRIORS, ("diagonal-normal", "standard-normal"))
    + pairs(builders.CODE_POSTERIORS, builders.CODE_PRIORS, ("categorical", "uniform")),
)
def test_reload_gives_the_same_densities(posterior: str, prior: str) -> None:
    vae, x = builders.model(posterior, prior), builders.data("bernoulli")
    z = np.tile(np.float32([0.1, -0.4, 0.9]), (6, 1))
    if vae.prior.latent.discrete:
        z = vae.encoder.typical(x).numpy()
    for variable in vae.trainable_variables:
        variable.assign_add(tf.random.stateless_normal(variable.shape, (1, 2), stddev=0.1))
    other = builders.model(posterior, prior)
    assert all(
        (a != b).any() for a, b in zip(State(vae).capture().values(), State(other).capture().values(), strict=True)
    )
    State(other).restore(State(vae).capture())
    np.testing.assert_array_equal(vae.prior().log_prob(z), other.prior().log_prob(z))
    np.testing.assert_array_equal(vae.encoder(x).log_prob(z), other.encoder(x).log_prob(z))


@pytest.mark.slow
@pytest.mark.parametrize("posterior", builders.REAL_POSTERIORS)
def test_evaluates_every_posterior(posterior: str) -> None:
    vae, x = builders.model(posterior, "real-nvp"), builders.data("bernoulli")
    found = estimate(vae, x, iw_samples=150, seed=(0, 0), execution="eager")
    assert np.isfinite(found.log_likelihood).all()
    assert (found.log_likelihood >= -found.distortion - found.rate - 1e-3).all()
    elbo = elbo_for(vae).bound(vae, np.repeat(x, 2_000, axis=0), seed=(1, 1)).value.numpy().reshape(len(x), -1)
    error = np.sqrt(elbo.var(axis=1) * (1 / 2_000 + 1 / 150))
    np.testing.assert_array_less(np.abs(elbo.mean(axis=1) + found.distortion + found.rate), 4.5 * error)


@pytest.mark.parametrize("prior", [name for name in builders.REAL_PRIORS if name != "vamp"])
def test_temperature_narrows_every_prior(prior: str) -> None:
    p = builders.prior(prior, 3)
    spread = [p(temperature).sample(500, seed=(0, 0)).numpy().std(axis=0).sum() for temperature in (0.1, 1.0)]
    assert spread[0] < spread[1]


def test_vamp_has_no_temperature() -> None:
    vae = builders.model(prior_name="vamp")
    with pytest.raises(UsageError, match="no temperature"):
        vae.prior(0.5)


@pytest.mark.parametrize("family", [builders.posterior, builders.prior])
def test_coupling_needs_two_dimensions(family: object) -> None:
    with pytest.raises(UsageError, match="expected a number of at least 2"):
        family("real-nvp", 1)
