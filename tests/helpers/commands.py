"""Call the command line from tests."""

from __future__ import annotations

from click.testing import CliRunner, Result
from tfp_vae.cli.main import main

RUN_COMMANDS = ["sample", "evaluate", "reconstruct", "encode", "interpolate", "score", "plot", "report"]


GRAPH = ("--execution", "graph")


SMALL = ("--hidden", "16", *GRAPH, "--epochs", "2")


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    if code:
        assert "Traceback" not in result.output
    return result


def one_sentence(result: Result) -> str:
    """The error's text: the last line on stderr."""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    return last
