"""`tfp-vae plot`, and the pictures that `tfp-vae train` draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tfp_vae.cli.commands import train as train_command
from tfp_vae.cli.main import main

from tests.helpers.commands import call, one_sentence
from tests.helpers.pages import open_picture
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import DiskError
from tfp_vae.data.dataset import Dataset
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run


class TestPlot:
    """`tfp-vae plot`."""

    def test_prints_paths_of_named_pictures(self, copied: Run) -> None:
        result = call("plot", "samples", "architecture", "--run", copied.folder)
        paths = [copied.folder / "plots" / f"{name}.png" for name in ("samples", "architecture")]
        assert result.stdout.split() == [str(path) for path in paths]
        assert all(open_picture(path).width > 200 for path in paths)

    def test_json_lists_pictures_and_weights(self, copied: Run) -> None:
        result = json.loads(
            call("plot", "learning-curves", "--run", copied.folder, "--weights", "best", "--json").stdout
        )
        assert list(result["pictures"]) == ["learning-curves"]
        assert result["weights"] == "best"

    @pytest.mark.slow
    def test_checks_and_reports_the_projection(self, copied: Run, tmp_path: Path) -> None:
        scatter = ("plot", "latent-scatter", "--run", copied.folder, "--json")
        found = [json.loads(call(*scatter, *more).stdout) for more in ((), ("--projection", "tsne"))]
        assert [each["projection"] for each in found] == ["pca", "tsne"]
        assert open_picture(Path(found[1]["pictures"]["latent-scatter"])).width > 400
        other = call("plot", "samples", "--run", copied.folder, "--projection", "tsne", code=2)
        assert "--projection has no meaning for samples" in one_sentence(other)
        config, _ = plan("digits", None, None, small_model(latent_dim=1), small_training())
        flat = Run.create(tmp_path / "flat", config)
        refused = call("plot", "--run", flat.folder, "--projection", "pca", code=2)
        assert "expected a run with 2 latent dimensions or more, found 1" in one_sentence(refused)
        assert "is not one of" in call("plot", "--projection", "umap", code=2).stderr

    def test_refuses_unknown_and_impossible_pictures(self, copied: Run) -> None:
        assert "invalid" in call("plot", "nothing", "--run", copied.folder, code=2).stderr.lower()
        said = one_sentence(call("plot", "latent-scater", "--run", copied.folder, code=2))
        assert said.endswith(" Did you mean 'latent-scatter'?")
        assert "mean" not in one_sentence(call("plot", "qqqq", "--run", copied.folder, code=2)).rpartition(".")[2]
        assert "manifold" in CliRunner().invoke(main, ["plot", "--help"]).stdout
        assert "no frames of its training" in one_sentence(
            call("plot", "decoder-animation", "--run", copied.folder, code=2)
        )

    @pytest.mark.slow
    def test_training_draws_before_it_prints_its_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        small = ("train", "--hidden", "8", "--execution", "graph", "--epochs", "1")
        lines = call(*small, "--run-dir", "a").output.splitlines()
        drawing, first = (next(i for i, line in enumerate(lines) if word in line) for word in ("drawing", "picture: "))
        last = max(i for i, line in enumerate(lines) if line.startswith("picture: "))
        closing = next(i for i, line in enumerate(lines) if line.startswith("digits: 1 epoch,"))
        assert drawing < first <= last < closing
        assert lines[-1] == "a"
        assert "drawing" not in call(*small, "--run-dir", "b", "--no-plots").stderr

    @pytest.mark.slow
    @pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
    def test_prints_results_if_drawing_fails(self, lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def failing(run: Run, dataset: Dataset) -> None:
            if lost:
                run.path("training.json").unlink()
            raise DiskError("no room for pictures.")

        monkeypatch.setattr(train_command, "draw_pictures", failing)
        monkeypatch.chdir(tmp_path)
        small = ("train", "--hidden", "8", "--execution", "graph", "--epochs", "1", "--run-dir", "a")
        result = call(*small, "--json", code=6)
        assert json.loads(result.stdout)["epochs"] == 1
        assert "no room for pictures" in result.stderr

    @pytest.mark.slow
    def test_training_records_frames_unless_plots_are_off(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        small = ("--hidden", "8", "--execution", "graph", "--epochs", "1")
        call("train", *small, "--run-dir", "a")
        assert {path.name for path in Path("a/frames").iterdir()} == {"epoch-0000000.npz", "epoch-0000001.npz"}
        assert {path.stem for path in Path("a/plots").glob("*.gif")} == {"latent-animation", "decoder-animation"}
        call("train", *small, "--run-dir", "b", "--no-plots")
        assert not Path("b/frames").exists()
        assert not list(Path("b/plots").iterdir())
