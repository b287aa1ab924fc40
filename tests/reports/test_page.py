"""The HTML page of a run: valid, private, complete, and readable without a network."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.helpers.commands import call, one_sentence
from tests.helpers.files import gif_bomb, png_bomb, png_text_bomb
from tests.helpers.pages import Page, picture_in
from tests.helpers.runs import small_model, small_training
from tfp_vae import plots, reports
from tfp_vae.core.errors import RunError
from tfp_vae.evaluation.metrics import METRICS, rounded_pair
from tfp_vae.reports import drawing, page
from tfp_vae.reports.pictures import PICTURES, RUN_PICTURES
from tfp_vae.runs import run as runs
from tfp_vae.runs.config import SETTINGS
from tfp_vae.runs.folder.records import which_evaluation
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

ANIMATIONS = {name for name, picture in PICTURES.items() if picture.suffix == ".gif"}
OF_TABLES = {"columns", "associations", "imputation", "unusual-cells"}
OF_CODES = {"code-usage"}
ON_REQUEST = {name for name, picture in PICTURES.items() if picture.on_request}
REPLACED = {picture.replaces: name for name, picture in PICTURES.items() if picture.replaces}
REFINED = {REPLACED.pop(name) for name in ON_REQUEST}
"""Pictures that only evaluations with a refinement have."""


@pytest.fixture(scope="module")
def html(flat: reports.RunData) -> str:
    """The page of the run in two dimensions, with its evaluation and all pictures."""
    return page.html_page(flat.run)


class TestPage:
    """One self-contained page."""

    def test_page_is_valid_and_loads_nothing(self, html: str) -> None:
        parsed = Page(html)
        assert html.startswith("<!doctype html>")
        assert parsed.open == []
        assert not parsed.all("link") + parsed.all("iframe")
        assert all("src" not in script for script in parsed.all("script"))
        for attributes in (attributes for _, attributes in parsed.tags):
            for name in ("src", "srcset", "href"):
                assert str(attributes.get(name, "data:")).startswith("data:")
        assert not re.findall(r"url\(|@import|https?://", re.sub("<script.*?</script>", "", html, flags=re.DOTALL))
        (policy,) = (meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv"))
        assert str(policy).startswith("default-src 'none'")

    def test_page_suits_phones_paper_and_dark_mode(self, html: str) -> None:
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Page(html).all("meta")
        for rule in ("prefers-color-scheme: dark", "@media print", "break-inside: avoid", "max-width: 100%"):
            assert rule in html
        images = Page(html).all("img")
        assert sum(image.get("class") == "still" for image in images) == 2
        for moving, still in itertools.pairwise(images):
            if moving.get("class") == "moving":
                assert still.get("class") == "still"
                frames, last = picture_in(moving["src"]), picture_in(still["src"])
                frames.seek(frames.n_frames - 1)
                np.testing.assert_array_equal(last.convert("RGB"), frames.convert("RGB"))

    def test_every_picture_opens_and_has_an_alternative_text(self, html: str) -> None:
        images = [image for image in Page(html).all("img") if image.get("class") != "still"]
        missing = OF_TABLES | OF_CODES | ON_REQUEST | REFINED | REPLACED.keys()
        assert len(images) == len(PICTURES.keys() - missing)
        for image in images:
            picture = picture_in(image["src"])
            picture.load()
            assert min(picture.size) > 100
            assert image["alt"] in {picture.alt for picture in PICTURES.values()}
        assert sum(getattr(picture_in(image["src"]), "n_frames", 1) > 1 for image in images) == 2

    def test_page_shows_an_evaluation_to_an_accuracy(self, flat: reports.RunData, tmp_path: Path) -> None:
        run = Run(shutil.copytree(flat.run.folder, tmp_path / "copy"))
        accuracy = {"accuracy": 0.3, "refine": "as-needed", "settled_share": 0.9, "efforts": [], "unsettled_rows": [3]}
        run.write("evaluation.json", run.read("evaluation.json") | accuracy)
        text = " ".join(Page(page.html_page(run)).text.split())
        assert "K up to 20, to 0.3 nats, seed 0" in text
        assert "Each example has as many importance samples as it needs." in text
        assert re.search(r"log p\(x\) known to the accuracy\s*0\.9000", text)

    def test_page_shows_the_likelihoods_of_the_columns_of_a_mixed_table(self, mixed: reports.RunData) -> None:
        text = " ".join(Page(page.html_page(mixed.run)).text.split())
        assert re.search(r"Likelihoods of columns\s*count column \(age\): negative-binomial", text)
        assert "category column (city): categorical" in text

    def test_page_counts_the_values_of_a_row(self, mixed: reports.RunData) -> None:
        (size,) = mixed.config.data.event_shape
        assert re.search(rf"trained on\s+\d+\s+examples\s+of {size} values from", page.html_page(mixed.run))

    def test_page_shows_training_evaluation_and_versions(self, html: str, flat: reports.RunData) -> None:
        text = " ".join(Page(html).text.split())
        evaluation, training = flat.run.read("evaluation.json"), flat.run.read("training.json")
        for key in ("log_likelihood", "elbo", "distortion", "rate"):
            value, error = rounded_pair(evaluation[key], METRICS[key].error(evaluation))
            assert value in text
            assert key not in ("log_likelihood", "elbo") or f"{value} ± {error}" in text
        assert f"{training['parameters']:,}" in text
        which = f"180 test examples, K = 20, seed 0; weights final, of step {evaluation['step']:,}"
        assert which_evaluation(evaluation) == which
        named = "(likelihood bernoulli, scaling pixels, binarization dynamic)"
        assert text.count(f"p(x) is a probability of binarized values {named}") == 2  # after training and evaluation
        assert f"Evaluation {which}. Each example has K importance samples. Values are means over examples" in text
        (shown,) = re.findall(r"<pre>(tfp-vae train .*?)</pre>", html, re.DOTALL)
        assert shlex.split(shown.replace("\\\n", "")) == shlex.split(reports.training_command(flat.config))
        assert max(map(len, shown.splitlines())) < 80
        assert flat.config.data.fingerprint in text
        for package, version in flat.run.read("environment.json")["packages"].items():
            assert f'<th scope="row">{package}</th><td>{version}</td>' in html
        assert '"binarization"' in text

    def test_pictures_of_the_evaluation_replace_those_of_the_run(
        self, flat: reports.RunData, html: str, copied: Run
    ) -> None:
        captions = re.findall("<figcaption>(.*?)</figcaption>", html)
        assert len(set(captions)) == len(captions)
        for own, other in REPLACED.items():
            assert not any(caption.startswith(PICTURES[own].caption) for caption in captions)
            assert any(caption.startswith(PICTURES[other].caption) for caption in captions)
        assert set(REPLACED) <= set(page.pictures_for(copied))  # not evaluated
        notes = {picture.name: picture.note for picture in page.page_pictures(flat.run)}
        assert notes["evaluation-bound"].startswith("Drawn from 180 test examples, K = 20, seed 0; weights final, of")

    @pytest.mark.slow
    def test_finished_page_has_no_path_of_the_machine(self, tmp_path: Path) -> None:
        """Neither before the training nor after the training, the evaluation and the pictures."""
        np.savez(tmp_path / "a table.npz", x=np.random.default_rng(0).normal(size=(60, 5)))
        model, cache = small_model(likelihood="normal"), str(tmp_path / "cache")
        config, data = plan(str(tmp_path / "a table.npz"), cache, None, model, small_training())
        assert str(tmp_path) in reports.training_command(config)
        run = Run.create(tmp_path / "run", config)
        html = page.html_page(run)
        assert "tfp-vae evaluate --run run" in " ".join(Page(html).text.split())
        assert train(run, data)
        call("evaluate", "--run", run.folder, "--iw-samples", 5, "--execution", "graph")
        assert str(tmp_path) in run.read("evaluation.json")["run"]
        call("report", "--run", run.folder)
        final = run.path("report.html").read_text()
        assert {picture.name for picture in page.page_pictures(run)} >= {
            "samples",
            "learning-curves",
            "evaluation-bound",
        }
        assert "Not evaluated yet" not in final
        assert not any(str(tmp_path).encode() in path.read_bytes() for path in run.path("plots").iterdir())
        for content in (html, final):
            assert str(tmp_path) not in content
            text = " ".join(Page(content).text.split())
            assert "--dataset './a table.npz'" in text
            assert "Run the command in that folder, or add --data-dir." in text
        assert reports.portable(config).data.fingerprint == config.data.fingerprint

    def test_escapes_text(self, copied: Run) -> None:
        moved = copied.folder.rename(copied.folder.with_name("<b>&run"))
        parsed = Page(page.html_page(Run(moved)))
        assert "<b>&run" in parsed.text
        assert not parsed.all("b") or "<b>&run" not in [str(tag) for tag in parsed.all("b")]

    def test_page_without_evaluation_and_pictures_names_the_commands(self, copied: Run) -> None:
        html = call("report", "--run", copied.folder, "--no-plots", "--json").stdout
        result = json.loads(html)
        assert result["pictures"] == []
        text = Page(Path(result["out"]).read_text()).text
        assert "Not evaluated yet" in text
        assert "No pictures yet" in text

    @pytest.mark.slow
    def test_report_redraws_missing_and_outdated_pictures(self, copied: Run) -> None:
        call("plot", "samples", "architecture", "--run", copied.folder)
        old = copied.folder / "plots" / "samples.png"
        os.utime(old, (1, 1))
        kept = (copied.folder / "plots" / "architecture.png").stat().st_mtime_ns
        result = json.loads(call("report", "--run", copied.folder, "--out", copied.folder / "r.html", "--json").stdout)
        assert set(result["pictures"]) == RUN_PICTURES.keys() - ANIMATIONS - ON_REQUEST - OF_TABLES - OF_CODES
        assert old.stat().st_mtime > 1
        assert (copied.folder / "plots" / "architecture.png").stat().st_mtime_ns == kept
        assert result["bytes"] == (copied.folder / "r.html").stat().st_size > 100_000

    def test_report_chooses_pictures_once_before_it_draws(self, copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        asked, shown = list[set[str]](), page.pictures_for

        def observe(run: Run) -> list[str]:
            asked.append({path.stem for path in run.path("plots").iterdir()})
            return shown(run)

        monkeypatch.setattr(page, "pictures_for", observe)
        monkeypatch.setattr(drawing, "applicable", lambda run_data, names=(): names or ["samples", "architecture"])
        call("report", "--run", copied.folder)
        assert sum(not there for there in asked) == 1

    def test_notes_name_weights_and_age(self, copied: Run) -> None:
        call("plot", "samples", "architecture", "--run", copied.folder, "--weights", "best", "--seed", 7)
        os.utime(copied.folder / "plots" / "architecture.png", (1, 1))
        notes = {picture.name: picture.note for picture in page.page_pictures(copied)}
        assert re.fullmatch(r"Drawn from weights best, of step \d+; seed 7\.", notes["samples"])
        assert notes["architecture"] == "Older than the checkpoint."
        assert page.pictures_to_redraw(copied, ["samples"]) == []
        assert page.pictures_to_redraw(copied, ["samples"], "weights final, of step 24; seed 0") == ["samples"]
        assert page.pictures_to_redraw(copied, ["samples"], notes["samples"].removeprefix("Drawn from ")[:-1]) == []

    def test_refuses_wrong_paths_and_damaged_files(self, copied: Run) -> None:
        run = ("--run", copied.folder)
        assert "ending in .html" in one_sentence(call("report", *run, "--out", "page.pdf", code=2))
        assert "does not exist" in one_sentence(call("report", *run, "--out", "none/page.html", code=6))
        (copied.folder / "plots" / "latent-animation.gif").write_bytes(b"GIF89a nonsense")
        with pytest.raises(RunError, match=r"latent-animation\.gif: this picture is damaged"):
            page.html_page(copied)
        (copied.folder / "plots" / "latent-animation.gif").unlink()
        (copied.folder / "environment.json").write_text("{}")
        assert "environment.json" in one_sentence(call("report", *run, "--no-plots", code=4))


def test_advice_of_an_evaluation_shows_settings_as_code(evaluated: Run) -> None:
    found = evaluated.read(runs.EVALUATION)
    evaluated.write(runs.EVALUATION, found | {"advice": "Use `iw_samples=100` or more."})
    assert "<p>Use <code>iw_samples=100</code> or more.</p>" in page.html_page(evaluated)


def test_known_anomalies_are_a_table_without_scores_that_do_not_apply(evaluated: Run) -> None:
    found = {
        "dataset": "digits",
        "data": "new.csv",
        "split": None,
        "num_examples": 60,
        "num_anomalies": 1,
        "anomaly_label": "fraud",
        "anomaly_values": ["yes"],
        "iw_samples": 3,
        "refine": "none",
        "seed": 0,
        "weights": "final",
        "step": 4,
        "log_likelihood": -1.5,
        "anomalies": [
            {"score": "typicality", "auroc": 0.75, "auroc_se": None, "auroc_se_reason": "one anomaly"},
            {"score": "worst-cell", "reason": "it needs columns"},
        ],
    }
    assert "Known anomalies" not in page.html_page(evaluated)
    evaluated.write(runs.ANOMALIES, found)
    text = page.html_page(evaluated)
    assert "60 rows of new.csv, 1 anomalous by fraud=yes, K = 3, seed 0" in text
    assert '<th scope="row">typicality</th><td class="number">0.7500</td><td class="number">unknown</td>' in text
    assert "worst-cell" not in text
    evaluated.path(runs.ANOMALIES).unlink()


class TestPicturesFor:
    """Which pictures belong on the page, and which of them are outdated."""

    def test_pictures_of_another_evaluation_are_left_out(self, evaluated: Run) -> None:
        path = evaluated.path("plots/evaluation-histogram.png")
        path.write_bytes(plots.png(Figure(), "5 test examples, K = 3"))
        names = page.pictures_for(evaluated)
        assert "evaluation-histogram" not in names
        assert {"evaluation-bound", "evaluation-extremes", "log-likelihood"} <= set(names)
        assert "extremes" not in names

    def test_pictures_of_an_evaluation_need_its_metrics(self, evaluated: Run) -> None:
        evaluated.path("evaluation.json").unlink()
        assert page.pictures_for(evaluated) == list(RUN_PICTURES)

    def test_runs_without_an_evaluation_have_only_their_own_pictures(self, copied: Run) -> None:
        assert page.pictures_for(copied) == list(RUN_PICTURES)

    def test_redraws_missing_old_and_foreign_pictures(self, evaluated: Run) -> None:
        names = ["samples", "manifold", "architecture", "extremes"]
        assert page.pictures_to_redraw(evaluated, names) == []
        evaluated.path("plots/samples.png").unlink()
        os.utime(evaluated.path("plots/manifold.png"), (1, 1))
        assert page.pictures_to_redraw(evaluated, names) == ["samples", "manifold"]
        other = page.pictures_to_redraw(evaluated, names, "weights best, of step 7; seed 0")
        assert other == ["samples", "manifold", "extremes"]

    @pytest.mark.parametrize("name", ["samples.png", "latent-animation.gif"])
    def test_error_names_damaged_pictures(self, name: str, evaluated: Run) -> None:
        evaluated.path(f"plots/{name}").write_bytes(b"GIF89a nonsense")
        with pytest.raises(RunError, match=rf"{name}: this picture is damaged. Draw it again with `draw_run`."):
            page.page_pictures(evaluated)

    @pytest.mark.parametrize(
        ("name", "bomb"),
        [("samples.png", png_bomb()), ("samples.png", png_text_bomb()), ("latent-animation.gif", gif_bomb())],
    )
    def test_report_refuses_pictures_that_unpack_to_gigabytes(self, name: str, bomb: bytes, copied: Run) -> None:
        copied.path(f"plots/{name}").write_bytes(bomb)
        said = one_sentence(call("report", "--run", copied.folder, "--no-plots", code=4))
        assert f"{name}: this picture is damaged. Draw it again with `tfp-vae plot`." in said

    def test_refuses_huge_pictures(self, evaluated: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page, "LARGEST_PICTURE", 1_000)
        with pytest.raises(RunError, match="larger than 1,000 bytes"):
            page.page_pictures(evaluated)


class TestTables:
    """Sections, settings and metrics come from tables."""

    def test_sections_are_in_the_order_of_their_table(self, html: str) -> None:
        titles = re.findall("<section>\\s*<h2>(.*?)</h2>", html)
        assert titles == list(page.SECTIONS)

    def test_every_section_has_its_template(self) -> None:
        folder = Path(page.__file__).parent / "templates"
        assert {path.name for path in folder.iterdir()} == {
            *("report.html", "comparison.html", "head.html", "charts.html"),
            *page.SECTIONS.values(),
        }

    def test_every_setting_has_a_row_with_its_label(self, flat: reports.RunData, html: str) -> None:
        rows = dict(page.setting_rows(flat.config))
        assert {SETTINGS[name].label for name in flat.config.settings()} | {"Splits"} == rows.keys()
        assert rows["Splits"].startswith("1,437 train, 180 validation, 180 test (")
        for label in rows:
            assert f'<th scope="row">{label}</th>' in html

    def test_metrics_without_a_value_have_no_row(self) -> None:
        assert page.metric_rows(None) == []
        (row,) = page.metric_rows({"elbo": -12.3456, "elbo_se": 0.5})
        assert (row.value, row.error, row.unit) == ("-12.35", "0.50", "nats")

    def test_page_of_a_run_without_files_of_results(self, trained: Path, tmp_path: Path) -> None:
        text = Page(page.html_page(Run.create(tmp_path / "new", Run(trained).config()))).text
        assert "Not evaluated yet." in text
        assert "No pictures yet." in text
        assert "After the last epoch" not in text

    def test_new_page_has_no_path_of_the_machine(self, tmp_path: Path, rng: np.random.Generator) -> None:
        np.savez(tmp_path / "a table.npz", x=rng.normal(size=(60, 5)))
        model, cache = small_model(likelihood="normal"), str(tmp_path / "cache")
        config, _ = plan(str(tmp_path / "a table.npz"), cache, None, model, small_training())
        assert str(tmp_path) in reports.training_command(config)
        html = page.html_page(Run.create(tmp_path / "run", config))
        assert str(tmp_path) not in html
        assert "--dataset &#39;./a table.npz&#39;" in html
