"""The pictures of a run: each artist holds the data that its picture promises, computed again from model and data."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import matplotlib.colors
import matplotlib.text
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from tests.helpers import animated
from tests.helpers.pages import open_picture
from tests.helpers.runs import train_run_data
from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.gaps import Gaps
from tfp_vae.evaluation.projections import projection
from tfp_vae.model.latent import ACTIVE_VARIANCE
from tfp_vae.plots import canvas, description
from tfp_vae.reports import RunData
from tfp_vae.reports import drawing as gallery
from tfp_vae.reports import run_data as module
from tfp_vae.reports.pictures import DISCRETE, EVALUATION_PICTURES, RUN_PICTURES
from tfp_vae.reports.walks import STEPS
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.results import Assessment, Plan, assess, score
from tfp_vae.runs.run import Run

BY_DEFAULT = {name: picture for name, picture in RUN_PICTURES.items() if not picture.on_request}
OF_TABLES = {"columns", "associations", "imputation", "unusual-cells"}
OF_CODES = {name for name, picture in BY_DEFAULT.items() if DISCRETE in picture.needs}
OF_IMAGES = {name: picture for name, picture in BY_DEFAULT.items() if name not in OF_TABLES | OF_CODES}
"""The pictures that are drawn unless you name some, of any run and of a run on images with a continuous z."""

SIDE, PITCH = 8, 9
"""Side of a digit, and distance from one tile to the next, in pixels."""


@pytest.fixture(scope="module")
def assessment(restored: LoadedRun, digits: Dataset) -> Assessment:
    """An evaluation of the run in two dimensions on 40 test examples."""
    return assess(restored, digits, Plan(iw_samples=(1, 50), max_examples=40, execution="graph"))


@pytest.fixture(scope="module")
def values(flat: RunData) -> np.ndarray:
    """log p(x) of the test examples of the run in two dimensions, in nats."""
    x = held_out_view(flat.config, flat.dataset, "test").x
    settings = {"iw_samples": 100, "seed": flat.seed, "execution": "graph"}
    return score(flat.restored, x, places=np.arange(len(x)), **settings)[1].log_likelihood


def draw(name: str, run_data: RunData) -> Figure:
    figure: Figure = RUN_PICTURES[name].draw(run_data)
    return figure


def tile(figure: Figure, row: int, column: int, pitch: float = PITCH) -> np.ndarray:
    """The pixels of the digit in this row and column of a picture."""
    top, left = round(row * pitch), column * PITCH
    return np.asarray(figure.axes[0].images[0].get_array())[top : top + SIDE, left : left + SIDE]


def rgb(color: Any) -> tuple[float, ...]:
    return tuple(np.round(matplotlib.colors.to_rgb(color), 6))


def medians_by_class(axes: Any) -> dict[str, float]:
    """The median of each class, as its box shows it."""
    names = [label.get_text() for label in axes.get_yticklabels()]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_color() == "black"]
    medians = {
        round(float(np.mean(line.get_ydata()))): line.get_xdata()[0] for line in lines if np.ptp(line.get_xdata()) == 0
    }
    return {name: medians[place + 1] for place, name in enumerate(names)}


@pytest.mark.slow
def test_equal_seeds_give_equal_samples(deep: RunData) -> None:
    expected = sample(deep.restored, gallery.SAMPLES, seed=deep.seed, show="mean")
    for place in (0, 9, 63):
        np.testing.assert_allclose(tile(draw("samples", deep), *divmod(place, 8)), expected[place, ..., 0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["samples", "reconstructions", "traversals", "interpolations"])
def test_decoded_images_are_clipped_to_the_range_of_the_data(
    name: str, deep: RunData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Normal may decode values a little beyond [0, 1]. They are clipped, so there is no colour bar."""
    beyond = {
        "sample": lambda *given, **more: np.full((64, 8, 8, 1), 1.2),
        "latent.decode": lambda vae, z, **more: np.full((*z.shape[:-1], 8, 8, 1), 1.2),
    }
    for place, made in beyond.items():
        monkeypatch.setattr(f"tfp_vae.reports.drawing.{place}", made)
    monkeypatch.setattr(type(deep.vae), "reconstruct", lambda vae, batch: np.full(batch.x.shape, 1.2))
    figure = draw(name, deep)
    assert len(figure.axes) == 1
    assert np.asarray(figure.axes[0].images[0].get_array()).max() == 1


@pytest.mark.parametrize(
    ("split", "held_out"),
    [("validation", "held-out"), pytest.param("train", "training", marks=pytest.mark.slow)],
)
def test_titles_name_the_split_of_the_examples(
    split: str, held_out: str, vectors: RunData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data of your own may have no test examples."""
    monkeypatch.setattr(module, "IW_SAMPLES", 2)
    empty = {name: vectors.dataset.splits[name][:0] for name in ("test", "validation") if name != split}
    run_data = RunData(vectors.restored, dataclasses.replace(vectors.dataset, **empty))

    def text(name: str) -> str:
        return " ".join(each.get_text() for each in draw(name, run_data).findobj(matplotlib.text.Text))

    for name in ("columns", "interpolations", "extremes", "posterior-prior"):
        assert f"{split} {'data' if name == 'posterior-prior' else 'examples'}" in text(name)
    assert f"{held_out.capitalize()} examples and their reconstructions" in text("reconstructions")
    assert f"Posterior means of {held_out} data" in text("latent-scatter")


@pytest.mark.slow
def test_reconstructions_show_evenly_spread_examples(deep: RunData) -> None:
    figure, test = draw("reconstructions", deep), held_out_view(deep.config, deep.dataset, "test").x
    rows = np.linspace(0, len(test) - 1, gallery.RECONSTRUCTIONS).astype(int)
    made = np.asarray(deep.vae.reconstruct(test[rows]))
    for column, row in enumerate(rows):
        np.testing.assert_array_equal(tile(figure, 0, column), test[row, ..., 0])
        np.testing.assert_allclose(tile(figure, 1, column), made[column, ..., 0], rtol=1e-5)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [deep.seen, "E[x|z]"]


def test_learning_curves_cover_all_epochs(deep: RunData) -> None:
    figure, metrics = draw("learning-curves", deep), deep.run.metrics()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["train", "validation"]
    handles = figure.axes[0].get_legend().legend_handles
    for axes, name in zip(figure.axes, ("elbo", "distortion", "rate"), strict=True):
        for line, handle, key in zip(axes.lines, handles, (name, f"validation_{name}"), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2])
            np.testing.assert_array_equal(line.get_ydata(), [epoch[key] for epoch in metrics])
            assert (handle.get_color(), handle.get_linestyle()) == (line.get_color(), line.get_linestyle())


class TestScatter:
    """Points, names and ellipses of latent space."""

    @pytest.mark.slow
    def test_points_and_names_have_the_colours_of_their_classes(self, flat: RunData) -> None:
        axes, means = draw("latent-scatter", flat).axes[0], flat.embeddings.mean
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

    @pytest.mark.slow
    def test_ellipses_have_the_colours_and_places_of_their_examples(self, flat: RunData) -> None:
        ellipses = draw("latent-scatter", flat).axes[0].collections[0]
        rows = np.linspace(0, len(flat.test) - 1, module.ELLIPSES).astype(int)
        np.testing.assert_allclose(ellipses.get_offsets(), flat.embeddings.mean[rows])
        assert [rgb(color) for color in ellipses.get_edgecolor()] == [rgb(canvas.color(y)) for y in flat.test.y[rows]]

    def test_tsne_of_some_points_keeps_their_labels(self, deep: RunData, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfp_vae.evaluation.projections.MOST_NEIGHBOURED", 30)
        other = RunData(deep.restored, deep.dataset, projection="tsne")
        rows = np.linspace(0, len(other.test) - 1, 30).astype(int)
        classes, counts = np.unique(other.test.y[rows], return_counts=True)
        axes = draw("latent-scatter", other).axes[0]
        assert [text.get_text() for text in axes.texts] == list(map(str, classes))
        assert [len(cloud.get_offsets()) for cloud in axes.collections] == counts.tolist()

    def test_three_dimensions_are_projected_to_principal_components(self, deep: RunData) -> None:
        axes, plane = draw("latent-scatter", deep).axes[0], projection(deep.embeddings.mean)
        clouds = np.concatenate([cloud.get_offsets() for cloud in axes.collections[1:]])
        np.testing.assert_allclose(np.var(clouds, axis=0), np.var(plane(deep.embeddings.mean), axis=0), rtol=1e-5)
        assert (axes.get_xlabel(), axes.get_ylabel()) == plane.names


@pytest.mark.slow
def test_columns_compare_test_examples_with_draws(vectors: RunData) -> None:
    """Each panel shows one value of the examples in the units of the source, and as many draws at least."""
    figure = draw("columns", vectors)
    data, made = (
        vectors.config.data.unscaled(x)
        for x in (vectors.test.x, sample(vectors.restored, 1_000, seed=vectors.seed, show="draw"))
    )
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [f"value {i}" for i in range(5)]
    for i, axes in enumerate(panels):
        bars, line = axes.containers[0], axes.patches[-1]
        edges = [*(bar.get_x() for bar in bars), bars[-1].get_x() + bars[-1].get_width()]
        np.testing.assert_allclose(
            [bar.get_height() for bar in bars], np.histogram(data[:, i], edges, density=True)[0], atol=1e-5
        )
        expected, _ = np.histogram(made[:, i], edges, density=True)
        assert line.get_path().vertices[:, 1].max() == pytest.approx(expected.max(), rel=1e-4)


def test_manifold_rises_with_z_2_and_runs_right_with_z_1(flat: RunData) -> None:
    figure, side = draw("manifold", flat), gallery.MANIFOLD_SIDE
    axes = figure.axes[0]
    for row, column in ((0, 0), (0, side - 1), (side - 1, 3)):
        z = norm.ppf([(column + 0.5) / side, (side - row - 0.5) / side])
        np.testing.assert_allclose(tile(figure, row, column), flat.decode(z)[..., 0], atol=1e-5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$z_1$", "$z_2$")
    length = axes.images[0].get_array().shape[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["10%", "50%", "90%"]
    np.testing.assert_allclose(axes.get_xticks(), [0.1 * length, 0.5 * length, 0.9 * length])
    np.testing.assert_allclose(axes.get_yticks(), [0.9 * length, 0.5 * length, 0.1 * length])


def test_traversals_change_one_dimension_through_its_quantiles(deep: RunData) -> None:
    means, dims = deep.embeddings.mean, np.sort(deep.active)
    assert len(dims) > 1
    start = min(means, key=lambda z: float(np.square(z - means.mean(axis=0)).sum()))
    figure, levels = draw("traversals", deep), np.linspace(0.02, 0.98, STEPS)
    for row, d in enumerate(dims):
        for column in (0, 4, STEPS - 1):
            z = start.copy()
            z[d] = norm.ppf(levels[column])
            np.testing.assert_allclose(tile(figure, row, column), deep.decode(z)[..., 0], atol=1e-5)
    texts = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert (texts[0], texts[-1]) == ("2%", "98%")


class TestInterpolations:
    """Walks between examples."""

    def test_walks_run_straight_from_the_first_example_to_the_last(self, deep: RunData) -> None:
        figure, last = draw("interpolations", deep), gallery.PATH_STEPS + 1
        rows = {x.tobytes(): i for i, x in enumerate(deep.test.x[..., 0])}
        for row in range(gallery.PATHS):
            ends = [rows[np.ascontiguousarray(tile(figure, row, column), np.float32).tobytes()] for column in (0, last)]
            z = deep.embeddings.mean[ends]
            for column, t in ((1, 0.0), (3, 0.25), (last - 1, 1.0)):
                between = deep.decode((1 - t) * z[0] + t * z[1])
                np.testing.assert_allclose(tile(figure, row, column), between[..., 0], atol=1e-5)

    def test_walks_of_vectors_name_their_ends(self, vectors: RunData) -> None:
        panels = [axes for axes in draw("interpolations", vectors).axes if " to " in axes.get_title()]
        rows = {vectors.test.source_name(i): x for i, x in enumerate(vectors.test.x)}
        assert len(panels) == min(gallery.PATHS, len(vectors.test) // 2)
        for axes in panels:
            first, last = axes.get_title().split(" to ")
            ends = [axes.lines[place].get_ydata() for place in (0, -1)]
            np.testing.assert_allclose(ends, vectors.shown(np.stack([rows[first], rows[last]])), rtol=1e-6)


class TestAgainstPrior:
    """The aggregate posterior and the prior."""

    def test_each_panel_shows_its_own_dimension(self, deep: RunData) -> None:
        figure = draw("posterior-prior", deep)
        for d, axes in enumerate(figure.axes[:3]):
            bars = axes.containers[0]
            edges = [*(bar.get_x() for bar in bars), bars[-1].get_x() + bars[-1].get_width()]
            seed = (deep.seed, int(gallery.Purpose.EMBEDDING))
            draws = latent.encode(deep.vae, deep.test.x, samples=1, seed=seed).samples[0]
            for values, heights in (
                (draws[:, d], [bar.get_height() for bar in bars]),
                (
                    latent.prior_draws(deep.vae, deep.seed)[:, d],
                    axes.patches[-1].get_path().vertices[1:-1:2, 1],
                ),
            ):
                np.testing.assert_allclose(heights, np.histogram(values, edges, density=True)[0], atol=1e-5)

    def test_inactive_dimensions_are_marked_in_their_titles(self, deep: RunData) -> None:
        other = RunData(deep.restored, deep.dataset)
        other.active = other.by_activity[:1]  # type: ignore[misc]
        titles = [axes.get_title() for axes in draw("posterior-prior", other).axes]
        assert titles == [f"$z_{{{d + 1}}}${', not active' * (d not in other.active)}" for d in range(3)]


class TestLogLikelihood:
    """log p(x) of test examples."""

    def test_boxes_show_the_classes_that_they_name(self, flat: RunData, values: np.ndarray) -> None:
        boxes = draw("log-likelihood", flat).axes[1]
        for name, median in medians_by_class(boxes).items():
            assert median == pytest.approx(np.median(values[flat.test.y == int(name)]), abs=1e-3)
        assert [rgb(box.get_facecolor()) for box in boxes.patches] == [rgb(canvas.color(i)) for i in range(10)]
        ends = np.concatenate([line.get_xdata() for line in boxes.lines if len(line.get_xdata()) == 2])
        of_zeros = values[flat.test.y == 0]
        low, high = np.quantile(of_zeros, [0.05, 0.95])
        inner = of_zeros[(of_zeros >= low) & (of_zeros <= high)]  # whiskers end at the outermost example within
        for end in (inner.min(), inner.max()):
            assert np.abs(ends - end).min() < 1e-3

    def test_extremes_are_sorted_and_show_values_and_rows(self, flat: RunData, values: np.ndarray) -> None:
        figure, order = draw("extremes", flat), np.argsort(values, kind="stable")
        pitch = figure.axes[0].images[0].get_array().shape[0] / 2
        expected = [*order[:10], *order[-10:][::-1]]
        for i, (row, text) in enumerate(zip(expected, figure.axes[0].texts, strict=True)):
            np.testing.assert_array_equal(tile(figure, *divmod(i, 10), pitch), flat.test.x[row, ..., 0])
            assert text.get_text() == f"\N{MINUS SIGN}{-values[row]:.0f}\n{flat.test.source_name(row)}"
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["least", "most"]


@pytest.mark.slow
def test_extremes_of_a_folder_name_its_files(tmp_path: Path, rng: np.random.Generator) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / "images" / f"{i:02}.png")
    run_data = train_run_data(tmp_path / "run", str(tmp_path / "images"))
    names = ["".join(text.get_text().split("\n")[1:]) for text in draw("extremes", run_data).axes[0].texts]
    assert len(set(names)) == len(names) > 1
    assert set(names) <= set(run_data.test.names)


def test_architecture_places_the_encoder_before_the_posterior(deep: RunData) -> None:
    """From left to right: the layers of the encoder, q(z|x), the layers of the decoder."""
    texts = draw("architecture", deep).axes[0].texts
    places = {text.get_text(): text.get_position()[0] for text in texts}
    model, middle = deep.config.model, places["q(z|x)"]
    for network, behind in ((deep.vae.encoder.network, False), (deep.vae.decoder.network, True)):
        shapes = ["x".join(map(str, layer.output_shape[1:])) for layer in network.layers if hasattr(layer, "kernel")]
        found = [(x, text.get_text()) for text in texts if text.get_rotation() == 90 for x in (text.get_position()[0],)]
        assert [shape for x, shape in sorted(found) if (x > middle) == behind] == shapes
    for name, more in (("q(z|x)", model.posterior), ("p(z)", model.prior), ("p(x|z)", model.likelihood)):
        assert places[name] == places[more.name]
    size = sum(np.size(v) for v in deep.vae.trainable_variables)
    assert any(f"3 dimensions, mlp decoder: {size:,} parameters" in text for text in places)


def frame_content(figure: Figure) -> dict[str, Any]:
    """The title, points, colours and image of a frame."""
    axes = figure.axes[0]
    clouds = [(np.array(c.get_offsets()), c.get_facecolor()) for c in axes.collections if len(c.get_offsets())]
    colors = [np.broadcast_to(color[:, :3], (len(points), 3)) for points, color in clouds]
    return {
        "title": animated.epoch_of(figure),
        "points": np.concatenate([points for points, _ in clouds]) if clouds else None,
        "colors": np.concatenate(colors) if clouds else None,
        "image": np.array(axes.images[0].get_array()) if axes.images else None,
    }


def frames_of(run_data: RunData, name: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    return animated.seen(monkeypatch, lambda: RUN_PICTURES[name].draw(run_data), frame_content)


class TestAnimations:
    """The content of each frame."""

    @pytest.fixture
    def without_first_epoch(self, deep: RunData, tmp_path: Path) -> RunData:
        """The run without the frame of its first epoch."""
        shutil.copytree(deep.run.folder, tmp_path / "run")
        run = Run(tmp_path / "run")
        run.frame_path(1).unlink()
        return RunData(LoadedRun(run), deep.dataset)

    def test_points_belong_to_their_epoch_and_class(
        self, without_first_epoch: RunData, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = frames_of(without_first_epoch, "latent-animation", monkeypatch)
        assert [frame["title"] for frame in shown] == ["epoch 0 of 2", "epoch 2 of 2"]
        kept = {epoch: np.load(without_first_epoch.run.frame_path(epoch))["means"] for epoch in (0, 2)}
        test = held_out_view(without_first_epoch.config, without_first_epoch.dataset, "test")
        np.testing.assert_allclose(kept[2], without_first_epoch.vae.encoder.mean(test.x), atol=1e-5)
        plane = projection(kept[2])
        assert np.abs(plane(kept[0]) - projection(kept[0])(kept[0])).max() > 1e-3
        for frame, means in zip(shown, kept.values(), strict=True):
            for label in range(10):
                of_class = (np.abs(frame["colors"] - rgb(canvas.color(label))) < 1e-3).all(axis=1)
                expected = plane(means)[test.y == label]
                order, other = (np.lexsort(points.T) for points in (expected, frame["points"][of_class]))
                np.testing.assert_allclose(frame["points"][of_class][other], expected[order], atol=1e-5)

    def test_images_belong_to_their_epoch(self, without_first_epoch: RunData, monkeypatch: pytest.MonkeyPatch) -> None:
        shown = frames_of(without_first_epoch, "decoder-animation", monkeypatch)
        assert [frame["title"] for frame in shown] == ["epoch 0 of 2", "epoch 2 of 2"]
        z = latent.grid(without_first_epoch.vae, 10, without_first_epoch.seed).z
        np.testing.assert_allclose(shown[1]["image"][:8, 9:17], without_first_epoch.decode(z[1])[..., 0], atol=1e-5)
        for frame, epoch in zip(shown, (0, 2), strict=True):
            decoded = np.load(without_first_epoch.run.frame_path(epoch))["decoded"]
            np.testing.assert_allclose(frame["image"][9:17, :8], decoded[10, ..., 0], atol=1e-6)


class TestEvaluation:
    """The pictures of an evaluation."""

    @pytest.mark.slow
    def test_the_bound_rises_from_the_elbo(self, assessment: Assessment) -> None:
        axes = EVALUATION_PICTURES["evaluation-bound"].draw(assessment).axes[0]
        curve, elbo = axes.lines
        sweep = assessment.estimates.sweep
        np.testing.assert_array_equal(curve.get_xdata(), [1, 2, 5, 10, 20, 50])
        np.testing.assert_allclose(curve.get_ydata(), sweep.mean(axis=0))
        assert (np.diff(curve.get_ydata()) > 0).all()
        assert set(elbo.get_ydata()) == {assessment.result["elbo"]}
        assert (curve.get_label(), elbo.get_label()) == ("bound from K samples", "ELBO")
        corners = axes.collections[0].get_paths()[0].vertices
        at_most = corners[corners[:, 0] == 50, 1]
        error = sweep[:, -1].std(ddof=1) / np.sqrt(len(sweep))
        np.testing.assert_allclose([at_most.min(), at_most.max()], sweep[:, -1].mean() + error * np.array([-1, 1]))

    @pytest.mark.parametrize("active", [[True, False, True, False], [False, True, True, True]])
    def test_active_dimensions_have_a_colour_of_their_own(self, active: list[bool]) -> None:
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

    def test_dimension_is_active_if_its_means_vary(self, assessment: Assessment) -> None:
        means = assessment.estimates.posterior_mean.copy()
        means[:, 0] = 0.25
        still = dataclasses.replace(assessment, estimates=assessment.estimates._replace(posterior_mean=means))
        assert means[:, 1].var() > ACTIVE_VARIANCE
        axes = EVALUATION_PICTURES["evaluation-rates"].draw(still).axes[0]
        rates = still.result["rate_per_dim"]
        colors = {round(bar.get_height(), 5): rgb(bar.get_facecolor()) for bar in axes.patches}
        assert colors == {round(rates[0], 5): rgb(canvas.PALETTE[9]), round(rates[1], 5): rgb(canvas.PALETTE[0])}

    def test_there_are_no_gaps_without_refinement(self, assessment: Assessment) -> None:
        assert EVALUATION_PICTURES["evaluation-gaps"].draw(assessment) is None

    @pytest.mark.slow
    def test_gaps_of_examples_add_up_to_the_distance_from_the_elbo(self, flat: RunData, digits: Dataset) -> None:
        plan = Plan(iw_samples=(20,), max_examples=15, execution="graph", refine="local:steps=3")
        found = assess(flat.restored, digits, plan)
        means, points = EVALUATION_PICTURES["evaluation-gaps"].draw(found).axes
        offsets = points.collections[-1].get_offsets()
        distance = found.estimates.log_likelihood - found.estimates.elbo
        np.testing.assert_allclose(offsets.sum(axis=1), distance, rtol=1e-5)
        heights = [bar.get_height() for bar in means.patches]
        np.testing.assert_allclose(heights, [found.result["gaps"][name] for name in ("approximation", "amortization")])

    @pytest.mark.slow
    def test_gaps_of_a_run_are_those_of_an_evaluation_with_its_seed(
        self, flat: RunData, digits: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MOST_REFINED", 4)
        few = RunData(flat.restored, flat.dataset)
        axes = draw("gaps", few).axes[1]
        found = assess(few.restored, digits, Plan(refine="local", seed=few.seed))
        rows = np.linspace(0, len(few.test) - 1, 4).astype(int)
        expected = Gaps.of(found.estimates)
        offsets = np.asarray(axes.collections[-1].get_offsets())
        np.testing.assert_allclose(offsets[:, 0], expected.approximation[rows], atol=1e-4)
        np.testing.assert_allclose(offsets[:, 1], expected.amortization[rows], atol=1e-4)

    def test_boxes_show_log_p_of_their_classes(self, assessment: Assessment) -> None:
        histogram, boxes = EVALUATION_PICTURES["evaluation-histogram"].draw(assessment).axes
        values, y = assessment.estimates.log_likelihood, assessment.examples.y
        for name, median in medians_by_class(boxes).items():
            assert median == pytest.approx(np.median(values[y == int(name)]), abs=1e-6)
        assert histogram.get_title() == "log p(x) of 40 test examples, K = 50"

    def test_extremes_show_values_and_rows_of_the_source(self, assessment: Assessment, digits: Dataset) -> None:
        """Labels are those of `extremes`, not indices in the split."""
        figure = EVALUATION_PICTURES["evaluation-extremes"].draw(assessment)
        values, rows = assessment.estimates.log_likelihood, np.asarray(assessment.examples.rows)
        split = held_out_view(Run(Path(assessment.result["run"])).config(), digits, "test")
        order = np.argsort(values, kind="stable")
        pitch = figure.axes[0].images[0].get_array().shape[0] / 2
        for i, place in enumerate([*order[:10], *order[-10:][::-1]]):
            np.testing.assert_array_equal(tile(figure, *divmod(i, 10), pitch), split.x[rows[place], ..., 0])
            label = f"\N{MINUS SIGN}{-values[place]:.0f}\n{split.source_name(rows[place])}"
            assert figure.axes[0].texts[i].get_text() == label


class TestEveryPicture:
    """The pictures of the run in two dimensions."""

    def test_draws_every_picture_of_the_table(self, flat: RunData) -> None:
        names = {path.name for path in flat.run.path("plots").iterdir() if not path.name.startswith("evaluation-")}
        assert names == {name + picture.suffix for name, picture in OF_IMAGES.items()}
        for name in names:
            picture = open_picture(flat.run.path(f"plots/{name}"))
            assert min(picture.size) > 100
            assert np.asarray(picture.convert("L")).std() > 3
            assert getattr(picture, "n_frames", 1) == (3 if name.endswith(".gif") else 1)

    def test_originals_are_as_the_model_saw_them(self, flat: RunData) -> None:
        shown = np.asarray(RUN_PICTURES["reconstructions"].draw(flat).axes[0].images[0].get_array())
        test = held_out_view(flat.config, flat.dataset, "test").x
        np.testing.assert_array_equal(shown[:8, :8], test[0, ..., 0])
        assert set(np.unique(shown[:8])) == {0, 1}

    def test_traversals_name_their_dimensions_and_quantiles(self, flat: RunData) -> None:
        axes = RUN_PICTURES["traversals"].draw(flat).axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == [f"$z_{{{d + 1}}}$" for d in sorted(flat.active)]
        assert axes.get_xticklabels()[0].get_text() == "2%"

    def test_posterior_is_filled_and_prior_is_a_line(self, flat: RunData) -> None:
        figure = RUN_PICTURES["posterior-prior"].draw(flat)
        for d, axes in enumerate(figure.axes[: flat.latent_dim]):
            filled, line = axes.containers[0], axes.patches[-1]
            edges = [*(bar.get_x() for bar in filled), filled[-1].get_x() + filled[-1].get_width()]
            expected, _ = np.histogram(flat.embeddings.samples[0][:, d], edges, density=True)
            np.testing.assert_allclose([bar.get_height() for bar in filled], expected, atol=1e-6)
            assert (filled[0].get_label(), line.get_label()) == ("q(z), test data", "p(z), prior")
            prior, _ = np.histogram(latent.prior_draws(flat.vae, flat.seed)[:, d], edges, density=True)
            assert line.get_path().vertices[:, 1].max() == pytest.approx(prior.max(), rel=1e-5)

    def test_labels_belong_to_their_points(self, flat: RunData) -> None:
        axes, labels = RUN_PICTURES["latent-scatter"].draw(flat).axes[0], flat.test.y
        clouds = [np.asarray(each.get_offsets()) for each in axes.collections[1:]]
        assert [text.get_text() for text in axes.texts] == [str(label) for label in np.unique(labels)]
        for label, cloud in zip(np.unique(labels), clouds, strict=True):
            np.testing.assert_allclose(cloud, flat.embeddings.mean[labels == label])

    def test_boxes_span_the_quartiles_of_their_classes(self, flat: RunData) -> None:
        boxes = RUN_PICTURES["log-likelihood"].draw(flat).axes[1]
        examples, values = flat.scores
        names = [label.get_text() for label in boxes.get_yticklabels()]
        for name, box in zip(names, boxes.patches, strict=True):
            ends = box.get_path().vertices[:, 0]
            quartiles = np.quantile(values[examples.y == int(name)], [0.25, 0.75])
            np.testing.assert_allclose([ends.min(), ends.max()], quartiles, rtol=1e-6)

    def test_interpolations_end_at_two_different_examples(self, flat: RunData) -> None:
        picture = np.asarray(RUN_PICTURES["interpolations"].draw(flat).axes[0].images[0].get_array())
        test = {x.tobytes() for x in flat.test.x[..., 0]}
        for row in range(gallery.PATHS):
            top, last = row * 9, (gallery.PATH_STEPS + 1) * 9
            ends = [np.ascontiguousarray(picture[top : top + 8, left : left + 8], np.float32) for left in (0, last)]
            assert all(end.tobytes() in test for end in ends)
            assert ends[0].tobytes() != ends[1].tobytes()

    def test_extremes_have_the_lowest_and_the_highest_log_p(self, flat: RunData) -> None:
        axes = RUN_PICTURES["extremes"].draw(flat).axes[0]
        examples, values = flat.scores
        picture = np.asarray(axes.images[0].get_array())
        np.testing.assert_array_equal(picture[:8, :8], examples.x[values.argmin(), ..., 0])
        below = picture.shape[0] // 2
        np.testing.assert_array_equal(picture[below : below + 8, :8], examples.x[values.argmax(), ..., 0])
        written = [text.get_text() for text in axes.texts]
        for place, row in ((0, values.argmin()), (10, values.argmax())):
            assert written[place] == f"\N{MINUS SIGN}{-values[row]:,.0f}\n{examples.source_name(row)}"


class TestDrawRun:
    """The choice of pictures, and the paths of their files."""

    def test_refuses_pictures_without_their_needs(self, restored: LoadedRun, digits: Dataset) -> None:
        run_data = RunData(restored, digits)
        with pytest.raises(UsageError, match="latent-animation: this run has no frames of its training"):
            gallery.applicable(run_data, ["latent-animation"])
        with pytest.raises(UsageError, match="unknown picture 'none'"):
            gallery.applicable(run_data, ["none"])
        filmed = {name for name, picture in RUN_PICTURES.items() if picture.suffix == ".gif"}
        assert set(gallery.applicable(run_data)) == set(OF_IMAGES) - filmed

    def test_picture_that_takes_minutes_is_drawn_only_if_it_is_named(self, flat: RunData) -> None:
        assert gallery.applicable(flat, ["gaps"]) == ["gaps"]
        assert "gaps" not in gallery.applicable(flat)

    def test_vectors_have_neither_a_manifold_nor_an_animation_of_images(self, vectors: RunData) -> None:
        assert not {"manifold", "decoder-animation"} & set(gallery.applicable(vectors))
        assert {"samples", "reconstructions", "latent-scatter", "extremes"} <= set(gallery.applicable(vectors))

    @pytest.mark.slow
    def test_names_each_picture_before_drawing_it_and_its_path_after_writing_it(
        self, copied: Run, digits: Dataset
    ) -> None:
        events: list[object] = []
        paths = gallery.draw_run(
            RunData(LoadedRun(copied), digits),
            ["architecture", "learning-curves"],
            begin=lambda *given: events.append(given),
            notify=lambda path: events.append(path) if path.stat().st_size else None,
        )
        assert paths == [copied.path(f"plots/{name}.png") for name in ("architecture", "learning-curves")]
        assert events == [("architecture", 1, 2), paths[0], ("learning-curves", 2, 2), paths[1]]

    def test_files_name_weights_and_seed_only_if_these_decide_them(self, flat: RunData) -> None:
        for name, picture in OF_IMAGES.items():
            if picture.suffix == ".png":
                about = description(flat.run.path(f"plots/{name}.png").read_bytes())
                assert about == (flat.description if picture.depends_on_weights else "")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("dataset", "model", "missing"),
        [
            (
                "colour.npz",
                {
                    "latent_dim": 5,
                    "likelihood": "continuous-bernoulli",
                    "posterior": "inverse-autoregressive-flow:hidden=8,context=3",
                },
                {"manifold"},
            ),
            ("counts.npz", {"likelihood": "poisson", "prior": "vamp:components=4"}, set()),
            (
                "vectors.npz",
                {"latent_dim": 1, "likelihood": "normal"},
                {"manifold", "latent-animation", "decoder-animation"},
            ),
        ],
    )
    def test_any_data_and_model_has_its_pictures(
        self, dataset: str, model: dict[str, object], missing: set[str], tmp_path: Path, rng: np.random.Generator
    ) -> None:
        arrays = {
            "colour.npz": {"x": rng.integers(0, 256, (40, 28, 28, 3)).astype(np.uint8), "y": np.arange(40) % 3},
            "counts.npz": {"x": rng.poisson(9, (40, 8, 8)), "y": np.array(["cat", "dog"] * 20)},
            "vectors.npz": {"x": rng.normal(size=(40, 5))},
        }
        np.savez(tmp_path / dataset, **arrays[dataset])
        settings = {"objective": "monte-carlo-elbo", "epochs": 1}
        run_data = train_run_data(tmp_path / "run", str(tmp_path / dataset), settings, **model)
        names = {path.stem for path in gallery.draw_run(run_data)}
        assert names >= {"samples", "reconstructions", "latent-scatter", "posterior-prior", "architecture"}
        missing = missing | OF_CODES | (OF_TABLES - {"columns"} if dataset == "vectors.npz" else OF_TABLES)
        assert names | missing | {"traversals"} == set(BY_DEFAULT)
        assert not names & missing

    @pytest.mark.parametrize("name", ["pca", "tsne"])
    def test_title_of_the_scatter_names_the_projection(self, name: str, flat: RunData) -> None:
        axes = draw("latent-scatter", RunData(flat.restored, flat.dataset, projection=name)).axes[0]
        assert ("t-SNE of 2 dimensions" in axes.get_title()) == (name == "tsne")
        assert ("ellipses" in axes.get_title()) == (name == "pca")
        assert sum(len(points.get_offsets()) for points in axes.collections) == 180 + 60 * (name == "pca")

    def test_architecture_of_a_network_without_keras_layers_has_three_dots(
        self, flat: RunData, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flat.vae.encoder, "network", lambda x: x)
        texts = [text.get_text() for text in draw("architecture", flat).axes[0].texts]
        assert texts.count("···") == 1
        assert {"encoder", "decoder", "q(z|x)"} <= set(texts)
