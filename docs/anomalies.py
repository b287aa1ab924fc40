"""Make the table of anomalies in docs/anomalies.md: train on MNIST, then score digits and images of other kinds.

python docs/anomalies.py --data-dir DIR
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score

import tfp_vae as tv

TFP_VAE = (sys.executable, "-c", "from tfp_vae.cli.main import main; main(prog_name='tfp-vae')")
TRAINING = ("--latent-dim", "32", "--hidden", "200,200", "--epochs", "40", "--lr-schedule", "cosine", "--no-plots")
EXAMPLES, RESAMPLES, SIDE = 1_000, 200, 28

Draw = np.random.Generator


def photographs(digits: np.ndarray, draw: Draw) -> np.ndarray:
    """Return random patches of scikit-learn's two photographs, grey."""
    grey = [image.mean(axis=-1).astype(np.uint8) for image in load_sample_images().images]
    chosen = [grey[i] for i in draw.integers(len(grey), size=len(digits))]
    corners = [[draw.integers(size - SIDE) for size in image.shape] for image in chosen]
    return np.stack([image[i : i + SIDE, j : j + SIDE] for image, (i, j) in zip(chosen, corners, strict=True)])


def erase_lower_half(digits: np.ndarray, draw: Draw) -> np.ndarray:
    """Return digits with a blank lower half."""
    del draw
    return np.concatenate([digits[:, : SIDE // 2], 0 * digits[:, SIDE // 2 :]], axis=1)


KINDS: dict[str, Callable[[np.ndarray, Draw], np.ndarray]] = {
    "test digits": lambda digits, draw: digits,
    "inverted digits": lambda digits, draw: 255 - digits,
    "uniform noise": lambda digits, draw: draw.integers(256, size=digits.shape, dtype=np.uint8),
    "patches of photographs (scikit-learn's two)": photographs,
    "digits turned by 90°": lambda digits, draw: np.rot90(digits, axes=(1, 2)),
    "mirrored digits": lambda digits, draw: digits[:, :, ::-1],
    "digits whose lower half is erased": erase_lower_half,
    "blank images": lambda digits, draw: 0 * digits,
}
"""The kinds of images, and how to make each of them from the digits."""


def main() -> None:
    """Train the run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of the MNIST files, downloaded if missing")
    data_dir = parser.parse_args().data_dir
    digits = np.round(255 * tv.data.load("mnist", data_dir=data_dir).test.x[:, :, :, 0]).astype(np.uint8)
    draw = np.random.default_rng(0)
    digits = digits[draw.choice(len(digits), EXAMPLES, replace=False)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        data = ("--dataset", "mnist", "--data-dir", data_dir, "--run-dir", run)
        subprocess.run([*TFP_VAE, "train", *data, *TRAINING], check=True)
        scores = {kind: scores_of(run, make(digits, draw)) for kind, make in KINDS.items()}
    sys.stdout.write("\n".join(rows(scores, draw)) + "\n")


def scores_of(run: Path, images: np.ndarray) -> np.ndarray:
    """Return log p(x) of images, uint8 [N, 28, 28], in nats, as `tfp-vae score` writes it."""
    data, out = run.with_name("images.npy"), run.with_name("scores.csv")
    np.save(data, images)
    command = [*TFP_VAE, "score", "--run", run, "--data", data, "--out", out, "--iw-samples", "100", "--no-plots"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with out.open(newline="", encoding="utf-8") as file:
        return np.array([float(row["log_likelihood"]) for row in csv.DictReader(file)])


def rows(scores: dict[str, np.ndarray], draw: Draw) -> list[str]:
    """Return the lines of the table."""
    (first, digits), *others = scores.items()
    lines = [
        "| images | log p(x), mean, nats | AUROC of -log p(x) against digits | standard error |",
        "|---|---|---|---|",
        f"| {first} | {digits.mean():,.1f} | | |",
    ]
    for kind, log_px in others:
        resampled = [auroc(*(draw.choice(part, len(part)) for part in (digits, log_px))) for _ in range(RESAMPLES)]
        area, error = auroc(digits, log_px), np.std(resampled, ddof=1)
        lines.append(f"| {kind} | {log_px.mean():,.1f} | {area:.4f} | {error:.4f} |")
    return lines


def auroc(usual: np.ndarray, unusual: np.ndarray) -> float:
    """Return the probability that an unusual example has a lower log p(x) than a usual one."""
    kinds = np.repeat([0, 1], [len(usual), len(unusual)])
    return float(roc_auc_score(kinds, -np.concatenate([usual, unusual])))


if __name__ == "__main__":
    main()
