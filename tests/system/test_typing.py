"""Types and misspelt names: an editor knows the public API, and Python suggests the right keyword."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers import public_api
from tests.helpers.models import make_for_digits
from tfp_vae.core.errors import UsageError

ROOT = Path(__file__).parents[2]

REVEALED = {
    'tv.data.load("digits")': "Dataset",
    "vae.encoder(x)": "Distribution",
    "vae.decoder(x)": "Distribution",
    "vae.prior()": "Distribution",
    "vae.sample(3, seed=(0, 0))": "Tensor",
    'tv.fit(vae, x, "iwae:mc_samples=5")': "History",
    "tv.log_likelihood(vae, x)": "LogLikelihood",
    "tv.objectives.IWAE(mc_samples=3)": "IWAE",
    "tv.priors.NormalMixture(2, components=3)": "NormalMixture",
    'tv.save(vae, "run")': "Run",
    'tv.load("run")': "VAE",
}
"""Expressions and their types."""

PROGRAM = """
import numpy as np
import tfp_vae as tv

x = np.zeros((3, 8, 8, 1), np.float32)
vae = tv.build(tv.data.load("digits"))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """What pyright finds in its basic mode, (severity, message) by file: in the whole API's program and in ours."""
    path = tmp_path_factory.mktemp("types") / "program.py"
    lines = [f"reveal_type({expression})" for expression in REVEALED]
    path.write_text("\n".join([PROGRAM, *lines, "tv.no_such_name", "tv.training.no_such_name"]))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    files = [str(path), public_api.__file__]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False, cwd=ROOT)
    result = json.loads(done.stdout)
    assert result["summary"]["filesAnalyzed"] == 2
    by_file: dict[str, list[tuple[str, str]]] = {Path(file).name: [] for file in files}
    for each in result["generalDiagnostics"]:
        by_file[Path(each["file"]).name].append((each["severity"], each["message"]))
    return by_file


@pytest.mark.slow
def test_a_program_that_uses_the_whole_api_has_no_type_error(found: dict[str, list[tuple[str, str]]]) -> None:
    assert [message for severity, message in found["public_api.py"] if severity == "error"] == []


def test_the_program_uses_every_public_name() -> None:
    text = Path(public_api.__file__).read_text()
    unused = [name for name in tv.__all__ if f"tv.{name}" not in text and name not in {"__version__", "model"}]
    assert unused == []


@pytest.mark.slow
def test_the_program_runs(tmp_path: Path) -> None:
    public_api.main(tmp_path)


@pytest.mark.slow
def test_editors_know_the_types_and_refuse_unknown_names(found: dict[str, list[tuple[str, str]]]) -> None:
    messages = [message for _, message in found["program.py"]]
    for expression, kind in REVEALED.items():
        assert f'Type of "{expression}" is "{kind}"' in messages
    errors = [message for severity, message in found["program.py"] if severity == "error"]
    assert len(errors) == 2
    assert all('"no_such_name" is not a known attribute of module' in message for message in errors)


MISSPELT: dict[str, Callable[[], object]] = {
    "`mc_samples`": lambda: tv.objectives.IWAE(mc_sample=50),
    "`components`": lambda: tv.priors.NormalMixture(2, component=50),
    "`reflections`": lambda: tv.posteriors.HouseholderFlow(2, reflection=3),
    "`scale_floor`": lambda: tv.posteriors.DiagonalNormal(2, scale_flor=0.1),
    "`levels`": lambda: tv.likelihoods.Categorical((3,), level=5),
    "`hidden`": lambda: tv.networks.mlp((8, 8, 1), 4, hiden=(8,)),
    "`channels`": lambda: tv.networks.conv((8, 8, 1), 4, channel=(8,)),
    "`latent_dim`": lambda: tv.build(tv.data.load("digits"), latent_dims=2),
    "`epochs`": lambda: tv.fit(make_for_digits(), np.zeros((3, 8, 8, 1)), epoch=1),
    "`iw_samples`": lambda: tv.log_likelihood(make_for_digits(), np.zeros((3, 8, 8, 1)), iw_sample=1),
    "`label_column`": lambda: tv.data.load("digits", label_columns="kind"),
    "`weights`": lambda: tv.load("runs/digits", weight="best"),
    "`builder`": lambda: tv.save(make_for_digits(), "runs/digits", build="my_module:make_vae"),
    "`beta`": lambda: tv.objectives.Weighted(tv.objectives.ELBO(), bta=2.0),
    "`momentum`": lambda: tv.training.optimizers.sgd(1e-3, momentun=0.9),
    "`floor`": lambda: tv.training.optimizers.cosine(1e-3, 10, flor=0.1),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_keyword_suggests_the_right_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean {name}"):
        MISSPELT[name]()


def test_a_keyword_that_resembles_none_lists_the_settings() -> None:
    with pytest.raises(UsageError, match=r"IWAE has no setting `k`\. Its settings: `mc_samples`"):
        tv.objectives.IWAE(k=50)
