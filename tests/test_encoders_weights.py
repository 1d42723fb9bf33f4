"""Files of the model hub: fetched once, checked always, and given up quickly where there is no network."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from overlens.encoders import weights
from overlens.encoders.weights import HubFile
from overlens.errors import ModelError

COMMIT = "c" * 40
CONTENT = b"weights of a model" * 1000
WANTED = HubFile("org/name", "onnx/vision_model.onnx")
THREE_WAYS = r"--weights PATH.*--clip-model offline.*--method perceptual --projections none"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for."""

    files: dict[str, bytes]
    stated: dict[str, str]
    status = 200
    requests: list[str]

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, *, with_body):
        type(self).requests.append(f"{self.command} {self.path}")
        name = self.path.partition("/resolve/")[2].partition("/")[2]
        content = self.files.get(name, b"")
        self.send_response(self.status if self.status != 200 or name in self.files else 404)
        if self.status == 200 and name not in self.files:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{self.stated.get(name) or hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@contextmanager
def served(handler: type[Hub]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    for name in ("HF_HUB_OFFLINE", "HF_HOME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def hub(monkeypatch):
    handler = type("OwnHub", (Hub,), {"files": {WANTED.filename: CONTENT}, "stated": {}, "requests": []})
    with served(handler) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield handler


def test_a_file_is_fetched_checked_and_then_taken_from_the_cache(hub, monkeypatch):
    assert weights.find_cached(WANTED) is None
    fetched = weights.obtain_file(WANTED, "ViT-B/32")
    assert fetched.path.read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert fetched.revision == COMMIT
    assert fetched.source == "hub org/name, onnx/vision_model.onnx"
    n_requests = len(hub.requests)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert weights.obtain_file(WANTED, "ViT-B/32") == fetched
    assert len(hub.requests) == n_requests


def test_a_file_that_differs_from_its_stated_digest_is_refused(hub):
    hub.stated = {WANTED.filename: "0" * 64}
    with pytest.raises(ModelError, match=f"its SHA-256 is .*, and {'0' * 64} is stated; delete .* and fetch it again"):
        weights.obtain_file(WANTED, "ViT-B/32")


def test_a_file_damaged_in_the_cache_is_refused(hub):
    path = weights.obtain_file(WANTED, "ViT-B/32").path
    path.resolve().write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match="is damaged or was changed"):
        weights.obtain_file(WANTED, "ViT-B/32")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_hub_that_refuses_is_given_up_in_one_line(hub, status):
    hub.status = status
    started = time.monotonic()
    with pytest.raises(ModelError, match=f"ViT-B/32.*cannot be fetched.*{THREE_WAYS}") as caught:
        weights.obtain_file(WANTED, "ViT-B/32")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 5


def test_no_request_is_made_when_the_hub_is_switched_off(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match=f"HF_HUB_OFFLINE is set.*{THREE_WAYS}"):
        weights.obtain_file(WANTED, "ViT-B/32")
    assert hub.requests == []


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://host.invalid", "nonsense"])
def test_no_network_is_told_at_once(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    started = time.monotonic()
    with pytest.raises(ModelError, match=f"cannot be fetched.*{THREE_WAYS}"):
        weights.obtain_file(WANTED, "ViT-B/32")
    assert time.monotonic() - started < 10


def test_a_hub_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(weights, "PROBE_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ModelError, match=f"cannot be fetched.*{THREE_WAYS}"):
            weights.obtain_file(WANTED, "ViT-B/32")
    assert time.monotonic() - started < 5


def test_a_proxy_that_refuses_ends_the_command_in_one_line(tmp_path):
    """In a process of its own, as a user meets it: the client keeps its connections."""
    refusing = type("Proxy", (Hub,), {"files": {}, "stated": {}, "requests": []})
    refusing.do_CONNECT = lambda self: self.send_error(403)
    with served(refusing) as address:
        environment = {**os.environ, "HTTPS_PROXY": address, "HF_HUB_CACHE": str(tmp_path)}
        environment.pop("HF_ENDPOINT", None)
        code = "from overlens.cli import main; main(['models', 'fetch', 'ViT-B/16'])"
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: the weights of ViT-B/16")
    assert done.stderr.count("\n") == 1
    assert "403" in done.stderr


def test_a_folder_of_transformers_is_fetched_file_by_file(hub, monkeypatch):
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    hub.files = {
        "config.json": b"{}",
        "preprocessor_config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-1.safetensors": b"one",
        "model-2.safetensors": b"two",
    }
    folder, commit = weights.obtain_folder("org/name", "hf:org/name")
    assert commit == COMMIT
    assert [path.read_bytes() for path in weights.tensor_files(folder)] == [b"one", b"two"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert weights.obtain_folder("org/name", "hf:org/name") == (folder, COMMIT)


def test_a_folder_without_safetensors_is_refused(hub):
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    folder, _ = weights.obtain_folder("org/name", "hf:org/name")
    with pytest.raises(ModelError, match="only safetensors are read"):
        weights.tensor_files(folder)
    assert not any("pytorch_model" in request for request in hub.requests)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/x.safetensors", "code.py"])
def test_an_index_cannot_name_files_elsewhere(tmp_path, name):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match="allowed are safetensors files beside it"):
        weights.tensor_files(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{", '{"weight_map": 3}'])
def test_a_broken_index_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match="is not an index of tensors"):
        weights.tensor_files(tmp_path)


def test_the_digest_of_several_files_depends_on_names_and_content(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    both = weights.digest_files([first, second])
    assert both == weights.digest_files([second, first])
    assert weights.digest_files([first]) == hashlib.sha256(b"1").hexdigest()
    second.write_bytes(b"3")
    assert weights.digest_files([first, second]) != both


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"HF_HUB_CACHE": "/a"}, "/a"), ({"HF_HOME": "/b"}, "/b/hub")],
    ids=["cache", "home"],
)
def test_the_cache_is_where_the_hub_keeps_it(monkeypatch, environment, expected):
    monkeypatch.delenv("HF_HUB_CACHE")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert weights.cache_folder() == Path(expected)
