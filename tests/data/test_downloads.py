"""Downloads from a local server are complete, or nothing is kept."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers.files import write_mnist
from tfp_vae.core.errors import DataError
from tfp_vae.data import named
from tfp_vae.data.downloads import Remote, data_folder, obtain
from tfp_vae.data.loading import load


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


class Truncating(Quiet):
    """A server that promises more than it sends."""

    def send_header(self, keyword: str, value: str) -> None:
        super().send_header(keyword, str(int(value) + 1_000) if keyword == "Content-Length" else value)


def serve(folder: Path, handler: type[Quiet]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def server(served: Path) -> Iterator[str]:
    yield from serve(served, Quiet)


def remote(server: str, content: bytes, name: str = "file.bin") -> Remote:
    return Remote(name, server + name, f"sha256:{hashlib.sha256(content).hexdigest()}")


def test_files_are_downloaded_once(server: str, served: Path, tmp_path: Path) -> None:
    (served / "file.bin").write_bytes(b"content")
    places = [tmp_path / "cache" / "set", tmp_path / "cache"]
    (path,) = obtain([remote(server, b"content")], places)
    assert path == places[0] / "file.bin"
    assert path.read_bytes() == b"content"
    (served / "file.bin").unlink()
    assert obtain([remote(server, b"content")], places) == [path]


def test_progress_counts_the_bytes(server: str, served: Path, tmp_path: Path) -> None:
    content = b"x" * 100_000
    (served / "file.bin").write_bytes(content)
    record = Record()
    obtain([remote(server, content)], [tmp_path / "cache"], record)
    assert record.total == len(content)
    assert sum(record.updates) >= len(content)
    assert record.closed


class Record:
    def __init__(self) -> None:
        self.total, self.updates, self.closed = 0, list[int](), False

    def update(self, size: int) -> None:
        self.updates.append(size)

    def reset(self) -> None:
        """Start again from zero."""

    def close(self) -> None:
        self.closed = True


def test_deletes_a_download_with_another_checksum(server: str, served: Path, tmp_path: Path) -> None:
    (served / "file.bin").write_bytes(b"tampered")
    with pytest.raises(DataError, match="expected checksum"):
        obtain([remote(server, b"content")], [tmp_path / "cache"])
    assert list((tmp_path / "cache").iterdir()) == []


def test_deletes_an_incomplete_download(served: Path, tmp_path: Path) -> None:
    (served / "file.bin").write_bytes(b"content")
    for server in serve(served, Truncating):
        with pytest.raises(DataError):
            obtain([remote(server, b"content")], [tmp_path / "cache"])
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", ["missing.bin"])
def test_missing_remote_file_gives_a_remedy(name: str, server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found none, and http.* `data_dir`"):
        obtain([remote(server, b"", name)], [tmp_path / "cache"])


def test_missing_network_gives_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected file.bin in .*found none.*`data_dir`"):
        obtain([remote("http://127.0.0.1:9/", b"")], [tmp_path / "cache"])


def test_downloads_all_files_of_a_data_set(
    server: str, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(served)
    checksums = {p.name: f"md5:{hashlib.md5(p.read_bytes()).hexdigest()}" for p in served.iterdir()}
    order = [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte",
    ]
    monkeypatch.setattr(named, "MNIST", named.remotes(server, {name: checksums[name] for name in order}))
    data = load("mnist", data_dir=str(tmp_path / "cache"))
    assert len(data.test) == 4
    assert len(list((tmp_path / "cache" / "mnist").iterdir())) == 4


def test_folder_defaults_to_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TFP_VAE_DATA_DIR", raising=False)
    assert "tfp_vae" in str(data_folder(None))
    monkeypatch.setenv("TFP_VAE_DATA_DIR", str(tmp_path))
    assert data_folder(None) == tmp_path
    assert data_folder("elsewhere") == Path("elsewhere")
