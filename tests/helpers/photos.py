"""Crops of photos, and the structural similarity of images."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_sample_images


def colour_crops(side: int, stride: int) -> np.ndarray:
    """Return crops of scikit-learn's two sample photos, [N, side, side, 3], uint8."""
    crops = [
        photo[top : top + side, left : left + side]
        for photo in load_sample_images().images
        for top in range(0, photo.shape[0] - side + 1, stride)
        for left in range(0, photo.shape[1] - side + 1, stride)
    ]
    return np.stack(crops)


def ssim(a: np.ndarray, b: np.ndarray, window: int = 7) -> float:
    """Return the mean structural similarity of images [N, H, W, C] in [0, 1], over windows, channels and images.

    References:
      Wang, Bovik, Sheikh and Simoncelli (2004), Image quality assessment: from error visibility to structural
      similarity.
    """
    size, margin, count = (1, window, window, 1), window // 2, window**2
    p, q = a.astype(np.float64), b.astype(np.float64)
    mean_p, mean_q = uniform_filter(p, size), uniform_filter(q, size)
    unbiased = count / (count - 1)
    var_p = unbiased * (uniform_filter(p * p, size) - mean_p**2)
    var_q = unbiased * (uniform_filter(q * q, size) - mean_q**2)
    covariance = unbiased * (uniform_filter(p * q, size) - mean_p * mean_q)
    luminance = (2 * mean_p * mean_q + 0.01**2) / (mean_p**2 + mean_q**2 + 0.01**2)
    structure = (2 * covariance + 0.03**2) / (var_p + var_q + 0.03**2)
    return float((luminance * structure)[:, margin:-margin, margin:-margin].mean())
