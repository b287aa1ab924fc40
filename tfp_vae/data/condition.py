"""The condition of a conditional model p(x|y): labels or columns of a table as numbers y, the context of each example.

A `Condition` is learned from the training examples. Words and labels become one value for each class (one-hot), and
columns of numbers one standardized value. If the training examples lack the class of some rows, the condition is
partial, and the context of a row without its class is zeros.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Literal, final

import numpy as np
import pydantic

from tfp_vae.core.display import list_names, plural
from tfp_vae.core.errors import DataError, UsageError, suggest
from tfp_vae.core.registry import BaseRecord
from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.data.dataset import SPLITS, Dataset, Split
from tfp_vae.data.readers.tables import MISSING
from tfp_vae.data.schema.cells import Distinct, text_array
from tfp_vae.data.schema.guess import Judge, has_comma_decimals
from tfp_vae.data.schema.numerals import PLAIN, Notation, Unit

__all__ = [
    "LABEL",
    "MOST_CLASSES",
    "Condition",
    "Variable",
    "condition_on",
    "given_context",
    "hide_classes",
    "with_context",
]

LABEL = "label"
"""The name of the condition that means the labels of the examples."""

MOST_CLASSES = 1_000
"""The most classes of a variable."""


@final
class Variable(BaseRecord):
    """One variable of a condition.

    name: `label`, or the name of a column.
    classes: the words or labels, each with one value of y. Empty for a number.
    loc, scale: the mean and the standard deviation of a number in training, which standardize it.
    decimal, thousands, prefix, suffix: how numbers are written, see `Column`.
    """

    name: str
    classes: tuple[str, ...] = ()
    loc: pydantic.FiniteFloat = 0.0
    scale: Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)] = 1.0
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    prefix: str = ""
    suffix: str = ""

    @property
    def size(self) -> int:
        """The number of values of y."""
        return len(self.classes) or 1

    @property
    def notation(self) -> Notation:
        """The marks in its numbers."""
        return Notation(self.decimal, self.thousands)

    @property
    def unit(self) -> Unit:
        """The text around its numbers."""
        return Unit(self.prefix, self.suffix)

    @classmethod
    def learn(cls, name: str, values: np.ndarray, where: str) -> Variable:
        """Return a variable with the classes, or the mean and the deviation, of training values [N].

        Raises:
          DataError: there are too many classes, or only one value.
        """
        if name != LABEL or values.dtype.kind == "f":
            number = cls(name=name, **read_marks(name, values))
            numbers = number.read(values)
            if np.isfinite(numbers).all():
                if not np.ptp(numbers) > 0:
                    raise DataError(f"{where}: all training rows have the same {name!r}. Choose another condition.")
                return number.model_copy(update={"loc": float(numbers.mean()), "scale": float(numbers.std())})
        texts = [str(text) for text in np.unique(values)]
        classes = tuple(sorted(texts, key=class_order))
        if not 2 <= len(classes) <= MOST_CLASSES:
            raise DataError(
                f"{where}: expected 2 to {MOST_CLASSES:,} classes of {name!r} to condition on, found {len(classes):,}. "
                "Choose another condition."
            )
        return cls(name=name, classes=classes)

    def read(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers in values [N], float64 [N]. NaN for texts without a number."""
        if values.dtype.kind in "iuf":
            return values.astype(np.float64)
        texts = np.char.strip(values.astype(np.str_)).tolist()
        return self.notation.parse_all(self.unit.strip_all(texts))

    def write(self, number: float) -> str:
        """Return a number as `given` takes it, without the unit."""
        return f"{number:.4g}".replace(".", self.decimal)

    def encode(self, values: np.ndarray, where: str) -> np.ndarray:
        """Return values [N] as numbers, [N, size].

        Raises:
          DataError: a value is not a number, or is a class that the training data do not have.
        """
        if not self.classes:
            numbers = self.read(values)
            wrong = list(dict.fromkeys(values[~np.isfinite(numbers)].tolist()))
            if wrong:
                form, found = self.unit.wrap(self.write(self.loc)), list_names([repr(each) for each in wrong])
                raise DataError(
                    f"{where}: expected numbers such as {form} in {self.name!r}, found {found}. Correct them."
                )
            return np.asarray((numbers[:, np.newaxis] - self.loc) / self.scale)
        texts = values.astype(np.str_)
        unknown = sorted({*texts.tolist()} - {*self.classes})
        if unknown:
            raise DataError(
                f"{where}: the training data have no {list_names([repr(each) for each in unknown])} among the "
                f"{len(self.classes)} classes of {self.name!r}. Correct them, or drop those rows."
            )
        return np.asarray(texts[:, np.newaxis] == np.array(self.classes), np.float64)

    def parse(self, text: str) -> np.ndarray:
        """Return a value in a text as numbers, [size]. A number may lack its unit, and may be written as programs do.

        Raises:
          UsageError: the text is no number, or no class of the variable.
        """
        if self.classes:
            if text not in self.classes:
                known = list_names(list(self.classes))
                raise UsageError(f"`given`: {text!r} is not a class of {self.name!r}. Choose from {known}.")
            return np.asarray(self.encode(np.array([text]), "given")[0])
        numbers = (self.notation.parse(self.unit.strip(text)), self.notation.parse(text), PLAIN.parse(text))
        number = next((each for each in numbers if each is not None), None)
        if number is None:
            raise UsageError(f"`given`: expected a number for {self.name!r}, found {text!r}.")
        return np.asarray(self.encode(np.array([number]), "given")[0])


def read_marks(name: str, values: np.ndarray) -> dict[str, str]:
    """Return the marks and the unit in numbers [N], which may be texts, as the schema of a table has them."""
    texts = text_array(values.astype(np.str_).tolist())
    judge = Judge(name, Distinct.of(texts), len(texts), has_comma_decimals(texts), {})
    return {**judge.numbers.notation._asdict(), **judge.numbers.unit._asdict()}


def class_order(text: str) -> tuple[bool, float, str]:
    """Return a key that sorts numbers by value, before words."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


@final
class Condition(BaseRecord):
    """The variables y of p(x|y), and how they become numbers.

    variables: the variables.
    frequencies: p(y) of the classes of a partial condition, from the training examples whose class is known.

    ```python
    condition = tv.data.load("digits", condition="label").condition
    condition.size, condition.encode({"label": np.array([3, 0])}).shape  # (10, (2, 10))
    condition.parse("3")  # [10], y of the digit 3
    ```
    """

    variables: tuple[Variable, ...]
    frequencies: tuple[Annotated[float, pydantic.Field(gt=0, le=1)], ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether the class of some training examples is unknown, so that a model needs a classifier."""
        return bool(self.frequencies)

    def __str__(self) -> str:
        return ", ".join(
            f"{each.name} ({len(each.classes)} classes)" if each.classes else f"{each.name} (number)"
            for each in self.variables
        )

    @property
    def size(self) -> int:
        """C, the number of values of y."""
        return sum(each.size for each in self.variables)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables."""
        return tuple(each.name for each in self.variables)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, if the condition is one variable with classes. Otherwise nothing."""
        return self.variables[0].classes if len(self.variables) == 1 else ()

    def encode(self, columns: Mapping[str, np.ndarray], where: str = "condition") -> np.ndarray:
        """Return the contexts of N examples, float32 [N, C].

        If the condition is partial, the context of a row without its class is zeros.

        Args:
          columns: the values [N] of each variable by name.
          where: the source, for errors.

        Raises:
          DataError: a variable is absent, or a value is missing or of an unknown class.
        """
        absent = [name for name in self.names if name not in columns]
        if absent:
            what = "labels" if absent == [LABEL] else f"column {list_names([repr(name) for name in absent])}"
            raise DataError(f"{where}: the model is conditioned on {what}, which these data lack. Add them.")
        if self.is_partial:
            (variable,) = self.variables
            values = columns[variable.name]
            known = ~is_missing(values)
            context = np.zeros((len(values), variable.size), np.float32)
            context[known] = variable.encode(values[known], where)
            return context
        return np.concatenate(
            [each.encode(columns[each.name], where) for each in self.variables], axis=1, dtype=np.float32
        )

    def parse(self, text: str) -> np.ndarray:
        """Return the context [C] of a text: a value of a single variable, or `name=value` for each, with commas.

        Raises:
          UsageError: a variable is unknown or absent, or a value is no number or no class of it.
        """
        if len(self.variables) == 1:
            pairs = {self.names[0]: text.removeprefix(f"{self.names[0]}=")}
        else:
            names = "|".join(map(re.escape, self.names))
            parts = re.split(rf",\s*(?=(?:{names})=)", text)  # not at each comma, because a value may hold commas
            pairs = dict(part.strip().partition("=")[::2] for part in parts)
        unknown = [name for name in pairs if name not in self.names]
        absent = [name for name in self.names if name not in pairs]
        if unknown or absent:
            example = ",".join(
                f"{each.name}={each.classes[0] if each.classes else each.write(each.loc)}" for each in self.variables
            )
            problem = (
                f"unknown variable {unknown[0]!r}.{suggest(unknown[0], self.names)}"
                if unknown
                else f"{absent[0]!r} is missing."
            )
            raise UsageError(f"`given`: {problem} Write `given={example}`.")
        return np.concatenate([each.parse(pairs[each.name]) for each in self.variables], dtype=np.float32)

    def typical(self) -> np.ndarray:
        """Return the context [C] that pictures of one context show: the first class and the mean of numbers."""
        return np.concatenate(
            [np.eye(each.size)[0] if each.classes else np.zeros(1) for each in self.variables]
        ).astype(np.float32)

    def text(self, context: np.ndarray) -> str:
        """Return a context [C] as `given` takes it, without the name of a single variable."""
        parts, start = [], 0
        for each in self.variables:
            values = context[start : start + each.size]
            start += each.size
            value = (
                each.classes[int(np.argmax(values))] if each.classes else each.write(values[0] * each.scale + each.loc)
            )
            parts.append(f"{each.name}={value}" if len(self.variables) > 1 else value)
        return ",".join(parts)


def columns_of(split: Split) -> dict[str, np.ndarray]:
    """Return the possible conditions of a split: its labels, and the columns of a table that are not modelled."""
    return {**({} if split.y is None else {LABEL: split.y}), **split.ids}


def factors_of(split: Split, names: Collection[str], label_column: str | None, where: str) -> dict[str, np.ndarray]:
    """Return known factors of the examples [N] by name: columns of `columns_of`, or columns of labels [N, F].

    The latter have the names label_1, ..., label_F. Columns whose values are all numbers become numbers.

    Args:
      split: the examples.
      names: the names of the factors.
      label_column: another name of the labels.
      where: the source of the rows, for errors.

    Raises:
      UsageError: there is no such factor.
      DataError: a factor has missing values.
    """
    known = columns_of(split)
    labels = known.get(LABEL)
    if labels is not None and labels.ndim > 1:
        del known[LABEL]
        known |= {f"{LABEL}_{i + 1}": column for i, column in enumerate(labels.reshape(len(labels), -1).T)}
    elif labels is not None and label_column is not None:
        known.setdefault(label_column, labels)
    unknown = [name for name in names if name not in known]
    if unknown:
        has = f"Choose from {', '.join(known)}." if known else "Its data have no labels and no columns of ids."
        raise UsageError(f"`factors`: {where} has no {unknown[0]!r}. {has}{suggest(unknown[0], known)}")
    return {name: as_numbers(known[name], name, where) for name in names}


def as_numbers(values: np.ndarray, name: str, where: str) -> np.ndarray:
    """Return a column of texts as numbers if all of them are, and raise DataError if it has missing values."""
    missing = is_missing(values)
    if missing.any():
        count = int(missing.sum())
        raise DataError(
            f"{where}: {plural(count, 'row')} {'has' if count == 1 else 'have'} no {name!r}, which is one of the "
            "factors. Leave this factor out, or fill it in."
        )
    try:
        return values.astype(np.float64)
    except ValueError:
        return values


def is_missing(values: np.ndarray) -> np.ndarray:
    """Return whether values [N] are missing, bool [N]. Texts such as NA and NaN are."""
    return np.isin(np.char.lower(np.char.strip(values.astype(np.str_))), list(MISSING))


def check_present(split: Split, names: Collection[str], where: str) -> None:
    """Raise DataError if a label or a column that the model is conditioned on has missing values."""
    for name, values in columns_of(split).items():
        missing = is_missing(values)
        if name in names and missing.any():
            count = int(missing.sum())
            rows = f"{plural(count, 'row')} {'has' if count == 1 else 'have'} no {name!r}"
            places = split.source_rows() if split.lines is None else split.lines
            first = min(np.asarray(places)[missing])
            at = f"row {first}, counted from 0" if split.lines is None else f"line {first}"
            raise DataError(
                f"{where}: {rows}, which the model is conditioned on (first: {at}). Fill them in, or drop those rows."
            )


def with_context(split: Split, condition: Condition | None, where: str) -> Split:
    """Return examples with the contexts of a condition, or unchanged if there is none."""
    if condition is None:
        return split
    columns = columns_of(split)
    if condition.is_partial:
        unknown = np.full(len(split), "nan")
        columns = {**dict.fromkeys(condition.names, unknown), **columns}
    else:
        check_present(split, condition.names, where)
    return replace(split, context=condition.encode(columns, where))


def rows_to_label(values: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return which rows keep their class, bool [N]: as many of each class as possible, at random.

    Args:
      values: the classes [N], some of which may be missing.
      count: how many rows keep it.
      seed: decides which.

    Raises:
      UsageError: there are fewer rows with a class, or more classes than rows to keep.
    """
    known = np.flatnonzero(~is_missing(values))
    order = known[generator(seed, Purpose.LABELLED).permutation(len(known))]
    classes, of = np.unique(values[order], return_inverse=True)
    if not len(classes) <= count <= len(known):
        raise UsageError(
            f"`labelled` must be between {len(classes):,}, one for each class, and {len(known):,}, the number of "
            f"training rows with a class, found {count:,}."
        )
    ranks = np.empty(len(order), int)  # the place of each row among those of its class
    for each in range(len(classes)):
        ranks[of == each] = np.arange(np.count_nonzero(of == each))
    kept = np.zeros(len(values), bool)
    kept[order[np.argsort(ranks, kind="stable")[:count]]] = True
    return kept


def given_context(split: Split, context: np.ndarray) -> Split:
    """Return examples that all have one context [C], whatever their labels or columns are."""
    return replace(split, context=np.repeat(context[np.newaxis], len(split), axis=0))


def hide_classes(split: Split) -> Split:
    """Return examples whose classes count as unknown, so that a model with a classifier sums over them."""
    return split if split.context is None else replace(split, context=np.zeros_like(split.context))


def condition_on(
    dataset: Dataset, names: tuple[str, ...], labelled: int | None = None, labelled_seed: int = 0
) -> Dataset:
    """Return a data set with the contexts of these labels or columns, learned from its training examples.

    If y is one variable with classes, it may be missing in some rows. The condition is then partial.

    Args:
      dataset: before scaling.
      names: the names of the labels or the columns.
      labelled: the number of training examples that keep their class. By default all do.
      labelled_seed: decides which ones.

    Raises:
      UsageError: there are no labels or no such column, or `labelled` is used for something other than classes.
      DataError: values are missing, or validation and test examples have other classes than the training examples.
    """
    known = columns_of(dataset.train)
    if dataset.reading.label_column in names:
        known[str(dataset.reading.label_column)] = known.get(LABEL, np.zeros(0))
    for name in names:
        if name not in known:
            has = f"Choose from {', '.join(known)}." if known else "The data have no labels."
            raise UsageError(
                f"`condition`: {dataset.name} has no {name!r} to condition on. {has}{suggest(name, known)}"
            )
        if known[name].ndim > 1:
            raise UsageError(
                f"`condition`: {dataset.name} has several labels for each example, but a condition needs one. Pass one "
                "column of them."
            )
    train = dataset.train
    names = tuple(LABEL if name == dataset.reading.label_column and name not in train.ids else name for name in names)
    values = columns_of(train)
    condition = learn_partial(dataset, names, labelled, labelled_seed)
    if condition is None:
        check_present(train, names, f"{dataset.name}, train split")
        condition = Condition(variables=tuple(Variable.learn(name, values[name], dataset.name) for name in names))
    splits = {
        name: with_context(split, condition, f"{dataset.name}, {name} split") if len(split) else split
        for name, split in dataset.splits.items()
    }
    train, validation, test = (splits[name] for name in SPLITS)
    if labelled is not None and train.context is not None:
        kept = rows_to_label(values[names[0]], labelled, labelled_seed)
        train = replace(train, context=np.where(kept[:, np.newaxis], train.context, np.float32(0)))
    return replace(dataset, train=train, validation=validation, test=test, condition=condition)


def learn_partial(
    dataset: Dataset, names: tuple[str, ...], labelled: int | None, labelled_seed: int
) -> Condition | None:
    """Return the condition of a training split that lacks the class of some rows, or None if none lacks it.

    Args:
      dataset, names, labelled, labelled_seed: see `condition_on`.

    Raises:
      UsageError: `labelled` is used for several variables, or for numbers.
      DataError: there are too few or too many classes.
    """
    values = columns_of(dataset.train)[names[0]]
    known = ~is_missing(values)
    if len(names) > 1 or (known.all() and labelled is None) or not known.any():
        if labelled is not None and len(names) > 1:
            raise UsageError("`labelled` needs a condition of one variable with classes. Leave it out.")
        return None
    variable = Variable.learn(names[0], values[known], dataset.name)
    if not variable.classes:
        if labelled is not None:
            raise UsageError(f"`labelled` needs a condition with classes, but {names[0]!r} has numbers. Leave it out.")
        return None
    if labelled is not None:
        known = rows_to_label(values, labelled, labelled_seed)
    counts = variable.encode(values[known], dataset.name).sum(axis=0)
    return Condition(variables=(variable,), frequencies=tuple((counts / counts.sum()).tolist()))
