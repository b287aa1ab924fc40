"""Makes the pictures of docs/pictures.md: trains two models of MNIST, and copies their pictures into docs/images.

python docs/make_images.py --data-dir DIR
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
TFP_VAE = (sys.executable, "-c", "from tfp_vae.cli.main import main; main(prog_name='tfp-vae')")
WIDTHS = ("--hidden", "200,200", "--lr-schedule", "cosine")
RUNS = {
    "mnist2": (("--latent-dim", "2", "--epochs", "40"),
               ("latent-scatter.png", "reconstructions.png", "latent-animation.gif", "decoder-animation.gif")),
    "mnist20": (("--latent-dim", "20", "--epochs", "15"),
                ("traversals.png", "posterior-prior.png", "log-likelihood.png", "architecture.png")),
}  # fmt: skip
"""For each run: how it is trained, and which of its pictures are kept."""


def main() -> None:
    """Train the runs, and copy their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True, help="where MNIST's files lie, or are downloaded to")
    data_dir = parser.parse_args().data_dir
    with tempfile.TemporaryDirectory() as folder:
        for name, (settings, kept) in RUNS.items():
            run = Path(folder) / name
            data = ("--dataset", "mnist", "--data-dir", data_dir, "--run-dir", str(run))
            subprocess.run([*TFP_VAE, "train", *data, *settings, *WIDTHS], check=True)
            for picture in kept:
                shutil.copyfile(run / "plots" / picture, IMAGES / f"{name}-{picture}")


if __name__ == "__main__":
    main()
