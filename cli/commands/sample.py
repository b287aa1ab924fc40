"""`tfp-vae sample`: draw from p(x) of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.runs.checkpoint import FINAL
from tfp_vae.runs.config import DataConfig
from tfp_vae.runs.run import Run

from .. import console, options, output

LARGEST_PICTURE = 10_000

SHOWN = {"mean": "E[x|z]", "draw": "x from p(x|z),"}
"""What a picture calls what it shows."""


def _figure(x: np.ndarray, data: DataConfig, title: str) -> Any:
    from tfp_vae import plots

    return plots.image_grid(x, title=title, features=data.features, unit=data.unit)


def _columns(x: np.ndarray, data: DataConfig, title: str) -> dict[str, np.ndarray]:
    """Return samples as a table has them: a column for each feature, in the units of the run's data."""
    flat = data.unscaled(x).reshape(len(x), -1)
    names = data.features or [f"x_{i}" for i in range(1, flat.shape[1] + 1)]
    return dict(zip(names, flat.T, strict=True))


FORMS: output.Forms = {
    ".png": _figure,
    ".npy": lambda x, data, title: x,
    ".npz": lambda x, data, title: {"x": x, **data.standard},
    ".csv": _columns,
}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae sample --n 64",
        "tfp-vae sample --run runs/mnist --temperature 0.7 --out samples.npz",
    ),
)
@options.run_options
@options.option(
    "--n", group=options.RUN, type=options.Whole(1, 10**7), default=64, show_default=True, help="Number of samples."
)
@options.output_options(FORMS, "samples")
@options.show_options
@options.option(
    "--temperature",
    group=options.RUN,
    type=options.POSITIVE,
    default=1.0,
    show_default=True,
    help="Factor on the spread of the prior.",
)
@options.option(
    "--region",
    group=options.RUN,
    type=(options.FINITE,) * 4,
    metavar="LOW_1 HIGH_1 LOW_2 HIGH_2",
    help="Bounds of z, if the run has two latent dimensions.",
)
@options.weights_option
@options.json_option
@options.debug_option
def command(
    run: str | None,
    runs_dir: str,
    n: int,
    out: str | None,
    show: str,
    weights: str,
    region: tuple[float, float, float, float] | None,
    as_json: bool,
    **drawn: Any,
) -> None:
    """Sample from p(x) of a run.

    Writes a picture or a file of arrays.
    """
    path = _checked_path(out, n)
    bounds = _bounds(region)
    found = output.find_run(run, runs_dir)
    output.check_picture(found, path)
    _check_region(found, bounds)  # a damaged config is refused before TensorFlow is imported
    restored = output.restore(found, weights)
    path = path or found.plot_path(_picture_name(n, show, weights, region, **drawn))
    from tfp_vae.runs.load import sample

    x = sample(restored, n, show=show, region=bounds, **drawn)
    data = found.config().data
    console.notice_of_scaled({} if path.suffix == ".csv" else data.standard)
    output.write(path, FORMS, x, data, _title(n, show, bounds, drawn["temperature"]))
    settings = {"n": n, "show": show, "region": bounds, **drawn}
    output.print_result(output.record(found, restored, **settings, shape=list(x.shape), out=str(path)), as_json)


def _check_region(run: Run, bounds: Any) -> None:
    latent_dim = run.config().model.latent_dim
    if bounds is not None and latent_dim != 2:
        raise UsageError(f"--region: expected a run with 2 latent dimensions, found {latent_dim}; leave it out.")


def _title(n: int, show: str, bounds: Any, temperature: float) -> str:
    within = "" if bounds is None else " in {} x {}".format(*("[{:g}, {:g}]".format(*bound) for bound in bounds))
    cooled = "" if temperature == 1 else f" at temperature {temperature:g}"
    return f"{n:,} samples, {SHOWN[show]} with z from the prior{within}{cooled}"


def _picture_name(
    n: int, show: str, weights: str, region: Sequence[float] | None, *, seed: int, temperature: float
) -> str:
    where = "" if region is None else "-region" + "_".join(f"{bound:g}" for bound in region)
    cooled = "" if temperature == 1 else f"-temperature{temperature:g}"
    return f"samples-{n}-{show}-seed{seed}{where}{cooled}" + ("" if weights == FINAL else f"-{weights}")


def _bounds(
    region: tuple[float, float, float, float] | None,
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    if region is None:
        return None
    if not (region[0] < region[1] and region[2] < region[3]):
        found = " ".join(f"{bound:g}" for bound in region)
        raise UsageError(f"--region: expected two pairs of a lower and a higher bound, found {found}.")
    return region[:2], region[2:]


def _checked_path(out: str | None, n: int) -> Path | None:
    path = output.check_path(out, FORMS)
    if (path is None or path.suffix == ".png") and n > LARGEST_PICTURE:
        raise UsageError(
            f"--n: a picture holds at most {LARGEST_PICTURE:,} samples, found {n:,}; write --out FILE.npz instead."
        )
    return path
