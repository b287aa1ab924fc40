"""Help pages: every option has a heading and a short text, and every example parses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from tfp_vae.cli import options
from tfp_vae.cli.main import COMMANDS, main


def commands() -> Iterator[tuple[str, options.Command]]:
    """Yield every command that has options of its own, with the words that call it."""
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", found) for inner, found in command.commands.items())
        else:
            yield name, command


ALL = dict(commands())
OPTIONS = [
    pytest.param(option, id=f"{name} {option.opts[0]}")
    for name, command in ALL.items()
    for option in command.params
    if isinstance(option, click.Option)
]
EXAMPLES = [(name, example) for name, command in ALL.items() for example in command.examples]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_has_a_group(option: options.Option) -> None:
    assert option.group in options.GROUPS


@pytest.mark.parametrize("option", OPTIONS)
def test_the_first_sentence_of_every_option_is_short(option: options.Option) -> None:
    first = re.split(r"[.:] ", option.help or "")[0]
    assert 0 < len(first.rstrip(".")) <= 60
    assert ";" not in option.help


@pytest.mark.parametrize("name", ALL)
def test_the_first_line_of_every_page_is_short(name: str) -> None:
    first = str(ALL[name].help).splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 60
    assert COMMANDS.get(name, first) == first


@pytest.mark.parametrize("name", ALL)
def test_a_page_lists_each_option_under_its_group(name: str) -> None:
    page = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=200).stdout
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", page, re.MULTILINE))
    assert list(sections) == [group for group in options.GROUPS if group in sections] + ["Examples"]
    for option in ALL[name].params:
        if isinstance(option, options.Option):
            assert re.search(rf"^  {option.opts[0]}\b", sections[option.group], re.MULTILINE), option.opts[0]
    assert "--help" in sections[options.OUTPUT]


@pytest.mark.parametrize("name", ALL)
def test_a_page_ends_with_two_examples(name: str) -> None:
    page = CliRunner().invoke(main, [*name.split(), "--help"]).stdout
    assert len(ALL[name].examples) == 2
    assert page.endswith("\n".join(["Examples:", *(f"  {example}" for example in ALL[name].examples), ""]))


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_every_example_parses(name: str, example: str) -> None:
    program, *words = shlex.split(example)
    own = name.split()
    assert [program, *words[: len(own)]] == ["tfp-vae", *own]
    ALL[name].make_context(name, words[len(own) :])


def test_an_option_without_a_group_is_an_error() -> None:
    with pytest.raises(TypeError, match="group"):
        options.option("--x")(lambda x: x)
