"""The parts of the library that need TensorFlow, imported when a command comes to them."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import IO, Any

from tfp_vae.runs.run import Run

from . import console


def experiments() -> ModuleType:
    """Return `tfp_vae.runs.load`."""
    return _imported("runs.load")


def assessment() -> ModuleType:
    """Return `tfp_vae.runs.results`."""
    return _imported("runs.results")


def gallery() -> ModuleType:
    """Return `tfp_vae.reports.drawing`."""
    return _imported("reports.drawing")


def film() -> ModuleType:
    """Return `tfp_vae.runs.frames`."""
    return _imported("runs.frames")


def latent() -> ModuleType:
    """Return `tfp_vae.evaluation.latent_space`."""
    return _imported("evaluation.latent_space")


def report() -> ModuleType:
    """Return `tfp_vae.reports.page`."""
    return _imported("reports.page")


def scores() -> ModuleType:
    """Return `tfp_vae.runs.results`."""
    return _imported("runs.results")


def restored(run: Run, weights: str) -> Any:
    """Return a run's model with its `final` or its `best` weights, and say which."""
    model = experiments().Restored(run, weights)
    console.notice(f"weights: {model.described()}")
    return model


def _imported(name: str) -> ModuleType:
    with _quiet_start():
        return importlib.import_module(f"tfp_vae.{name}")


def _kept_back() -> tuple[int, IO[bytes]] | None:
    """Return a copy of stderr's descriptor, and a file to write to meanwhile; None where one of them cannot be had."""
    try:
        kept = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as TensorFlow starts
        return os.dup(2), kept
    except OSError:
        return None


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep back what TensorFlow's C++ writes to stderr while it starts, unless it fails to start.

    Its notes (no GPU found, oneDNN is on) come before its log level is read: tensorflow/tensorflow#100442.
    """
    places = None if "tensorflow" in sys.modules else _kept_back()
    if places is None:
        yield
        return
    stderr, kept = places
    with kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:  # an interrupt is none, and its one sentence needs no notes
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
