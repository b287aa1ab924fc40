"""`tfp-vae interpolate`: paths through latent space, between examples or draws from the prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.runs.recipe import as_seen
from tfp_vae.runs.run import Run

from .. import console, options, output
from ..given import example_options, select_examples

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

PATHS = ("linear", "spherical")
DEFAULT_PATHS = 8


def _figure(x: np.ndarray, z: np.ndarray, standard: Mapping[str, np.ndarray], named: Mapping[str, Any]) -> Any:
    from tfp_vae import plots

    return plots.strips(x, ticks=[f"{t:.0%}" for t in np.linspace(0, 1, x.shape[1])], **named)


FORMS: output.Forms = {
    ".png": _figure,
    ".npz": lambda x, z, standard, named: {"x": x, "z": z.astype(np.float32), **standard},
}


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
    type=click.Choice(PATHS),
    default="linear",
    show_default=True,
    help="Shape of the path.",
)
@options.output_options(FORMS, "pairs or draws")
@options.weights_option
@options.json_option
@options.debug_option
def command(run: str | None, runs_dir: str, out: str | None, weights: str, as_json: bool, **asked: Any) -> None:
    """Decode paths through latent space.

    A path leads from one example to another, or from one draw of the prior to another.
    """
    path = output.check_path(out, FORMS)
    _check(asked)
    asked["n"] = asked["n"] or DEFAULT_PATHS
    found = output.find_run(run, runs_dir)
    output.check_picture(found, path)
    walk = _from_prior(found, asked) if asked["prior"] else _between(found, asked)
    restored = output.restore(found, weights)
    x, z = _walked(restored.vae, walk, asked)
    path = path or found.plot_path(_picture_name(walk, asked))
    standard = found.config().data.standard
    console.notice_of_scaled(standard)
    output.write(path, FORMS, x, z, standard, _named(found, walk, len(x), asked["kind"]))
    settings = {"pairs": walk.pairs, "path": asked["kind"], "steps": asked["steps"], "seed": asked["seed"]}
    result = output.record(found, restored, **walk.origin, **settings, shape=list(x.shape), out=str(path))
    output.print_result(result, as_json)


class _Walk(NamedTuple):
    """The ends of paths.

    ends: returns the first and the last z of each path, [N, D], under a model.
    origin: the source of the examples, see `given.Examples`.
    pairs: the indices of the examples, or None between draws from the prior.
    """

    ends: Callable[[VAE], tuple[np.ndarray, np.ndarray]]
    origin: dict[str, Any]
    pairs: list[list[int]] | None = None


def _walked(vae: VAE, walk: _Walk, asked: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return E[x|z] [N, steps, *event_shape] on each path, and z [N, steps, D]."""
    from tfp_vae.evaluation.latent_space import decode, path

    first, last = walk.ends(vae)
    z = path(first, last, asked["steps"], asked["kind"])
    return decode(vae, z, seed=(asked["seed"], int(Purpose.SAMPLE))), z


def _picture_name(walk: _Walk, asked: dict[str, Any]) -> str:
    whose = walk.origin["split"] or "data" if walk.pairs else "prior"
    return "interpolation-{}-{kind}-seed{seed}".format(whose, **asked)


def _named(run: Run, walk: _Walk, count: int, kind: str) -> dict[str, Any]:
    """Return what a picture calls its paths: the places of the examples at their ends."""
    config, pairs = run.config(), walk.pairs
    binarized = "" if as_seen(config) == "data" else ", seen binarized"
    whose = f"{walk.origin['split'] or 'new'} examples{binarized}" if pairs else "draws from the prior"
    names = [f"{first} to {last}" for first, last in pairs] if pairs else [str(i) for i in range(count)]
    title = f"E[x|z] on {kind} paths between {whose}"
    return {"names": names, "title": title, "features": config.data.features, "unit": config.data.unit}


def _check(asked: dict[str, Any]) -> None:
    """Refuse options that have no meaning beside each other."""
    for option, others in _ALONE.items():
        given = [name for name in others if asked[name]]
        if asked[option] and given:
            raise UsageError(f"--{_flag(given[0])} and --{_flag(option)} were both given; keep one.")


def _flag(name: str) -> str:
    return {"pairs": "pair"}.get(name, name.replace("_", "-"))


_ALONE = {"prior": ("data", "split", "pairs", "max_examples"), "pairs": ("n", "max_examples")}
"""What is given alone, and what not beside it."""


def _from_prior(run: Run, asked: dict[str, Any]) -> _Walk:
    def ends(vae: VAE) -> tuple[np.ndarray, np.ndarray]:
        z = np.asarray(vae.prior().sample(2 * asked["n"], seed=(asked["seed"], int(Purpose.PAIRS))))
        return z[::2], z[1::2]

    return _Walk(ends, {"dataset": run.config().data.dataset, "data": None, "split": None})


def _between(run: Run, asked: dict[str, Any]) -> _Walk:
    which = {name: asked[name] for name in ("data", "split", "data_dir", "max_examples")}
    examples = select_examples(run, **which)
    count = len(examples.split)
    pairs = _checked(asked["pairs"], count) or _random_pairs(count, asked["n"], asked["seed"])

    def ends(vae: VAE) -> tuple[np.ndarray, np.ndarray]:
        from tfp_vae.evaluation.latent_space import encode

        x = examples.split.x[np.ravel(pairs)]
        z = encode(vae, x, samples=0, seed=(asked["seed"], int(Purpose.EMBEDDING))).mean
        return z[::2], z[1::2]

    return _Walk(ends, examples.origin, [[int(examples.places[i]) for i in pair] for pair in pairs])


def _checked(pairs: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    for place in np.ravel(pairs).astype(int):
        if not 0 <= place < count:
            raise UsageError(f"--pair: expected places from 0 to {count - 1}, found {place}.")
    return list(pairs)


def _random_pairs(count: int, n: int, seed: int) -> list[tuple[int, int]]:
    """Return n pairs of examples, no example twice while there are enough."""
    draw = generator(seed, Purpose.PAIRS)
    order = np.concatenate([draw.permutation(count) for _ in range(-(-2 * n // count))])
    return [(int(a), int(b)) for a, b in order[: 2 * n].reshape(-1, 2)]
