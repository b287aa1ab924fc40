"""`tfp-vae info`: versions and devices, a run's configuration, or the names in a table."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import Table, settings_text
from tfp_vae.data.named import DATASETS
from tfp_vae.evaluation.anomalies import SCORES
from tfp_vae.evaluation.proposals import REFINEMENTS
from tfp_vae.runs.config import TABLES
from tfp_vae.runs.run import Run
from tfp_vae.training.callbacks import CALLBACKS

from .. import console, options

TOPICS: dict[str, Table] = {
    **TABLES,
    "datasets": DATASETS,
    "callbacks": CALLBACKS,
    "refinements": REFINEMENTS,
    "anomaly-scores": SCORES,
}

HELP = f"""Show versions, a run's configuration or a table of names.

Without arguments, prints versions and devices. A TOPIC lists its names and settings: {", ".join(TOPICS)}.
"""


@click.command(
    cls=options.Command,
    help=HELP,
    examples=(
        "tfp-vae info posteriors",
        "tfp-vae info --run runs/mnist",
    ),
)
@click.argument("topic", type=options.Choice(list(TOPICS)), required=False, metavar="[TOPIC]")
@options.option("--run", group=options.RUN, type=options.PLACE, help="Show the configuration of this run.")
@options.json_option
@options.debug_option
def command(topic: str | None, run: str | None, as_json: bool) -> None:
    """Print versions, a run's configuration or a table, see `HELP`."""
    if topic is not None and run is not None:
        raise UsageError(f"{topic} and --run were both given. Keep one.")
    if run is not None:
        click.echo(json.dumps(Run.open(Path(run)).config().model_dump(mode="json"), indent=2))
    elif topic is not None:
        table = TOPICS[topic]
        members = [table.info(name) for name in table.names()]
        if as_json:
            console.print_json({"kind": table.kind, "members": [member._asdict() for member in members]})
        else:
            rows = [[member.name, settings_text(member.defaults), member.summary] for member in members]
            console.print_table([table.kind, "settings and defaults", "meaning"], rows)
    else:
        console.start_tensorflow()
        from tfp_vae.runs.train import environment

        found = environment()
        if as_json:
            console.print_json(found)
        else:
            packages = found.pop("packages")
            lines = {**found, "devices": ", ".join(found["devices"]), **packages}
            console.print_table(["", "version"], [[name, value] for name, value in lines.items()])
