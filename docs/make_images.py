"""Make the pictures of docs/gallery.md, docs/pictures.md and docs/tables.md, and the gallery itself.

It trains models and copies the pictures of their runs.

python docs/make_images.py --data-dir DIR
python docs/make_images.py --data-dir DIR --only wine waves bottles
python docs/make_images.py --data-dir DIR --only report

The pictures go into docs/images. Chromium opens the report, so run `apt-get install chromium chromium-driver` first.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_wine

TABLES = Path(__file__).parent / "tables.md"
"""The page whose first block of Python writes `wines.csv`, a table with missing cells."""

IMAGES = Path(__file__).parent / "images"
GALLERY = Path(__file__).parent / "gallery.md"
TFP_VAE = (sys.executable, "-c", "from tfp_vae.cli.main import main; main(prog_name='tfp-vae')")
MNIST = ("--dataset", "mnist", "--hidden", "200,200", "--lr-schedule", "cosine")


class Shown(NamedTuple):
    """A run of the gallery.

    title: its heading.
    options: those of `train`.
    pictures: the files to copy from the run, with their captions.
    """

    title: str
    options: Sequence[str]
    pictures: Mapping[str, str]


RUNS = {
    "mnist2": Shown(
        "MNIST in two dimensions",
        (*MNIST, "--latent-dim", "2", "--epochs", "40"),
        {
            "latent-scatter.png": "Posterior means of the test images, one colour for each digit",
            "reconstructions.png": "Test images, and E[x|z] at their posterior means",
            "latent-animation.gif": "The posterior means after each epoch of training",
            "decoder-animation.gif": "E[x|z] at quantiles of the prior after each epoch of training",
        },
    ),
    "mnist20": Shown(
        "MNIST in twenty dimensions",
        (*MNIST, "--latent-dim", "20", "--epochs", "15"),
        {
            "traversals.png": "E[x|z] along each of 16 active dimensions",
            "posterior-prior.png": "The aggregate posterior against the prior in each dimension",
            "log-likelihood.png": "Importance-weighted log p(x) of the test images, by class",
            "architecture.png": "The layers of the model, and the distributions between them",
        },
    ),
    "wine": Shown(
        "A table of numbers",
        ("--dataset", "wine.csv", "--label-column", "target", "--epochs", "300"),
        {"columns.png": "Each column of scikit-learn's wines: test rows against draws from p(x)"},
    ),
    "waves": Shown(
        "Curves",
        ("--dataset", "waves.npy", "--latent-dim", "3", "--epochs", "60"),
        {
            "reconstructions.png": "Noisy waves of 48 values, and E[x|z] at their posterior means",
            "traversals.png": "E[x|z] along each dimension: phase and height",
        },
    ),
    "bottles": Shown(
        "A table with words and missing cells",
        ("--dataset", "wines.csv", "--epochs", "500"),
        {"unusual-cells.png": "The cells of incomplete rows that are the most surprising, given the rest"},
    ),
}
"""The runs by the first part of the names of their pictures."""

BEGIN = """# Gallery

Each command draws its pictures into `plots/` of the run's folder. [Pictures](pictures.md) explains them.
`docs/make_images.py` in the repository makes this page, writes the tables and curves, and trains the models.
"""

REPORT = "report"
"""The name of the run whose report is shown."""

PAGES = {"phone-light": False, "phone-dark": True}
"""The pictures of this report, and whether they are dark."""

WIDTH, HEIGHT = 360, 1_800
"""Width and height of these pictures, in pixels."""


def main() -> None:
    """Train the runs and copy their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True, help="folder of the MNIST files, downloaded if missing")
    parser.add_argument("--only", nargs="+", choices=(*RUNS, REPORT), default=[*RUNS, REPORT], help="names of the runs")
    given = parser.parse_args()
    data_dir = str(Path(given.data_dir).absolute())
    with tempfile.TemporaryDirectory() as folder:
        write_examples(Path(folder))
        for name in filter(given.only.__contains__, RUNS):
            run = Path(folder) / name
            options = ("--data-dir", data_dir, "--run-dir", str(run))
            subprocess.run([*TFP_VAE, "train", *RUNS[name].options, *options], check=True, cwd=folder)
            for picture in RUNS[name].pictures:
                shutil.copyfile(run / "plots" / picture, IMAGES / f"{name}-{picture}")
        if REPORT in given.only:
            show_report(Path(folder) / REPORT)
    GALLERY.write_text(gallery(), encoding="utf-8")


def gallery() -> str:
    """Return the page of all pictures with the commands that made them."""
    text = BEGIN
    for name, run in RUNS.items():
        shown = (f"![{caption}](images/{name}-{picture})\n\n{caption}.\n" for picture, caption in run.pictures.items())
        command = f"```sh\ntfp-vae train {' '.join(run.options)}\n```\n"
        text = "\n".join([text, f"## {run.title}\n", command, *shown])
    return text


def write_examples(folder: Path) -> None:
    """Write two tables of wines and an array of noisy waves."""
    load_wine(as_frame=True).frame.to_csv(folder / "wine.csv", index=False)
    _, code = TABLES.read_text(encoding="utf-8").split("```python\n")[:2]
    subprocess.run([sys.executable, "-c", code.split("```")[0]], check=True, cwd=folder)
    rng = np.random.default_rng(0)
    phases, heights = rng.uniform(0, 2 * np.pi, (1_000, 1)), rng.uniform(2, 8, (1_000, 1))
    waves = 20 + heights * np.sin(np.linspace(0, 2 * np.pi, 48) + phases)
    np.save(folder / "waves.npy", waves + rng.normal(scale=0.3, size=waves.shape))


def show_report(run: Path) -> None:
    """Train and evaluate a run on digits, and save its report as a browser shows it."""
    subprocess.run([*TFP_VAE, "train", "--mc-samples", "5", "--run-dir", run], check=True)
    subprocess.run([*TFP_VAE, "evaluate", "--run", run, "--iw-samples", "100"], check=True)
    subprocess.run([*TFP_VAE, "report", "--run", run], check=True)
    take_pictures(run / "report.html")


def take_pictures(page: Path) -> None:
    """Save pictures of a page as Chromium shows it on a phone."""
    sys.path.append(str(Path(__file__).parents[1]))  # for the driver of the tests
    from tests.helpers.chromium import chromium

    with chromium() as browser:
        for name, dark in PAGES.items():
            browser.look(width=WIDTH, height=HEIGHT, dark=dark)
            browser.open(page)
            browser.screenshot(IMAGES / f"report-{name}.png")


if __name__ == "__main__":
    main()
