"""The data of each drawn picture: every artist holds what its picture says, found anew from the model and the data."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from tests.helpers import animated
from tests.helpers.runs import small_model, small_training
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.importance import ACTIVE_VARIANCE
from tfp_vae.evaluation.projections import projection
from tfp_vae.plots import canvas
from tfp_vae.reports import Subject
from tfp_vae.reports import drawing as gallery
from tfp_vae.reports import subject as subjects
from tfp_vae.reports.pictures import EVALUATION_PICTURES, RUN_PICTURES
from tfp_vae.runs.frames import Film
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.recipe import held_out_view, plan
from tfp_vae.runs.results import Assessment, Plan, assess, score
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

SIDE, PITCH = 8, 9
"""Of a digit, and from one tile to the next, in pixels."""


def trained_subject(folder: Path, dataset: str, **model: Any) -> Subject:
    config, data = plan(dataset, None, None, small_model(**model), small_training())
    run = Run.create(folder, config)
    assert train(run, data, callbacks=[Film(run, data)])
    return Subject(LoadedRun(run), data)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A small filmed run on the digits, in three dimensions."""
    return trained_subject(tmp_path_factory.mktemp("runs") / "filmed", "digits", latent_dim=3)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A small run on vectors without classes."""
    folder = tmp_path_factory.mktemp("vectors")
    np.savez(folder / "vectors.npz", x=np.random.default_rng(0).normal(size=(60, 5)))
    return trained_subject(folder / "run", str(folder / "vectors.npz"), likelihood="normal")


@pytest.fixture(scope="module")
def flat(restored: LoadedRun, digits: Dataset) -> Subject:
    """A small run on the digits, in two dimensions."""
    return Subject(restored, digits)


@pytest.fixture(scope="module")
def assessed(restored: LoadedRun, digits: Dataset) -> Assessment:
    """That run on 40 of its test examples."""
    return assess(restored, digits, Plan(iw_samples=(1, 50), max_examples=40, execution="graph"))


@pytest.fixture(scope="module")
def values(flat: Subject) -> np.ndarray:
    """log p(x) of that run's test examples, nats."""
    x = held_out_view(flat.config, flat.dataset, "test").x
    return score(flat.restored, x, iw_samples=100, seed=flat.seed, execution="graph")[1].log_likelihood


def drawn(name: str, subject: Subject) -> Figure:
    figure: Figure = RUN_PICTURES[name].draw(subject)
    return figure


def tile(figure: Figure, row: int, column: int, pitch: float = PITCH) -> np.ndarray:
    """Return the pixels of a digit at a place of a picture."""
    top, left = round(row * pitch), column * PITCH
    return np.asarray(figure.axes[0].images[0].get_array())[top : top + SIDE, left : left + SIDE]


def rgb(color: Any) -> tuple[float, ...]:
    return tuple(np.round(matplotlib.colors.to_rgb(color), 6))


def medians_by_class(axes: Any) -> dict[str, float]:
    """Return where the line of the median stands in the box of each class."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_color() == "black"]
    medians = {
        round(float(np.mean(line.get_ydata()))): line.get_xdata()[0] for line in lines if np.ptp(line.get_xdata()) == 0
    }
    return {name: medians[place + 1] for place, name in enumerate(names)}


def test_samples_are_those_of_the_seed(subject: Subject) -> None:
    expected = sample(subject.restored, gallery.SAMPLES, seed=subject.seed)
    for place in (0, 9, 63):
        np.testing.assert_allclose(
            tile(drawn("samples", subject), *divmod(place, 8)), expected[place, ..., 0], rtol=1e-5
        )


@pytest.mark.parametrize("name", ["samples", "reconstructions", "traversals", "interpolations"])
def test_what_is_decoded_has_the_tones_of_the_data(
    name: str, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Normal may decode a little beyond [0, 1], which is cut off: no scale stands beside it."""
    beyond = {
        "sample": lambda *given, **more: np.full((64, 8, 8, 1), 1.2),
        "latent.decode": lambda vae, z, **more: np.full((*z.shape[:-1], 8, 8, 1), 1.2),
    }
    for place, made in beyond.items():
        monkeypatch.setattr(f"tfp_vae.reports.drawing.{place}", made)
    monkeypatch.setattr(type(subject.vae), "reconstruct", lambda vae, x: np.full(x.shape, 1.2))
    figure = drawn(name, subject)
    assert len(figure.axes) == 1
    assert np.asarray(figure.axes[0].images[0].get_array()).max() == 1


def test_reconstructions_are_of_examples_evenly_spread(subject: Subject) -> None:
    figure, test = drawn("reconstructions", subject), held_out_view(subject.config, subject.dataset, "test").x
    rows = np.linspace(0, len(test) - 1, gallery.RECONSTRUCTIONS).astype(int)
    made = np.asarray(subject.vae.reconstruct(test[rows]))
    for column, row in enumerate(rows):
        np.testing.assert_array_equal(tile(figure, 0, column), test[row, ..., 0])
        np.testing.assert_allclose(tile(figure, 1, column), made[column, ..., 0], rtol=1e-5)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [subject.seen, "E[x|z]"]


def test_learning_curves_are_over_the_epochs_that_they_are_of(subject: Subject) -> None:
    figure, metrics = drawn("learning-curves", subject), subject.run.metrics()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["train", "validation"]
    handles = figure.axes[0].get_legend().legend_handles
    for axes, name in zip(figure.axes, ("elbo", "distortion", "rate"), strict=True):
        for line, handle, key in zip(axes.lines, handles, (name, f"validation_{name}"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2])
            np.testing.assert_array_equal(line.get_ydata(), [epoch[key] for epoch in metrics])
            assert (handle.get_color(), handle.get_linestyle()) == (line.get_color(), line.get_linestyle())


class TestScatter:
    """Points, names and ellipses of latent space."""

    def test_points_and_names_have_the_colours_of_their_classes(self, flat: Subject) -> None:
        axes, means = drawn("latent-scatter", flat).axes[0], flat.embeddings.mean
        np.testing.assert_allclose(means, flat.vae.encoder.mean(flat.test.x), atol=1e-5)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("$z_1$", "$z_2$")
        for i, (label, text) in enumerate(zip(np.unique(flat.test.y), axes.texts, strict=True)):
            cloud = axes.collections[1 + i]
            np.testing.assert_allclose(cloud.get_offsets(), means[flat.test.y == label])
            assert text.get_text() == str(label)
            assert rgb(cloud.get_facecolor()[0]) == rgb(text.get_bbox_patch().get_edgecolor()) == rgb(canvas.color(i))
            assert np.abs(np.asarray(text.xy) - means[flat.test.y == label]).sum(axis=1).min() == pytest.approx(
                0, abs=1e-6
            )

    def test_ellipses_have_the_colours_and_places_of_their_examples(self, flat: Subject) -> None:
        ellipses = drawn("latent-scatter", flat).axes[0].collections[0]
        rows = np.linspace(0, len(flat.test) - 1, subjects.ELLIPSES).astype(int)
        np.testing.assert_allclose(ellipses.get_offsets(), flat.embeddings.mean[rows])
        assert [rgb(color) for color in ellipses.get_edgecolor()] == [rgb(canvas.color(y)) for y in flat.test.y[rows]]

    def test_some_of_the_points_have_their_own_labels(self, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfp_vae.evaluation.projections.MOST_NEIGHBOURED", 30)
        seen = Subject(subject.restored, subject.dataset, projection="tsne")
        rows = np.linspace(0, len(seen.test) - 1, 30).astype(int)
        classes, counts = np.unique(seen.test.y[rows], return_counts=True)
        axes = drawn("latent-scatter", seen).axes[0]
        assert [text.get_text() for text in axes.texts] == list(map(str, classes))
        assert [len(cloud.get_offsets()) for cloud in axes.collections] == counts.tolist()

    def test_more_dimensions_are_seen_on_their_principal_components(self, subject: Subject) -> None:
        axes, plane = drawn("latent-scatter", subject).axes[0], projection(subject.embeddings.mean)
        clouds = np.concatenate([cloud.get_offsets() for cloud in axes.collections[1:]])
        np.testing.assert_allclose(np.var(clouds, axis=0), np.var(plane(subject.embeddings.mean), axis=0), rtol=1e-5)
        assert (axes.get_xlabel(), axes.get_ylabel()) == plane.names


def test_the_manifold_goes_up_with_z_2_and_right_with_z_1(flat: Subject) -> None:
    figure, side = drawn("manifold", flat), gallery.MANIFOLD_SIDE
    axes = figure.axes[0]
    for row, column in ((0, 0), (0, side - 1), (side - 1, 3)):
        z = norm.ppf([(column + 0.5) / side, (side - row - 0.5) / side])
        np.testing.assert_allclose(tile(figure, row, column), flat.decode(z)[..., 0], atol=1e-5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$z_1$", "$z_2$")
    length = axes.images[0].get_array().shape[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["10%", "50%", "90%"]
    np.testing.assert_allclose(axes.get_xticks(), [0.1 * length, 0.5 * length, 0.9 * length])
    np.testing.assert_allclose(axes.get_yticks(), [0.9 * length, 0.5 * length, 0.1 * length])


def test_a_traversal_goes_through_the_quantiles_of_one_dimension(subject: Subject) -> None:
    means, dims = subject.embeddings.mean, np.sort(subject.active)
    assert len(dims) > 1
    start = min(means, key=lambda z: float(np.square(z - means.mean(axis=0)).sum()))
    figure, levels = drawn("traversals", subject), np.linspace(0.02, 0.98, gallery.STEPS)
    for row, d in enumerate(dims):
        for column in (0, 4, gallery.STEPS - 1):
            z = start.copy()
            z[d] = norm.ppf(levels[column])
            np.testing.assert_allclose(tile(figure, row, column), subject.decode(z)[..., 0], atol=1e-5)
    texts = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert (texts[0], texts[-1]) == ("2%", "98%")


class TestInterpolations:
    """Walks between examples."""

    def test_each_walk_leads_from_its_first_example_to_its_last(self, subject: Subject) -> None:
        figure, last = drawn("interpolations", subject), gallery.PATH_STEPS + 1
        rows = {x.tobytes(): i for i, x in enumerate(subject.test.x[..., 0])}
        for row in range(gallery.PATHS):
            ends = [rows[np.ascontiguousarray(tile(figure, row, column), np.float32).tobytes()] for column in (0, last)]
            z = subject.embeddings.mean[ends]
            for column, t in ((1, 0.0), (3, 0.25), (last - 1, 1.0)):
                between = subject.decode((1 - t) * z[0] + t * z[1])
                np.testing.assert_allclose(tile(figure, row, column), between[..., 0], atol=1e-5)

    def test_walks_of_vectors_name_their_ends(self, vectors: Subject) -> None:
        panels = [axes for axes in drawn("interpolations", vectors).axes if " to " in axes.get_title()]
        rows = {vectors.test.whence(i): x for i, x in enumerate(vectors.test.x)}
        assert len(panels) == min(gallery.PATHS, len(vectors.test) // 2)
        for axes in panels:
            first, last = axes.get_title().split(" to ")
            np.testing.assert_array_equal(axes.images[0].get_array()[[0, -1]], [rows[first], rows[last]])


class TestAgainstPrior:
    """The aggregate posterior and the prior."""

    def test_each_panel_is_of_its_dimension(self, subject: Subject) -> None:
        figure = drawn("posterior-prior", subject)
        for d, axes in enumerate(figure.axes[:3]):
            bars = axes.containers[0]
            edges = [*(bar.get_x() for bar in bars), bars[-1].get_x() + bars[-1].get_width()]
            seed = (subject.seed, int(gallery.Purpose.EMBEDDING))
            draws = latent.encode(subject.vae, subject.test.x, samples=1, seed=seed).samples[0]
            for values, heights in (
                (draws[:, d], [bar.get_height() for bar in bars]),
                (
                    latent.prior_draws(subject.vae, subject.seed)[:, d],
                    axes.patches[-1].get_path().vertices[1:-1:2, 1],
                ),
            ):
                np.testing.assert_allclose(heights, np.histogram(values, edges, density=True)[0], atol=1e-5)

    def test_those_that_are_not_active_are_named_so(self, subject: Subject) -> None:
        seen = Subject(subject.restored, subject.dataset)
        seen.active = seen.by_activity[:1]  # type: ignore[misc]
        titles = [axes.get_title() for axes in drawn("posterior-prior", seen).axes]
        assert titles == [f"$z_{{{d + 1}}}${', not active' * (d not in seen.active)}" for d in range(3)]


class TestLogLikelihood:
    """log p(x) of test examples."""

    def test_boxes_are_of_the_classes_that_they_name(self, flat: Subject, values: np.ndarray) -> None:
        boxes = drawn("log-likelihood", flat).axes[1]
        for name, median in medians_by_class(boxes).items():
            assert median == pytest.approx(np.median(values[flat.test.y == int(name)]), abs=1e-3)
        assert [rgb(box.get_facecolor()) for box in boxes.patches] == [rgb(canvas.color(i)) for i in range(10)]
        ends = np.concatenate([line.get_xdata() for line in boxes.lines if len(line.get_xdata()) == 2])
        of_zeros = values[flat.test.y == 0]
        low, high = np.quantile(of_zeros, [0.05, 0.95])
        inner = of_zeros[(of_zeros >= low) & (of_zeros <= high)]  # whiskers end at the outermost example within
        for end in (inner.min(), inner.max()):
            assert np.abs(ends - end).min() < 1e-3

    def test_extremes_are_in_order_with_their_values_and_rows(self, flat: Subject, values: np.ndarray) -> None:
        figure, order = drawn("extremes", flat), np.argsort(values, kind="stable")
        pitch = figure.axes[0].images[0].get_array().shape[0] / 2
        expected = [*order[:10], *order[-10:][::-1]]
        for i, (row, text) in enumerate(zip(expected, figure.axes[0].texts, strict=True)):
            np.testing.assert_array_equal(tile(figure, *divmod(i, 10), pitch), flat.test.x[row, ..., 0])
            assert text.get_text() == f"\N{MINUS SIGN}{-values[row]:.0f}\n{flat.test.whence(row)}"
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["least", "most"]


def test_extremes_of_a_folder_name_its_files(tmp_path: Path, rng: np.random.Generator) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / "images" / f"{i:02}.png")
    subject = trained_subject(tmp_path / "run", str(tmp_path / "images"))
    names = ["".join(text.get_text().split("\n")[1:]) for text in drawn("extremes", subject).axes[0].texts]
    assert len(set(names)) == len(names) > 1
    assert set(names) <= set(subject.test.names)


def test_the_architecture_has_each_part_in_its_place(subject: Subject) -> None:
    """From left to right: the encoder's layers before q(z|x), the decoder's behind it."""
    texts = drawn("architecture", subject).axes[0].texts
    places = {text.get_text(): text.get_position()[0] for text in texts}
    model, middle = subject.config.model, places["q(z|x)"]
    for network, behind in ((subject.vae.encoder.network, False), (subject.vae.decoder.network, True)):
        shapes = ["x".join(map(str, layer.output_shape[1:])) for layer in network.layers if hasattr(layer, "kernel")]
        found = [(x, text.get_text()) for text in texts if text.get_rotation() == 90 for x in (text.get_position()[0],)]
        assert [shape for x, shape in sorted(found) if (x > middle) == behind] == shapes
    for name, more in (("q(z|x)", model.posterior), ("p(z)", model.prior), ("p(x|z)", model.likelihood)):
        assert places[name] == places[more.name]
    size = sum(np.size(v) for v in subject.vae.trainable_variables)
    assert any(f"3 dimensions, mlp decoder: {size:,} parameters" in text for text in places)


def held(figure: Figure) -> dict[str, Any]:
    """Return what the artists of a frame hold."""
    axes = figure.axes[0]
    clouds = [(np.array(c.get_offsets()), c.get_facecolor()) for c in axes.collections if len(c.get_offsets())]
    colors = [np.broadcast_to(color[:, :3], (len(points), 3)) for points, color in clouds]
    return {
        "title": animated.epoch_of(figure),
        "points": np.concatenate([points for points, _ in clouds]) if clouds else None,
        "colors": np.concatenate(colors) if clouds else None,
        "image": np.array(axes.images[0].get_array()) if axes.images else None,
    }


def frames_of(subject: Subject, name: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    return animated.seen(monkeypatch, lambda: RUN_PICTURES[name].draw(subject), held)


class TestAnimations:
    """What each frame holds."""

    @pytest.fixture
    def filmed(self, subject: Subject, tmp_path: Path) -> Subject:
        """The run without the frame of its first epoch."""
        shutil.copytree(subject.run.folder, tmp_path / "run")
        run = Run(tmp_path / "run")
        run.frame_path(1).unlink()
        return Subject(LoadedRun(run), subject.dataset)

    def test_points_are_those_of_their_epoch_and_class(self, filmed: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = frames_of(filmed, "latent-animation", monkeypatch)
        assert [frame["title"] for frame in shown] == ["epoch 0 of 2", "epoch 2 of 2"]
        kept = {epoch: np.load(filmed.run.frame_path(epoch))["means"] for epoch in (0, 2)}
        test = held_out_view(filmed.config, filmed.dataset, "test")
        np.testing.assert_allclose(kept[2], filmed.vae.encoder.mean(test.x), atol=1e-5)
        plane = projection(kept[2])
        assert np.abs(plane(kept[0]) - projection(kept[0])(kept[0])).max() > 1e-3
        for frame, means in zip(shown, kept.values(), strict=True):
            for label in range(10):
                of_class = (np.abs(frame["colors"] - rgb(canvas.color(label))) < 1e-3).all(axis=1)
                expected = plane(means)[test.y == label]
                order, other = (np.lexsort(points.T) for points in (expected, frame["points"][of_class]))
                np.testing.assert_allclose(frame["points"][of_class][other], expected[order], atol=1e-5)

    def test_images_are_those_of_their_epoch(self, filmed: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = frames_of(filmed, "decoder-animation", monkeypatch)
        assert [frame["title"] for frame in shown] == ["epoch 0 of 2", "epoch 2 of 2"]
        z = latent.grid(filmed.vae, 10, filmed.seed).z
        np.testing.assert_allclose(shown[1]["image"][:8, 9:17], filmed.decode(z[1])[..., 0], atol=1e-5)
        for frame, epoch in zip(shown, (0, 2), strict=True):
            decoded = np.load(filmed.run.frame_path(epoch))["decoded"]
            np.testing.assert_allclose(frame["image"][9:17, :8], decoded[10, ..., 0], atol=1e-6)


class TestAssessed:
    """The pictures of an evaluation."""

    def test_the_bound_rises_from_the_elbo(self, assessed: Assessment) -> None:
        axes = EVALUATION_PICTURES["evaluation-bound"].draw(assessed).axes[0]
        curve, elbo = axes.lines
        sweep = assessed.estimates.sweep
        np.testing.assert_array_equal(curve.get_xdata(), [1, 2, 5, 10, 20, 50])
        np.testing.assert_allclose(curve.get_ydata(), sweep.mean(axis=0))
        assert (np.diff(curve.get_ydata()) > 0).all()
        assert set(elbo.get_ydata()) == {assessed.result["elbo"]}
        assert (curve.get_label(), elbo.get_label()) == ("bound from K samples", "ELBO")
        corners = axes.collections[0].get_paths()[0].vertices
        at_most = corners[corners[:, 0] == 50, 1]
        error = sweep[:, -1].std(ddof=1) / np.sqrt(len(sweep))
        np.testing.assert_allclose([at_most.min(), at_most.max()], sweep[:, -1].mean() + error * np.array([-1, 1]))

    @pytest.mark.parametrize("active", [[True, False, True, False], [False, True, True, True]])
    def test_bars_of_active_dimensions_have_their_colour(self, active: list[bool]) -> None:
        from tfp_vae.plots.curves import rate_bars

        rates = np.array([0.1, 3.0, 2.0, 0.5])
        axes = rate_bars(rates, np.array(active)).axes[0]
        colors = {round(bar.get_height(), 3): rgb(bar.get_facecolor()) for bar in axes.patches}
        places = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
        assert [places[i] for i in range(4)] == [3.0, 2.0, 0.5, 0.1]
        expected = {True: rgb(canvas.PALETTE[0]), False: rgb(canvas.PALETTE[9])}
        assert colors == {rate: expected[on] for rate, on in zip(rates.tolist(), active, strict=True)}
        texts = [text.get_text() for text in axes.figure.legends[0].get_texts()]
        assert texts == [f"active: its posterior means vary ({sum(active)})", f"not active ({4 - sum(active)})"]

    def test_a_dimension_is_active_whose_means_vary(self, assessed: Assessment) -> None:
        means = assessed.estimates.posterior_mean.copy()
        means[:, 0] = 0.25
        still = dataclasses.replace(assessed, estimates=assessed.estimates._replace(posterior_mean=means))
        assert means[:, 1].var() > ACTIVE_VARIANCE
        axes = EVALUATION_PICTURES["evaluation-rates"].draw(still).axes[0]
        rates = still.result["rate_per_dim"]
        colors = {round(bar.get_height(), 5): rgb(bar.get_facecolor()) for bar in axes.patches}
        assert colors == {round(rates[0], 5): rgb(canvas.PALETTE[9]), round(rates[1], 5): rgb(canvas.PALETTE[0])}

    def test_boxes_are_of_log_p_of_their_classes(self, assessed: Assessment) -> None:
        histogram, boxes = EVALUATION_PICTURES["evaluation-histogram"].draw(assessed).axes
        values, y = assessed.estimates.log_likelihood, assessed.examples.y
        for name, median in medians_by_class(boxes).items():
            assert median == pytest.approx(np.median(values[y == int(name)]), abs=1e-6)
        assert histogram.get_title() == "log p(x) of 40 test examples, K = 50"

    def test_extremes_have_their_values_and_places_in_the_split(self, assessed: Assessment, digits: Dataset) -> None:
        figure = EVALUATION_PICTURES["evaluation-extremes"].draw(assessed)
        values, rows = assessed.estimates.log_likelihood, np.asarray(assessed.examples.rows)
        test = held_out_view(LoadedRun(Run(Path(assessed.result["run"]))).config, digits, "test").x
        order = np.argsort(values, kind="stable")
        pitch = figure.axes[0].images[0].get_array().shape[0] / 2
        for i, place in enumerate([*order[:10], *order[-10:][::-1]]):
            np.testing.assert_array_equal(tile(figure, *divmod(i, 10), pitch), test[rows[place], ..., 0])
            assert figure.axes[0].texts[i].get_text() == f"\N{MINUS SIGN}{-values[place]:.0f}\ntest {rows[place]}"
