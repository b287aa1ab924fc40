"""Keras 3 on JAX: the model of `keras3_fit`, where KERAS_BACKEND is jax."""

from __future__ import annotations

import keras

from benchmarks.peers.keras3_fit import Peer, takes

__all__ = ["Peer", "takes"]

if keras.backend.backend() != "jax":
    raise ImportError(f"Keras runs on {keras.backend.backend()}, not on JAX: set KERAS_BACKEND=jax.")
