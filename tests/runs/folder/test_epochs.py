"""The metrics file: every line is read back exactly, and a damaged or missing line is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfp_vae.core import files
from tfp_vae.runs.folder import epochs

EPOCHS = [
    {
        "epoch": epoch,
        "step": 12 * epoch,
        "elbo": -27.5 - 1 / epoch,
        "distortion": 25.0,
        "rate": 2.5 + 1 / epoch,
        "validation_elbo": -28.0,
        "validation_distortion": 25.5,
        "validation_rate": 2.5,
        "validation_bound": -28.0,
        "learning_rate": 1e-3,
        "seconds": 0.25,
    }
    for epoch in (1, 2, 3)
]


def sealed(value: dict[str, object]) -> str:
    """Return a line with a valid checksum."""
    return files.json_text(files.seal(value)) + "\n"


class TestFormats:
    """The text of a file, and the lines in it."""

    def test_lines_are_read_back_exactly(self) -> None:
        assert epochs.parse(epochs.text(EPOCHS)) == EPOCHS
        assert epochs.parse("") == []

    def test_each_line_is_a_json_object_with_a_checksum(self) -> None:
        lines = epochs.text(EPOCHS).splitlines()
        assert len(lines) == len(EPOCHS)
        for line, epoch in zip(lines, EPOCHS, strict=True):
            assert json.loads(line).keys() == {*epoch, "checksum"}

    def test_validation_metrics_that_are_not_finite_are_null_with_a_reason(self) -> None:
        odd = {"validation_elbo": -np.inf, "validation_distortion": np.nan, "validation_rate": np.inf}
        line = {**EPOCHS[0], **odd}
        (found,) = epochs.parse(epochs.text([line]))
        assert list(found) == list(line)
        np.testing.assert_equal(found, line)
        written = json.loads(epochs.text([line]))
        assert {written[name] for name in odd} == {None}
        assert epochs.text([found]) == epochs.text([line])

    @pytest.mark.parametrize(
        "reason", [{}, {"validation_elbo_reason": "the value was 3, which is not a finite number"}]
    )
    def test_null_without_a_valid_reason_is_refused(self, reason: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="validation_elbo"):
            epochs.parse(epochs.text([{**EPOCHS[0], "validation_elbo": None, **reason}]))


class TestDamage:
    """Texts that `parse` refuses."""

    @pytest.mark.parametrize("field", list(EPOCHS[0]))
    def test_changed_value_does_not_match_the_checksum(self, field: str) -> None:
        value = json.loads(epochs.text(EPOCHS[:1]))
        with pytest.raises(ValueError, match="checksum"):
            epochs.parse(json.dumps({**value, field: 7}))

    @pytest.mark.parametrize("length", [1, 100, -2])
    def test_line_cut_short_is_refused(self, length: int) -> None:
        with pytest.raises(ValueError, match="line 1"):
            epochs.parse(epochs.text(EPOCHS[:1])[:length])

    @pytest.mark.parametrize("order", [(1, 2), (0, 2), (1, 0, 2), (0, 0)], ids=str)
    def test_missing_repeated_or_swapped_lines_are_refused(self, order: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="the epochs are not in order"):
            epochs.parse(epochs.text([EPOCHS[i] for i in order]))

    @pytest.mark.parametrize("line", ["[1]", "3", '"text"', "null"])
    def test_other_json_is_refused_with_its_line(self, line: str) -> None:
        with pytest.raises(ValueError, match="line 2 is not a JSON object"):
            epochs.parse(epochs.text(EPOCHS[:1]) + line)

    @pytest.mark.parametrize(
        "change",
        [{"epoch": 0}, {"step": -1}, {"elbo": "low"}, {"rate": np.inf}, {"seconds": None}, {"more": 1}],
        ids=str,
    )
    def test_wrong_values_are_refused_under_a_valid_checksum(self, change: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=next(iter(change))):
            epochs.parse(sealed({**EPOCHS[0], **change}))

    def test_missing_value_is_refused_under_a_valid_checksum(self) -> None:
        with pytest.raises(ValueError, match="rate"):
            epochs.parse(sealed({key: value for key, value in EPOCHS[0].items() if key != "rate"}))
