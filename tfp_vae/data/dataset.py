"""Data sets: names and files -> arrays, with fixed splits, checked once.

`read` gives a data set as its source holds it, `load` the same scaled and checked for finiteness, `prepare` as a run's
binarization makes it. What is random (a split where there is none, the binarization of held-out data) comes from a
fixed seed, so that every run of a data set is judged on the same examples.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from tfp_vae.core.errors import DataError, UsageError, suggest
from tfp_vae.core.execution import align
from tfp_vae.core.registry import Member, Table, check_keywords
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.core.supports import BINARY, REAL, UNIT, Support, first_violation
from tfp_vae.data.downloads import Progress, Remote, data_folder, obtain
from tfp_vae.data.readers import arrays as files
from tfp_vae.data.readers import images, sources
from tfp_vae.data.readers.sources import KINDS, Examples, Reading, Source
from tfp_vae.data.readers.tables import typed
from tfp_vae.data.transforms.binarization import Binarization
from tfp_vae.data.transforms.scaling import SCALINGS

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "Origin",
    "Split",
    "as_split",
    "binarize_held_out",
    "check_split",
    "check_support",
    "default_scaling",
    "from_source",
    "load",
    "prepare",
    "read",
    "scaled",
    "warn_of_namesake",
]

logger = logging.getLogger("tfp_vae")

SPLITS = ("train", "validation", "test")

LARGEST_EVENT = 1 << 24
"""The most values that one example may have."""

NOTHING_SAID, UNSCALED = Reading(), SCALINGS.member("none")

HELD_OUT_FRACTION = 0.1
"""The share of the examples that goes to validation, and again to test, where no canonical split exists."""


@final
@dataclass(frozen=True)
class Split:
    """Examples x [N, *event_shape], their labels y [N] where there are any, and where they stood in the source.

    x is float32 once it is scaled. `rows` are the examples' places in the source, in order if not given; `names` are
    their names in it, such as those of files, where they have names. `part` is the name of this split in its data set,
    or None if it does not belong to one.

    ```python
    data = tv.data.dataset.load("digits")
    data.test[:10]  # Split(10 examples of 8x8x1, with labels)
    data.test.whence(0)  # "row ...", where the first stood in the source
    ```
    """

    x: np.ndarray
    y: np.ndarray | None = None
    rows: np.ndarray | None = None
    names: np.ndarray | None = None
    part: str | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        labels = "" if self.y is None else ", with labels"
        return f"Split({len(self):,} examples of {'x'.join(map(str, self.x.shape[1:]))}{labels})"

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> Split:
        """Return the examples of `rows`, any NumPy index of the first axis, with their places and names there."""
        y, names = (None if column is None else column[rows] for column in (self.y, self.names))
        return Split(self.x[rows], y, self.source_rows()[rows], names, self.part)

    def source_rows(self) -> np.ndarray:
        """Return where each example stood before the data was split, [N]."""
        return np.arange(len(self)) if self.rows is None else self.rows

    def whence(self, row: int) -> str:
        """Return what to call an example to whoever has its source: its name there, or its row."""
        return f"row {self.source_rows()[row]}" if self.names is None else str(self.names[row])


class Origin(NamedTuple):
    """Where a data set can be loaded again, from any folder.

    dataset: a name from `DATASETS`, or an absolute path.
    data_dir: the absolute path of the folder of named data sets, or None for the default one.
    """

    dataset: str
    data_dir: str | None = None


@final
@dataclass(frozen=True)
class Dataset:
    """A data set, split.

    name: as the user wrote it.
    split_rule: how it was split, in words.
    train, validation, test: the splits.
    reading: how its source was read, and would be read again.
    scaling: what was done to its values, with what the training data decided of it.
    origin: where to load it again, or None for data in memory.
    """

    name: str
    split_rule: str
    train: Split
    validation: Split
    test: Split
    reading: Reading = NOTHING_SAID
    scaling: Member = UNSCALED
    origin: Origin | None = None

    def __post_init__(self) -> None:
        for name in SPLITS:
            object.__setattr__(self, name, replace(getattr(self, name), part=name))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{count:,} {split}" for split, count in self.sizes().items())
        return f"Dataset({self.name!r}, {'x'.join(map(str, self.event_shape))}: {sizes})"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(map(int, self.train.x.shape[1:]))

    @property
    def parts(self) -> list[np.ndarray]:
        """The examples of each split, [N, *event_shape], in the order of `SPLITS`."""
        return [getattr(self, name).x for name in SPLITS]

    def sizes(self) -> dict[str, int]:
        """Return the number of examples in each split."""
        return {name: len(getattr(self, name)) for name in SPLITS}

    def fingerprint(self) -> str:
        """Return a digest of all values, which tells whether two runs saw the same data.

        The shapes and bytes of x in all splits, in their order; labels have no part in it. A run keeps it, and
        `preparation.reload` refuses data with another. Sixteen hexadecimal digits of SHA-256.
        """
        digest = hashlib.sha256()
        for name in SPLITS:
            x = np.ascontiguousarray(getattr(self, name).x)
            digest.update(repr(x.shape).encode())
            digest.update(x.data)
        return digest.hexdigest()[:16]


@check_keywords
def digits(folder: Path, progress: Progress | None = None) -> Dataset:
    """Handwritten digits, 8x8 grey, 1,797 examples; comes with scikit-learn, works offline.

    References:
      Alpaydin and Kaynak (1998), Cascading classifiers.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _split("digits", Split(_images(bunch.images / 16.0), bunch.target))


@check_keywords
def mnist(folder: Path, progress: Progress | None = None) -> Dataset:
    """Handwritten digits, 28x28 grey, 60,000 + 10,000 examples; the last 5,000 of the first are for validation.

    References:
      LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.
    """
    return _idx_dataset("mnist", MNIST, folder, progress)


@check_keywords
def fashion_mnist(folder: Path, progress: Progress | None = None) -> Dataset:
    """Articles of clothing, 28x28 grey, split as MNIST is.

    References:
      Xiao, Rasul and Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning
      algorithms.
    """
    return _idx_dataset("fashion-mnist", FASHION_MNIST, folder, progress)


@check_keywords
def binarized_mnist(folder: Path, progress: Progress | None = None) -> Dataset:
    """MNIST as binarized once by Larochelle, 28x28 binary, 50,000 + 10,000 + 10,000 examples, without labels.

    Each pixel was drawn once with its grey value as probability; figures on it compare with those of papers that use
    this file, and not with dynamic or thresholded binarization.

    References:
      Larochelle and Murray (2011), The neural autoregressive distribution estimator.
    """
    paths = obtain(BINARIZED_MNIST, _places("binarized-mnist", folder), progress)
    train, validation, test = (Split(_images(_squared(path, files.read_amat(path)))) for path in paths)
    return Dataset("binarized-mnist", "canonical", train, validation, test)


def _squared(path: Path, x: np.ndarray) -> np.ndarray:
    """Return rows of 784 values as 28x28 pictures."""
    if x.shape[1] != 784:
        raise DataError(f"{path}: expected rows of 784 values, found {x.shape[1]}; get the file anew.")
    return x.reshape(-1, 28, 28)


@check_keywords
def omniglot(folder: Path, progress: Progress | None = None) -> Dataset:
    """Handwritten characters of 50 alphabets, from 105x105 brought to 28x28 grey, 19,280 + 13,180 examples.

    Lake's images: the background set is for training, a seeded tenth of it for validation, the evaluation set for
    test. The stroke is 1, the paper 0; labels are the characters' numbers.

    References:
      Lake, Salakhutdinov and Tenenbaum (2015), Human-level concept learning through probabilistic program induction.
    """
    paths = obtain(OMNIGLOT, _places("omniglot", folder), progress)
    whole, test = (_characters(path) for path in paths)
    train, validation = _parted("omniglot", whole, [HELD_OUT_FRACTION])
    return Dataset("omniglot", f"canonical; {_SEEDED} from train for validation", train, validation, test)


def _characters(path: Path) -> Split:
    """Return the drawings in an archive, labelled by the character's number, with which their names begin."""
    found = images.read_zipped(path, lambda name: Path(name).stem.partition("_")[0].lstrip("0"), resize=OMNIGLOT_SIZE)
    labels = None if found.y is None else typed(found.y)
    return Split(1 - found.x / np.float32(255), labels)


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


def _remotes(base: str, checksums: Mapping[str, str]) -> tuple[Remote, ...]:
    return tuple(Remote(name, base + name, checksum) for name, checksum in checksums.items())


MNIST = _remotes(
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    {
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = _remotes(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)
BINARIZED_MNIST = _remotes(
    "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    {
        "binarized_mnist_train.amat": "sha256:ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        "binarized_mnist_valid.amat": "sha256:1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
        "binarized_mnist_test.amat": "sha256:e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
    },
)
OMNIGLOT = _remotes(
    "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
    {
        "images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
    },
)
OMNIGLOT_SIZE = (28, 28)
IDX_VALIDATION = 5_000


def _idx_dataset(name: str, remotes: Sequence[Remote], folder: Path, progress: Progress | None) -> Dataset:
    train_x, train_y, test_x, test_y = map(files.read_idx, obtain(remotes, _places(name, folder), progress))
    for x, y in ((train_x, train_y), (test_x, test_y)):
        _check_pictures(name, x)
        _check_labels(name, x, y)
    train, test = Split(_images(train_x / np.float32(255)), train_y), Split(_images(test_x / np.float32(255)), test_y)
    if len(train) <= IDX_VALIDATION:
        raise DataError(
            f"{name}: expected more than {IDX_VALIDATION} training images, found {len(train)}; get the files anew."
        )
    rule = f"canonical; the last {IDX_VALIDATION} training examples are for validation"
    return Dataset(name, rule, train[:-IDX_VALIDATION], train[-IDX_VALIDATION:], test)


def _check_pictures(name: str, x: np.ndarray) -> None:
    if x.ndim != 3 or 0 in x.shape:
        raise DataError(
            f"{name}: expected images [examples, height, width], found shape {x.shape}; get the files anew."
        )


def _places(dataset: str, folder: Path) -> list[Path]:
    """Return where a data set's files may lie: not in a folder named for another, as some share their files' names.

    MNIST and Fashion-MNIST use the same file names: a folder that is named for one is not searched for the other.
    """
    named_for = folder.name.replace("_", "-")
    own = [folder / dataset, folder / dataset.replace("-", "_")]
    return own if named_for in DATASETS and named_for != dataset else [*own, folder]


def load(
    name: str,
    *,
    data_dir: str | None = None,
    progress: Progress | None = None,
    reading: Reading | None = None,
    scaling: str | Member | None = None,
    recorded: bool = False,
) -> Dataset:
    """Return a data set by name or path, split, scaled, and checked for shape and finiteness.

    Whole data sets are held in memory, as float32: 4 bytes a value, and the source's own type beside it while it is
    scaled.

    ```python
    data = tv.data.dataset.load("digits")  # 1,797 images of 8x8 in [0, 1]
    data.train.x.shape, data.sizes()  # (1437, 8, 8, 1), {"train": 1437, "validation": 180, "test": 180}
    ```

    Args:
      name: a name from `DATASETS`, or the path of a file or folder, see `sources.read`.
      data_dir: where named data sets lie or are downloaded to, see `downloads.data_folder`; and where a file is looked
        for that is not at its path.
      progress: told of each download's bytes; see `downloads.obtain`.
      reading: how a file or folder is read.
      scaling: a member of `SCALINGS`; by default `pixels` for images of 8 bits or in [0, 1], else `none`.
      recorded: whether a run recorded these arguments, so that code is imported only inside `registry.allow_code`.

    Returns:
      The data set, its values float32. Where no canonical split exists, a tenth of the examples each is held out
      for validation and test, by a permutation from a fixed seed.

    Raises:
      UsageError: neither a name nor a path, or a `reading` that does not fit.
      DataError: a file that is missing, malformed, empty, or holds values that are not finite.
    """
    dataset = read(name, data_dir=data_dir, progress=progress, reading=reading, recorded=recorded)
    return scaled(dataset, default_scaling(dataset) if scaling is None else scaling)


def read(
    name: str,
    *,
    data_dir: str | None = None,
    progress: Progress | None = None,
    reading: Reading | None = None,
    recorded: bool = False,
) -> Dataset:
    """Return a data set as `load` does, but neither scaled nor checked for values that are not finite."""
    reading = reading or Reading()
    if DATASETS.knows(name) and reading.given() and not recorded:
        raise UsageError(f"`{min(reading.given())}` has no effect on the named data set {name}. Leave it out.")
    folder = data_folder(data_dir)
    if DATASETS.knows(name):
        member = DATASETS.member(name, recorded=recorded)
        dataset = DATASETS.build(member, folder=folder, progress=progress)
        if dataset.scaling != UNSCALED:
            raise UsageError(
                f"dataset {name!r}: expected values that are not scaled. Return `tv.data.load(..., scaling='none')`."
            )
        dataset = replace(dataset, name=name)
    else:
        dataset = _from_path(name, data_dir, reading)
    _check_shapes(dataset)
    return dataset


def warn_of_namesake(name: str, data_dir: str | None) -> None:
    """Warn of a named data set where a person's own data may be meant, that lie here under its name.

    What lies here is not that where the data set's own files are in it.
    """
    here = Path(name)
    if name in DATASETS and here.exists() and here.resolve() != (data_folder(data_dir) / name).resolve():
        logger.warning("%s is the data set of that name; for what lies here under it, write ./%s.", name, name)


def default_scaling(dataset: Dataset) -> str:
    """Return `pixels` for images that then lie in [0, 1], unless they are binary already; else `none`.

    Args:
      dataset: not yet scaled.

    Returns:
      A name from `SCALINGS`. Vectors are never taken for pixels, even of 8 bits.
    """
    if len(dataset.event_shape) == 1:
        return "none"
    if all(x.dtype == np.uint8 for x in dataset.parts):
        return "pixels" if max(int(x.max()) for x in dataset.parts) > 1 else "none"
    return "pixels" if all(first_violation(x, UNIT) is None for x in dataset.parts) else "none"


def scaled(dataset: Dataset, scaling: str | Member) -> Dataset:
    """Return a data set with its values scaled, as its training data decide, after checking that they are finite.

    Args:
      dataset: as `read` gives it.
      scaling: a member of `SCALINGS`, or its text.

    Raises:
      DataError: a value that is not finite, before or after scaling, with its row named.
    """
    _check_any_finite(dataset)
    _check_finite(dataset)
    name, settings = SCALINGS.member(scaling)
    member = SCALINGS.member({"name": name, **SCALINGS[name].settings_from(settings, dataset.train.x)})
    apply = SCALINGS.build(member)
    splits = {split: replace(getattr(dataset, split), x=apply(getattr(dataset, split).x)) for split in SPLITS}
    result = replace(dataset, scaling=member, **splits)
    _check_finite(result)
    return result


def _check_any_finite(dataset: Dataset) -> None:
    if not any(np.isfinite(x).any() for x in dataset.parts):
        raise DataError(
            f"{dataset.name}: expected numbers, found only values that are missing or infinite; look at how it was "
            "written, and get it anew."
        )


def _check_finite(dataset: Dataset) -> None:
    found = not_finite(dataset)
    if found is not None:
        more = f", and {found.examples - 1:,} other rows with such values" if found.examples > 1 else ""
        split = getattr(dataset, found.split)[[found.row]]
        check_split(f"{dataset.name}, {found.split} split", split, REAL, lambda: f"remove or mend that row{more}")


class NotFinite(NamedTuple):
    """The first example in the source's order with a value that is not finite: its split, its row in that, how many."""

    split: str
    row: int
    examples: int


def not_finite(dataset: Dataset, support: Support = REAL) -> NotFinite | None:
    """Return which example is the first in the source with a value that is missing or infinite, or None.

    Where splits have sources of their own, train comes before validation and test.

    Args:
      dataset: as `read` gives it.
      support: the values that are none of those; more than the real numbers where some of the others do not count.
    """
    parts = {name: getattr(dataset, name) for name in SPLITS}
    wrong = {
        name: _rows_outside(part.x, support)
        for name, part in parts.items()
        if first_violation(part.x, support) is not None
    }
    count = sum(map(len, wrong.values()))
    firsts = [NotFinite(name, min(rows, key=parts[name].source_rows().item), count) for name, rows in wrong.items()]
    return min(firsts, key=lambda each: _place(parts[each.split], each.row), default=None)


def _rows_outside(x: np.ndarray, support: Support) -> list[int]:
    rows: list[int] = np.flatnonzero(~support.contains(x.reshape(len(x), -1)).all(axis=1)).tolist()
    return rows


def _place(split: Split, row: int) -> tuple[bool, int]:
    """Return what sorts examples by their place in the source; those of a source of their own come last."""
    return split.rows is None, 0 if split.rows is None else int(split.rows[row])


def _check_shapes(dataset: Dataset) -> None:
    """Refuse a data set whose examples differ in shape between splits, or are too large to be one."""
    shapes = {name: getattr(dataset, name).x.shape[1:] for name in SPLITS}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{dataset.name}: expected one shape of example in all splits, found {shapes}.")
    if math.prod(dataset.event_shape) > LARGEST_EVENT:
        raise DataError(
            f"{dataset.name}: expected examples of at most {LARGEST_EVENT:,} values, found {shapes['train']}."
        )


def _from_path(name: str, data_dir: str | None, reading: Reading) -> Dataset:
    path = Path(name).expanduser()
    if not sources.is_path(name):
        hint = suggest(name, DATASETS)
        raise UsageError(
            f"unknown dataset {name!r}; choose from {', '.join(DATASETS)}, or give the path of {KINDS}"
            f"{'.' * bool(hint)}{hint}"
        )
    if data_dir is not None and not path.exists():
        path = Path(data_dir).expanduser() / path.name
    return from_source(name, sources.read(path, reading))


def from_source(name: str, source: Source) -> Dataset:
    """Return a source as a data set. If it has no splits of its own, they follow from a fixed seed.

    Args:
      name: the data set's name in messages.
      source: examples and how they were read.
    """
    splits = {split: as_split(examples) for split, examples in source.parts.items()}
    return replace(_RULES[len(splits)](name, splits), reading=source.reading)


def as_split(examples: Examples) -> Split:
    """Return examples as a split, images with a channel axis.

    Args:
      examples: as a reader gives them, images [N, H, W] or [N, H, W, C], or vectors [N, M].
    """
    x = examples.x[..., np.newaxis] if examples.x.ndim == 3 else examples.x
    return Split(x, examples.y, names=examples.names)


def _seeded(name: str, splits: Mapping[str, Split]) -> Dataset:
    return _split(name, next(iter(splits.values())))


def _without_validation(name: str, splits: Mapping[str, Split]) -> Dataset:
    train, validation = _parted(name, splits["train"], [HELD_OUT_FRACTION])
    return Dataset(name, f"as in the file; {_SEEDED} from train for validation", train, validation, splits["test"])


def _as_given(name: str, splits: Mapping[str, Split]) -> Dataset:
    return Dataset(name, "as in the file", splits["train"], splits["validation"], splits["test"])


_RULES = {1: _seeded, 2: _without_validation, 3: _as_given}
"""How a source is split, by the number of splits that it has itself."""

_SEEDED = f"a seeded tenth (seed {FIXED_SEED})"


def _check_labels(name: str, x: np.ndarray, y: np.ndarray) -> None:
    if y.shape != (len(x),):
        raise DataError(f"{name}: expected a label for each of {len(x)} examples, found labels of shape {y.shape}.")


def _images(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32)[..., np.newaxis]


def _split(name: str, whole: Split) -> Dataset:
    """Hold out a tenth for validation and a tenth for test, by a permutation from a fixed seed."""
    train, validation, test = _parted(name, whole, [HELD_OUT_FRACTION, HELD_OUT_FRACTION])
    return Dataset(name, f"{_SEEDED} each for validation and test", train, validation, test)


def _parted(name: str, split: Split, fractions: Sequence[float]) -> list[Split]:
    """Return the rest of `split`, then a part for each fraction of it, at least one example each.

    Always at least one example in each part: of 3 examples, one each.
    """
    order = generator(FIXED_SEED, Purpose.SPLIT).permutation(len(split))
    sizes = [math.ceil(fraction * len(split)) for fraction in fractions]
    if len(split) - sum(sizes) < 1:
        raise DataError(
            f"{name}: expected at least {len(sizes) + 1} examples, one for each split, found {len(split)}; gather more."
        )
    bounds = np.cumsum([len(split) - sum(sizes), *sizes[:-1]])
    return [split[rows] for rows in np.split(order, bounds)]


def check_support(dataset: Dataset, support: Support, advice: Callable[[], str]) -> None:
    """Raise DataError, naming the first offending example and giving advice, if data lies outside `support`.

    Args:
      dataset: scaled.
      support: of the likelihood, or what a binarization takes for it.
      advice: asked for what to do, once something is wrong.

    Raises:
      DataError: names the split, the value, and the example by its row or name in the source.
    """
    for name in SPLITS:
        check_split(f"{dataset.name}, {name} split", getattr(dataset, name), support, advice)


def check_split(name: str, split: Split, support: Support, advice: Callable[[], str]) -> None:
    """Raise DataError as `check_support` does, of one split.

    Args:
      name: what to call it in the message.
      split: the examples.
      support: what their values have to be in.
      advice: asked for what to do, once something is wrong.
    """
    violation = first_violation(split.x, support)
    if violation is not None:
        raise DataError(
            f"{name}: expected values in {support.text}, found {violation.value:g} in "
            f"{split.whence(violation.row)} of its source; {advice()}."
        )


def default_binarization(dataset: Dataset, support: Support) -> str:
    """Return `dynamic` for grey data under a likelihood of binary data, else `none`.

    Args:
      dataset: scaled.
      support: of the likelihood.
    """
    grey = support is BINARY and first_violation(dataset.train.x, BINARY) is not None
    return "dynamic" if grey else "none"


def prepare(dataset: Dataset, binarization: Binarization, run_seed: int) -> Dataset:
    """Return the data set as a run sees it.

    Training data is binarized from the run's seed; held-out data from a fixed one, so that evaluations of different
    runs compare. Training data begins in memory where TensorFlow takes it without a copy.

    Args:
      dataset: scaled, and checked for what the binarization takes.
      binarization: from `BINARIZATIONS`.
      run_seed: the run's.
    """
    train_x = binarization.training(dataset.train.x, generator(run_seed, Purpose.BINARIZATION))
    return replace(
        dataset,
        train=replace(dataset.train, x=align(train_x)),
        validation=binarize_held_out(dataset.validation, binarization),
        test=binarize_held_out(dataset.test, binarization),
    )


def binarize_held_out(split: Split, binarization: Binarization) -> Split:
    """Return a split as evaluation sees it: binarized once, from a fixed seed that all runs share.

    Values of 0 and 1 stay as they are, so binarizing twice changes nothing. Each split of a data set has its own seed.
    Examples that do not belong to a data set use that of the training split.

    Args:
      split: scaled, with values that the binarization takes.
      binarization: from `BINARIZATIONS`.
    """
    index = SPLITS.index(split.part) if split.part in SPLITS else 0
    return replace(split, x=binarization.held_out(split.x, generator(FIXED_SEED, Purpose.HELD_OUT, index)))
