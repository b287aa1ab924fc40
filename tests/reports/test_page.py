"""The pictures of a run as commands draw them, and the page made of it: what is in each file."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tfp_vae.cli.commands import train as train_command
from tfp_vae.cli.main import main

from tests.helpers.commands import call, one_sentence
from tests.helpers.files import write_table
from tests.helpers.runs import small_model, small_training
from tfp_vae import reports
from tfp_vae.core.errors import DiskError, RunError, UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation.latent_space import prior_draws
from tfp_vae.evaluation.projections import projection
from tfp_vae.reports import drawing as gallery
from tfp_vae.reports import page as report
from tfp_vae.reports.pictures import EVALUATION_PICTURES, PICTURES, RUN_PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.frames import Film
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import held_out_view, plan
from tfp_vae.runs.run import TRAINING, Run
from tfp_vae.runs.train import train

FILMED = ("latent-animation", "decoder-animation")
REPLACED = {picture.replaces: name for name, picture in PICTURES.items() if picture.replaces}
VOID = {"meta", "img", "source", "link", "br", "hr", "input"}


@final
class Page(HTMLParser):
    """A page as a parser reads it: its tags with their attributes, its text, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def picture_of(uri: str | None) -> Image.Image:
    kind, _, content = str(uri).partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
    assert kind == f"data:{Image.MIME[str(picture.format)]}"
    return picture


def trained_on(folder: Path, dataset: str = "digits", **model: object) -> tuple[Run, Dataset]:
    config, data = plan(dataset, None, None, small_model(**model), small_training())
    run = Run.create(folder, config)
    assert train(run, data, callbacks=[Film(run, data)])
    return run, data


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> reports.Subject:
    """A small run on the digits, filmed, with all its pictures."""
    run, dataset = trained_on(tmp_path_factory.mktemp("runs") / "filmed")
    found = reports.Subject(LoadedRun(run), dataset)
    gallery.draw_run(found)
    return found


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("colour.npz", x=rng.integers(0, 256, (40, 28, 28, 3)).astype(np.uint8), y=np.arange(40) % 3)
    np.savez("counts.npz", x=rng.poisson(9, (40, 8, 8)), y=np.array(["cat", "dog"] * 20))
    np.savez("vectors.npz", x=rng.normal(size=(40, 5)))
    return tmp_path


@pytest.fixture(scope="module")
def html(subject: reports.Subject) -> str:
    """The page of that run, evaluated."""
    call("evaluate", "--run", subject.run.folder, "--iw-samples", "20", "--execution", "graph")
    return report.html_page(subject.run)


class TestGallery:
    """What each picture is drawn from."""

    def test_every_picture_is_there(self, subject: reports.Subject) -> None:
        names = {path.name for path in subject.run.path("plots").iterdir()}
        assert names == {name + picture.suffix for name, picture in RUN_PICTURES.items()}
        for name in names:
            picture = opened(subject.run.path(f"plots/{name}"))
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 3
            assert getattr(picture, "n_frames", 1) == (3 if name.endswith(".gif") else 1)

    def test_originals_are_as_the_model_saw_them(self, subject: reports.Subject) -> None:
        shown = np.asarray(RUN_PICTURES["reconstructions"].draw(subject).axes[0].images[0].get_array())
        test = held_out_view(subject.config, subject.dataset, "test").x
        np.testing.assert_array_equal(shown[:8, :8], test[0, ..., 0])
        assert set(np.unique(shown[:8])) == {0, 1}

    def test_ellipses_are_those_of_the_encoder(self, subject: reports.Subject) -> None:
        spread = subject.spread(projection(subject.embeddings.mean))
        q = subject.vae.encoder(subject.test.x[spread.rows])
        np.testing.assert_allclose(spread.covariances, q.covariance(), atol=0.35 * float(np.max(q.variance())))
        ratio = np.einsum("nii->n", spread.covariances) / np.sum(q.variance(), axis=1)
        assert ratio.mean() == pytest.approx(1, abs=0.05)

    def test_a_traversal_keeps_the_other_dimensions(self, subject: reports.Subject) -> None:
        axes = RUN_PICTURES["traversals"].draw(subject).axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [f"$z_{{{d + 1}}}$" for d in sorted(subject.active)]
        assert axes.get_xticklabels()[0].get_text() == "2%"

    def test_posterior_and_prior_are_not_swapped(self, subject: reports.Subject) -> None:
        figure = RUN_PICTURES["posterior-prior"].draw(subject)
        for d, axes in enumerate(figure.axes[: subject.latent_dim]):
            filled, line = axes.containers[0], axes.patches[-1]
            edges = [*(bar.get_x() for bar in filled), filled[-1].get_x() + filled[-1].get_width()]
            expected, _ = np.histogram(subject.embeddings.samples[0][:, d], edges, density=True)
            np.testing.assert_allclose([bar.get_height() for bar in filled], expected, atol=1e-6)
            assert (filled[0].get_label(), line.get_label()) == ("q(z), test data", "p(z), prior")
            prior, _ = np.histogram(prior_draws(subject.vae, subject.seed)[:, d], edges, density=True)
            assert line.get_path().vertices[:, 1].max() == pytest.approx(prior.max(), rel=1e-5)

    def test_labels_are_those_of_their_points(self, subject: reports.Subject) -> None:
        axes, labels = RUN_PICTURES["latent-scatter"].draw(subject).axes[0], subject.test.y
        clouds = [np.asarray(each.get_offsets()) for each in axes.collections[1:]]
        assert [text.get_text() for text in axes.texts] == [str(label) for label in np.unique(labels)]
        for label, cloud in zip(np.unique(labels), clouds, strict=True):
            np.testing.assert_allclose(cloud, subject.embeddings.mean[labels == label])

    def test_boxes_are_those_of_their_classes(self, subject: reports.Subject) -> None:
        boxes = RUN_PICTURES["log-likelihood"].draw(subject).axes[1]
        examples, values = subject.scores
        names = [label.get_text() for label in boxes.get_yticklabels()]
        for name, box in zip(names, boxes.patches, strict=True):
            ends = box.get_path().vertices[:, 0]
            quartiles = np.quantile(values[examples.y == int(name)], [0.25, 0.75])
            np.testing.assert_allclose([ends.min(), ends.max()], quartiles, rtol=1e-6)

    def test_interpolations_end_at_their_examples(self, subject: reports.Subject) -> None:
        picture = np.asarray(RUN_PICTURES["interpolations"].draw(subject).axes[0].images[0].get_array())
        test = {x.tobytes() for x in subject.test.x[..., 0]}
        for row in range(gallery.PATHS):
            top, last = row * 9, (gallery.PATH_STEPS + 1) * 9
            ends = [np.ascontiguousarray(picture[top : top + 8, left : left + 8], np.float32) for left in (0, last)]
            assert all(end.tobytes() in test for end in ends)
            assert ends[0].tobytes() != ends[1].tobytes()

    def test_extremes_are_those_of_log_p(self, subject: reports.Subject) -> None:
        axes = RUN_PICTURES["extremes"].draw(subject).axes[0]
        examples, values = subject.scores
        picture = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(picture[:8, :8], examples.x[values.argmin(), ..., 0])
        below = picture.shape[0] // 2
        np.testing.assert_array_equal(picture[below : below + 8, :8], examples.x[values.argmax(), ..., 0])
        written = [text.get_text() for text in axes.texts]
        for place, row in ((0, values.argmin()), (10, values.argmax())):
            assert written[place] == f"\N{MINUS SIGN}{-values[row]:,.0f}\n{examples.whence(row)}"

    @pytest.mark.parametrize(
        ("dataset", "model", "lacking"),
        [("colour.npz", {"latent_dim": 5, "likelihood": "continuous-bernoulli",
                         "posterior": "inverse-autoregressive-flow:hidden=8,context=3"}, {"manifold"}),
         ("counts.npz", {"likelihood": "poisson", "prior": "vamp:components=4"}, set()),
         ("vectors.npz", {"latent_dim": 1, "likelihood": "normal"}, {"manifold", *FILMED})],
    )  # fmt: skip
    def test_any_data_and_model(self, dataset: str, model: Any, lacking: set[str], arrays: Path) -> None:
        objective = small_training(objective="monte-carlo-elbo", epochs=1)
        config, data = plan(dataset, None, None, small_model(**model), objective)
        run = Run.create(arrays / "run", config)
        assert train(run, data, callbacks=[Film(run, data)])
        subject = reports.Subject(LoadedRun(run), data)
        always = {"samples", "reconstructions", "latent-scatter", "posterior-prior", "architecture", "interpolations"}
        drawn = {path.stem for path in gallery.draw_run(subject)}
        assert always <= drawn
        assert drawn | lacking | {"traversals"} == set(RUN_PICTURES)
        assert not drawn & lacking

    def test_a_picture_that_a_run_has_not_is_refused(self, restored: LoadedRun, digits: Dataset) -> None:
        subject = reports.Subject(restored, digits)
        with pytest.raises(UsageError, match="latent-animation: this run has no frames of its training"):
            gallery.applicable(subject, ["latent-animation"])
        with pytest.raises(UsageError, match="unknown picture 'none'"):
            gallery.applicable(subject, ["none"])
        assert set(gallery.applicable(subject)) == set(RUN_PICTURES) - set(FILMED)


class TestPlot:
    """`tfp-vae plot`."""

    def test_those_named(self, copied: Run) -> None:
        result = call("plot", "samples", "architecture", "--run", copied.folder)
        paths = [copied.folder / "plots" / f"{name}.png" for name in ("samples", "architecture")]
        assert result.stdout.split() == [str(path) for path in paths]
        assert all(opened(path).width > 200 for path in paths)

    def test_json(self, copied: Run) -> None:
        told = json.loads(call("plot", "learning-curves", "--run", copied.folder, "--weights", "best", "--json").stdout)
        assert list(told["pictures"]) == ["learning-curves"]
        assert told["weights"] == "best"

    @pytest.mark.parametrize("name", ["pca", "tsne"])
    def test_the_scatter_says_how_it_shows_latent_space(self, name: str, subject: reports.Subject) -> None:
        seen = reports.Subject(subject.restored, subject.dataset, projection=name)
        axes = RUN_PICTURES["latent-scatter"].draw(seen).axes[0]
        assert ("t-SNE of 2 dimensions" in axes.get_title()) == (name == "tsne")
        assert ("ellipses" in axes.get_title()) == (name == "pca")
        assert sum(len(points.get_offsets()) for points in axes.collections) == 180 + 60 * (name == "pca")

    def test_projection(self, copied: Run, tmp_path: Path) -> None:
        scatter = ("plot", "latent-scatter", "--run", copied.folder, "--json")
        told = [json.loads(call(*scatter, *more).stdout) for more in ((), ("--projection", "tsne"))]
        assert [each["projection"] for each in told] == ["pca", "tsne"]
        assert opened(Path(told[1]["pictures"]["latent-scatter"])).width > 400
        other = call("plot", "samples", "--run", copied.folder, "--projection", "tsne", code=2)
        assert "--projection has no meaning for samples" in one_sentence(other)
        flat, _ = trained_on(tmp_path / "flat", latent_dim=1)
        refused = call("plot", "--run", flat.folder, "--projection", "pca", code=2)
        assert "expected a run with 2 latent dimensions or more, found 1" in one_sentence(refused)
        assert "is not one of" in call("plot", "--projection", "umap", code=2).stderr

    def test_wrong_names(self, copied: Run) -> None:
        assert "invalid" in call("plot", "nothing", "--run", copied.folder, code=2).stderr.lower()
        assert "manifold" in CliRunner().invoke(main, ["plot", "--help"]).stdout
        assert "no frames of its training" in one_sentence(
            call("plot", "decoder-animation", "--run", copied.folder, code=2)
        )

    def test_training_says_that_it_draws_and_what_it_found_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        small = ("train", "--hidden", "8", "--execution", "graph", "--epochs", "1")
        lines = call(*small, "--run-dir", "a").output.splitlines()
        drawing, first = (next(i for i, line in enumerate(lines) if word in line) for word in ("drawing", "picture: "))
        last = max(i for i, line in enumerate(lines) if line.startswith("picture: "))
        closing = next(i for i, line in enumerate(lines) if line.startswith("digits: 1 epochs"))
        assert drawing < first <= last < closing
        assert lines[-1] == "a"
        assert "drawing" not in call(*small, "--run-dir", "b", "--no-plots").stderr

    @pytest.mark.parametrize("lost", [False, True], ids=["kept", "lost"])
    def test_what_was_trained_is_told_where_it_cannot_be_drawn(
        self, lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(run: Run, dataset: Dataset) -> None:
            if lost:
                run.path(TRAINING).unlink()
            raise DiskError("no room for pictures.")

        monkeypatch.setattr(train_command, "draw_pictures", failing)
        monkeypatch.chdir(tmp_path)
        small = ("train", "--hidden", "8", "--execution", "graph", "--epochs", "1", "--run-dir", "a")
        result = call(*small, "--json", code=6)
        assert json.loads(result.stdout)["epochs"] == 1
        assert "no room for pictures" in result.stderr

    def test_training_is_filmed_unless_told_otherwise(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        small = ("--hidden", "8", "--execution", "graph", "--epochs", "1")
        call("train", *small, "--run-dir", "a")
        assert {path.name for path in Path("a/frames").iterdir()} == {"epoch-0000000.npz", "epoch-0000001.npz"}
        assert {path.stem for path in Path("a/plots").glob("*.gif")} == set(FILMED)
        call("train", *small, "--run-dir", "b", "--no-plots")
        assert not Path("b/frames").exists()
        assert not list(Path("b/plots").iterdir())


class TestCommand:
    """The line that makes a run again."""

    def again(self, config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
        """Return the config that `tfp-vae train` makes of the line."""
        program, name, *arguments = shlex.split(reports.training_command(config))
        assert (program, name) == ("tfp-vae", "train")
        monkeypatch.setattr(train_command.console, "notice", lambda message: None)
        made: list[RunConfig] = []

        def planned(*given: Any, **more: Any) -> Any:
            made.append(plan(*given, **more)[0])
            raise UsageError("only planned")

        monkeypatch.setattr(train_command, "plan", planned)
        call(name, *arguments, code=2)
        return made[0]

    def test_digits(self, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        config = Run(trained).config()
        assert self.again(config, monkeypatch) == config

    @pytest.mark.parametrize(
        ("model", "training"),
        [({"posterior": "inverse-autoregressive-flow:depth=3", "prior": "normal-mixture:components=7",
           "encoder": "mlp:hidden=8,9,activation=tanh,dropout=0.1"},
          {"objective": "iwae:mc_samples=5", "clip_norm": 3.5, "steps_per_epoch": 7, "lr_schedule": "cosine"}),
         ({"likelihood": "discretized-logistic", "latent_dim": 11, "decoder": "conv:channels=4,8,dense=16"},
          {"beta": 0.5, "kl_warmup_epochs": 3, "free_bits": 0.25, "optimizer": "adamw", "seed": 9})],
    )  # fmt: skip
    def test_any_model(self, model: Any, training: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        config, _ = plan("digits", None, None, small_model(**model), small_training(**training))
        assert self.again(config, monkeypatch) == config

    def test_own_data(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tfp_vae.data.readers.sources import Reading

        path = write_table(tmp_path / "my table.csv", header="a b,c,kind")
        reading = Reading(label_column="kind", columns=("c", "a b"))
        config, _ = plan(str(path), None, None, small_model(likelihood="normal"), small_training(), reading=reading)
        assert config.data.scaling.name == "standard"
        assert self.again(config, monkeypatch) == config
        assert "loc" not in reports.training_command(config)

    @pytest.mark.parametrize(
        "scaling", ["divided:by=65535.0", "standard:loc=1.5,-2.0,scale=3.0,4.0", "standard", "none"]
    )
    @pytest.mark.parametrize("columns", [None, ("c, d", "a b")])
    def test_settings_that_were_given_are_written_and_others_learned_again(
        self, scaling: str, columns: tuple[str, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tfp_vae.data.readers.sources import Reading

        path = write_table(tmp_path / "table.csv", header='a b,"c, d",kind')
        reading = Reading(label_column="kind", columns=columns)
        model, training = small_model(likelihood="normal"), small_training()
        config, _ = plan(str(path), None, None, model, training, reading=reading, scaling=scaling)
        line = reports.training_command(config)
        assert f"--scaling {scaling} " in line
        assert ("--columns" in line) == (columns is not None)
        assert self.again(config, monkeypatch) == config
        assert (
            config.identity()
            == config.model_copy(update={"data": config.data.model_copy(update={"learned": ()})}).identity()
        )

    def test_a_folder_with_the_name_of_a_data_set_is_not_taken_for_it(
        self, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The line of the page, started in the folder that holds the data, makes the same run again."""
        (tmp_path / "digits").mkdir()
        for i in range(30):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "digits" / f"{i:02}.png")
        config, _ = plan(str(tmp_path / "digits"), None, None, small_model(), small_training())
        told = reports.portable(config)
        assert told.data.dataset == "./digits"
        text = Page(report.html_page(Run.create(tmp_path / "run", config))).text
        sizes = ", ".join(f"{size} {name}" for name, size in config.data.splits.items())
        for part in ("--dataset ./digits ", '"dataset": "./digits"', "8x8x1 from ./digits.", sizes):
            assert part in text
        monkeypatch.chdir(tmp_path)
        assert self.again(told, monkeypatch) == config


class TestPage:
    """One self-contained page."""

    def test_it_is_well_formed_and_asks_nothing_of_a_network(self, html: str) -> None:
        page = Page(html)
        assert html.startswith("<!doctype html>")
        assert page.open == []
        assert not page.all("script") + page.all("link") + page.all("iframe")
        for attributes in (attributes for _, attributes in page.tags):
            for name in ("src", "srcset", "href"):
                assert str(attributes.get(name, "data:")).startswith("data:")
        assert not re.findall(r"url\(|@import|https?://", html)
        (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
        assert str(policy).startswith("default-src 'none'")

    def test_it_suits_phones_paper_and_the_dark(self, html: str) -> None:
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Page(html).all("meta")
        for rule in ("prefers-color-scheme: dark", "@media print", "break-inside: avoid", "max-width: 100%"):
            assert rule in html
        images = Page(html).all("img")
        assert sum(image.get("class") == "still" for image in images) == 2
        for moving, still in itertools.pairwise(images):
            if moving.get("class") == "moving":
                assert still.get("class") == "still"
                frames, last = picture_of(moving["src"]), picture_of(still["src"])
                frames.seek(frames.n_frames - 1)
                np.testing.assert_array_equal(last.convert("RGB"), frames.convert("RGB"))

    def test_every_picture_opens_and_has_a_text(self, html: str) -> None:
        images = [image for image in Page(html).all("img") if image.get("class") != "still"]
        assert len(images) == len(RUN_PICTURES) + len(EVALUATION_PICTURES) - len(REPLACED)
        for image in images:
            picture = picture_of(image["src"])
            picture.load()
            assert min(picture.size) > 100
            assert image["alt"] in {picture.alt for picture in PICTURES.values()}
        assert sum(getattr(picture_of(image["src"]), "n_frames", 1) > 1 for image in images) == 2

    def test_it_tells_what_was_trained_and_found(self, html: str, subject: reports.Subject) -> None:
        text = " ".join(Page(html).text.split())
        evaluation, training = subject.run.read("evaluation.json"), subject.run.read("training.json")
        for key in ("log_likelihood", "elbo", "distortion", "rate"):
            assert f"{evaluation[key]:#.4g}" in text
            assert key not in ("log_likelihood", "elbo") or f"{evaluation[f'{key}_se']:#.4g}" in text
        assert f"{training['parameters']:,}" in text
        which = f"180 test examples, K = 20, seed 0; weights final, of step {evaluation['step']:,}"
        assert runs.which_evaluation(evaluation) == which
        assert f"Evaluation {which}. Each example has K importance samples. Values are means over examples" in text
        (shown,) = re.findall(r"<pre>(tfp-vae train .*?)</pre>", html, re.DOTALL)
        assert shlex.split(shown.replace("\\\n", "")) == shlex.split(reports.training_command(subject.config))
        assert max(map(len, shown.splitlines())) < 80
        assert subject.config.data.fingerprint in text
        for package, version in subject.run.read("environment.json")["packages"].items():
            assert f'<th scope="row">{package}</th><td>{version}</td>' in html
        assert '"binarization"' in text

    def test_no_kind_of_picture_is_there_twice(self, subject: reports.Subject, html: str, copied: Run) -> None:
        captions = re.findall("<figcaption>(.*?)</figcaption>", html)
        assert len(set(captions)) == len(captions)
        for own, other in REPLACED.items():
            assert not any(caption.startswith(PICTURES[own].caption) for caption in captions)
            assert any(caption.startswith(PICTURES[other].caption) for caption in captions)
        assert set(REPLACED) <= set(report.pictures_for(copied))  # not evaluated
        notes = {picture.name: picture.note for picture in report.page_pictures(subject.run)}
        assert notes["evaluation-bound"].startswith("Drawn from 180 test examples, K = 20, seed 0; weights final, of")

    def test_pictures_of_another_evaluation_are_left_out(self, copied: Run) -> None:
        for samples in (3, 5):
            call("evaluate", "--run", copied.folder, "--iw-samples", samples, "--execution", "graph")
            if samples == 3:
                stale = (copied.folder / "plots" / "evaluation-histogram.png").read_bytes()
        (copied.folder / "plots" / "evaluation-histogram.png").write_bytes(stale)
        names = report.pictures_for(copied)
        assert "evaluation-histogram" not in names
        assert {"evaluation-bound", "evaluation-extremes", "log-likelihood"} <= set(names)
        assert "extremes" not in names
        told = json.loads(call("report", "--run", copied.folder, "--json").stdout)
        assert not {"extremes", "evaluation-histogram"} & set(told["pictures"])
        assert not (copied.folder / "plots" / "extremes.png").exists()  # nothing is drawn that is not shown

    def test_no_place_of_the_machine_is_in_it(self, tmp_path: Path) -> None:
        """Neither before the training nor once it is trained, evaluated and drawn."""
        np.savez(tmp_path / "a table.npz", x=np.random.default_rng(0).normal(size=(60, 5)))
        model, cache = small_model(likelihood="normal"), str(tmp_path / "cache")
        config, data = plan(str(tmp_path / "a table.npz"), cache, None, model, small_training())
        assert str(tmp_path) in reports.training_command(config)
        run = Run.create(tmp_path / "run", config)
        html = report.html_page(run)
        assert "tfp-vae evaluate --run run" in " ".join(Page(html).text.split())
        assert train(run, data)
        call("evaluate", "--run", run.folder, "--iw-samples", 5, "--execution", "graph")
        assert str(tmp_path) in run.read("evaluation.json")["run"]
        call("report", "--run", run.folder)
        final = run.path("report.html").read_text()
        assert {picture.name for picture in report.page_pictures(run)} >= {
            "samples",
            "learning-curves",
            "evaluation-bound",
        }
        assert "Not evaluated yet" not in final
        assert not any(str(tmp_path).encode() in path.read_bytes() for path in run.path("plots").iterdir())
        for made in (html, final):
            assert str(tmp_path) not in made
            text = " ".join(Page(made).text.split())
            assert "--dataset './a table.npz'" in text
            assert "Run the command in that folder, or add --data-dir." in text
        assert reports.portable(config).data.fingerprint == config.data.fingerprint

    def test_text_is_not_markup(self, copied: Run) -> None:
        moved = copied.folder.rename(copied.folder.with_name("<b>&run"))
        page = Page(report.html_page(Run(moved)))
        assert "<b>&run" in page.text
        assert not page.all("b") or "<b>&run" not in [str(tag) for tag in page.all("b")]

    def test_a_run_that_is_not_evaluated_or_drawn(self, copied: Run) -> None:
        html = call("report", "--run", copied.folder, "--no-plots", "--json").stdout
        told = json.loads(html)
        assert told["pictures"] == []
        text = Page(Path(told["out"]).read_text()).text
        assert "Not evaluated yet" in text
        assert "No pictures yet" in text

    def test_only_what_is_missing_or_old_is_drawn(self, copied: Run) -> None:
        call("plot", "samples", "architecture", "--run", copied.folder)
        old = copied.folder / "plots" / "samples.png"
        os.utime(old, (1, 1))
        kept = (copied.folder / "plots" / "architecture.png").stat().st_mtime_ns
        told = json.loads(call("report", "--run", copied.folder, "--out", copied.folder / "r.html", "--json").stdout)
        assert set(told["pictures"]) == set(RUN_PICTURES) - set(FILMED)
        assert old.stat().st_mtime > 1
        assert (copied.folder / "plots" / "architecture.png").stat().st_mtime_ns == kept
        assert told["bytes"] == (copied.folder / "r.html").stat().st_size > 100_000

    def test_which_pictures_are_shown_is_asked_once_before_any_is_drawn(
        self, copied: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked, shown = list[set[str]](), report.pictures_for

        def counted(run: Run) -> list[str]:
            asked.append({path.stem for path in run.path("plots").iterdir()})
            return shown(run)

        monkeypatch.setattr(report, "pictures_for", counted)
        monkeypatch.setattr(gallery, "applicable", lambda subject, names=(): names or ["samples", "architecture"])
        call("report", "--run", copied.folder)
        assert sum(not there for there in asked) == 1

    def test_pictures_say_their_weights_and_age(self, copied: Run) -> None:
        call("plot", "samples", "architecture", "--run", copied.folder, "--weights", "best", "--seed", 7)
        os.utime(copied.folder / "plots" / "architecture.png", (1, 1))
        notes = {picture.name: picture.note for picture in report.page_pictures(copied)}
        assert re.fullmatch(r"Drawn from weights best, of step \d+; seed 7\.", notes["samples"])
        assert notes["architecture"] == "Older than the checkpoint."
        assert report.pictures_to_redraw(copied, ["samples"]) == []
        assert report.pictures_to_redraw(copied, ["samples"], "weights final, of step 24; seed 0") == ["samples"]
        assert report.pictures_to_redraw(copied, ["samples"], notes["samples"].removeprefix("Drawn from ")[:-1]) == []

    def test_wrong_places_and_damage(self, copied: Run) -> None:
        run = ("--run", copied.folder)
        assert "ending in .html" in one_sentence(call("report", *run, "--out", "page.pdf", code=2))
        assert "does not exist" in one_sentence(call("report", *run, "--out", "none/page.html", code=6))
        (copied.folder / "plots" / "latent-animation.gif").write_bytes(b"GIF89a nonsense")
        with pytest.raises(RunError, match=r"latent-animation\.gif: this picture is damaged"):
            report.html_page(copied)
        (copied.folder / "plots" / "latent-animation.gif").unlink()
        (copied.folder / "environment.json").write_text("{}")
        assert "environment.json" in one_sentence(call("report", *run, "--no-plots", code=4))
