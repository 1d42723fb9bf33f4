"""The addresses of the desk: what each takes, and the desk's answer as JSON, a picture or a table.

No part of a request is ever joined to a folder: an image is a row of the run's own table, a script one of a fixed list.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from overlens.decisions.records import MOST_NOTE
from overlens.decisions.store import OverruledError
from overlens.errors import ConfigError, StoreError
from overlens.report.style import dataset_colour
from overlens.review.desk import MOST_IMPORTED_BYTES, MOST_SESSION, Desk, Said, UnknownError, parse_id
from overlens.review.pictures import GoneError
from overlens.review.queue import PairFilter
from overlens.review.security import Door, Guard
from overlens.tables import valid_text
from overlens.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_LISTED, LISTED = 200, 50
MOST_NUMBER = 10**15
IMPORT_PATH = "/api/import"
BODIES = {IMPORT_PATH: ("text/csv", MOST_IMPORTED_BYTES)}
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
STATIC_OF = ("overlens.report.html", "overlens.review")
"""Packages whose static files are served; the look is that of the report."""
_STATUS = {ConfigError: 400, UnknownError: 404, GoneError: 410, StoreError: 500}

Answer = Callable[[Request], Response]


def make_app(desk: Desk, door: Door) -> Guard:
    """Return the application, behind its guard."""
    own = _Pages(desk, door.token)
    reads: dict[str, Answer] = {
        "/": own.page,
        "/image/{row}": own.image,
        "/api/run": own.run,
        "/api/pairs": own.pairs,
        "/api/points/{id}": own.points,
        "/api/progress": own.progress,
        "/api/export": own.export,
        "/static/{name}": partial(_static, static_files()),
    }
    writes = {"/api/decide": own.decide, "/api/undo": own.undo, IMPORT_PATH: own.take_in}
    routes = [Route(path, _threaded(answer), methods=["GET"]) for path, answer in reads.items()]
    routes += [Route(path, answer, methods=["POST"]) for path, answer in writes.items()]
    handlers: Mapping[Any, Any] = {
        HTTPException: _say_status,
        OverruledError: _say_overruled,
        Exception: _say_failure,
    }
    app = Starlette(routes=routes, exception_handlers={**handlers, **dict.fromkeys(_STATUS, _say)})
    app.router.redirect_slashes = False
    return Guard(app, door)


class _Pages:
    """The answers of one desk."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk, self._token = desk, token
        self._templates = _environment()

    def page(self, request: Request) -> Response:
        images = self._desk.run.images
        datasets = [{"name": name, "colour": dataset_colour(place)} for place, name in enumerate(images.dataset_names)]
        facts = {"token": self._token, "version": __version__, "title": ", ".join(images.dataset_names)}
        return HTMLResponse(self._templates.get_template("desk.html").render(**facts, datasets=datasets))

    def image(self, request: Request) -> Response:
        text = request.path_params["row"]
        row = int(text) if _is_whole(text) else -1
        if not 0 <= row < len(self._desk.run.images):
            raise UnknownError("the run has no such image")
        pictures, is_full = self._desk.pictures, request.query_params.get("full") == "1"
        content = pictures.full(row) if is_full else pictures.rendition(row)
        return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def run(self, request: Request) -> Response:
        return JSONResponse(self._desk.describe_run())

    def pairs(self, request: Request) -> Response:
        query = request.query_params
        offset, limit = _whole(query, "offset", 0), _whole(query, "limit", LISTED)
        if limit > MOST_LISTED:
            raise ConfigError(f"limit must be a whole number of 0 to {MOST_LISTED}, got {limit}")
        return JSONResponse(self._desk.list_pairs(filter_of(request), query.get("order") or "doubt", offset, limit))

    def points(self, request: Request) -> Response:
        left = _whole(request.query_params, "left", -1)
        return JSONResponse({"points": self._desk.points(parse_id(request.path_params["id"]), left)})

    def progress(self, request: Request) -> Response:
        return JSONResponse(self._desk.progress(filter_of(request)))

    def export(self, request: Request) -> Response:
        headers = {"content-disposition": 'attachment; filename="decisions.csv"'}
        return Response(self._desk.export_csv(), media_type="text/csv", headers=headers)

    async def decide(self, request: Request) -> Response:
        given, wanted = _object(await request.body()), filter_of(request)
        said = Said(
            parse_id(_text(given, "id", 200)),
            _count(given, "left"),
            _text(given, "answer", 100),
            _text(given, "session", MOST_SESSION),
            _count(given, "seen"),
            given.get("open") is True,
            "" if given.get("note") in ("", None) else _text(given, "note", MOST_NOTE),
        )

        def work() -> dict[str, Any]:
            return {"ok": True, "number": self._desk.decide(said), "progress": self._desk.progress(wanted)}

        return JSONResponse(await run_in_threadpool(work))

    async def undo(self, request: Request) -> Response:
        given, wanted = _object(await request.body()), filter_of(request)
        session = _text(given, "session", MOST_SESSION)
        number = _count(given, "number") if "number" in given else None

        def work() -> dict[str, Any]:
            return {"ok": True, **self._desk.undo(session, number), "progress": self._desk.progress(wanted)}

        return JSONResponse(await run_in_threadpool(work))

    async def take_in(self, request: Request) -> Response:
        try:
            text = (await request.body()).decode("utf-8-sig")
            return JSONResponse(await run_in_threadpool(self._desk.import_csv, text))
        except UnicodeDecodeError:
            problems = ["the table is not UTF-8; save it as CSV in UTF-8"]
        except ConfigError as error:
            problems = [line.strip() for line in str(error).splitlines()]
        return JSONResponse({"error": problems[0], "problems": problems[1:] or problems}, 400)


def filter_of(request: Request) -> PairFilter:
    """Return the filter that an address names; raises ConfigError if a value cannot be used."""
    query = request.query_params
    return PairFilter(
        dataset=query.get("dataset", ""),
        other=query.get("other", ""),
        label=query.get("class", ""),
        rungs=tuple(sorted({rung for rung in query.getlist("rung") if rung})),
        judged=query.get("judged") or "any",
        strength=(_real(query, "min_strength"), _real(query, "max_strength")),
        max_bits=_whole(query, "max_bits", 0) if query.get("max_bits") else None,
        min_cosine=_real(query, "min_cosine"),
        text=query.get("query", ""),
        is_sample=query.get("sample") == "1",
    )


def static_files() -> dict[str, Traversable]:
    """Return the scripts and styles of the page by their names."""
    folders = [files(package).joinpath("static") for package in STATIC_OF]
    found = [one for folder in folders if folder.is_dir() for one in folder.iterdir()]
    return {one.name: one for one in found if one.is_file() and _suffix(one.name) in KINDS}


def _static(known: Mapping[str, Traversable], request: Request) -> Response:
    name = request.path_params["name"]
    if name not in known:
        raise HTTPException(404)
    return Response(known[name].read_bytes(), media_type=KINDS[_suffix(name)])


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""


def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("overlens.review")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _threaded(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return answered


def _object(body: bytes) -> dict[str, Any]:
    """Return what a body says; raises ConfigError if it is no JSON object."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ConfigError("the body is no JSON") from error
    if not isinstance(given, dict):
        raise ConfigError("the body must be a JSON object")
    return given


def _text(given: Mapping[str, Any], name: str, most: int) -> str:
    text = given.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= most:
        raise ConfigError(f"{name} must be a text of 1 to {most} characters")
    return valid_text(text)


def _count(given: Mapping[str, Any], name: str) -> int:
    number = given.get(name)
    if type(number) is not int or not 0 <= number < MOST_NUMBER:
        raise ConfigError(f"{name} must be a whole number, 0 or more")
    return number


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if text != str(default) and not _is_whole(text):
        raise ConfigError(f"{name} must be a whole number, 0 or more, got {text!r}")
    return int(text)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < len(str(MOST_NUMBER))


def _real(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{name} must be a number, got {text!r}")
    return value


def _say(request: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status)


def _say_overruled(request: Request, error: OverruledError) -> Response:
    latest = error.latest
    counts = {"answer": "", "number": 0} if latest is None else {"answer": latest.answer, "number": latest.number}
    return JSONResponse({"error": str(error), **counts}, 409)


def _say_status(request: Request, error: HTTPException) -> Response:
    sentences = {404: "there is nothing at this address", 405: f"{request.method} is not allowed here"}
    return JSONResponse(
        {"error": sentences.get(error.status_code, error.detail)}, error.status_code, headers=error.headers
    )


def _say_failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the desk failed; its terminal says more"}, 500)
