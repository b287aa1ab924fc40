"""Make the table and the picture of docs/anomalies.md: train on MNIST, then score digits and images of other kinds.

python docs/anomalies.py --data-dir DIR

The picture goes into docs/images. `--run DIR` uses a run that is trained already.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images

import tfp_vae as tv
from tfp_vae.evaluation.anomalies import SCORES, Effort, rank_anomalies

TFP_VAE = (sys.executable, "-c", "from tfp_vae.cli.main import main; main(prog_name='tfp-vae')")
TRAINING = ("--latent-dim", "32", "--hidden", "200,200", "--epochs", "40", "--lr-schedule", "cosine", "--no-plots")
EXAMPLES, SIDE = 1_000, 28
PICTURE = Path(__file__).parent / "images" / "anomaly-scores.png"
NAMES = (
    "log-likelihood",
    "typicality",
    "likelihood-ratio",
    "likelihood-ratio:background=complexity",
    "reconstruction",
    "combined:parts=log-likelihood,likelihood-ratio,typicality,reconstruction",
)
"""The scores of the table."""

DRAWN = ("test digits", "mirrored digits", "digits without their lower half", "uniform noise", "blank images")
"""The kinds in the picture."""

PANELS = {
    "log-likelihood": "-log p(x), nats",
    "typicality": "distance of log p(x) from its mean, nats",
    "likelihood-ratio:background=complexity": "-log p(x) - compressed size, nats",
}
"""The scores in the picture, with their axes."""

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
    "digits rotated by 90°": lambda digits, draw: np.rot90(digits, axes=(1, 2)),
    "mirrored digits": lambda digits, draw: digits[:, :, ::-1],
    "digits without their lower half": erase_lower_half,
    "blank images": lambda digits, draw: 0 * digits,
}
"""The kinds of images, and how to make each of them from the digits."""


def main() -> None:
    """Train the run, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of the MNIST files, downloaded if missing")
    parser.add_argument("--run", help="a run of MNIST, instead of training one")
    given = parser.parse_args()
    digits = np.round(255 * tv.data.load("mnist", data_dir=given.data_dir).test.x[:, :, :, 0]).astype(np.uint8)
    draw = np.random.default_rng(0)
    digits = digits[draw.choice(len(digits), EXAMPLES, replace=False)]
    images = {kind: make(digits, draw) for kind, make in KINDS.items()}
    with tempfile.TemporaryDirectory() if given.run is None else contextlib.nullcontext(given.run) as folder:
        run = Path(given.run or Path(folder) / "run")
        if given.run is None:
            data = ("--dataset", "mnist", "--data-dir", given.data_dir, "--run-dir", run)
            subprocess.run([*TFP_VAE, "train", *data, *TRAINING], check=True)
        scores = score_images(run, images, given.data_dir)
    sys.stdout.write("\n".join(rows(scores)) + "\n")
    draw_scores(images, scores)


def score_images(run: Path, images: dict[str, np.ndarray], data_dir: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the scores of images, uint8 [N, 28, 28], by the name of the score and the kind of the images.

    Scores learn from the validation and the training split of the run, never from the images.
    """
    from tfp_vae.runs.anomalies import observe, reference_of

    restored, effort = tv.runs.LoadedRun(tv.runs.Run.open(run)), Effort(iw_samples=100)
    dataset = tv.runs.reload(restored.config, data_dir)
    evidence = {}
    for kind, each in images.items():
        np.save(run / "images.npy", each)
        evidence[kind] = observe(restored, tv.runs.new_examples(restored.config, str(run / "images.npy")).x, effort)
    (run / "images.npy").unlink()
    reference, scores = reference_of(restored, dataset, "test", effort), {}
    for name in NAMES:
        scorer = SCORES.resolve(name)
        state = scorer.fit(restored.vae, reference) if scorer.needs_reference else {}
        scores[name] = {kind: scorer.values(restored.vae, each, state) for kind, each in evidence.items()}
    return scores


def rows(scores: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """Return the lines of the table: the AUROC of each score for each kind, with its standard error."""
    heads = [name.replace(":background", " ").replace(" =", ", ").partition(":")[0] for name in scores]
    lines = [f"| images | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    (usual, *others) = next(iter(scores.values()))
    for kind in others:
        found = [auroc(values[usual], values[kind]) for values in scores.values()]
        lines.append(f"| {kind} | {' | '.join(f'{area:.4f} ± {error:.4f}' for area, error in found)} |")
    return lines


def auroc(usual: np.ndarray, unusual: np.ndarray) -> tuple[float, float]:
    """Return the probability that an unusual image has a higher score than a usual one, and its standard error."""
    kinds = np.repeat([False, True], [len(usual), len(unusual)])
    return rank_anomalies(np.concatenate([usual, unusual]), kinds)[:2]


def draw_scores(images: dict[str, np.ndarray], scores: dict[str, dict[str, np.ndarray]]) -> None:
    """Draw an image of each kind, and the distributions of its scores next to those of digits."""
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    grid = figure.add_gridspec(len(DRAWN), 1 + 3 * len(PANELS))
    colours = mpl.colormaps["tab10"].colors
    for place, kind in enumerate(DRAWN):
        axes = figure.add_subplot(grid[place, 0])
        axes.imshow(images[kind][0], cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_title(kind.replace("digits without their lower", "digits, upper"), fontsize=7, color=colours[place])
    for panel, (name, label) in enumerate(PANELS.items()):
        axes = figure.add_subplot(grid[:, 1 + 3 * panel : 4 + 3 * panel])
        values = [scores[name][kind] for kind in DRAWN]
        shown = np.concatenate([each for each, kind in zip(values, DRAWN, strict=True) if kind != "uniform noise"])
        low, high = np.quantile(shown, [0.0, 0.999])
        bins = np.linspace(low - 0.05 * (high - low), high + 0.1 * (high - low), 60)
        for each, colour, kind in zip(values, colours, DRAWN, strict=False):
            axes.hist(np.clip(each, None, bins[-1] - 1e-6), bins, color=colour, alpha=0.6, label=kind)
        axes.set(xlabel=label, yticks=[], ylim=(0, 150))
        axes.set_title(name.partition(":")[0] + (", complexity" if "complexity" in name else ""), fontsize=10)
    figure.savefig(PICTURE, dpi=90)


if __name__ == "__main__":
    main()
