"""The desk on the network: one socket, one token, until Ctrl-C."""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from overlens.errors import ConfigError, MissingExtraError
from overlens.review.security import Door

if TYPE_CHECKING:
    from overlens.review.desk import Desk

TOKEN_BYTES = 32
GRACE_S = 2
"""How long a stop waits for answers under way."""

_log = logging.getLogger(__name__)


def require_extra() -> None:
    """Raise MissingExtraError unless the libraries of the extra `review` are installed."""
    for library in ("starlette", "uvicorn"):
        try:
            __import__(library)
        except ImportError as error:
            raise MissingExtraError(f"the library {library}, which serves the review desk,", "review") from error


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        ConfigError: The address cannot be had.
    """
    if not 0 <= port < 65_536:  # some systems take it for its last 16 bits
        raise ConfigError(f"port {port} cannot be had; allowed are 1 to 65535, and 0 for a free one")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"cannot listen at {host}, port {port}: {reason}; give an address alone, such as --host 127.0.0.1, and "
            "--port 0 for a free port"
        ) from error


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches what listens there."""
    return ip_address(listener.getsockname()[0].split("%")[0]).is_loopback


@contextmanager
def redirecting_page(folder: Path, address: str) -> Iterator[Path]:
    """Hold a page that leads to an address, readable by its owner alone.

    A browser is started with the path of that page: what a process is started with is seen by everybody on a machine,
    and the address holds the token.

    Raises:
        ConfigError: The page cannot be written.
    """
    path = folder / f"desk-{secrets.token_hex(8)}.html"
    text = f'<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={escape(address)}">'
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}; leave out --open") from error
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


Announce = Callable[[str], AbstractContextManager[object]]


def serve_desk(desk: "Desk", listener: socket.socket, host: str, announce: Announce) -> None:
    """Answer until the process is told to stop.

    Args:
        desk: What to serve.
        listener: Where.
        host: The address as it was given.
        announce: Called once with the address of the page; what it returns is held while the desk answers.
    """
    import uvicorn

    from overlens.review.app import BODIES, make_app

    port, token = int(listener.getsockname()[1]), secrets.token_urlsafe(TOKEN_BYTES)
    config = uvicorn.Config(
        make_app(desk, Door(token, host, port, BODIES)),
        access_log=False,  # it would write the token
        log_config=None,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )
    # The socket listens already, so whoever comes now waits until it answers.
    with listener, announce(f"http://{_reached_at(host)}:{port}/?token={token}"):
        uvicorn.Server(config).run(sockets=[listener])


def _reached_at(host: str) -> str:
    """Return how this machine reaches a desk that is bound to an address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
