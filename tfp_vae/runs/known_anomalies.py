"""Known anomalies: rows with labels that say which of them are anomalies.

The labels come from a column of a table that is no feature, or from the labels of other data. They are never part of x.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import DataError, UsageError, cut, suggest
from tfp_vae.core.registry import check_keywords
from tfp_vae.data.dataset import Split
from tfp_vae.runs.config import RunConfig

__all__ = ["AnomalyLabel", "which_are_anomalies", "with_label_column"]

LABELS = ("label", "labels", "y")
"""Names of labels that are no column of a table."""

ANOMALY_WORDS = frozenset(
    {"1", "true", "yes", "y", "anomaly", "anomalous", "abnormal", "outlier", "fraud", "attack", "defect", "bad"}
)
"""Values that mark an anomaly if the other value of the labels is none of them."""


@final
@check_keywords
class AnomalyLabel(NamedTuple):
    """Where labels are, and which values mark an anomaly.

    name: a column of a table, or `label` for the labels of other data.
    values: the values that mark an anomaly. If there are none, the labels must have two values, and one of them is a
      word such as `1`, `true` or `fraud`.
    """

    name: str
    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> AnomalyLabel:
        """Return the label of a text such as `fraud`, `kind=fraud` or `label=5,6`."""
        name, equals, values = text.partition("=")
        found = tuple(value.strip() for value in values.split(",") if value.strip())
        if not name.strip() or (equals and not found):
            raise UsageError(f"expected a label such as kind or kind=fraud,theft, found {cut(repr(text))}.")
        return cls(name.strip(), found)


@check_keywords
def with_label_column(config: RunConfig, label: AnomalyLabel) -> RunConfig:
    """Return the config of a run in which a column of its table holds the labels. Other data keep their labels.

    Raises:
      UsageError: the column is a feature that the run has learned.
    """
    features = config.data.features
    if not features:
        if label.name not in LABELS:
            raise UsageError(
                f"The data of the run are no table with named columns, so there is no column {label.name!r}. Write "
                "`label` for the labels of the data."
            )
        return config
    table = config.data.reading.table
    if label.name in features or (table is not None and label.name in {each.name for each in table.modelled}):
        raise UsageError(
            f"The column {label.name!r} is one of the features of the run, so it cannot mark anomalies. Train a run "
            f"without it, for example with `drop_columns={label.name}`."
        )
    own = config.data.reading.label_column
    name = own if label.name in LABELS and own is not None else label.name
    reading = config.data.reading.model_copy(update={"label_column": name})
    return config.model_copy(update={"data": config.data.model_copy(update={"reading": reading})})


@check_keywords
def which_are_anomalies(split: Split, label: AnomalyLabel, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return whether each row is an anomaly, bool [N], and the values that mark anomalies.

    Args:
      split: rows with labels.
      label: which values mark an anomaly.
      where: the source of the rows, for errors.

    Raises:
      DataError: there are no labels, or they do not say which rows are anomalies.
    """
    if split.y is None or split.y.ndim != 1:
        raise DataError(f"{where}: found no column or labels {label.name!r}. Check the name.")
    texts = np.array([text_of_label(value) for value in split.y.tolist()])
    distinct = sorted(set(texts.tolist()))
    labels = list_names(list(map(repr, distinct)))
    if label.values:
        wanted = tuple(text_of_label(value) for value in label.values)
        missing = [value for value in wanted if value not in distinct]
        if missing:
            raise DataError(
                f"{where}: no row has the label {list_names(list(map(repr, missing)))} of {label.name}. Its labels: "
                f"{labels}.{suggest(missing[0], distinct)}"
            )
    elif len(distinct) == 1:
        raise DataError(f"{where}: every row has the label {labels} of {label.name}. Add rows with another label.")
    else:
        wanted = tuple(value for value in distinct if value.lower() in ANOMALY_WORDS)
        if len(distinct) != 2 or len(wanted) != 1:
            raise DataError(
                f"{where}: it is not clear which labels of {label.name} mark an anomaly: {labels}. Name them "
                f"as in {label.name}={distinct[-1]}."
            )
    anomalous = np.isin(texts, wanted)
    if anomalous.all():
        raise DataError(f"{where}: all rows are anomalies by {label.name}. Add usual rows, to compare them with.")
    return anomalous, wanted


def text_of_label(value: object) -> str:
    """Return a label as text. Whole numbers have no decimals, so 1.0 is the same label as 1."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
