"""Help pages: every option has a heading and a short text, and every example parses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tfp_vae.cli import options
from tfp_vae.cli.commands import evaluate
from tfp_vae.cli.main import COMMANDS, main

from tests.helpers.commands import call, one_sentence
from tfp_vae.runs.config import TABLES


def commands() -> Iterator[tuple[str, options.Command]]:
    """Yield every command that has options of its own, with the words that call it."""
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", found) for inner, found in command.commands.items())
        else:
            yield name, command


ALL = dict(commands())
OPTIONS = {
    f"{name} {option.opts[0]}": option
    for name, command in ALL.items()
    for option in command.params
    if isinstance(option, click.Option)
}
EXAMPLES = [(name, example) for name, command in ALL.items() for example in command.examples]


def test_every_option_has_a_group() -> None:
    assert not {name for name, option in OPTIONS.items() if getattr(option, "group", None) not in options.GROUPS}


def test_the_first_sentence_of_every_option_is_short() -> None:
    first = {name: re.split(r"[.:] ", option.help or "")[0].rstrip(".") for name, option in OPTIONS.items()}
    assert not {name: text for name, text in first.items() if not 0 < len(text) <= 60}
    assert not {name for name, option in OPTIONS.items() if ";" in str(option.help)}


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


def test_command_line_repeats_what_was_given_in_shell_quotes() -> None:
    given = shlex.split("--iw-samples 1,10 --no-plots --run 'my run' --run b --debug --refine local:steps=5")
    ctx = evaluate.command.make_context("evaluate", given, parent=click.Context(main, info_name="tfp-vae"))
    with ctx:
        said = options.command_line(ctx)
        assert said == (
            "tfp-vae evaluate --run 'my run' --run b --iw-samples 1,10 --refine local:steps=5 --no-plots --debug"
        )
        words = shlex.split(said)[2:]
        assert evaluate.command.make_context("evaluate", words).params == ctx.params
        assert " --run 'runs/a b' --iw-samples" in options.command_line(ctx, run=["runs/a b"])


def test_an_option_without_a_group_is_an_error() -> None:
    with pytest.raises(TypeError, match="group"):
        options.option("--x")(lambda x: x)


ODD_NAMES = {
    "x" * 256: "at most 255 bytes",
    "é" * 128: "at most 255 bytes",
    "x/" * 2_100: "a path of at most 4,095",
    "~nobody-of-this-name/x": "no home folder for '~nobody-of-this-name'. Write the whole path.",
}
"""Names that no file system takes, and the part of the error that says why."""

PLACES = [
    ("info", "--run"),
    ("report", "--run"),
    ("report", "--runs-dir"),
    ("report", "--out"),
    ("runs", "--runs-dir"),
    ("plot", "--run"),
    ("sample", "--out"),
    ("evaluate", "--per-example"),
    ("train", "--run-dir"),
    ("train", "--runs-dir"),
    ("train", "--config"),
]
"""Options that take a name or a path."""


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: f"{name[:2]} {len(name)}")
@pytest.mark.parametrize(("command", "option"), PLACES)
def test_names_that_no_file_system_takes_are_usage_errors(command: str, option: str, name: str) -> None:
    said = one_sentence(call(command, option, name, code=2))
    assert option in said
    assert ODD_NAMES[name] in said


def test_nul_character_in_a_config_file_is_a_usage_error(here: Path) -> None:
    (here / "a.toml").write_text('run-dir = "a\\u0000b"\n')
    assert "found a NUL character in 'a\\x00b'" in one_sentence(call("train", "--config", "a.toml", code=2))


def test_tilde_is_the_home_folder_in_every_option(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here / "home"))
    assert options.PLACE.convert("~/runs", None, None) == str(here / "home" / "runs")
    assert options.PLACE.convert("runs~", None, None) == "runs~"
    said = call("train", "--dataset", "none", "--run-dir", "~/run", code=2)
    assert "unknown dataset" in one_sentence(said)
    assert not (here / "~").exists()


@pytest.mark.parametrize("content", [b"a" * (1 << 21), b"\xff\xfe", b"seed = "])
def test_config_file_that_is_no_toml_is_a_usage_error(content: bytes, here: Path) -> None:
    (here / "a.toml").write_bytes(content)
    assert one_sentence(call("train", "--config", "a.toml", code=2)).startswith("Error: a.toml: ")


def test_config_file_is_utf_8_in_every_locale(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda *given: "ascii")
    (here / "a.toml").write_bytes('dataset = "größe.npy"'.encode())
    assert "größe.npy" in one_sentence(call("train", "--config", "a.toml", code=3))


@pytest.mark.parametrize(
    ("command", "option", "nearest"),
    [
        ("train", "--latent-dims", "--latent-dim"),
        ("train", "--priors", "--prior"),
        ("evaluate", "--iw-sample", "--iw-s"),
    ],
)
def test_unknown_option_suggests_the_nearest_one_only(command: str, option: str, nearest: str) -> None:
    result = CliRunner().invoke(main, [command, option, "3"])
    assert result.exit_code == 2
    assert f"No such option '{option}'. Did you mean '{nearest}" in result.stderr.replace("(", "").replace(")", "")
    assert "one of" not in result.stderr


@pytest.mark.parametrize("value", ["no_such_module:Prior", "no_such_package.module:Prior", "os:no_such_name"])
def test_unknown_module_is_refused_before_tensorflow_is_imported(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    monkeypatch.setattr(options, "start_tensorflow", lambda: started.append(True))
    with pytest.raises(click.BadParameter, match=r"there is no module no_such|has no .no_such_name."):
        options.MemberType(TABLES["priors"]).convert(value, None, None)
    assert not started


def test_module_of_your_own_is_imported_after_tensorflow(own_code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[bool] = []
    monkeypatch.setattr(options, "start_tensorflow", lambda: started.append(True))
    assert options.MemberType(TABLES["priors"]).convert("my_prior:WideNormal", None, None) == "my_prior:WideNormal"
    assert started
