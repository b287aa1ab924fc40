"""`tfp-vae info`: versions, configurations and tables of names."""

from __future__ import annotations

import json

import pytest
from tfp_vae.cli.commands.info import TOPICS

import tfp_vae
from tests.helpers.commands import (
    call,
    one_sentence,
)
from tfp_vae.runs.run import Run


@pytest.mark.parametrize(
    "topic", ["posteriors", "priors", "likelihoods", "objectives", "networks", "datasets", "refinements"]
)
def test_topic_lists_every_member_with_a_summary(topic: str) -> None:
    members = json.loads(call("info", topic, "--json").stdout)["members"]
    assert all(member["summary"] for member in members)
    shown = call("info", topic).stdout
    assert all(member["name"] in shown for member in members)


def test_help_names_every_topic_and_breaks_no_word() -> None:
    text = call("info", "--help").stdout
    assert "info [OPTIONS] [TOPIC]" in text
    assert [topic for topic in TOPICS if topic not in text] == []


def test_unknown_topic_suggests_the_nearest() -> None:
    assert one_sentence(call("info", "posterior", code=2)).endswith(" Did you mean 'posteriors'?")


def test_versions_and_the_configuration_of_a_run(copied: Run) -> None:
    assert json.loads(call("info", "--json").stdout)["packages"]["tfp_vae"] == tfp_vae.__version__
    assert "tensorflow" in call("info").stdout
    assert json.loads(call("info", "--run", copied.folder).stdout)["model"]["latent_dim"] == 2
