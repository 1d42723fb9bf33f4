"""Who may ask the desk for what: one guard before every route, and the headers of every answer.

The desk shows private pictures and writes what people say, and any page in the same browser can send it requests. So a
request must name a host that is the desk's (a page whose name was rebound to this machine names another), carry the
token of the address, which other pages do not know, and to change something come from the desk's own page, in a type
that no form can send. What it sends is bounded while it is read. An answer tells the browser to load nothing from
elsewhere, to be framed by nobody, and to keep nothing but pictures. Nothing is said of the run before the token fits.
"""

import hmac
import ipaddress
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}
OPEN_PREFIX = "/static/"
TOKEN_HEADER = "x-overlens-token"
MOST_BYTES = 64 * 1024
MOST_FIELDS = 100
WILDCARDS = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Door:
    """What a request must name and carry.

    Attributes:
        token: The secret of the address.
        host: Address that the desk is bound to.
        port: Port that it is bound to.
        bodies: Path -> (type of the body, most bytes) of the routes that take anything but JSON up to `MOST_BYTES`.
    """

    token: str = field(repr=False)
    host: str
    port: int
    bodies: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def opens_to(self, host: str) -> bool:
        """Whether a Host header is the desk's.

        A desk that is bound to all addresses of a machine goes by any of them as a number, which cannot be rebound, or
        by the name of the machine.
        """
        host = host.lower()
        own = {f"{name}:{self.port}" for name in (_bracketed(self.host.lower()), "localhost", "127.0.0.1")}
        if self.port == 80:
            own |= {name.rpartition(":")[0] for name in own}
        if host in own or self.host not in WILDCARDS:
            return host in own
        name, _, port = host.rpartition(":")
        return port == str(self.port) and (name == socket.gethostname().lower() or _is_number(name))

    def fits(self, token: str) -> bool:
        """Whether a token is the desk's; takes as long whatever it is."""
        return hmac.compare_digest(token.encode(errors="surrogateescape"), self.token.encode())


class RefusedError(Exception):
    """A request is refused with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Guard:
    """Lets through what the door opens to, and gives every answer its headers."""

    def __init__(self, app: "ASGIApp", door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        guarded = _with_headers(send)
        try:
            self._check(scope)
            if scope["method"] in ("GET", "HEAD"):
                await self._app(scope, receive, guarded)
                return
            kind, most = self._door.bodies.get(scope["path"], ("application/json", MOST_BYTES))
            _check_change(scope, kind)
            body = await _read_body(scope, receive, most)
        except RefusedError as refused:
            await _refuse(guarded, refused)
        else:
            await self._app(scope, _replay(body, receive), guarded)

    def _check(self, scope: "Scope") -> None:
        hosts = _all(scope, "host")
        if len(hosts) != 1 or not self._door.opens_to(hosts[0]):
            raise RefusedError(421, "this address is not the desk's; open the address that overlens review printed")
        if not scope["path"].startswith(OPEN_PREFIX) and not any(map(self._door.fits, _tokens(scope))):
            raise RefusedError(403, "the token is missing or wrong; open the address that overlens review printed")


def _check_change(scope: "Scope", kind: str) -> None:
    """Refuse a request that changes something unless it comes from the desk's own page."""
    origins, sites = _all(scope, "origin"), _all(scope, "sec-fetch-site")
    own = [f"http://{_all(scope, 'host')[0].lower()}"]
    if [one.lower() for one in origins] != own if origins else sites != ["same-origin"]:
        raise RefusedError(403, "only the desk's own page may change anything")
    if scope["method"] == "POST" and [one.partition(";")[0].strip().lower() for one in _all(scope, "content-type")] != [
        kind
    ]:
        raise RefusedError(415, f"the content type must be {kind}")


async def _read_body(scope: "Scope", receive: "Receive", most: int) -> bytes:
    """Return the whole body; what is too long is refused as soon as that is known."""
    lengths = _all(scope, "content-length")
    if any(not one.isascii() or not one.isdigit() or len(one) > 15 or int(one) > most for one in lengths):
        raise RefusedError(413, f"the body is too long; allowed are {most:,} bytes")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "the request was broken off")
        body += message.get("body", b"")
        if len(body) > most:
            raise RefusedError(413, f"the body is too long; allowed are {most:,} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: "Receive") -> "Receive":
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> "Message":
        return pending.pop() if pending else await receive()

    return again


def _with_headers(send: "Send") -> "Send":
    async def guarded(message: "Message") -> None:
        if message["type"] == "http.response.start":
            given = [*message.get("headers", [])]
            names = {name.lower() for name, _ in given}
            own = {"cache-control": "no-store", **HEADERS}
            kept = [(name, value) for name, value in given if name.lower().decode() not in HEADERS]
            added = [(name.encode(), value.encode()) for name, value in own.items()]
            message = {
                **message,
                "headers": kept + [one for one in added if one[0] != b"cache-control" or one[0] not in names],
            }
        await send(message)

    return guarded


async def _refuse(send: "Send", refused: RefusedError) -> None:
    body = json.dumps({"error": str(refused)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.status == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _all(scope: "Scope", name: str) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name.encode()]


def _tokens(scope: "Scope") -> list[str]:
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:  # more fields than that
        query = {}
    return [*_all(scope, TOKEN_HEADER), *query.get("token", [])][:2]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
