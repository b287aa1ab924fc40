"""`tfp-vae train`: learn a model, and write a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

import click
import pydantic
from click.core import ParameterSource

from tfp_vae.core.errors import Interrupted, UsageError
from tfp_vae.core.registry import WIDEST, Table, first_problem, parse
from tfp_vae.data.dataset import DATASETS, Dataset
from tfp_vae.data.profile import kind_of
from tfp_vae.data.readers.sources import KINDS
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.networks import NETWORKS
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.objectives import OBJECTIVES
from tfp_vae.reports.pictures import RUN_PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs import tensorboard as events
from tfp_vae.runs.config import (
    MOST_BATCH,
    MOST_EPOCHS,
    MOST_LATENT,
    MOST_STEPS,
    ModelConfig,
    RunConfig,
    TrainingConfig,
)
from tfp_vae.runs.recipe import OPEN, plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.training.callbacks import CALLBACKS, Callback
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.progress import Progress

from .. import console, options, signals
from ..options import MemberType

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

R = TypeVar("R", ModelConfig, TrainingConfig)
BY_KIND = "[default: chosen from the data]"
_EXTENDS = ("epochs", "early_stopping")
_CHANGEABLE_ON_RESUME = {*_EXTENDS, "run_dir", "runs_dir", "resume", "data_dir", "plots", "tensorboard", "as_json"}


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae train --dataset mnist --latent-dim 10 --epochs 50",
        "tfp-vae train --dataset table.csv --label-column class --early-stopping 15",
    ),
)
@options.config_option
@options.option(
    "--dataset",
    group=options.DATA,
    type=options.DATASET,
    default="digits",
    show_default=True,
    help=f"Data set: {', '.join(DATASETS)}. Or the path of {KINDS}.",
)
@options.data_dir_option
@options.reading_options
@options.option(
    "--binarization",
    group=options.DATA,
    type=MemberType(BINARIZATIONS),
    help="How to make grey values binary.  [default: chosen from data and likelihood]",
)
@options.option(
    "--latent-dim",
    group=options.MODEL,
    type=options.Whole(1, MOST_LATENT),
    default=2,
    show_default=True,
    help="Dimension of z.",
)
@options.option("--encoder", group=options.MODEL, type=MemberType(NETWORKS), help=f"Network of the encoder.  {BY_KIND}")
@options.option("--decoder", group=options.MODEL, type=MemberType(NETWORKS), help=f"Network of the decoder.  {BY_KIND}")
@options.option(
    "--hidden",
    group=options.MODEL,
    metavar="WIDTHS",
    type=options.Several(options.Whole(1, WIDEST)),
    help="Layer widths of `mlp` networks, such as 512,256.  [default: 512,512]",
)
@options.option(
    "--posterior",
    group=options.MODEL,
    type=MemberType(POSTERIORS),
    default="diagonal-normal",
    show_default=True,
    help="Family of the posterior q(z|x).",
)
@options.option(
    "--prior",
    group=options.MODEL,
    type=MemberType(PRIORS),
    default="standard-normal",
    show_default=True,
    help="Family of the prior p(z).",
)
@options.option(
    "--likelihood",
    group=options.MODEL,
    type=MemberType(LIKELIHOODS),
    help=f"Family of the likelihood p(x|z).  {BY_KIND}",
)
@options.option(
    "--objective",
    group=options.OBJECTIVE,
    type=MemberType(OBJECTIVES),
    default="elbo",
    show_default=True,
    help="Bound to maximize.",
)
@options.option(
    "--mc-samples",
    group=options.OBJECTIVE,
    type=options.Whole(1, 100_000),
    help="Samples of z per example in the objective.  [default: 1]",
)
@options.option(
    "--beta",
    group=options.OBJECTIVE,
    type=options.NOT_NEGATIVE,
    default=1.0,
    show_default=True,
    help="Weight of the rate (the KL term).",
)
@options.option(
    "--kl-warmup-epochs",
    group=options.OBJECTIVE,
    type=options.Whole(0),
    default=0,
    show_default=True,
    help="Epochs over which `--beta` rises linearly from 0.",
)
@options.option(
    "--free-bits",
    group=options.OBJECTIVE,
    type=options.NOT_NEGATIVE,
    default=0.0,
    show_default=True,
    help="Rate that costs nothing, in nats per latent dimension.",
)
@options.option(
    "--epochs",
    group=options.OPTIMIZATION,
    type=options.Whole(1, MOST_EPOCHS),
    default=100,
    show_default=True,
    help="Epochs in total, also with --resume.",
)
@options.option(
    "--steps-per-epoch",
    group=options.OPTIMIZATION,
    type=options.Whole(1, MOST_STEPS),
    help="Steps in an epoch.  [default: one pass over the data]",
)
@options.option(
    "--batch-size",
    group=options.OPTIMIZATION,
    type=options.Whole(1, MOST_BATCH),
    default=128,
    show_default=True,
    help="Examples per step.",
)
@options.option(
    "--optimizer",
    group=options.OPTIMIZATION,
    type=MemberType(OPTIMIZERS),
    default="adam",
    show_default=True,
    help="Optimizer of the weights.",
)
@options.option(
    "--learning-rate",
    group=options.OPTIMIZATION,
    type=options.POSITIVE,
    default=1e-3,
    show_default=True,
    help="Peak learning rate.",
)
@options.option(
    "--lr-schedule",
    group=options.OPTIMIZATION,
    type=MemberType(SCHEDULES),
    default="constant",
    show_default=True,
    help="Schedule of the learning rate.",
)
@options.option(
    "--clip-norm",
    group=options.OPTIMIZATION,
    type=options.POSITIVE,
    help="Largest global norm of a gradient.  [default: no limit]",
)
@options.option(
    "--early-stopping",
    group=options.OPTIMIZATION,
    metavar="EPOCHS",
    type=options.Whole(1, MOST_EPOCHS),
    help="Stop after this many epochs without a better validation ELBO.  [default: never]",
)
@options.option(
    "--ema",
    group=options.OPTIMIZATION,
    metavar="DECAY",
    type=options.SHARE,
    help="Decay of averaged weights, such as 0.999. It averages about 1 / (1 - DECAY) steps.  [default: none]",
)
@options.option(
    "--seed",
    group=options.RUN,
    type=options.SEED,
    default=0,
    show_default=True,
    help="Seed of all random numbers. Results repeat on the same machine and versions.",
)
@options.option(
    "--callback",
    "callbacks",
    group=options.RUN,
    multiple=True,
    metavar="MODULE:NAME",
    type=MemberType(CALLBACKS),
    help="Callback of your own, or of an installed package. Repeat for more.",
)
@options.execution_option
@options.option(
    "--no-compile",
    "execution",
    group=options.RUN,
    flag_value="eager",
    help="Short for `--execution eager`, for debugging.",
)
@options.runs_dir_option
@options.option(
    "--run-dir",
    group=options.RUN,
    metavar="DIR",
    type=options.PLACE,
    help="Folder of the new run.  [default: <dataset>-<date>-<time> under --runs-dir]",
)
@options.option(
    "--resume", group=options.RUN, is_flag=True, help="Continue the run in --run-dir. --epochs is then the total."
)
@options.allow_code_option
@options.option(
    "--plots/--no-plots",
    group=options.OUTPUT,
    default=True,
    show_default=True,
    help="Draw pictures and animations of the training.",
)
@options.option(
    "--tensorboard",
    group=options.OUTPUT,
    is_flag=True,
    help="Write metrics and samples for TensorBoard. Needs `pip install 'tfp_vae[tensorboard]'`.",
)
@options.json_option
@options.debug_option
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train a model and write a run.

    Write a choice as `name` or `name:key=value,key=value`. `tfp-vae info` lists the names and their settings.
    """
    if options.on_command_line("run_dir"):
        options.refuse_on_command_line(("runs_dir",), "with --run-dir, which names the run's own folder; keep one")
    if given["tensorboard"]:
        events.check_installed()
    begin, dataset = _resumed(ctx, given) if given["resume"] else _planned(given)
    with signals.collect("finishing the step and writing a checkpoint; once more to stop at once") as received:
        run = begin()
        console.notice(f"run: {run.folder}")
        finished = _train(run, dataset, received, filmed=given["plots"], recorded=given["tensorboard"])
    if received:  # only now is it certain that none is overlooked
        raise Interrupted(f"interrupted; {_KEPT[finished](run.folder)}", signal_number=received[0])
    result = run.read(runs.TRAINING)
    try:  # what was trained is told last, and also where it could not be drawn
        if given["plots"]:
            _draw(run, dataset)
    finally:
        console.print_json(result) if given["as_json"] else _print(result)
    if given["tensorboard"]:
        console.notice(f"see it with: tensorboard --logdir {shlex.quote(str(run.path(runs.EVENTS)))}")


def _planned(given: dict[str, Any]) -> tuple[Callable[[], Run], Dataset]:
    """Return what makes a new run, and its data; all that can be refused without TensorFlow is refused before it."""
    left_open = [name for name in OPEN if given[name] is None and not (given["hidden"] and name != "likelihood")]
    model, training = _model_config(given), _training_config(given)
    folder = Path(given["run_dir"]) if given["run_dir"] else None
    if folder is not None:
        Run.refuse_existing(folder)
    run_config, dataset = plan(
        given["dataset"],
        given["data_dir"],
        given["binarization"],
        model,
        training,
        console.DownloadProgress(),
        reading=options.reading(given),
        scaling=given["scaling"],
        open_choices=left_open,
    )
    console.notice(_described(run_config))
    console.notice(_chosen(run_config, dataset, left_open))

    def begin() -> Run:
        return Run.create(folder or runs.new_folder(Path(given["runs_dir"]), given["dataset"]), run_config)

    return begin, dataset


def _resumed(ctx: click.Context, given: dict[str, Any]) -> tuple[Callable[[], Run], Dataset]:
    """Return what gives the run to go on with, its total of epochs raised if asked, and its data."""
    if given["run_dir"] is None:
        raise UsageError("--resume needs the run's folder: give it with --run-dir.")
    changed = sorted(_written(ctx) - _CHANGEABLE_ON_RESUME)
    if changed:
        raise UsageError(
            f"--{changed[0].replace('_', '-')} cannot be changed on --resume; the run keeps what it was started with."
        )
    run = Run.open(Path(given["run_dir"]))
    with run.claimed():  # refuses what another process trains, before anything is loaded
        if not run.has_checkpoint():
            console.notice("there is no checkpoint yet: starting from step 0")
    dataset = reload(run.config(), given["data_dir"], console.DownloadProgress())
    extended = {name: given[name] for name in _EXTENDS if name in _written(ctx)}
    if extended:
        run.extend(**extended)
    if run.is_whole():
        raise UsageError(f"{run.folder}: {_why_done(run)}.")
    return lambda: run, dataset


def _why_done(run: Run) -> str:
    """Return why there is nothing to resume, and what to do about it."""
    ended = run.early_end()
    if ended is not None:
        return f"{ended}; {ended.remedy()}"
    return f"all {run.config().training.epochs} epochs are done; raise the total with --epochs"


def _written(ctx: click.Context) -> set[str]:
    """Return the options that were given on the command line or in a config file."""
    sources = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
    return {name for name in ctx.params if ctx.get_parameter_source(name) in sources}


def _model_config(given: dict[str, Any]) -> ModelConfig:
    networks = {name: given[name] or "mlp" for name in ("encoder", "decoder")}
    shared = _shortcut(NETWORKS, networks, "hidden", given["hidden"])
    families = {name: given[name] for name in ("latent_dim", "posterior", "prior", "likelihood") if given[name]}
    return _checked(ModelConfig, {**families, **shared})


def _training_config(given: dict[str, Any]) -> TrainingConfig:
    shared = _shortcut(OBJECTIVES, {"objective": given["objective"]}, "mc_samples", given["mc_samples"])
    return _checked(
        TrainingConfig, {**{name: given[name] for name in TrainingConfig.model_fields if name in given}, **shared}
    )


def _shortcut(table: Table, members: dict[str, str], key: str, value: Any) -> dict[str, Any]:
    """Return members with the setting `key` that an option of its own gives, where they do not say it themselves."""
    if value is None:
        return dict(members)
    flag, written = f"--{key.replace('_', '-')}", {option: parse(text) for option, text in members.items()}
    takers = {option for option, (name, _) in written.items() if key in table.info(name).defaults}
    if not takers:
        raise UsageError(
            f"{flag} has no meaning for {', '.join(members.values())}: expected a {table.kind} with {key}."
        )
    if all(key in written[option][1] for option in takers):
        raise UsageError(f"{flag} and {key}= in --{', --'.join(members)} were both given; keep one.")
    extra = {option: {key: value} if option in takers else {} for option in members}
    try:
        return {
            option: table.member({"name": name, **extra[option], **rest}) for option, (name, rest) in written.items()
        }
    except UsageError as error:  # what was written out was checked before, so that it is of the value of this option
        raise UsageError(f"{flag}: {error}") from error


def _checked(record: type[R], values: dict[str, Any]) -> R:
    try:
        return record(**values)
    except pydantic.ValidationError as error:
        raise UsageError(first_problem(error)) from error


def _described(run_config: RunConfig) -> str:
    data = run_config.data
    sizes = ", ".join(f"{count:,} {split}" for split, count in data.splits.items())
    shape = "x".join(map(str, data.event_shape))
    scaling = data.scaling.name  # what it learned from the data is in config.json
    return f"data: {data.dataset}, {shape}, {sizes}; scaling: {scaling}; binarization: {data.binarization}"


def _chosen(run_config: RunConfig, dataset: Dataset, left_open: Sequence[str]) -> str:
    """Return what the data are, and what was picked for them."""
    picked = [f"--{name} {getattr(run_config.model, name).name}" for name in left_open]
    return f"kind: {kind_of(dataset)}" + (f"; picked for it: {', '.join(picked)}" if picked else "")


def _train(run: Run, dataset: Dataset, received: list[int], *, filmed: bool, recorded: bool) -> bool:
    """Train, and return whether that came to its end."""
    console.start_tensorflow()
    from tfp_vae.reports import drawing
    from tfp_vae.runs.frames import Film
    from tfp_vae.runs.load import LoadedRun
    from tfp_vae.runs.train import train

    recording = events.Events(run) if recorded else None
    callbacks: list[Callback] = [CommandLine(received), Progress()]
    callbacks += [Film(run, dataset)] if filmed else []
    callbacks += [] if recording is None else [recording]
    finished = train(run, dataset, callbacks=callbacks)
    if finished and recording is not None:
        subject = drawing.Subject(LoadedRun(run), dataset)
        recording.picture("samples", RUN_PICTURES["samples"].content(subject), subject.restored.step)
    return finished


@final
class CommandLine(Callback):
    """Print where training starts and how its steps run, and interrupt it after a signal.

    Args:
      received: the signals that have arrived so far.
    """

    def __init__(self, received: Sequence[int]) -> None:
        self.received = received

    def begin(self, training: Training) -> None:
        """Print the start, and look for a signal."""
        if training.step:
            epoch, step = divmod(training.step, training.steps)
            within = f" and {step:,} of {training.steps:,} steps" if step else ""
            console.notice(
                f"continuing after {epoch:,} of {training.epochs:,} epochs{within}, from step {training.step:,}"
            )
        console.notice(_HOW[training.execution])
        self.progress(training)

    def progress(self, training: Training) -> None:
        """Interrupt training if a signal has arrived."""
        if self.received and not training.over:
            training.interrupt("interrupted by a signal")

    def epoch(self, training: Training) -> None:
        """Interrupt training if a signal has arrived."""
        self.progress(training)


_KEPT: dict[bool, Callable[[Path], str]] = {
    True: lambda folder: f"training had come to its end, and the run is whole: {folder}",
    False: lambda folder: (
        f"a checkpoint was written. Go on with: tfp-vae train --resume --run-dir {shlex.quote(str(folder))}"
    ),
}


_HOW = {
    "xla": "compiling with XLA (use --execution graph to skip)",
    "graph": "tracing the training step as a graph",
    "eager": "running every step eagerly, which is slow",
}


def _draw(run: Run, dataset: Dataset) -> None:
    console.notice("drawing pictures; --no-plots does without")
    from tfp_vae.reports import drawing
    from tfp_vae.runs.load import LoadedRun

    subject = drawing.Subject(LoadedRun(run), dataset)
    drawing.draw_run(subject, drawn=lambda path: console.notice(f"picture: {path}"))


def _print(result: dict[str, Any]) -> None:
    click.echo(
        "{dataset}: {epochs} epochs, {steps:,} steps, {parameters:,} parameters, {seconds:.1f} s".format(**result)
    )
    splits = [split for split in ("train", "validation") if result[split]["elbo"] is not None]  # some data have one
    rows = [[split, *(float(result[split][term]) for term in _TERMS)] for split in splits]
    console.print_table(["nats per example", *_TERMS], rows)
    for line in _notes(result):
        click.echo(line)
    click.echo(result["run"])


def _notes(result: dict[str, Any]) -> Iterator[str]:
    """Give what else is to be known of a training: an early end, and averaged weights."""
    ended = result["stopped_early"]
    if ended is not None:
        yield _ENDED[bool(ended["best_epoch"])].format(**ended)
    if result["ema"] is not None:
        yield f"validation is of averaged weights (EMA with decay {result['ema']:g}), which every command uses"


_ENDED = {
    True: "stopped early at epoch {epoch}, best at epoch {best_epoch} (--weights best)",
    False: "stopped early at epoch {epoch}, with no epoch of a finite validation ELBO",
}

_TERMS = ("elbo", "distortion", "rate")
