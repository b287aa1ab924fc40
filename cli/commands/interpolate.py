"""`tfp-vae interpolate`: paths through latent space, between examples or draws from the prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.evaluation.paths import PATHS
from tfp_vae.evaluation.paths import path as latent_path
from tfp_vae.runs.config import DataConfig
from tfp_vae.runs.examples import as_seen
from tfp_vae.runs.run import PLOTS

from .. import console, options, output
from ..examples import example_options, select_examples

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure
    from tfp_vae.runs.load import LoadedRun

DEFAULT_PATHS = 8


def figure(x: np.ndarray, z: np.ndarray, data: DataConfig, names: Sequence[str], title: str) -> Figure:
    """Return a picture with one strip per path."""
    from tfp_vae import plots

    ticks = [f"{t:.0%}" for t in np.linspace(0, 1, x.shape[1])]
    return plots.strips(data.shown(x), names=names, ticks=ticks, title=title, **data.look)


FORMS: output.Forms = {
    ".png": figure,
    ".npz": lambda x, z, data, names, title: {"x": x, "z": z.astype(np.float32), **data.standard},
}


def random_pairs(count: int, n: int, seed: int) -> list[tuple[int, int]]:
    """Return n pairs of indices below `count`. No index appears twice while there are enough."""
    draw = generator(seed, Purpose.PAIRS)
    order = np.concatenate([draw.permutation(count) for _ in range(-(-2 * n // count))])
    return [(int(a), int(b)) for a, b in order[: 2 * n].reshape(-1, 2)]


def draw_ends(
    restored: LoadedRun, count: int, context: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return draws from the prior, [count, D], and their contexts, which are the usual ones if `context` is None."""
    from tfp_vae.model.vae import sample_prior
    from tfp_vae.runs.load import usual_contexts

    vae = restored.vae
    if vae.context_size and context is None:
        context = usual_contexts(restored.config, count)
    model = vae if context is None else vae.given(context)
    return np.asarray(sample_prior(model.prior(), [], count, (seed, int(Purpose.PAIRS)))), context


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae interpolate --pair 3 7 --steps 9",
        "tfp-vae interpolate --prior --n 4 --path spherical",
    ),
)
@options.run_options
@example_options
@options.option(
    "--pair",
    "pairs",
    group=options.RUN,
    type=(options.Whole(0), options.Whole(0)),
    metavar="FIRST LAST",
    multiple=True,
    help="Indices of the two ends, from 0. Repeat for more paths.  [default: random pairs]",
)
@options.option("--prior", group=options.RUN, is_flag=True, help="Interpolate between draws from the prior.")
@options.option(
    "--n", group=options.RUN, type=options.Whole(1, 100), help="Number of paths, if you give no pairs.  [default: 8]"
)
@options.option(
    "--steps",
    group=options.RUN,
    type=options.Whole(2, 100),
    default=11,
    show_default=True,
    help="Points on a path, including its ends.",
)
@options.option(
    "--path",
    "kind",
    group=options.RUN,
    type=options.Choice(list(PATHS)),
    default="linear",
    show_default=True,
    help="Shape of the path.",
)
@options.given_option("those of both ends")
@options.output_options(FORMS, "pairs or draws")
@options.weights_option
@options.json_option
@options.debug_option
def command(
    run: str | None,
    runs_dir: str,
    data: str | None,
    split: str | None,
    data_dir: str | None,
    max_examples: int | None,
    pairs: Sequence[tuple[int, int]],
    prior: bool,
    n: int | None,
    steps: int,
    kind: str,
    given: str | None,
    seed: int,
    out: str | None,
    weights: str | None,
    as_json: bool,
) -> None:
    """Decode paths through latent space.

    A path leads from one example to another, or from one draw of the prior to another. In a run with a condition, the
    condition changes along the path too, unless --given fixes it.
    """
    out_path = output.check_path(out, FORMS)
    excluded: dict[str, dict[str, object]] = {
        "prior": {"data": data, "split": split, "pair": pairs, "max-examples": max_examples} if prior else {},
        "pair": {"n": n, "max-examples": max_examples} if pairs else {},
    }
    for option, others in excluded.items():
        for other in (name for name, value in others.items() if value):
            raise UsageError(f"--{other} and --{option} were both given. Keep one.")
    found = output.find_run(run, runs_dir)
    output.check_picture(found, out_path)
    config, count = found.config(), n or DEFAULT_PATHS
    wanted = output.context_from_option(config, given)
    if prior:
        origin: dict[str, object] = {"dataset": config.data.dataset, "data": None, "split": None}
        source, ends, examples = "draws from the prior", None, None
    else:
        examples = select_examples(found, data, split, data_dir, max_examples)
        size = len(examples.split)
        for index in np.ravel(pairs).astype(int):
            if index >= size:
                raise UsageError(f"--pair: expected indices from 0 to {size - 1}, found {index}.")
        chosen = list(pairs) or random_pairs(size, count, seed)
        origin, ends = examples.origin, [[int(examples.places[i]) for i in pair] for pair in chosen]
        source = as_seen(config, f"{origin['split'] or 'new'} examples", ", seen ")
    restored = output.restore(found, weights)
    from tfp_vae.evaluation import latent_space
    from tfp_vae.evaluation.classification import complete_contexts

    vae = restored.vae
    if vae.prior.latent.discrete:
        raise UsageError(
            f"{found.folder}: z of this run is discrete, so there is no path between two of its values. "
            "Use `tfp-vae sample` or `tfp-vae reconstruct`."
        )
    if examples is None:
        z, context = draw_ends(restored, 2 * count, wanted, seed)
    else:
        some = examples.split[np.ravel(chosen)]
        z = latent_space.encode(vae, some.batch, samples=0, seed=(seed, int(Purpose.EMBEDDING))).mean
        context = complete_contexts(vae, some.batch)
    z = latent_path(z[::2], z[1::2], steps, kind)
    if wanted is not None:
        context = wanted
    elif context is not None:
        context = latent_path(context[::2], context[1::2], steps, "linear")
    x = latent_space.decode(vae, z, seed=(seed, int(Purpose.SAMPLE)), context=context)
    whose = "prior" if examples is None else examples.name
    more = output.ending("pairs", "n", "steps", "given", "max_examples", "weights")
    picture = f"{PLOTS}/interpolation-{whose}-{kind}-seed{seed}{more}.png"
    names = [str(i) for i in range(len(x))] if ends is None else [f"{first} to {last}" for first, last in ends]
    console.explain_scaling(config.data.standard)
    title = f"E[x|z] on {kind} paths between {source}"
    path = output.write(found, out_path, picture, FORMS, x, z, config.data, names, title)
    settings = {
        "pairs": ends,
        "path": kind,
        "steps": steps,
        "show": "mean",
        "seed": seed,
        "shape": list(x.shape),
        "out": str(path),
    }
    output.print_result(output.record(found, restored, **origin, **settings), as_json)
