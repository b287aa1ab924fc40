"""Named data sets: those that come with an installation or can be downloaded.

To add one, write a function of a data folder and a progress bar that returns a `Dataset`, and enter it in `DATASETS`.
Its docstring is the description in `tfp-vae data list`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import Table, check_keywords
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.downloads import Progress, Remote, obtain
from tfp_vae.data.readers import images
from tfp_vae.data.readers.arrays import read_amat, read_idx
from tfp_vae.data.readers.tables import labels_from_text
from tfp_vae.data.splits import DEFAULT_FRACTIONS, SEEDED_TENTH, hold_out, split_at_random
from tfp_vae.data.transforms.scaling import PIXEL

__all__ = ["DATASETS", "find_folders"]

OMNIGLOT_SIZE = (28, 28)

IDX_VALIDATION = 5_000
"""The last training examples of MNIST and Fashion-MNIST, which are for validation."""


@check_keywords
def digits(folder: Path, progress: Progress | None = None) -> Dataset:
    """Handwritten digits, 8x8 grey, 1,797 examples. They come with scikit-learn.

    References:
      Alpaydin and Kaynak (1998), Cascading classifiers.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return split_at_random("digits", grey_images(bunch.images / 16.0, bunch.target))


@check_keywords
def mnist(folder: Path, progress: Progress | None = None) -> Dataset:
    """Handwritten digits, 28x28 grey, 60,000 + 10,000 examples. The last 5,000 of the first are for validation.

    References:
      LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.
    """
    return read_idx_dataset("mnist", MNIST, folder, progress)


@check_keywords
def fashion_mnist(folder: Path, progress: Progress | None = None) -> Dataset:
    """Articles of clothing, 28x28 grey, split like MNIST.

    References:
      Xiao, Rasul and Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning
      algorithms.
    """
    return read_idx_dataset("fashion-mnist", FASHION_MNIST, folder, progress)


@check_keywords
def binarized_mnist(folder: Path, progress: Progress | None = None) -> Dataset:
    """MNIST as binarized once by Larochelle, 28x28 binary, 50,000 + 10,000 + 10,000 examples, without labels.

    Each pixel was drawn once with its grey value as probability. Figures compare with those of papers that use this
    file, but not with dynamic or thresholded binarization.

    References:
      Larochelle and Murray (2011), The neural autoregressive distribution estimator.
    """
    splits = list[Split]()
    for path in obtain(BINARIZED_MNIST, find_folders("binarized-mnist", folder), progress):
        x = read_amat(path)
        if x.shape[1] != 784:
            raise DataError(f"{path}: expected rows of 784 values, found {x.shape[1]}. Download the file again.")
        splits.append(grey_images(x.reshape(-1, 28, 28)))
    train, validation, test = splits
    return Dataset("binarized-mnist", "canonical", train, validation, test)


@check_keywords
def omniglot(folder: Path, progress: Progress | None = None) -> Dataset:
    """Handwritten characters of 50 alphabets, 28x28 grey, 19,280 + 13,180 examples.

    Lake's images of 105x105, resized. The background set is for training, with a seeded tenth for validation. The
    evaluation set is for test. The stroke is 1, the paper 0, and labels are the numbers of the characters.

    References:
      Lake, Salakhutdinov and Tenenbaum (2015), Human-level concept learning through probabilistic program induction.
    """
    splits = []
    for path in obtain(OMNIGLOT, find_folders("omniglot", folder), progress):
        found = images.read_zip(path, lambda name: Path(name).stem.partition("_")[0].lstrip("0"), resize=OMNIGLOT_SIZE)
        labels = None if found.y is None else labels_from_text(found.y)
        splits.append(Split(1 - found.x / np.float32(PIXEL), labels))
    whole, test = splits
    train, validation = hold_out("omniglot", whole, DEFAULT_FRACTIONS[1:2])
    return Dataset("omniglot", f"canonical; {SEEDED_TENTH} from train for validation", train, validation, test)


DATASETS: Table[Dataset] = Table(
    "dataset",
    {
        "digits": digits,
        "mnist": mnist,
        "fashion-mnist": fashion_mnist,
        "binarized-mnist": binarized_mnist,
        "omniglot": omniglot,
    },
    base=Dataset,
)


def remotes(base: str, checksums: Mapping[str, str]) -> tuple[Remote, ...]:
    """Return the files of a data set, given the address of their folder and the checksum of each."""
    return tuple(Remote(name, base + name, checksum) for name, checksum in checksums.items())


MNIST = remotes(
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    {
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = remotes(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)
BINARIZED_MNIST = remotes(
    "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    {
        "binarized_mnist_train.amat": "sha256:ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        "binarized_mnist_valid.amat": "sha256:1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
        "binarized_mnist_test.amat": "sha256:e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
    },
)
OMNIGLOT = remotes(
    "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
    {
        "images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
    },
)


def grey_images(x: np.ndarray, y: np.ndarray | None = None) -> Split:
    """Return images [N, H, W] and their labels as a split of float32 values with one channel."""
    return Split(x.astype(np.float32)[..., np.newaxis], y)


def read_idx_dataset(name: str, files: Sequence[Remote], folder: Path, progress: Progress | None) -> Dataset:
    """Return a data set that is stored like MNIST: idx files of images and labels, for training and for test.

    Args:
      name: the data set's name.
      files: images and labels for training, then for test.
      folder: the folder of data sets.
      progress: shows the progress of downloads.

    Raises:
      DataError: images or labels have another shape, or there are too few.
    """
    train_x, train_y, test_x, test_y = map(read_idx, obtain(files, find_folders(name, folder), progress))
    for x, y in ((train_x, train_y), (test_x, test_y)):
        if x.ndim != 3 or 0 in x.shape:
            raise DataError(
                f"{name}: expected images [examples, height, width], found shape {x.shape}. Download the files again."
            )
        if y.shape != (len(x),):
            raise DataError(f"{name}: expected a label for each of {len(x)} examples, found labels of shape {y.shape}.")
    if len(train_x) <= IDX_VALIDATION:
        raise DataError(
            f"{name}: expected more than {IDX_VALIDATION} training images, found {len(train_x)}. Download the files "
            "again."
        )
    train, test = (grey_images(x / np.float32(PIXEL), y) for x, y in ((train_x, train_y), (test_x, test_y)))
    rule = f"canonical; the last {IDX_VALIDATION} training examples are for validation"
    return Dataset(name, rule, train[:-IDX_VALIDATION], train[-IDX_VALIDATION:], test)


def find_folders(dataset: str, folder: Path) -> list[Path]:
    """Return the folders that may hold the files of a data set. The first is for downloads.

    A folder that is named for another data set is left out, because MNIST and Fashion-MNIST have the same file names.

    Args:
      dataset: the data set's name.
      folder: the folder of data sets.
    """
    inner = [folder / dataset, folder / dataset.replace("-", "_")]
    other = folder.name.replace("_", "-") in DATASETS.keys() - {dataset}
    return inner if other else [*inner, folder]
