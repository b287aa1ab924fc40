"""Make the pictures of docs/pictures.md: train two models on MNIST and copy their pictures into docs/images.

python docs/make_images.py --data-dir DIR

Reports are opened in a browser, so run `pip install -e '.[browser]'` first.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
BROWSE = Path(__file__).parent / "browse.py"
TFP_VAE = (sys.executable, "-c", "from tfp_vae.cli.main import main; main(prog_name='tfp-vae')")
WIDTHS = ("--hidden", "200,200", "--lr-schedule", "cosine")
RUNS = {
    "mnist2": (("--latent-dim", "2", "--epochs", "40"),
               ("latent-scatter.png", "reconstructions.png", "latent-animation.gif", "decoder-animation.gif")),
    "mnist20": (("--latent-dim", "20", "--epochs", "15"),
                ("traversals.png", "posterior-prior.png", "log-likelihood.png", "architecture.png")),
}  # fmt: skip
"""The options of each run, and the pictures to copy from it."""

PAGES = {"phone-light": ("light", "360"), "phone-dark": ("dark", "360")}
"""The colour scheme and the width of the window for each picture of the second run's report."""

TOP = "1100"
"""Height of these pictures, in pixels."""


def main() -> None:
    """Train the runs and copy their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True, help="folder of the MNIST files, downloaded if missing")
    data_dir = parser.parse_args().data_dir
    with tempfile.TemporaryDirectory() as folder:
        for name, (settings, pictures) in RUNS.items():
            run = Path(folder) / name
            data = ("--dataset", "mnist", "--data-dir", data_dir, "--run-dir", str(run))
            subprocess.run([*TFP_VAE, "train", *data, *settings, *WIDTHS], check=True)
            for picture in pictures:
                shutil.copyfile(run / "plots" / picture, IMAGES / f"{name}-{picture}")
        show_report(Path(folder) / "mnist20", data_dir)


def show_report(run: Path, data_dir: str) -> None:
    """Evaluate a run and save its report as a browser shows it."""
    subprocess.run([*TFP_VAE, "evaluate", "--run", run, "--data-dir", data_dir, "--max-examples", "1000"], check=True)
    subprocess.run([*TFP_VAE, "report", "--run", run, "--no-plots"], check=True)
    for name, (scheme, width) in PAGES.items():
        window = ("--scheme", scheme, "--width", width, "--top", TOP)
        picture = IMAGES / f"report-{name}.png"
        subprocess.run(
            [sys.executable, BROWSE, run / "report.html", *window, "--picture", picture],
            check=True,
            stdout=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    main()
