"""Checks before every request (address, origin, password), and the headers of every answer."""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse

from .passwords import is_token
from .sessions import Sessions, cookie_name

Scope: TypeAlias = MutableMapping[str, Any]
Received: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Received, Send], Awaitable[None]]

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every answer."""

_SAFE = {"GET", "HEAD"}
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Credentials that the page accepts.

    Attributes
    ----------
    password, token : str
        Hashes of the password and of the token for scripts; empty if there is none. Without a password, everyone on this machine
        may use the page.
    path : str
        Path that a proxy serves the page under, such as "/earshot"; empty for none.
    ingress : str
        Address of a proxy whose users are logged in already, such as Home Assistant's ingress; empty for none. Without a password,
        only this proxy and this machine may use the page.
    """

    password: str = ""
    token: str = ""
    path: str = ""
    ingress: str = ""


class AccessControl:
    """Access to the page at present, and the sessions of browsers.

    Parameters
    ----------
    access : Access
        Credentials.
    key : bytes
        Secret key of the sessions.
    """

    def __init__(self, access: Access, key: bytes) -> None:
        self.access = access
        self.sessions = Sessions(key)

    def change(self, access: Access, key: bytes) -> None:
        """Accept other credentials; with another key, all sessions end."""
        self.access = access
        self.sessions.change_key(key)


class Guard:
    """ASGI application around another one, which refuses what it must not see.

    Parameters
    ----------
    app : callable
        Application that answers.
    control : AccessControl
        Who may use it.
    public : collection of str
        Paths that need no password: the page itself, and the login.
    """

    def __init__(self, app: App, control: AccessControl, public: Iterable[str]) -> None:
        self._app = app
        self._control = control
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Received, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in {"http", "websocket"}:
            return
        lacks_slash = self._lacks_slash(scope)
        self._strip_path(scope)
        headers = Headers(raw=scope["headers"])
        refusal = self._refusal(scope, headers)
        if refusal is None:
            app = _with_slash(scope, self._control.access.path) if lacks_slash else self._app
            await app(scope, receive, _with_headers(send))
            return
        status, sentence = refusal
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = JSONResponse({"error": sentence}, status)
        await answer(scope, receive, _with_headers(send))

    def is_known(self, headers: Headers) -> bool:
        """Return True if a request comes with a session or a token, or none is needed."""
        if self.has_token(headers):
            return True
        access = self._control.access
        cookie = session_cookie(headers, cookie_name(access.path))
        return not access.password or self._control.sessions.is_valid(cookie)

    def has_token(self, headers: Headers) -> bool:
        """Return True if a request has the token for scripts."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return (
            bool(self._control.access.token)
            and scheme.lower() == "bearer"
            and is_token(token, self._control.access.token)
        )

    def _lacks_slash(self, scope: Scope) -> bool:
        """Return True for the page at the path of the proxy without a slash, where relative addresses lead elsewhere."""
        is_read = scope["type"] == "http" and scope["method"] in _SAFE
        return is_read and bool(self._control.access.path) and scope["path"] == self._control.access.path

    def _strip_path(self, scope: Scope) -> None:
        """Remove the path of the proxy, which some proxies leave in place."""
        path = self._control.access.path
        if path and (scope["path"] == path or scope["path"].startswith(f"{path}/")):
            scope["path"] = scope["path"][len(path) :] or "/"

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the sentence of a refusal; None if the request may go on."""
        if not self._is_host(scope, headers):
            return 400, "this address is not served; use the one that Earshot has logged"
        is_change = scope["type"] == "websocket" or scope["method"] not in _SAFE
        is_proxy = self._is_ingress(scope)
        own_host = headers.get("x-forwarded-host", headers["host"]) if is_proxy else headers["host"]
        if not _is_own_origin(headers, own_host, is_change=is_change):
            return 403, "requests from other sites are refused"
        if is_proxy or scope["path"] in self._public:
            return None
        if self._control.access.ingress and not self._control.access.password and not _is_from_here(scope):
            return 403, "open this page in Home Assistant"
        return None if self.is_known(headers) else (401, "log in first")

    def _is_ingress(self, scope: Scope) -> bool:
        """Return True for a request of the proxy whose users are logged in."""
        return bool(self._control.access.ingress) and _peer(scope) == self._control.access.ingress

    def _is_host(self, scope: Scope, headers: Headers) -> bool:
        """Return True for a well-formed host. Without a password, it must be this machine: another site's name may lead here."""
        host = headers.get("host", "")
        if not _HOST.fullmatch(host) or len(headers.getlist("host")) != 1:
            return False
        if self._control.access.password or self._is_ingress(scope):
            return True
        return is_local(urlsplit(f"//{host}").hostname or "")


def _with_slash(scope: Scope, path: str) -> App:
    """Return an answer that leads to the same address with a slash. It is relative: a proxy may have another name."""
    query = scope.get("query_string", b"").decode("latin-1")
    address = f"{path.rpartition('/')[2]}/"
    return RedirectResponse(f"{address}?{query}" if query else address, 308)


def _peer(scope: Scope) -> str:
    """Return the address of the other end of the connection; empty if unknown."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    return host.removeprefix("::ffff:")  # IPv4 on a socket of IPv6


def _is_from_here(scope: Scope) -> bool:
    return is_local(_peer(scope))


def session_cookie(headers: Headers, name: str) -> str:
    """Return the cookie of the session, by its name; empty if there is none.

    Other programs on this host may have set cookies of any form, which are ignored.
    """
    return cookie_parser(headers.get("cookie", "")).get(name, "")


def is_local(host: str) -> bool:
    """Return True for a name or address of this machine that no other machine can reach."""
    if host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own_origin(headers: Headers, own_host: str, *, is_change: bool) -> bool:
    """Return True unless a browser says that another site sends the request."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and urlsplit_host(origin) != own_host.lower():
        return False
    if site in {"none", "same-origin"}:
        return True
    return not is_change and headers.get("sec-fetch-mode") == "navigate"


def urlsplit_host(origin: str) -> str:
    """Return the host and port of an origin; empty if it is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    """Add the headers to every answer."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message.get("headers", [])}
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            if b"cache-control" not in present:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sending
