"""The desk on the network: one socket, one token, until Ctrl-C."""

import logging
import secrets
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING

from overlens.errors import ConfigError, MissingExtraError
from overlens.review.security import WILDCARDS, Door

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
            f"cannot listen at {host}, port {port}: {reason}; give --host 127.0.0.1, and --port 0 for a free port"
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def serve_desk(desk: "Desk", listener: socket.socket, host: str, announce: Callable[[str], None]) -> None:
    """Answer until the process is told to stop.

    Args:
        desk: What to serve.
        listener: Where.
        host: The address as it was given.
        announce: Called once with the address of the page, when it answers.
    """
    import uvicorn

    from overlens.review.app import BODIES, make_app

    port, token = int(listener.getsockname()[1]), secrets.token_urlsafe(TOKEN_BYTES)
    app = make_app(desk, Door(token, host, port, BODIES))
    config = uvicorn.Config(
        app,
        access_log=False,  # it would write the token
        log_config=None,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
    )
    # The socket listens already, so whoever comes now waits until it answers.
    shown = "127.0.0.1" if host in WILDCARDS else f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{port}/?token={token}")
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
