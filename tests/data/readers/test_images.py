"""Folders of images: round trips, and refusals of bombs and damaged files before memory is allocated."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from tests.helpers.files import encoded, write
from tfp_vae.core.errors import DataError
from tfp_vae.data.readers import images
from tfp_vae.data.readers.images import IGNORED, MOST_PIXELS, read_folder, read_zip
from tfp_vae.data.readers.roles import SPLIT_WORDS


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes, depth: int = 8, kind: int = 0, before: bytes = b"") -> bytes:
    """Return a PNG file of grey pixels whose header may be wrong. `kind` is the number of another pixel format."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def grey(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (5, 6, 4), np.uint8)


@pytest.fixture
def colour(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (5, 6, 4, 3), np.uint8)


class TestPixelsLabelsAndNames:
    """Pixels, labels and names."""

    def test_grey_png_in_the_order_of_names(self, tmp_path: Path, grey: np.ndarray) -> None:
        write(tmp_path, {f"{9 - i}.png": encoded(x) for i, x in enumerate(grey)})
        found = read_folder(tmp_path)[""]
        np.testing.assert_array_equal(found.x[..., 0], grey[::-1])
        assert found.names.tolist() == ["5.png", "6.png", "7.png", "8.png", "9.png"]
        assert found.y is None

    def test_sub_folders_are_labels(self, tmp_path: Path, colour: np.ndarray) -> None:
        write(tmp_path, {f"{'ab'[i % 2]}/{i}.PNG": encoded(x) for i, x in enumerate(colour)})
        found = read_folder(tmp_path)[""]
        np.testing.assert_array_equal(found.x, colour[[0, 2, 4, 1, 3]])
        assert found.y.tolist() == ["a", "a", "a", "b", "b"]
        assert found.names[3] == "b/1.PNG"

    @pytest.mark.parametrize("validation", ["validation", "val", "Valid", "DEV"])
    def test_folders_can_be_splits(self, validation: str, tmp_path: Path, grey: np.ndarray) -> None:
        write(tmp_path, {f"{split}/c/0.png": encoded(grey[i]) for i, split in enumerate(("train", validation, "test"))})
        found = read_folder(tmp_path)
        assert found.keys() == {"train", "validation", "test"}
        np.testing.assert_array_equal(found["validation"].x[0, ..., 0], grey[1])
        assert found["test"].y.tolist() == ["c"]

    @pytest.mark.parametrize(
        "splits", [("Train", "TEST"), ("training", "Testing"), ("train", "val"), ("train", "dev", "test")]
    )
    @pytest.mark.parametrize("place", ["{split}/{i}.png", "{split}/b/{i}.png", "c/{split}/{i}.png"])
    def test_usual_names_of_splits_in_any_case_and_depth(
        self, splits: tuple[str, ...], place: str, tmp_path: Path, grey: np.ndarray
    ) -> None:
        write(tmp_path, {place.format(split=split, i=0): encoded(grey[i]) for i, split in enumerate(splits)})
        found = read_folder(tmp_path)
        assert found.keys() == {SPLIT_WORDS[split.lower()] for split in splits}
        for i, split in enumerate(splits):
            pictures = found[SPLIT_WORDS[split.lower()]]
            np.testing.assert_array_equal(pictures.x[..., 0], grey[i : i + 1])
            assert pictures.names.tolist() == [place.format(split=split, i=0)]

    def test_folders_of_splits_can_be_classes(self, tmp_path: Path, grey: np.ndarray) -> None:
        write(tmp_path, {f"{name}/0.png": encoded(grey[i]) for i, name in enumerate(("car", "plane", "train"))})
        assert read_folder(tmp_path, split_folders="classes")[""].y.tolist() == ["car", "plane", "train"]
        with pytest.raises(DataError, match=r"found train and car\. .* set `split_folders=classes`"):
            read_folder(tmp_path)

    def test_class_folders_may_lie_below_each_other(self, tmp_path: Path, grey: np.ndarray) -> None:
        places = ["animals/big/cow", "animals/small/cat", "plants/rose"]
        write(tmp_path, {f"top/{place}/0.png": encoded(grey[i]) for i, place in enumerate(places)})
        found = read_folder(tmp_path)[""]
        assert found.y.tolist() == places
        assert found.names[2] == "top/plants/rose/0.png"

    @pytest.mark.parametrize("name", ["README.txt", "notes/labels.csv", "LICENSE", "a.JSON"])
    def test_text_next_to_images_is_left_out_with_a_warning(
        self, name: str, tmp_path: Path, grey: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        write(tmp_path, {"c/a.png": encoded(grey[0]), name: b"about these images"})
        assert len(read_folder(tmp_path)[""].x) == 1
        assert caplog.messages == [f"{tmp_path}: files that are not images are left out: {name}."]

    def test_long_lists_of_other_files_are_cut(
        self, tmp_path: Path, grey: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        write(tmp_path, {"c/a.png": encoded(grey[0]), **{f"{i}.txt": b"" for i in range(7)}})
        read_folder(tmp_path)
        assert caplog.messages[0].endswith(" and 2 more.")

    @pytest.mark.parametrize(("kind", "suffix"), [("webp", "webp"), ("tiff", "TIF"), ("tiff", "tiff"), ("bmp", "Bmp")])
    def test_other_formats_without_loss(self, kind: str, suffix: str, tmp_path: Path, colour: np.ndarray) -> None:
        more = {"lossless": True} if kind == "webp" else {}
        write(tmp_path, {f"{i}.{suffix}": encoded(x, kind, **more) for i, x in enumerate(colour)})
        np.testing.assert_array_equal(read_folder(tmp_path)[""].x, colour)

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_tiff_of_16_bits_is_kept(self, order: str, tmp_path: Path, rng: np.random.Generator) -> None:
        deep = rng.integers(0, 2**16, (6, 4), np.uint16)
        mode = "I;16B" if order == ">" else "I;16"
        image = Image.frombytes(mode, (4, 6), deep.astype(f"{order}u2").tobytes())
        write(tmp_path, {"a.tif": encoded(image, "tiff")})
        np.testing.assert_array_equal(read_folder(tmp_path)[""].x[0, ..., 0], deep)

    def test_transparent_pixels_show_the_background(
        self, tmp_path: Path, grey: np.ndarray, caplog: pytest.LogCaptureFixture
    ) -> None:
        alpha = np.uint8([[0, 255, 51, 0]] * 6)
        write(tmp_path, {"a.png": encoded(np.dstack([grey[0]] * 3 + [alpha])), "b.png": encoded(grey[1])})
        for background, level in (("auto", 255), ("white", 255), ("black", 0)):
            caplog.clear()
            found = read_folder(tmp_path, background=background, channels="grey")[""].x[..., 0]
            expected = level + (grey[0].astype(float) - level) * alpha / 255
            assert np.abs(found[0] - expected).max() <= 1
            np.testing.assert_array_equal(found[1], grey[1])
            assert bool(caplog.messages) == (background == "auto")
        read_folder(tmp_path)
        assert "1 of 2 images have transparent pixels, which become white (first: a.png)" in caplog.text

    def test_transparent_level_of_16_bits_shows_the_background(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.png": encoded(GREY.astype(np.uint16), transparency=7)})
        for background, level in (("white", 65_535), ("black", 0)):
            found = read_folder(tmp_path, background=background)[""].x[0, ..., 0]
            np.testing.assert_array_equal(found, np.where(GREY == 7, level, GREY.astype(int)))

    def test_names_that_are_not_utf_8_are_refused(self, tmp_path: Path, grey: np.ndarray) -> None:
        (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(encoded(grey[0]))
        with pytest.raises(DataError, match=r"caf\\udce9.png: expected a name in UTF-8, found other"):
            read_folder(tmp_path)

    def test_jpeg_is_close_to_the_original(self, tmp_path: Path) -> None:
        smooth = np.add.outer(np.arange(0, 160, 10), np.arange(0, 80, 10)).astype(np.uint8)
        write(tmp_path, {"a.jpeg": encoded(smooth, "jpeg", quality=95), "b.jpg": encoded(smooth, "jpeg", quality=95)})
        found = read_folder(tmp_path)[""].x
        assert found.shape == (2, 16, 8, 1)
        assert np.abs(found[0, ..., 0].astype(int) - smooth).max() <= 6

    def test_photographs_are_turned_by_their_exif_orientation(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by a quarter
        pixels = np.zeros((16, 32), np.uint8)
        pixels[:, :16] = 200
        write(tmp_path, {"a.jpg": encoded(pixels, "jpeg", exif=exif)})
        found = read_folder(tmp_path)[""].x[0, ..., 0]
        assert found.shape == (32, 16)
        assert found[:14].min() > 150
        assert found[18:].max() < 50

    def test_resizing_keeps_the_mean(self, tmp_path: Path, rng: np.random.Generator) -> None:
        pixels = rng.integers(0, 256, (64, 48), np.uint8)
        write(tmp_path, {"a.png": encoded(pixels), "b.png": encoded(pixels[:32])})
        found = read_folder(tmp_path, resize=(8, 6))[""].x
        assert found.shape == (2, 8, 6, 1)
        assert found[0].mean() == pytest.approx(pixels.mean(), abs=2)
        assert found[0].std() < 0.4 * pixels.std()  # averaged, not picked

    def test_channels(self, tmp_path: Path, grey: np.ndarray, colour: np.ndarray) -> None:
        write(tmp_path, {"a.png": encoded(grey[0]), "b.png": encoded(colour[0])})
        mixed = read_folder(tmp_path)[""].x
        np.testing.assert_array_equal(mixed[0], np.repeat(grey[0][..., None], 3, axis=2))
        np.testing.assert_array_equal(mixed[1], colour[0])
        np.testing.assert_array_equal(read_folder(tmp_path, channels="colour")[""].x, mixed)
        as_grey = read_folder(tmp_path, channels="grey")[""].x
        np.testing.assert_array_equal(as_grey[0, ..., 0], grey[0])
        luma = colour[0] @ [0.299, 0.587, 0.114]  # ITU-R BT.601
        assert np.abs(as_grey[1, ..., 0] - luma).max() < 1

    @pytest.mark.parametrize("mode", ["1", "P", "RGBA", "LA"])
    def test_modes_of_opaque_images(self, mode: str, tmp_path: Path) -> None:
        picture = Image.fromarray(np.tile(np.uint8([0, 255]), (4, 2))).convert(mode)
        picture.save(tmp_path / "a.png")
        found = read_folder(tmp_path)[""].x
        assert found.shape[3] == (1 if mode in ("1", "LA") else 3)
        np.testing.assert_array_equal(found[0, ..., 0], np.tile([0, 255], (4, 2)))

    def test_pixels_of_16_bits_are_kept(self, tmp_path: Path, rng: np.random.Generator) -> None:
        deep = rng.integers(0, 2**16, (3, 6, 4), np.uint16)
        deep[0, 0, :2] = 0, 65_535
        write(tmp_path, {f"{i}.png": encoded(x) for i, x in enumerate(deep)})
        write(tmp_path, {"3.png": encoded(deep[0], transparency=int(np.setdiff1d(np.arange(99), deep[0])[0]))})
        found = read_folder(tmp_path)[""].x
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found[..., 0], deep[[0, 1, 2, 0]])
        np.testing.assert_array_equal(read_folder(tmp_path, resize=(6, 4))[""].x, found)
        np.testing.assert_array_equal(read_folder(tmp_path, channels="colour")[""].x, np.repeat(found, 3, axis=3))
        np.testing.assert_array_equal(read_folder(tmp_path, channels="grey")[""].x, found)

    def test_images_of_16_bits_get_the_same_channels(
        self, tmp_path: Path, grey: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(images.DECODED, "another", images.DECODED["colour"])
        write(tmp_path / "8", {"a.png": encoded(grey[0])})
        write(tmp_path / "16", {"a.png": encoded(257 * grey[0].astype(np.uint16))})
        for channels in images.DECODED:
            shallow, deep = (read_folder(tmp_path / bits, channels=channels)[""].x for bits in ("8", "16"))
            np.testing.assert_array_equal(deep, shallow * np.uint16(257))

    def test_resizing_16_bits_equals_resizing_8(self, tmp_path: Path, grey: np.ndarray) -> None:
        shallow, deep = write(tmp_path / "8", {"a.png": encoded(grey[0])}), 257 * grey[0].astype(np.uint16)
        write(tmp_path / "16", {"a.png": encoded(deep)})
        expected, found = (read_folder(path, resize=(3, 3))[""].x for path in (shallow, tmp_path / "16"))
        assert np.abs(found / 257 - expected).max() < 1.1

    def test_ignores_files_of_file_managers(self, tmp_path: Path, grey: np.ndarray) -> None:
        write(tmp_path, {"a.png": encoded(grey[0]), ".DS_Store": b"x", **dict.fromkeys(IGNORED, b"x")})
        assert len(read_folder(tmp_path)[""].x) == 1

    def test_refuses_pipes(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.png")
        with pytest.raises(DataError, match=r"a\.png: expected a file, found a pipe or a device"):
            read_folder(tmp_path)

    def test_images_of_a_zip_archive(self, tmp_path: Path, grey: np.ndarray) -> None:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for i, x in enumerate(grey):
                archive.writestr(f"top/{i}_x.png", encoded(x))
        found = read_zip(tmp_path / "a.zip", lambda name: name[4], resize=(6, 4))
        np.testing.assert_array_equal(found.x[..., 0], grey)
        assert found.y.tolist() == list("01234")


GREY = np.arange(24, dtype=np.uint8).reshape(6, 4)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
BOMB = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(99_000_000)))

REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "nothing": ({}, "found none"),
    "only an empty label": ({"a/.keep": b""}, "found none"),
    "another kind": ({"a.png": encoded(GREY), "a.gif": b"GIF89a"}, "a.gif: expected a PNG, JPEG, WebP"),
    "too deep": ({"/".join("a" * 18) + "/c.png": encoded(GREY)}, "expected at most 16 folders below each other"),
    "some in a split": ({"train/a.png": encoded(GREY), "other/b.png": encoded(GREY)}, "found train and other"),
    "a split within a class": ({"a/Test/a.png": encoded(GREY), "b/c.png": encoded(GREY)}, "found a/Test and b"),
    "two folders for one split": (
        {"val/a.png": encoded(GREY), "valid/b.png": encoded(GREY), "train/c.png": encoded(GREY)},
        "expected one folder for each split, found train, val, valid",
    ),
    "images next to labels": ({"a.png": encoded(GREY), "b/c.png": encoded(GREY)}, "found both"),
    "two sizes": ({"a.png": encoded(GREY), "b.png": encoded(GREY[:3])}, "of one size, 6x4, found 3x4. Set `resize`"),
    "16 bits a colour": (
        {"a.png": png(4, 6, (b"\0" + b"\1\2" * 12) * 6, depth=16, kind=2)},
        "expected 8 bits a channel, or grey of 16 bits, found more bits in an image of mode RGB",
    ),
    "16 bits of grey and as many of transparency": (
        {"a.png": png(4, 6, (b"\0" + b"\1\2\xff\xff" * 4) * 6, depth=16, kind=4)},
        "expected 8 bits a channel, or grey of 16 bits, found more bits in an image",
    ),
    "16 bits among 8": (
        {"a.png": encoded(GREY), "b.png": encoded(GREY.astype(np.uint16))},
        "b.png: expected images of one depth, 8 bits as the first, found 16. Save all in the same depth",
    ),
    "8 bits in another split than 16": (
        {"train/a.png": encoded(GREY.astype(np.uint16)), "test/b.png": encoded(GREY)},
        "train/a.png: expected images of one depth, 8 bits as the first, found 16",
    ),
    "no image": ({"a.png": b"hello"}, "not a readable PNG, JPEG, WebP, TIFF or BMP image"),
    "empty": ({"a.jpg": b""}, "found an empty file"),
    "another format by that name": ({"a.png": encoded(GREY, "gif")}, "not a readable PNG, JPEG"),
    "cut short": ({"a.png": encoded(NOISE)[:900]}, "truncated"),
    "jpeg cut short": ({"a.jpg": encoded(np.tile(GREY, (40, 40)), "jpeg")[:900]}, "truncated"),
    "a header that lies": ({"a.png": png(4_000, 4_000, b"\0" * 100)}, "a.png"),
    "more pixels than are read": ({"a.png": png(5_000, 5_000, b"\0" * 100)}, f"at most {MOST_PIXELS:,} pixels"),
    "far more": ({"a.png": png(60_000, 60_000, b"")}, f"at most {MOST_PIXELS:,} pixels"),
    "a bomb": ({"a.png": png(30_000, 30_000, b"\0" * 30_001 * 300)}, f"at most {MOST_PIXELS:,} pixels"),
    "a broken palette": ({"a.png": encoded(GREY).replace(b"IDAT", b"IDAZ")}, "a.png"),
    "a GIF of 4 gigapixels": ({"a.png": b"GIF89a\xff\xff\xff\xff\xf0\0\0" + b"\0" * 800}, "not a readable PNG"),
    "a WebP file of 4 gigapixels": (
        {"a.webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\0\xff\xff\0" + b"\0" * 8},
        f"at most {MOST_PIXELS:,} pixels, its header promises 65536 x 65536",
    ),
    "a BMP file of 4 gigapixels": (
        {"a.bmp": encoded(GREY, "bmp").replace(struct.pack("<ii", 4, 6), struct.pack("<ii", 65_535, 65_535))},
        f"at most {MOST_PIXELS:,} pixels",
    ),
    "a text that unpacks without end": (
        {"a.png": png(4, 6, b"\0" * 30).replace(b"\0\0\0\0IEND", BOMB + b"\0\0\0\0IEND")},
        "not a readable PNG",
    ),
    "a profile that unpacks without end": (
        {"a.png": png(4, 6, b"\0" * 30, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(99_000_000))))},
        "not a readable PNG",
    ),
    "more bits than 16": ({"a.tif": encoded(Image.new("I", (4, 6)), "tiff")}, "expected 8 bits a channel"),
    "frames": (
        {"a.png": encoded(GREY, save_all=True, append_images=[Image.fromarray(GREY[::-1])])},
        "found an animation of 2",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_refuses_unusable_images(name: str, tmp_path: Path) -> None:
    files, expected = REFUSED[name]
    with pytest.raises(DataError) as error:
        read_folder(write(tmp_path, files))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


class TestSeveralRefusals:
    """One error names all bad images."""

    def test_error_names_each_of_a_few_bad_files(self, tmp_path: Path) -> None:
        bad = {"b.png": b"hello", "c/d.png": b"GIF89a", "c/e.png": encoded(GREY[:3])}
        write(tmp_path, {f"x/{name}": content for name, content in {"a.png": encoded(GREY), **bad}.items()})
        (tmp_path / "x" / "c").rename(tmp_path / "y")
        with pytest.raises(DataError) as error:
            read_folder(tmp_path)
        assert str(error.value).startswith(f"{tmp_path}: 3 files cannot be used: (1) x/b.png: not a readable PNG")
        assert "(2) y/d.png: not a readable PNG" in str(error.value)
        assert str(error.value).endswith("(3) y/e.png: expected images of one size, 6x4, found 3x4. Set `resize`.")

    @pytest.mark.parametrize("good", [0, 1])
    def test_error_names_the_first_of_many_bad_files_and_counts_the_rest(self, good: int, tmp_path: Path) -> None:
        write(tmp_path, {f"{i}.png": b"hello" for i in range(8)} | dict.fromkeys(["a.png"] * good, encoded(GREY)))
        with pytest.raises(DataError, match=r"8 files cannot be used: .*\(5\) 4\.png: not .* And 3 more\.$") as error:
            read_folder(tmp_path)
        assert "5.png" not in str(error.value)

    def test_search_for_bad_files_stops(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfp_vae.data.readers.images.LOOKED_FOR", 6)
        write(tmp_path, {f"{i}.png": b"hello" for i in range(9)})
        with pytest.raises(DataError, match=r"at least 6 files cannot be used: .* And at least 1 more\.$"):
            read_folder(tmp_path)

    def test_files_of_another_kind_are_found_in_sub_folders(self, tmp_path: Path) -> None:
        write(tmp_path, {"a/b.gif": b"", "c/d.png": b"not even read", "c/e.mp4": b""})
        with pytest.raises(DataError, match=r"2 files cannot be used: \(1\) a/b\.gif: .* \(2\) c/e\.mp4: expected"):
            read_folder(tmp_path)


@pytest.mark.parametrize("name", [name for name, (_, expected) in REFUSED.items() if f"{MOST_PIXELS:,}" in expected])
def test_refuses_large_images_before_decoding(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded.append)
    with pytest.raises(DataError):
        read_folder(write(tmp_path, REFUSED[name][0]))
    assert decoded == []


def test_refuses_too_many_images_after_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfp_vae.data.readers.images.MOST_VALUES", 40)
    with pytest.raises(DataError, match=r"2 images like .*/a.png of 24 values[.] Choose a smaller `resize`"):
        read_folder(write(tmp_path, {"a.png": encoded(GREY), "b.png": b"not even read"}))


def test_refuses_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="could not be read"):
        read_folder(tmp_path / "nothing")
