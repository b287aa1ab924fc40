"""`tfp-vae sample`: draw from p(x) of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import UsageError
from tfp_vae.data.condition import Condition
from tfp_vae.evaluation.outputs import OUTPUTS
from tfp_vae.runs.config import DataConfig
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import PLOTS

from .. import console, options, output

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure

LARGEST_PICTURE = 10_000


CONTENT = {
    "mean": "E[x|z], the mean of p(x|z) for each z (use --draw for draws, which vary like the data)",
    "draw": "draws x ~ p(x|z) (use --mean for E[x|z])",
}
"""The content of the output, for a notice."""


def figure(x: np.ndarray, data: DataConfig, title: str) -> Figure:
    """Return a grid of samples."""
    from tfp_vae import plots

    return plots.image_grid(data.shown(x), title=title, **data.look)


def columns(x: np.ndarray, data: DataConfig, title: str) -> dict[str, np.ndarray]:
    """Return a table of samples: one column per feature, in the units of the run's data."""
    return data.as_columns(x)


FORMS: output.Forms = {
    ".png": figure,
    ".npy": lambda x, data, title: x,
    ".npz": lambda x, data, title: {"x": x, **data.standard},
    **dict.fromkeys(output.TABLES, columns),
}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae sample --n 64",
        "tfp-vae sample --n 1000 --out rows.csv --fidelity",
    ),
)
@options.run_options
@options.option(
    "--n", group=options.RUN, type=options.Whole(1, 10**7), default=64, show_default=True, help="Number of samples."
)
@options.output_options(FORMS, "samples")
@options.show_options(" for pictures", " for other files")
@options.option(
    "--temperature",
    group=options.RUN,
    type=options.POSITIVE,
    default=1.0,
    show_default=True,
    help="Factor on the spread of the prior.",
)
@options.given_option("equally many of each class, or typical values")
@options.option(
    "--region",
    group=options.RUN,
    type=(options.FINITE,) * 4,
    metavar="LOW_1 HIGH_1 LOW_2 HIGH_2",
    help="Bounds of z, if the run has two latent dimensions.",
)
@options.option(
    "--fidelity",
    group=options.OUTPUT,
    is_flag=True,
    help="Compare draws with the rows of the run's table: marginals, associations, a classifier and exact copies.",
)
@options.data_dir_option
@options.weights_option
@options.json_option
@options.debug_option
def command(
    run: str | None,
    runs_dir: str,
    n: int,
    seed: int,
    out: str | None,
    mean: bool,
    draw: bool,
    temperature: float,
    given: str | None,
    region: tuple[float, float, float, float] | None,
    fidelity: bool,
    data_dir: str | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Sample from p(x) of a run.

    A picture shows E[x|z], the mean for each z. Files of arrays and tables hold draws, which vary like the data.
    """
    out_path = output.check_path(out, FORMS)
    picture = out_path is None or out_path.suffix == ".png"
    show = options.choose_show(mean, draw) or ("mean" if picture else "draw")
    if picture and n > LARGEST_PICTURE:
        raise UsageError(
            f"--n: a picture holds at most {LARGEST_PICTURE:,} samples, found {n:,}. Write --out FILE.npz instead."
        )
    if region is not None and not (region[0] < region[1] and region[2] < region[3]):
        found_bounds = " ".join(f"{bound:g}" for bound in region)
        raise UsageError(f"--region: expected two pairs of a lower and a higher bound, found {found_bounds}.")
    found = output.find_run(run, runs_dir)
    output.check_picture(found, out_path)
    config = found.config()  # a damaged config is refused before TensorFlow is imported
    if region is not None and config.model.latent_dim != 2:
        raise UsageError(
            f"--region: expected a run with 2 latent dimensions, found {config.model.latent_dim}. Leave it out."
        )
    context = output.context_from_option(config, given)
    if fidelity and (show != "draw" or not config.data.features):
        raise UsageError("--fidelity compares draws with the rows of a table. Use a run on a table and --out FILE.csv.")
    dataset = reload(config, data_dir, console.DownloadProgress()) if fidelity else None
    title = f"{plural(n, 'sample')}, {OUTPUTS[show].symbol} with z from the prior"
    if region is not None:
        title += " in [{:g}, {:g}] x [{:g}, {:g}]".format(*region)
    if config.data.condition is not None:
        title += f", given {given_text(config.data.condition, given)}"
    if temperature != 1:
        title += f" at temperature {temperature:g}"
    name = f"samples-{n}-{show}-seed{seed}{output.ending('given', 'region', 'temperature', 'weights')}"
    restored = output.restore(found, weights)
    from tfp_vae.runs.load import sample

    bounds = None if region is None else (region[:2], region[2:])
    x = sample(restored, n, show=show, seed=seed, temperature=temperature, region=bounds, context=context)
    path = output.write(found, out_path, f"{PLOTS}/{name}.png", FORMS, x, config.data, title, text=config.data.form)
    console.explain_scaling({} if path.suffix in output.TABLES else config.data.standard)
    console.notice(f"{path} {'shows' if picture else 'holds'} {CONTENT[show]}")
    result: dict[str, Any] = {
        "n": n,
        "show": show,
        **({} if config.data.condition is None else {"given": given}),
        "region": bounds,
        "seed": seed,
        "temperature": temperature,
        "shape": list(x.shape),
        "out": str(path),
    }
    if dataset is not None:
        from tfp_vae.runs.tables.fidelity import compare_samples

        result["fidelity"] = compare_samples(config.data, dataset, x, seed=seed).summary(config.data.features)
        if not as_json:
            print_fidelity(result["fidelity"])
    output.print_result(output.record(found, restored, **result), as_json)


def given_text(condition: Condition, given: str | None) -> str:
    """Return which contexts samples have, for a title."""
    if given is not None:
        return given if "=" in given else f"{condition.names[0]} {given}"
    if condition.classes:
        return f"{condition.names[0]} {condition.classes[0]} to {condition.classes[-1]}, equally many of each"
    return condition.text(condition.typical())


def print_fidelity(found: Mapping[str, Any]) -> None:
    """Print how faithful samples are to the rows of a table."""
    distances = found["marginal_distance"]
    console.print_table(["column", "distance of the marginals"], [[name, value] for name, value in distances.items()])
    rows = [
        ["associations of column pairs, mean difference", found["association_difference"]],
        ["associations of column pairs, largest difference", found["largest_association_difference"]],
        ["AUROC of a classifier of draws and rows (0.5 is best)", found["auroc"]],
        ["share of draws that copy a training row", found["copies"]],
        ["share of held-out rows that do the same", found["real_copies"]],
    ]
    console.print_table(["fidelity", "value"], [[text, "not defined" if each is None else each] for text, each in rows])
