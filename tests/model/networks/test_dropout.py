"""The context that turns dropout on."""

from __future__ import annotations

import pytest

from tfp_vae.model.networks.dropout import DROPPING, dropping


def test_seed_is_set_within_the_block_only() -> None:
    assert DROPPING.get() is None
    with dropping((0, 1)):
        assert DROPPING.get() == (0, 1)
        with dropping((2, 3)):
            assert DROPPING.get() == (2, 3)
        assert DROPPING.get() == (0, 1)
    assert DROPPING.get() is None


def test_an_error_within_the_block_turns_dropout_off() -> None:
    with pytest.raises(ZeroDivisionError), dropping((0, 1)):
        raise ZeroDivisionError
    assert DROPPING.get() is None
