"""The review desk: whom it answers, what it shows, and that no answer is ever lost."""

import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from starlette.testclient import TestClient

import overlens
from overlens.cli import overlens as command_line
from overlens.decisions.store import DecisionStore
from overlens.errors import ConfigError, MissingExtraError
from overlens.finished import FinishedRun
from overlens.layout import CrossLayout
from overlens.review.app import BODIES, make_app
from overlens.review.desk import Desk, Said
from overlens.review.pairs import ListedPairs
from overlens.review.points import fitting_points
from overlens.review.queue import PairFilter, order_pairs
from overlens.review.security import Door
from overlens.testing import encode_picture, make_picture

TOKEN = "a-token-of-the-tests"
BASE = "http://127.0.0.1:8123"
OWN = {"origin": BASE}
HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    '"; DROP TABLE decisions; --.png',
    "n" * 150 + "/" + "m" * 146 + ".png",
    "\N{GRINNING FACE} smile.png",
    "\u05ea\u05de\u05d5\u05e0\u05d4 12.png",
    "=cmd|' C calc'!A0.png",
)
LABEL = "<b>hills<script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of two datasets: equal, recompressed, mirrored and other pictures; harmful names."""
    root = tmp_path_factory.mktemp("review")
    for number, name in enumerate(HOSTILE):
        pixels = make_picture(number, 160, 120)
        write(root / "left" / LABEL / name, encode_picture(pixels))
        if number == 0:
            write(root / "right" / LABEL / f"{number}.png", encode_picture(pixels))
        elif number % 2:
            write(root / "right" / LABEL / f"{number}.jpg", encode_picture(pixels, "JPEG", quality=60))
        else:
            write(root / "right" / LABEL / f"{number}.png", encode_picture(np.ascontiguousarray(pixels[:, ::-1])))
    for number in range(8):
        write(root / "right" / "others" / f"{number}.png", encode_picture(make_picture(100 + number, 160, 120)))
    datasets = {name: root / name for name in ("left", "right")}
    overlens.analyze(datasets, output=root / "out", clip_model="offline", projections="none", no_report=True)
    return root / "out"


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the run, without decisions."""
    return Path(shutil.copytree(made, tmp_path / "out"))


@pytest.fixture
def desk(root: Path) -> Desk:
    return Desk(FinishedRun.open(root))


@pytest.fixture
def bare(desk: Desk) -> TestClient:
    """Return a client that carries no token."""
    return TestClient(make_app(desk, Door(TOKEN, "127.0.0.1", 8123, BODIES)), base_url=BASE)


@pytest.fixture
def client(bare: TestClient) -> TestClient:
    bare.headers["X-Overlens-Token"] = TOKEN
    return bare


def first_id(client: TestClient, **query: str) -> str:
    return client.get("/api/pairs", params=query).json()["pairs"][0]["id"]


def said(pair: str, answer: str = "copy", session: str = "w") -> dict[str, object]:
    return {"id": pair, "left": 0, "answer": answer, "session": session, "seen": 0, "open": True}


def decide(client: TestClient, pair: str, answer: str = "copy", session: str = "w", **more: object) -> dict:
    body = json.dumps(said(pair, answer, session) | more)
    reply = client.post("/api/decide", content=body, headers={**OWN, "content-type": "application/json"})
    assert reply.status_code == 200, reply.text
    return reply.json()


def history(root: Path) -> list[str]:
    return [one.answer for one in DecisionStore(CrossLayout(root).decisions).history()]


# ---- who is let in ----

PATHS = (
    "/",
    "/image/0",
    "/image/0?full=1",
    "/api/run",
    "/api/pairs",
    f"/api/points/{'0' * 64}-{'1' * 64}",
    "/api/progress",
    "/api/export",
    "/nowhere",
    "/image/",
    "/api/",
)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "\N{SNOWMAN}"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_said_without_the_token(bare: TestClient, path: str, token: str):
    query = f"{'&' if '?' in path else '?'}token={quote(token)}" if token else ""
    reply = bare.get(path + query)
    assert reply.status_code == 403 and set(reply.json()) == {"error"}
    assert "left" not in reply.text and "right" not in reply.text
    header = {"X-Overlens-Token": token.encode()}
    assert bare.get(path, headers=header).status_code == 403


def test_many_fields_in_the_address_are_no_way_in(bare: TestClient):
    assert bare.get("/api/run?" + "a=1&" * 500 + f"token={TOKEN}").status_code == 403


def test_the_token_counts_in_the_address_and_in_the_header(bare: TestClient):
    assert bare.get(f"/api/run?token={TOKEN}").status_code == 200
    assert bare.get("/api/run", headers={"X-Overlens-Token": TOKEN}).status_code == 200
    assert "token" in bare.get(f"/?token={TOKEN}").text and TOKEN in bare.get(f"/?token={TOKEN}").text


@pytest.mark.parametrize(
    "host",
    ["evil.example:8123", "127.0.0.1:8124", "127.0.0.1", "localhost", "127.0.0.1:8123.evil.example", "", "[::1]:8123"],
)
def test_only_the_own_host_is_answered(client: TestClient, host: str):
    for path in ("/", "/static/base.css", "/api/run"):
        reply = client.get(path, headers={"host": host})
        assert reply.status_code == 421 and "left" not in reply.text


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:8123", "LocalHost:8123"])
def test_the_own_names_are_answered(client: TestClient, host: str):
    assert client.get("/api/run", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("bound", "host", "is_open"),
    [
        ("0.0.0.0", "10.1.2.3:80", True),
        ("0.0.0.0", "10.1.2.3", False),
        ("0.0.0.0", "evil.example:80", False),
        ("0.0.0.0", f"{socket.gethostname()}:80", True),
        ("::", "[fe80::1]:80", True),
        ("10.1.2.3", "10.1.2.3:80", True),
        ("10.1.2.3", "10.1.2.4:80", False),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_a_desk_on_all_addresses_goes_by_numbers_and_not_by_any_name(bound: str, host: str, is_open: bool):
    assert Door("t", bound, 80).opens_to(host) is is_open


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:8123"},
        {"origin": "http://127.0.0.1:8124"},
        {"origin": "http://localhost:8123"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    ],
    ids=repr,
)
def test_another_origin_changes_nothing(client: TestClient, root: Path, headers: dict[str, str]):
    pair = first_id(client)
    for path, body in (
        ("decide", {"id": pair, "answer": "copy", "session": "w"}),
        ("undo", {"session": "w"}),
    ):
        assert client.post(f"/api/{path}", json=body, headers=headers).status_code == 403
    table = {"content-type": "text/csv", **headers}
    assert client.post("/api/import", content=b"answer", headers=table).status_code == 403
    assert history(root) == [] and not CrossLayout(root).decisions.exists()


@pytest.mark.parametrize("headers", [OWN, {"sec-fetch-site": "same-origin"}], ids=repr)
def test_the_own_page_may_change(client: TestClient, root: Path, headers: dict[str, str]):
    assert client.post("/api/decide", json=said(first_id(client)), headers=headers).status_code == 200
    assert history(root) == ["copy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/decide"),
        ("GET", "/api/undo"),
        ("GET", "/api/import"),
        ("POST", "/api/run"),
        ("POST", "/image/0"),
        ("PUT", "/api/decide"),
        ("DELETE", "/api/decide"),
        ("PATCH", "/"),
        ("OPTIONS", "/api/decide"),
        ("TRACE", "/"),
    ],
)
def test_a_wrong_method_is_refused(client: TestClient, root: Path, method: str, path: str):
    reply = client.request(method, path, headers={**OWN, "content-type": "application/json"})
    assert reply.status_code == 405 and "not allowed" in reply.json()["error"]
    assert history(root) == []


# ---- what is taken ----


def pieces(n_bytes: int) -> Iterator[bytes]:
    for _ in range(n_bytes // 1024):
        yield b" " * 1024


@pytest.mark.parametrize("body", [b" " * 70_000, b"[" * 70_000, lambda: pieces(70_000)], ids=["long", "deep", "pieces"])
def test_a_body_that_is_too_long_is_refused(client: TestClient, root: Path, body):
    content = body() if callable(body) else body
    reply = client.post("/api/decide", content=content, headers={**OWN, "content-type": "application/json"})
    assert reply.status_code == 413 and "too long" in reply.json()["error"]
    assert history(root) == []


def test_a_body_without_length_is_refused_while_it_is_read(server: "Served"):
    """It never ends, so whoever waited for its end would wait for ever."""
    sent = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = (
        f"POST /api/decide HTTP/1.1\r\nHost: {server.place}\r\nOrigin: http://{server.place}\r\n"
        f"X-Overlens-Token: {server.token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(head.encode() + sent + sent)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", ["999999999", "9" * 40])
def test_a_length_that_is_too_long_is_refused_before_anything_is_read(server: "Served", length: str):
    head = (
        f"POST /api/decide HTTP/1.1\r\nHost: {server.place}\r\nOrigin: http://{server.place}\r\n"
        f"X-Overlens-Token: {server.token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65_536).split(b" ")[1] in (b"413", b"400")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv", ""]
)
def test_only_json_is_taken(client: TestClient, root: Path, kind: str):
    body = json.dumps({"id": first_id(client), "answer": "copy", "session": "w"})
    reply = client.post("/api/decide", content=body, headers={**OWN, "content-type": kind})
    assert reply.status_code == 415 and history(root) == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"id": "0" * 64 + "-" + "1" * 64}, 404),
        ({"id": "../../etc/passwd"}, 404),
        ({"id": "\N{FULLWIDTH DIGIT ONE}" * 64 + "-" + "1" * 64}, 404),
        ({"id": 7}, 400),
        ({"id": None}, 400),
        ({"answer": "perhaps"}, 400),
        ({"answer": ""}, 400),
        ({"answer": ["copy"]}, 400),
        ({"session": ""}, 400),
        ({"session": "s" * 101}, 400),
        ({"note": "n" * 1001}, 400),
        ({"note": {}}, 400),
    ],
    ids=repr,
)
def test_what_makes_no_sense_is_refused(client: TestClient, root: Path, change: dict[str, object], status: int):
    body = said(first_id(client)) | change
    reply = client.post("/api/decide", json=body, headers=OWN)
    assert reply.status_code == status and set(reply.json()) == {"error"}, reply.text
    assert history(root) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"copy"', b"null", b"\xff\xfe", b"[" * 60_000], ids=repr)
def test_broken_json_is_refused(client: TestClient, root: Path, body: bytes):
    headers = {**OWN, "content-type": "application/json"}
    for path in ("/api/decide", "/api/undo"):
        reply = client.post(path, content=body, headers=headers)
        assert reply.status_code == 400 and "JSON" in reply.json()["error"]
    assert history(root) == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=201",
        "limit=-1",
        "offset=-1",
        "offset=1e3",
        "offset=" + "9" * 30,
        "limit=\N{ARABIC-INDIC DIGIT THREE}",
        "order=random",
        "rung=certain",
        "judged=maybe",
        "dataset=elsewhere",
        "other=elsewhere",
        "min_strength=nan",
        "min_cosine=high",
        "max_strength=inf",
    ],
)
def test_a_filter_that_is_not_known_is_refused(client: TestClient, query: str):
    reply = client.get(f"/api/pairs?{query}")
    assert reply.status_code == 400 and query.partition("=")[0] in reply.json()["error"]


# ---- pictures ----


@pytest.mark.parametrize(
    "path",
    [
        "/image/../../etc/passwd",
        "/image/..%2f..%2fetc%2fpasswd",
        "/image/%2e%2e/%2e%2e/etc/passwd",
        "/image/%2fetc%2fpasswd",
        "/image/-1",
        "/image/1.0",
        "/image/1e0",
        "/image/0x1",
        "/image/20",
        "/image/99999999999999999999999999",
        "/image/0/",
        "/image/0%00",
        "/image/",
        "/image",
        "/static/../app.py",
        "/static/%2e%2e%2fapp.py",
        "/static/..%5capp.py",
        "/static/",
        "/static",
        "/static/desk.html",
        "/decisions.sqlite",
        "/dataset/cross/overlap.json",
    ],
)
def test_no_path_leads_to_a_file(server: "Served", path: str):
    """The request is written as it stands: no client makes it harmless."""
    own = f"Host: {server.place}\r\nX-Overlens-Token: {server.token}\r\nConnection: close\r\n"
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{own}\r\n".encode())
        reply = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert reply.startswith(b"HTTP/1.1 404 ") and b"root:" not in reply and b"default-src 'none'" in reply


def test_pictures_are_those_of_the_table(client: TestClient, desk: Desk):
    for row in range(len(desk.run.images)):
        small, full = client.get(f"/image/{row}"), client.get(f"/image/{row}?full=1")
        assert small.headers["content-type"] == full.headers["content-type"] == "image/jpeg"
        assert small.headers["cache-control"].startswith("private, max-age")
        for reply in (small, full):
            shown = np.asarray(Image.open(io.BytesIO(reply.content)).convert("RGB"), np.int16)
            assert np.abs(shown - desk.run.picture(row)).mean() < 8
    assert client.get(f"/image/{len(desk.run.images)}").status_code == 404


def test_a_full_picture_is_the_file_and_no_larger_than_allowed(tmp_path: Path):
    write(tmp_path / "a" / "wide.png", encode_picture(make_picture(1, 5000, 40)))
    write(tmp_path / "a" / "wide.jpg", encode_picture(make_picture(1, 5000, 40), "JPEG", quality=90))
    overlens.analyze(
        {"a": tmp_path / "a"}, output=tmp_path / "out", clip_model="offline", projections="none", no_report=True
    )
    desk = Desk(FinishedRun.open(tmp_path / "out"))
    assert Image.open(io.BytesIO(desk.pictures.full(0))).size[0] == 4096
    assert Image.open(io.BytesIO(desk.pictures.rendition(0))).size[0] <= 512


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_a_changed_original_is_not_shown(client: TestClient, desk: Desk, change: str, tmp_path: Path):
    row = next(row for row, name in enumerate(desk.run.images.names.to_pylist()) if name.startswith("others/0"))
    path = desk.run.images.path(row)
    before = path.read_bytes()
    try:
        path.unlink() if change == "gone" else path.write_bytes(encode_picture(make_picture(9)))
        reply = client.get(f"/image/{row}?full=1")
        assert reply.status_code == 410 and "gone or changed" in reply.json()["error"]
        assert str(path) not in reply.text
    finally:
        path.write_bytes(before)
    assert client.get(f"/image/{row}?full=1").status_code == 200


# ---- headers ----


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/static/base.css", 200),
        ("GET", "/static/nothing.js", 404),
        ("GET", "/image/0", 200),
        ("GET", "/image/99", 404),
        ("GET", "/api/run", 200),
        ("GET", "/api/export", 200),
        ("GET", "/api/pairs?limit=x", 400),
        ("GET", "/nowhere", 404),
        ("GET", "/api/undo", 405),
        ("POST", "/api/decide", 403),
    ],
)
def test_every_answer_carries_the_headers(client: TestClient, method: str, path: str, status: int):
    reply = client.request(method, path)
    assert reply.status_code == status
    _check_headers(reply.headers)
    if path.startswith("/image/0"):
        return
    assert reply.headers["cache-control"] == "no-store"


def _check_headers(headers) -> None:
    policy = headers["content-security-policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


def test_refusals_and_failures_carry_them_too(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    app = make_app(desk, Door(TOKEN, "127.0.0.1", 8123, BODIES))
    client = TestClient(app, base_url=BASE, raise_server_exceptions=False)
    for reply in (client.get("/"), client.get("/", headers={"host": "evil.example"})):
        _check_headers(reply.headers)
    monkeypatch.setattr(desk, "describe_run", lambda: 1 // 0)
    reply = client.get(f"/api/run?token={TOKEN}")
    assert reply.status_code == 500 and "ZeroDivision" not in reply.text and set(reply.json()) == {"error"}
    _check_headers(reply.headers)


# ---- what is shown ----


def test_the_run_is_described(client: TestClient):
    run = client.get("/api/run").json()
    assert [(one["name"], one["n"]) for one in run["datasets"]] == [("left", 6), ("right", 14)]
    assert [rung[0] for rung in run["rungs"]][:2] == ["same_bytes", "same_pixels"]
    assert (
        run["classes"] == sorted([LABEL, "n" * 150, "others"])
        and run["sample"] is None
        and run["title"] == "left, right"
    )


def test_harmful_names_are_data(client: TestClient):
    reply = client.get("/api/pairs", params={"limit": 200})
    assert reply.headers["content-type"] == "application/json"
    names = {image["name"] for pair in reply.json()["pairs"] for image in (pair["left"], pair["right"])}
    assert {f"{LABEL}/{name}" for name in HOSTILE} <= names
    assert {pair["left"]["label"] for pair in reply.json()["pairs"]} <= {LABEL, "n" * 150, "others", ""}
    assert "onerror" not in client.get("/").text


def test_a_page_of_pairs_says_all_that_is_known(client: TestClient, desk: Desk):
    pair = client.get("/api/pairs", params={"rung": "edited", "dataset": "left", "other": "right"}).json()["pairs"][0]
    rows = [pair["left"]["row"], pair["right"]["row"]]
    digests = sorted(desk.run.images.digest(row).hex() for row in rows)
    assert pair["id"] == "-".join(digests) and pair["words"] == "mirrored" and pair["machine"] == "edited"
    assert (pair["left"]["width"], pair["left"]["height"]) == (160, 120) and pair["answer"] == ""
    assert np.allclose(pair["transform"], [-1, 0, 1, 0, 1, 0, 0, 0, 1], atol=0.02)
    assert ["cosine similarity", f"{pair['cosine']:.3f}"] in pair["evidence"]


def test_pages_join_up_and_filters_agree_with_what_is_shown(client: TestClient):
    everything = client.get("/api/pairs", params={"limit": 200}).json()
    assert everything["n"] == len(everything["pairs"]) == client.get("/api/run").json()["n_pairs"]
    paged = [
        pair
        for offset in range(0, everything["n"], 7)
        for pair in client.get("/api/pairs", params={"limit": 7, "offset": offset}).json()["pairs"]
    ]
    assert paged == everything["pairs"]
    checks = {
        "rung=same_picture&rung=edited": lambda one: one["machine"] in ("same_picture", "edited"),
        "dataset=left&other=right": lambda one: (
            {one[side]["dataset"] for side in ("left", "right")} == {"left", "right"}
        ),
        "dataset=left": lambda one: "left" in (one["left"]["dataset"], one["right"]["dataset"]),
        "other=right&dataset=right": lambda one: one["left"]["dataset"] == one["right"]["dataset"] == "right",
        "class=others": lambda one: "others" in (one["left"]["label"], one["right"]["label"]),
        "class=nobody": lambda one: False,
        "min_strength=0.5": lambda one: one["strength"] >= 0.5,
        "max_strength=0.5": lambda one: one["strength"] <= 0.5,
        "min_cosine=0.9": lambda one: one["cosine"] is not None and one["cosine"] >= 0.9,
        "max_bits=10": lambda one: one["bits"] is not None and one["bits"] <= 10,
        "min_strength=1e39": lambda one: False,
        "query=DROP table": lambda one: any("DROP TABLE" in one[side]["name"] for side in ("left", "right")),
        "query=HILLS": lambda one: any("hills" in one[side]["label"] + one[side]["name"] for side in ("left", "right")),
        "judged=yes": lambda one: False,
        "judged=no": lambda one: True,
    }
    for query, check in checks.items():
        found = client.get(f"/api/pairs?limit=200&{query}").json()["pairs"]
        assert found == [one for one in everything["pairs"] if check(one)], query
        assert client.get(f"/api/progress?{query}").json()["n_pairs"] == len({one["id"] for one in found})


def test_doubt_takes_turns_from_the_border_outwards(desk: Desk):
    pairs = desk.pairs
    order = order_pairs(pairs, "doubt")
    assert sorted(order.tolist()) == list(range(len(pairs)))
    rungs, strengths = pairs.rungs[order], pairs.strengths[order]
    is_copy = rungs <= 3
    n_copies = int(is_copy.sum())
    assert is_copy[: 2 * n_copies].tolist() == [True, False] * n_copies
    copies = list(zip((-rungs[is_copy].astype(int)).tolist(), strengths[is_copy].tolist(), strict=True))
    others = list(zip(rungs[~is_copy].astype(int).tolist(), (-strengths[~is_copy]).tolist(), strict=True))
    assert copies == sorted(copies) and others == sorted(others)


def test_points_lie_on_one_another(client: TestClient, desk: Desk):
    query = {"rung": "edited", "dataset": "left", "other": "right"}
    pair = client.get("/api/pairs", params=query).json()["pairs"][0]
    points = np.array(client.get(f"/api/points/{pair['id']}").json()["points"])
    assert len(points) >= 10 and points.min() >= 0 and points.max() <= 1
    assert np.abs(points[:, 0] - (1 - points[:, 2])).max() < 0.05 and np.abs(points[:, 1] - points[:, 3]).max() < 0.05
    same = client.get("/api/pairs", params={"rung": "same_bytes"}).json()["pairs"][0]
    assert client.get(f"/api/points/{same['id']}").json() == {"points": []}
    assert client.get(f"/api/points/{pair['id'][:-1]}").status_code == 404
    assert client.get("/api/points/x-y").status_code == 404


def test_flat_pictures_have_no_points():
    flat = np.full((40, 60, 3), 128, np.uint8)
    assert fitting_points(flat, flat, [1, 0, 0, 0, 1, 0, 0, 0, 1]) == []


# ---- what people say ----


def test_an_answer_is_kept_with_what_was_shown(client: TestClient, root: Path):
    pair = client.get("/api/pairs", params={"rung": "edited"}).json()["pairs"][0]
    note = "\N{GRINNING FACE} <b>'); DROP TABLE decisions; --\ud800"
    decide(client, pair["id"], "not a copy", note=note)
    (kept,) = DecisionStore(CrossLayout(root).decisions).history()
    assert (kept.answer, kept.origin, kept.occasion.session) == ("not a copy", "desk", "w")
    assert kept.note.startswith("\N{GRINNING FACE} <b>'); DROP TABLE decisions; --")
    shown = kept.occasion.shown
    assert shown["verdict"] == "edited" and shown["measured"] == pair["evidence"] and shown["open"] is True
    assert shown["left"] == [pair["left"]["dataset"], pair["left"]["name"]], "words are of the right picture"
    assert {kept.left.image, kept.right.image} == {pair["left"]["name"], pair["right"]["name"]}
    shown = client.get("/api/pairs", params={"judged": "not a copy"}).json()
    assert [one["id"] for one in shown["pairs"]] == [pair["id"]]
    answered = shown["pairs"][0]
    assert (answered["answer"], answered["number"], answered["note"]) == ("not a copy", kept.number, kept.note)


def test_undo_goes_back_in_one_window(client: TestClient, root: Path):
    one, other = (pair["id"] for pair in client.get("/api/pairs").json()["pairs"][:2])
    decide(client, one, "copy", "first")
    decide(client, other, "unsure", "second")
    decide(client, one, "same scene", "first", seen=1)

    def undo(session: str) -> dict:
        return client.post("/api/undo", json={"session": session}, headers=OWN).json()

    undone = undo("first")
    assert (undone["undone"], undone["answer"], undone["number"]) == (one, "copy", 1)
    assert undo("first")["answer"] == "" and undo("first")["undone"] is None
    assert undo("third")["undone"] is None
    progress = client.get("/api/progress").json()
    assert progress["n_judged"] == 1 and progress["by_answer"]["unsure"] == 1
    assert history(root) == ["copy", "unsure", "same scene"]


def test_nobody_overrules_what_he_did_not_see(client: TestClient, root: Path):
    pair = first_id(client)
    number = decide(client, pair, "copy", "first")["number"]
    reply = client.post("/api/decide", json=said(pair, "unsure", "second"), headers=OWN)
    assert reply.status_code == 409 and "meanwhile" in reply.json()["error"]
    assert (reply.json()["answer"], reply.json()["number"]) == ("copy", number)
    assert history(root) == ["copy"]
    before = client.get("/api/progress").json()["version"]
    assert decide(client, pair, "unsure", "second", seen=number)["progress"]["version"] != before
    assert decide(client, pair, "unsure", "second", seen=number)["number"] == 2, "said again it is no second line"
    assert history(root) == ["copy", "unsure"]


def test_any_answer_can_be_taken_back(client: TestClient, root: Path):
    pair = first_id(client)
    first, second = (decide(client, pair, one, one, seen=n)["number"] for n, one in enumerate(("copy", "unsure")))

    def take_back(number: object) -> tuple[int, dict]:
        reply = client.post("/api/undo", json={"session": "third", "number": number}, headers=OWN)
        return reply.status_code, reply.json()

    assert take_back(first)[0] == 409
    assert [take_back(one)[0] for one in ("1", -1, None, 77)] == [400] * 4
    status, reply = take_back(second)
    assert status == 200 and (reply["undone"], reply["answer"], reply["number"]) == (pair, "copy", first)
    assert take_back(first)[1]["answer"] == "" and client.get("/api/progress").json()["n_judged"] == 0


def test_the_first_open_pair_is_told(client: TestClient):
    ids = list(dict.fromkeys(one["id"] for one in client.get("/api/pairs?limit=200").json()["pairs"]))
    assert client.get("/api/pairs?limit=1").json()["first_open"] == 0
    decide(client, ids[0])
    page = client.get("/api/pairs?limit=200").json()
    assert page["pairs"][page["first_open"]]["id"] == ids[1]
    assert client.get("/api/pairs?judged=yes").json()["first_open"] == -1


def test_equal_files_listed_often_are_one_answer(tmp_path: Path):
    pixels = make_picture(1, 160, 120)
    for side in ("left", "right"):
        for number in range(4):
            write(
                tmp_path / side / f"{number}.png", encode_picture(pixels if side == "left" else pixels[:, ::-1].copy())
            )
    datasets = {side: tmp_path / side for side in ("left", "right")}
    overlens.analyze(datasets, output=tmp_path / "out", clip_model="offline", projections="none", no_report=True)
    app = make_app(Desk(FinishedRun.open(tmp_path / "out")), Door(TOKEN, "127.0.0.1", 8123, BODIES))
    client = TestClient(app, base_url=BASE, headers={"X-Overlens-Token": TOKEN})
    across = {"dataset": "left", "other": "right"}
    shown = client.get("/api/pairs", params=across).json()
    assert shown["n"] == 16 and len({one["id"] for one in shown["pairs"]}) == 1
    before = client.get("/api/progress", params=across).json()
    assert (before["n_pairs"], before["n_judged"]) == (1, 0)
    progress = decide(client, shown["pairs"][0]["id"])["progress"]
    assert progress["n_judged"] == 1 and progress["by_answer"]["copy"] == 1 and progress["precision"]["n"] == 1


def test_after_a_run_that_honoured_an_answer_the_page_says_what_the_pixels_say(
    client: TestClient, root: Path, made: Path
):
    pair = client.get("/api/pairs", params={"rung": "edited"}).json()["pairs"][0]
    decide(client, pair["id"], "not a copy")
    datasets = {name: made.parent / name for name in ("left", "right")}
    overlens.analyze(datasets, output=root, clip_model="offline", projections="none", no_report=True)
    app = make_app(Desk(FinishedRun.open(root)), Door(TOKEN, "127.0.0.1", 8123, BODIES))
    again = TestClient(app, base_url=BASE, headers={"X-Overlens-Token": TOKEN})
    found = again.get("/api/pairs", params={"rung": "edited", "limit": 200}).json()["pairs"]
    (same,) = (one for one in found if one["id"] == pair["id"])
    assert {name: same[name] for name in ("machine", "strength", "evidence")} == {
        name: pair[name] for name in ("machine", "strength", "evidence")
    }
    assert same["answer"] == "not a copy"


def test_precision_is_of_verified_pairs_that_could_be_told(client: TestClient):
    shown = client.get("/api/pairs", params={"limit": 200}).json()["pairs"]
    copies = [one["id"] for one in shown if one["machine"] in ("same_picture", "edited")]
    other = next(one["id"] for one in shown if one["machine"] == "look_alike")
    assert client.get("/api/progress").json()["precision"] is None
    for pair, answer in zip(copies[:4], ("copy", "copy", "not a copy", "unsure"), strict=True):
        decide(client, pair, answer)
    precision = decide(client, other, "not a copy")["progress"]["precision"]
    assert (precision["n_copies"], precision["n"]) == (2, 3)
    assert (round(precision["low"], 3), round(precision["high"], 3)) == (0.208, 0.939)  # Wilson


def test_what_another_process_says_is_seen_at_once(client: TestClient, root: Path, desk: Desk):
    pair = first_id(client)
    assert client.get("/api/progress").json()["n_judged"] == 0
    decide(
        TestClient(
            make_app(Desk(desk.run), Door("t", "127.0.0.1", 8123)), base_url=BASE, headers={"X-Overlens-Token": "t"}
        ),
        pair,
    )
    assert client.get("/api/progress").json()["n_judged"] == 1
    assert client.get("/api/pairs", params={"judged": "yes"}).json()["pairs"][0]["id"] == pair


def test_a_table_goes_out_and_in(client: TestClient, made: Path, tmp_path: Path):
    shown = client.get("/api/pairs", params={"limit": 3, "dataset": "left"}).json()["pairs"]
    for one, answer in zip(shown, ("copy", "same scene", "unsure"), strict=True):
        decide(client, one["id"], answer, note="=1+1")
    table = client.get("/api/export")
    assert table.headers["content-type"].startswith("text/csv") and "attachment" in table.headers["content-disposition"]
    assert ",=1+1" not in table.text and "'=1+1" in table.text
    other = Path(shutil.copytree(made, tmp_path / "other"))
    app = make_app(Desk(FinishedRun.open(other)), Door(TOKEN, "127.0.0.1", 8123, BODIES))
    second = TestClient(app, base_url=BASE, headers={"X-Overlens-Token": TOKEN})
    csv = {**OWN, "content-type": "text/csv; charset=utf-8"}
    counts = [second.post("/api/import", content=table.content, headers=csv).json() for _ in range(2)]
    assert counts == [{"n_added": 3, "n_same": 0, "n_older": 0}, {"n_added": 0, "n_same": 3, "n_older": 0}]
    assert second.get("/api/export").text == table.text
    assert second.get("/api/progress").json()["by_answer"] == client.get("/api/progress").json()["by_answer"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (b"a,b\n1,2\n", "columns"),
        (b"sha256_a,sha256_b,answer\nxyz,00,copy\n", "line 2"),
        (b"dataset_a,image_a,dataset_b,image_b,answer\nleft,../../etc/passwd,right,0.png,copy\n", "line 2"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
    ids=["columns", "digest", "name", "bytes"],
)
def test_a_table_that_cannot_be_used_changes_nothing(client: TestClient, root: Path, table: bytes, problem: str):
    reply = client.post("/api/import", content=table, headers={**OWN, "content-type": "text/csv"})
    assert reply.status_code == 400 and problem in " ".join(reply.json()["problems"])
    assert history(root) == []


# ---- a real server ----


class Served:
    """`overlens review` in a process of its own."""

    def __init__(self, root: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "overlens", "review", str(root), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        address = urlsplit(self.line.strip())
        self.place, self.host, self.port = address.netloc, address.hostname or "", address.port or 0
        self.token = parse_qs(address.query)["token"][0]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        connection = HTTPConnection(self.host, self.port, timeout=30)
        headers = {"X-Overlens-Token": self.token, "Origin": f"http://{self.place}"}
        content = None if body is None else json.dumps(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, content, headers)
        reply = connection.getresponse()
        try:
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def stop(self, by: signal.Signals) -> int:
        self.process.send_signal(by)
        code = self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def server(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = shutil.copytree(made, tmp_path_factory.mktemp("served") / "out")
    served = Served(Path(root))
    yield served
    served.stop(signal.SIGKILL)


def test_an_acknowledged_answer_survives_a_kill(root: Path):
    served = Served(root)
    pairs = served.ask("GET", "/api/pairs?limit=5")[1]["pairs"]
    for one in pairs:
        status, _ = served.ask("POST", "/api/decide", said(one["id"]))
        assert status == 200
    served.stop(signal.SIGKILL)
    assert history(root) == ["copy"] * 5
    again = Served(root)
    try:
        assert again.ask("GET", "/api/progress")[1]["n_judged"] == 5
    finally:
        assert again.stop(signal.SIGINT) in (0, 130)
    assert again.token != served.token


def test_two_windows_lose_nothing(root: Path):
    served = Served(root)
    try:
        shown = served.ask("GET", "/api/pairs?limit=200")[1]["pairs"]
        ids = list(dict.fromkeys(one["id"] for one in shown))[:30]
        replies: list[int] = []

        def judge(own: list[str], session: str) -> None:
            for one in own:
                replies.append(served.ask("POST", "/api/decide", said(one, "unsure", session))[0])

        windows = [threading.Thread(target=judge, args=(ids[side::2], f"window {side}")) for side in range(2)]
        for one in windows:
            one.start()
        for one in windows:
            one.join()
        assert replies == [200] * len(ids)
        assert served.ask("GET", "/api/progress")[1]["n_judged"] >= len(set(ids))
    finally:
        assert served.stop(signal.SIGTERM) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    assert len(history(root)) == len(ids)


def test_it_prints_one_line_and_binds_to_loopback(server: Served):
    assert server.line.startswith("http://127.0.0.1:") and len(server.token) >= 40
    reply = server.ask("GET", "/api/run")
    assert reply[0] == 200


# ---- the command ----


def test_a_missing_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r'pip install "overlens\[review\]"'):
        CliRunner().invoke(command_line, ["review", str(root)], catch_exceptions=False)


def test_a_table_needs_no_extra(
    root: Path, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path
):
    decide(client, first_id(client), "not a copy")
    other = Path(shutil.copytree(made, tmp_path / "other"))
    for library in ("uvicorn", "starlette"):
        monkeypatch.setitem(sys.modules, library, None)
    table = tmp_path / "decisions.csv"
    out = CliRunner().invoke(command_line, ["review", str(root), "--export", str(table)], catch_exceptions=False)
    assert out.exit_code == 0 and "1 decision" in out.output
    into = CliRunner().invoke(command_line, ["review", str(other), "--import", str(table)], catch_exceptions=False)
    assert into.exit_code == 0 and history(other) == ["not a copy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "99999"], "port 99999"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--sample", "1"], "too small"),
        (["--sample", "0"], "1 or more"),
        (["--sample", "5", "--seed", "-1"], "0 or more"),
    ],
)
def test_what_cannot_be_served_is_said(root: Path, options: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(command_line, ["review", str(root), *options], catch_exceptions=False)


def test_a_run_without_judged_pairs_has_nothing_to_review(tmp_path: Path):
    write(tmp_path / "a" / "one.png", encode_picture(make_picture(1)))
    overlens.analyze(
        {"a": tmp_path / "a"},
        output=tmp_path / "out",
        clip_model="offline",
        projections="none",
        no_verify=True,
        no_report=True,
    )
    with pytest.raises(ConfigError, match="nothing to review"):
        Desk(FinishedRun.open(tmp_path / "out"))


# ---- size ----


@pytest.mark.slow
def test_a_million_pairs_open_in_bounded_memory(root: Path):
    """In a process of its own, since only that tells its memory."""
    script = f"""
        import resource, time
        from pathlib import Path
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq
        from overlens.finished import FinishedRun
        from overlens.review.desk import Desk
        from overlens.review.queue import PairFilter

        run = FinishedRun.open(Path({str(root)!r}))
        table = pq.read_table(run.layout.pairs)
        with pq.ParquetWriter(run.layout.pairs, table.schema, compression="zstd") as writer:
            for block in range(64):
                writer.write_table(table.take(pa.array(np.arange(block, block + 16_384) % len(table))))
        del table
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        desk = Desk(run)
        opened = time.perf_counter() - start
        start = time.perf_counter()
        for offset in (0, 500_000, 1_000_000):
            assert len(desk.list_pairs(PairFilter(judged="no"), "doubt", offset, 50)["pairs"]) == 50
        paged = time.perf_counter() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        print(len(desk.pairs), opened, paged, grown)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    n_pairs, opened, paged, grown = map(float, done.stdout.split())
    assert n_pairs == 64 * 16_384
    assert opened < 60 and paged < 10, done.stdout
    assert grown < 500 * n_pairs, done.stdout
    assert len(ListedPairs.__slots__) == 17


def test_an_answer_is_the_samples_only_in_its_order(root: Path):
    desk = Desk(FinishedRun.open(root), sample=(12, 0))
    assert desk.sample is not None and desk.store.samples() == ((12, 0),)

    def judge(place: int, answer: str = "copy", seen: int = 0) -> str:
        pair = desk.pairs.files_of(desk.run.images, place)
        number = desk.decide(Said(pair, 0, answer, "w", seen, is_open=False))
        return next(one.origin for one in desk.store.history() if one.number == number)

    first, second, third = desk.sample.places[:3].tolist()
    assert judge(second) == "desk", "the first one was passed over, so this one was chosen"
    assert judge(first) == judge(third) == desk.sample.origin
    assert desk.progress(PairFilter())["sample"]["n_counted"] == 3
    plain = Desk(FinishedRun.open(root))
    number = plain.store.latest()[plain.pairs.files_of(plain.run.images, first)].number
    pair = plain.pairs.files_of(plain.run.images, first)
    plain.decide(Said(pair, 0, "unsure", "other", number, is_open=True))
    assert plain.store.latest()[pair].origin == desk.sample.origin, "who says otherwise of it makes it no other choice"
