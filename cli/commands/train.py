"""`tfp-vae train`: train a model and write a run."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import click
from click.core import ParameterSource

from tfp_vae.core.display import list_names, plural
from tfp_vae.core.errors import Interrupted, UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.reports.pictures import RUN_PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs import tensorboard as events
from tfp_vae.runs.config import (
    ModelConfig,
    Request,
    RunConfig,
    TrainingConfig,
    choices_reason,
    expand_shortcuts,
    implied_choices,
    read_settings,
)
from tfp_vae.runs.recipe import OPEN, OPEN_TRAINING, Note, plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.progress import Progress

from .. import console, options, output, signals
from ..main import is_out_of_memory

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

RECORDED_CHANGES = ("epochs", "early_stopping", "learning_rate")
"""The settings of training that may change with `--resume`. The run records each change."""

CHANGEABLE = {*RECORDED_CHANGES, "run_dir", "runs_dir", "resume", "data_dir", "plots", "tensorboard", "as_json"}
"""All settings that may be given with `--resume`."""


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae train --dataset mnist --latent-dim 10 --epochs 50",
        "tfp-vae train --dataset table.csv --label-column class --early-stopping 15",
    ),
)
@options.config_option
@options.training_options
@options.option(
    "--no-compile",
    "execution",
    group=options.RUN,
    flag_value="eager",
    help="Short for `--execution eager`, for debugging.",
)
@options.allow_code_option
@options.debug_option
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train a model and write a run.

    Write a choice as `name` or `name:key=value,key=value`. `tfp-vae info` lists the names and their settings.
    """
    if options.on_command_line("run_dir"):
        options.refuse_on_command_line(
            ("runs_dir",), "with --run-dir, which names the run's folder. Use only one of them"
        )
    values = {name: value for name, value in given.items() if value not in (None, ())}
    request, model, training = read_settings(values)
    if request.tensorboard:
        events.require_tensorboard()
    if request.resume:
        run, dataset = reopen(ctx, request, training)
    else:
        for name, choice in implied_choices(values).items():
            console.notice(f"--{name.replace('_', '-')} is {choice}, because {choices_reason(model)}.")
        named = expand_shortcuts(values)
        left_open = [name for name in (*OPEN, *OPEN_TRAINING) if name not in named]
        config, dataset = plan_run(request, model, training, left_open)

    with signals.collect("Interrupted: saving a checkpoint. Press Ctrl-C again to stop at once.") as answer:
        if not request.resume:
            folder = Path(request.run_dir or runs.new_folder(Path(request.runs_dir), request.dataset))
            run = Run.create(folder, config)
        console.notice(f"run: {run.folder}")
        answer.ending = f". Resume with: tfp-vae train --resume --run-dir {shlex.quote(str(run.folder))}"
        with keep_folder_free(None if request.resume else run):
            finished = train_run(run, dataset, request, answer)
        if finished:
            answer.ending = f" after training had finished. The run is complete: {run.folder}"
        answer.saving = False
    if answer.received:  # a signal counts until the block ends
        state = answer.ending if finished else f". A checkpoint was saved{answer.ending}"
        raise Interrupted(f"interrupted{state}", signal_number=answer.received[0])

    result = run.read(runs.TRAINING)
    try:
        if request.plots:
            draw_pictures(run, dataset)
    finally:  # the result is printed even if the pictures fail
        remarks = [console.with_options(remark, command) for remark in result["remarks"]]
        console.print_json({**result, "remarks": remarks}) if request.as_json else print_result(result)
    if request.tensorboard:
        console.notice(f"see it with: tensorboard --logdir {shlex.quote(str(run.path(runs.EVENTS)))}")


@contextlib.contextmanager
def keep_folder_free(new: Run | None) -> Iterator[None]:
    """Delete a new run if this block runs out of memory, so that you can use its folder with smaller settings."""
    try:
        yield
    except Exception as error:
        if new is not None and is_out_of_memory(error):
            new.discard()
        raise


def plan_run(
    request: Request, model: ModelConfig, training: TrainingConfig, left_open: Sequence[str]
) -> tuple[RunConfig, Dataset]:
    """Return the config of a new run and its data, and print both. This needs no TensorFlow.

    Args:
      request, model, training: the settings.
      left_open: the names of the settings that the data decide.
    """
    if request.run_dir is not None:
        Run.refuse_existing(Path(request.run_dir))
    chosen: list[Note] = []
    config, dataset = plan(
        request.dataset,
        request.data_dir,
        request.binarization,
        model,
        training,
        console.DownloadProgress(),
        reading=request.reading(),
        scaling=request.scaling,
        dequantization=request.dequantization,
        open_choices=[name for name in OPEN if name in left_open],
        open_training=[name for name in OPEN_TRAINING if name in left_open],
        notify=chosen.append,
    )
    data = config.data
    shape, sizes = "x".join(map(str, data.event_shape)), ", ".join(f"{n:,} {split}" for split, n in data.splits.items())
    console.notice(f"data: {data.dataset}, {shape}, {sizes} ({data.split_rule})")
    picked = ", ".join(f"`{note.setting}={note.value}`" for note in chosen if not note.warns and note.value)
    picked = console.with_options(picked, click.get_current_context().command)
    console.notice(f"kind: {dataset.profile.kind}" + (f". Chosen for it: {picked}" if picked else ""))
    kinds = [note.text.rpartition(". ")[0] for note in chosen if note.setting in ("column", "condition")]
    for text in kinds:
        console.notice(f"  {console.with_options(text, click.get_current_context().command)}")
    others = () if data.reading.table is None else data.reading.table.not_modelled
    left = [f"{column.name} ({column.kind})" for column in others if column.name != data.reading.label_column]
    if kinds and left:
        console.notice(f"  not modelled: {list_names(left)}")
    if any(note.setting == "column" for note in chosen):
        console.notice("To change a kind, use --column NAME=KIND. `tfp-vae data inspect` shows the reasons.")
    for note in chosen:
        if note.setting == "missingness":
            console.notice(console.with_options(note.text, click.get_current_context().command))
    return config, dataset


def reopen(ctx: click.Context, request: Request, training: TrainingConfig) -> tuple[Run, Dataset]:
    """Return the run to continue, with the settings that you changed, and its data."""
    if request.run_dir is None:
        raise UsageError("--resume needs the run's folder: give it with --run-dir.")
    sources = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
    written = {name for name in ctx.params if ctx.get_parameter_source(name) in sources}
    for name in sorted(written - CHANGEABLE):
        raise UsageError(f"--{name.replace('_', '-')} cannot be changed on --resume. The run keeps its own value.")
    run = Run.open(Path(request.run_dir))
    with run.claim():  # refuses a run that another process trains before anything is loaded
        if not run.has_checkpoint():
            console.notice("there is no checkpoint yet: starting from step 0")
    dataset = reload(run.config(), request.data_dir, console.DownloadProgress())
    changes = {name: getattr(training, name) or 0 for name in RECORDED_CHANGES if name in written}  # 0 never stops
    for change in run.extend(**changes) if changes else ():
        console.notice(str(change))
    if run.is_whole():
        early = run.early_end()
        if early is not None:
            raise UsageError(f"{run.folder}: {early}. {early.remedy()}.")
        epochs = run.config().training.epochs
        raise UsageError(f"{run.folder}: all {epochs} epochs are done. Raise the total with --epochs.")
    return run, dataset


def train_run(run: Run, dataset: Dataset, request: Request, answer: signals.Answer) -> bool:
    """Train a run, and return whether training reached its end.

    Args:
      run, dataset: the run and its data.
      request: whether to record animation frames, and whether to write files for TensorBoard.
      answer: the answer to signals. The first signal ends training with a checkpoint, or at once if no step was taken.
    """
    console.start_tensorflow()
    from tfp_vae import reports
    from tfp_vae.runs.frames import Film
    from tfp_vae.runs.load import LoadedRun
    from tfp_vae.runs.train import train

    callbacks: list[Callback] = [CommandLine(answer), Progress()]
    if request.plots:
        callbacks.append(Film(run, dataset))
    if request.tensorboard:
        callbacks.append(recording := events.Events(run))
    finished = train(run, dataset, callbacks=callbacks)
    if finished and request.tensorboard:
        run_data = reports.RunData(LoadedRun(run), dataset)
        recording.picture("samples", RUN_PICTURES["samples"].content(run_data), run_data.restored.step)
    return finished


@final
class CommandLine(Callback):
    """Print where training starts and how its steps run, and interrupt it after a signal.

    Args:
      answer: the answer to signals.
    """

    def __init__(self, answer: signals.Answer) -> None:
        self.answer = answer

    def begin(self, training: Training) -> None:
        """Print the start, and look for a signal."""
        if training.step:
            epoch, step = divmod(training.step, training.steps)
            within = f" and {step:,} of {plural(training.steps, 'step')}" if step else ""
            console.notice(
                f"continuing after {epoch:,} of {plural(training.epochs, 'epoch')}{within}, from step {training.step:,}"
            )
        executions = {
            "xla": "compiling with XLA (use --execution graph to skip)",
            "graph": "tracing the training step as a graph",
            "eager": "running every step eagerly, which is slow",
        }
        console.notice(executions[training.execution])
        self._look(training)

    def progress(self, training: Training) -> None:
        """Interrupt training if a signal has arrived. From now on, there is work to save."""
        self.answer.saving = True
        self._look(training)

    def epoch(self, training: Training) -> None:
        """Interrupt training if a signal has arrived."""
        self.progress(training)

    def _look(self, training: Training) -> None:
        if self.answer.received and not training.over:
            training.interrupt("interrupted by a signal")


def draw_pictures(run: Run, dataset: Dataset) -> None:
    """Draw all pictures of a run, and print their paths."""
    console.notice("drawing pictures (use --no-plots to skip)")
    from tfp_vae import reports
    from tfp_vae.runs.load import LoadedRun

    run_data = reports.RunData(LoadedRun(run), dataset)
    with console.drawing_reminders() as begin:
        reports.draw_run(run_data, begin=begin, notify=lambda path: console.notice(f"picture: {path}"))


def print_result(result: Mapping[str, Any]) -> None:
    """Print the result of training: sizes, a table of metrics, notes, and the run's folder."""
    sizes = ", ".join(plural(result[f"{noun}s"], noun) for noun in ("epoch", "step", "parameter"))
    click.echo(f"{result['dataset']}: {sizes}, {result['seconds']:.1f} s")
    terms = ("elbo", "distortion", "rate")
    splits = [split for split in ("train", "validation") if result[split]["elbo"] is not None]  # some data have one
    rows = [[split, *(float(result[split][term]) for term in terms)] for split in splits]
    console.print_table(["nats per example", *terms], rows)
    scaled = {split: result[split]["elbo_scaled"] for split in splits if "elbo_scaled" in result[split]}
    if scaled:
        values = ", ".join(f"{value:.2f} ({split})" for split, value in scaled.items())
        click.echo(f"ELBO of the scaled values: {values}")
    click.echo(output.measure_line(result))
    early, in_use = result["stopped_early"], result["weights"]
    if early is not None:
        best, never = f"best at epoch {early['best_epoch']}", "no epoch has a finite validation bound"
        click.echo(f"stopped early at epoch {early['epoch']}, {best if early['best_epoch'] else never}")
    if in_use == "best":
        best = result["best"]["epoch"]
        click.echo(f"commands use the best weights, those of epoch {best}. Use --weights final for the last ones.")
    if result["ema"] is not None:
        click.echo(f"validation uses averaged weights (EMA with decay {result['ema']:g}), as every command does")
    click.echo(result["run"])
