"""Atomic writes of files, and JSON without NaN."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfp_vae as tv
from tfp_vae.core import files
from tfp_vae.core.errors import DataError, DiskError
from tfp_vae.core.files import printable, user_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_replaces_the_file_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_write_respects_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_write_keeps_the_previous_content_under_the_other_name(tmp_path: Path) -> None:
    path, previous = tmp_path / "a", tmp_path / "b"
    for content in (b"1", b"2", b"3"):
        files.write_bytes(path, content, previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"3", b"2")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_keeps_the_old_file_and_removes_the_partial_one(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(DiskError, match=r"the disk is full\. Make room or choose another place, then try again\."):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_blocks_make_one_file_and_none_if_a_block_fails(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a", (b"x" * count for count in range(4)))
    assert (tmp_path / "a").read_bytes() == b"x" * 6
    with pytest.raises(ZeroDivisionError):
        files.write_bytes(tmp_path / "a", (bytes(1 // count) for count in (1, 0)))
    assert (tmp_path / "a").read_bytes() == b"x" * 6
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("with_previous", [False, True])
def test_folder_that_is_replaced_while_its_file_is_written_keeps_all_its_files(
    with_previous: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file ends up in the folder that was open, and the folder that took its name stays as it was."""
    folder, moved = tmp_path / "run", tmp_path / "moved"
    folder.mkdir()
    (folder / "a").write_bytes(b"old")
    real = os.fsync

    def replace_folder(handle: int) -> None:
        real(handle)
        if not moved.exists():
            folder.rename(moved)
            folder.mkdir()
            (folder / "a").write_bytes(b"of another")

    monkeypatch.setattr(os, "fsync", replace_folder)
    files.write_bytes(folder / "a", b"new", previous=folder / "b" if with_previous else None)
    assert names(folder) == ["a"]
    assert (folder / "a").read_bytes() == b"of another"
    assert (moved / "a").read_bytes() == b"new"
    assert names(moved) == ["a", "b"] if with_previous else ["a"]


def test_check_refuses_a_folder_before_anything_is_written(tmp_path: Path) -> None:
    def refuse(folder: int) -> None:
        assert os.path.samestat(os.fstat(folder), tmp_path.stat())
        raise DiskError("not this one")

    with pytest.raises(DiskError, match="not this one"):
        files.write_bytes(tmp_path / "a", b"", check=refuse)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", sorted(files.REASONS))
def test_each_error_of_the_disk_has_a_reason_and_a_remedy(number: int) -> None:
    with pytest.raises(DiskError) as caught, files.disk_errors(Path("none/a"), "name a file"):
        raise OSError(number, "said by the system")
    message = str(caught.value)
    assert message.startswith(f"could not write none/a: {files.REASONS[number]}. ")
    assert message.endswith("ame a file.")


def test_error_without_a_reason_keeps_the_words_of_the_system() -> None:
    with pytest.raises(DiskError, match=r"a: Input/output error\. Choose"), files.disk_errors(Path("a")):
        raise OSError(errno.EIO, "Input/output error")


def test_only_disk_errors_become_disk_error() -> None:
    files.raise_if_disk(OSError(errno.ECONNRESET, "reset"), Path("a"))
    with pytest.raises(DiskError, match="the disk is full"):
        files.raise_if_disk(OSError(errno.ENOSPC, "full"), Path("a"))


def test_partial_files_of_this_target_are_removed_and_others_stay(tmp_path: Path) -> None:
    for name in (".a.x1.part", ".a.x2.part", ".b.x1.part", "a.part", "a"):
        (tmp_path / name).touch()
    files.remove_partial_files(tmp_path / "a")
    assert names(tmp_path) == [".b.x1.part", "a", "a.part"]


@pytest.mark.parametrize("links", [True, False])
def test_replacing_the_file_does_not_change_the_copy(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    files.write_bytes(tmp_path / "a", b"1")
    with files.open_folder(tmp_path) as folder:
        files.keep_copy(folder, "a", "b")
    files.write_bytes(tmp_path / "a", b"2")
    assert (tmp_path / "b").read_bytes() == b"1"
    assert names(tmp_path) == ["a", "b"]


def test_writable_folder_is_made_and_stays_empty(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "x" / "y")
    assert names(tmp_path / "x" / "y") == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc")
def test_a_folder_that_exists_and_takes_no_files_has_its_own_reason() -> None:
    with pytest.raises(DiskError, match="could not write /proc/run: its folder takes no files"):
        files.make_folder(Path("/proc/run"))


def test_error_for_a_folder_below_a_file_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match=r"one\.npz: .*\. Name another file\."):
        files.check_writable(tmp_path / "file" / "x", "name another file", of=Path("one.npz"))
    with pytest.raises(DiskError, match="could not write"):
        files.make_folder(tmp_path / "file")


def test_arrays_survive_writing_and_reading(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.array([True, False]), "d": np.array("text")}
    files.write_arrays(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert set(found) == set(arrays)
        assert all((found[name] == array).all() for name, array in arrays.items())
    files.write_bytes(tmp_path / "x.npy", files.array_bytes(arrays["a"]))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy", allow_pickle=False), arrays["a"])


def test_refuses_arrays_of_objects_because_they_need_pickle(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="found an array of objects"):
        files.write_arrays(tmp_path / "x.npz", {"a": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        files.write_bytes(tmp_path / "x.npy", files.array_bytes(np.array([{}], dtype=object)))
    assert names(tmp_path) == []


VALUE = {"a": 1.5, "b": math.nan, "c": {"d": -math.inf, "e": None}, "f": [1, {"g": math.inf}], "h": "text"}


def test_json_holds_null_and_a_reason_in_place_of_numbers_that_are_not_finite() -> None:
    found = json.loads(files.json_text(VALUE), parse_constant=pytest.fail)
    assert found["b"] is None
    assert found["b_reason"] == "the value was nan, which is not a finite number"
    assert found["c"] == {"d": None, "d_reason": "the value was -inf, which is not a finite number", "e": None}
    assert found["f"][1]["g"] is None


def test_json_refuses_a_list_with_a_number_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.json_text({"a": [math.nan]})


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_non_finite_numbers_survive_writing_and_reading(number: float) -> None:
    found = files.restore_non_finite(json.loads(files.json_text({"a": number, "b": None, "b_reason": "none yet"})))
    assert repr(found["a"]) == repr(number)
    assert found == {"a": found["a"], "b": None, "b_reason": "none yet"}


def test_sealed_object_survives_printing_and_parsing() -> None:
    sealed = files.seal({"epochs": 3, "loss": math.nan, "name": "é"})
    again = json.loads(json.dumps(dict(reversed(sealed.items())), indent=7))
    assert files.unseal(again) == {"epochs": 3, "loss": None, "loss_reason": sealed["loss_reason"], "name": "é"}
    assert files.seal(sealed) == sealed


@pytest.mark.parametrize("change", [{"epochs": 4}, {"more": 1}, {"checksum": "0" * 16}, {"checksum": None}])
def test_opening_refuses_a_changed_object(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="its checksum is not that of its content"):
        files.unseal({**files.seal({"epochs": 3}), **change})


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    value=st.dictionaries(
        st.text().filter(lambda key: key != files.CHECKSUM),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
    )
)
def test_sealed_object_is_read_back_and_a_new_key_is_detected(value: dict[str, object]) -> None:
    written = json.loads(files.json_text(files.seal(value)))
    assert files.unseal(written) == value
    assert files.seal(written) == written
    with pytest.raises(ValueError, match="checksum"):
        files.unseal({**written, "more": 1})


ODD = {
    "NUL": ("a\0b.npy", "a\\\\0b.npy: expected a path, found a NUL byte"),
    "too long": (f"{'n' * 256}.npy", "n…: could not be read .File name too long."),
    "no such home": ("~nobody-at-all/a.npy", "there is no home folder of that name"),
    "not UTF-8": ("caf\udce9.npy", r"caf\\udce9.npy: expected a path in UTF-8, found other bytes"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("place", ["data", "data_dir"])
def test_odd_names_are_data_errors(name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, message = ODD[name]
    with pytest.raises(DataError, match=message) as error:
        tv.data.load(path) if place == "data" else tv.data.load("mnist", data_dir=path)
    assert str(error.value).isprintable()


def test_expands_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("~/a.npy") == Path("/somewhere/a.npy")


def test_path_need_not_exist(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    assert user_path(tmp_path / "none") == tmp_path / "none"
    assert user_path(tmp_path / "a.npy" / "below") == tmp_path / "a.npy" / "below"


def test_refuses_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="a: could not be read"):
        user_path(tmp_path / "a")


def test_printable_names_show_bytes_and_are_unchanged_otherwise() -> None:
    assert printable(os.fsdecode(b"caf\xe9\0")) == r"caf\udce9\0"
    assert printable("café 猫.png") == "café 猫.png"
