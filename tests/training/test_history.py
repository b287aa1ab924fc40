"""Records of epochs: means, the best epoch, and their display."""

from __future__ import annotations

import math

import pytest

from tfp_vae.training.history import Epoch, History, Terms, Totals, Validation, best_epoch


def epoch(number: int, validation_elbo: float = -1.0) -> Epoch:
    return Epoch(number, 10 * number, -3.0, 2.0, 1.0, validation_elbo, 0.75, 0.25, validation_elbo, 1e-3, 0.5)


def test_totals_divide_by_the_steps() -> None:
    assert Totals(4, 8.0, 2.0).mean() == Terms(-2.5, 2.0, 0.5)


def test_totals_without_a_step_have_no_mean() -> None:
    assert all(math.isnan(value) for value in Totals().mean())


def test_an_epoch_separates_training_from_validation() -> None:
    assert epoch(1).train == Terms(-3.0, 2.0, 1.0)
    assert epoch(1).validation == Terms(-1.0, 0.75, 0.25)


@pytest.mark.parametrize(
    ("elbos", "best"),
    [
        ([], 0),
        ([math.nan, math.inf], 0),
        ([-3.0, -2.0, -2.5], 2),
        ([-2.0, -2.0], 1),
        ([math.nan, -5.0, math.inf], 2),
    ],
)
def test_the_best_epoch_is_the_first_with_the_greatest_finite_elbo(elbos: list[float], best: int) -> None:
    epochs = [epoch(i, elbo) for i, elbo in enumerate(elbos, 1)]
    assert best_epoch(epochs) == History(epochs).best_epoch == best


def test_a_history_is_a_sequence_of_epochs() -> None:
    history = History([epoch(1), epoch(2)])
    assert (len(history), list(history)) == (2, [epoch(1), epoch(2)])
    assert (history[-1], history[:1]) == (epoch(2), [epoch(1)])


def test_repr_names_the_end_of_training() -> None:
    assert repr(History([epoch(1)])) == "History(1 epoch)"
    assert repr(History([epoch(1)], ended="all 1 epochs")) == "History(1 epoch, ended: all 1 epochs)"


def test_a_notebook_shows_the_last_and_the_best_epoch() -> None:
    shown = History([epoch(1, -1.5), epoch(2, -1.75)], ended="asked to")._repr_html_()
    assert "asked to" in shown
    assert "1, -1.50 nats" in shown
    assert "-1.75" in shown


def test_a_notebook_shows_a_history_without_epochs() -> None:
    assert "History(0 epochs)" in History()._repr_html_()
    assert "still training" in History([epoch(1)])._repr_html_()


def test_to_frame_has_a_row_per_epoch() -> None:
    frame = History([epoch(1), epoch(2, -0.5)]).to_frame()
    assert frame.index.tolist() == [1, 2]
    assert frame["validation_elbo"].tolist() == [-1.0, -0.5]
    assert frame.columns.tolist() == list(Epoch._fields[1:])


def test_the_best_epoch_follows_the_bound_of_the_objective() -> None:
    """Under IWAE, DReG and Renyi the ELBO may fall while the bound rises."""
    epochs = [epoch(i)._replace(validation_elbo=-10.0 - i, validation_bound=-10.0 + i) for i in (1, 2, 3)]
    assert best_epoch(epochs) == 3


def test_terms_and_validation_move_with_the_units() -> None:
    assert Terms(-3.0, 2.0, 1.0).rescale(0.5) == Terms(-3.5, 2.5, 1.0)
    assert Validation(-3.0, 2.0, 1.0, -2.0).rescale(0.5) == Validation(-3.5, 2.5, 1.0, -2.5)
