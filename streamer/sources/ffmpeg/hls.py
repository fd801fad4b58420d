"""Requests of FFmpeg's HLS demuxer, made by Python so that every certificate is checked.

The demuxer does not pass FFmpeg's own options for certificates on to its requests for segments, keys and further playlists.
"""

import base64
import http.client
import io
import os
import re
import ssl
import string
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from .decoder import open_container
from .wire import DecodingFailure, Failure

DEMUXER_OPTIONS = {"http_persistent": "0", "http_multiple": "0"}
"""Options of the demuxer with which it makes no requests by itself."""

_BEGINNING = b"#EXTM3U"
_MOST_BYTES = 16 << 20
"""Largest playlist or encrypted segment, which are read as a whole."""

_READ_BYTES = 1 << 16
_DECRYPTION_SECONDS = 10.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HlsRequests:
    """Opener of the playlists, segments and keys of one HLS stream.

    Parameters
    ----------
    address : str
        URL of the playlist. Its credentials are sent to its own scheme, host and port alone.
    authorities : str, optional
        PEM file of the trusted certificate authorities; by default those of OpenSSL.
    user_agent : str
        Name of the program, for servers.
    timeout_seconds : float
        Time limit for connecting, and for each read.

    Attributes
    ----------
    address : str
        URL of the playlist without its credentials, for FFmpeg.
    """

    def __init__(
        self, address: str, *, authorities: str | None, user_agent: str, timeout_seconds: float
    ) -> None:
        credentials = _Credentials()
        address = credentials.taken_from(address)
        self.address = _absolute(address, address)
        self._location = self.address
        self._playlists = {self.address}
        self._credentials = credentials
        self._user_agent = user_agent
        self._timeout_seconds = timeout_seconds
        self._opener = _opener(credentials, authorities)
        self._failed = False

    def open(self, url: str, _flags: int, options: Mapping[str, str]) -> "IO[bytes] | _Body":
        """Open a URL for FFmpeg. A segment that can't be opened is empty: FFmpeg goes on with the next one.

        Raises
        ------
        DecodingFailure
            A certificate is not valid, a playlist can't be opened again, or a server does not answer.
        """
        if self._failed:  # FFmpeg passes the first failure on when it has tried everything else
            return io.BytesIO()
        try:
            return self._opened(url.removeprefix("crypto+"), options, encrypted=url.startswith("crypto+"))
        except DecodingFailure:
            self._failed = True
            raise

    def _opened(self, url: str, options: Mapping[str, str], *, encrypted: bool) -> "IO[bytes] | _Body":
        response = self._response(
            self._location if url == self.address else url, options, required=url in self._playlists
        )
        if response is None:
            return io.BytesIO()
        body = _Body(response, self._fail)
        if encrypted:
            return io.BytesIO(_decrypted(body.read_all(), options["key"], options["iv"]))
        if not body.begins_with(_BEGINNING):
            return body
        self._playlists.add(url)
        location = response.geturl()
        if url == self.address:
            self._location = location
        return io.BytesIO(_with_absolute_urls(body.read_all(), location))

    def _response(self, url: str, options: Mapping[str, str], *, required: bool) -> Any:
        """Send a request; return None if it fails and FFmpeg can go on without."""
        headers = {"User-Agent": self._user_agent}
        if "end_offset" in options:
            headers["Range"] = f"bytes={options.get('offset', 0)}-{int(options['end_offset']) - 1}"
        try:
            request = urllib.request.Request(  # noqa: S310 - the opener has HTTP and data: alone
                self._credentials.taken_from(url), headers=headers
            )
            return self._opener.open(request, timeout=self._timeout_seconds)
        except urllib.error.HTTPError as error:
            error.close()
            if required:
                raise DecodingFailure(Failure("status", number=error.code)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise DecodingFailure(Failure("timeout")) from None
            if required:
                text = getattr(reason, "strerror", None) or "no answer"
                raise DecodingFailure(Failure("system", text.lower())) from None
        return None

    def _fail(self, failure: Failure) -> DecodingFailure:
        self._failed = True
        return DecodingFailure(failure)


class _Body:
    """File for FFmpeg: the content of a response, which ends where the connection breaks off."""

    def __init__(self, response: Any, fail: Callable[[Failure], DecodingFailure]) -> None:
        self._response = response
        self._fail = fail
        self._ahead = b""

    def begins_with(self, beginning: bytes) -> bool:
        """Return True if the content begins so."""
        while len(self._ahead) < len(beginning) and (
            part := self._received(len(beginning) - len(self._ahead))
        ):
            self._ahead += part
        return self._ahead == beginning

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._ahead:
            return self._received(size)
        part, self._ahead = self._ahead[:size], self._ahead[size:]
        return part

    def read_all(self) -> bytes:
        """Return the content, and close the connection."""
        parts, size = [], 0
        while part := self.read(_READ_BYTES):
            parts.append(part)
            size += len(part)
            if size > _MOST_BYTES:
                raise self._fail(Failure("memory"))
        self.close()
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def _received(self, size: int) -> bytes:
        try:
            part: bytes = self._response.read1(size)
        except TimeoutError:
            raise self._fail(Failure("timeout")) from None
        except (OSError, http.client.HTTPException, ValueError):
            return b""
        return part


class _Credentials(urllib.request.HTTPPasswordMgr):
    """User names and passwords by the scheme, host and port that they were given for."""

    def __init__(self) -> None:
        super().__init__()
        self._given: dict[tuple[Any, ...], tuple[str, str]] = {}

    def taken_from(self, url: str) -> str:
        """Remember the credentials in a URL, and return it without them."""
        parts = urlsplit(url)
        userinfo, at, server = parts.netloc.rpartition("@")
        if not at:
            return url
        user, _, password = userinfo.partition(":")
        self._given.setdefault(_origin(url), (unquote(user), unquote(password)))
        return parts._replace(netloc=server).geturl()

    def find_user_password(self, _realm: str, authuri: str) -> tuple[str | None, str | None]:
        """Return user name and password for a URL; None twice if it has none."""
        return self._given.get(_origin(authuri), (None, None))


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follower of redirections, which may have credentials of their own."""

    def __init__(self, credentials: _Credentials) -> None:
        self._credentials = credentials

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request to the new URL."""
        return super().redirect_request(req, fp, code, msg, headers, self._credentials.taken_from(newurl))


class _Https(urllib.request.HTTPSHandler):
    """Connector over TLS that names the server whose certificate is not valid."""

    def https_open(self, req: urllib.request.Request) -> Any:
        """Send a request."""
        try:
            return super().https_open(req)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                server = f"https://{urlsplit(req.full_url).netloc}"
                raise DecodingFailure(Failure("certificate", server)) from None
            raise


class _OwnScheme:
    """Mixin for handlers of passwords: a server that wants another scheme of authentication has refused the request."""

    def http_error_auth_reqed(self, *args: Any) -> Any:
        """Answer a challenge."""
        with suppress(ValueError):
            return super().http_error_auth_reqed(*args)  # type: ignore[misc]
        return None


class _Digest(_OwnScheme, urllib.request.HTTPDigestAuthHandler):
    """Sender of passwords as digests."""


class _Basic(_OwnScheme, urllib.request.HTTPBasicAuthHandler):
    """Sender of plain passwords."""


def _opener(credentials: _Credentials, authorities: str | None) -> urllib.request.OpenerDirector:
    """Return an opener for HTTP, and for keys in ``data:``. It uses the same proxy as FFmpeg."""
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ValueError):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts none
    proxy = os.environ.get("http_proxy", "")
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(dict.fromkeys(_DEFAULT_PORTS, proxy) if proxy else {}),
        urllib.request.HTTPHandler(),
        _Https(context=context),
        urllib.request.DataHandler(),
        _Redirections(credentials),
        urllib.request.HTTPCookieProcessor(),
        _Digest(credentials),
        _Basic(credentials),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _origin(url: str) -> tuple[Any, ...]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _with_absolute_urls(playlist: bytes, base: str) -> bytes:
    """Return a playlist with its URLs resolved: FFmpeg does not know where a redirection has led."""
    lines = []
    for line in playlist.decode("utf-8", "replace").split("\n"):
        text = line.strip()
        if text.startswith("#"):
            text = re.sub(r'(?<=URI=")[^"]+', lambda found: _absolute(base, found[0]), text)
        elif text:
            text = _absolute(base, text)
        lines.append(text)
    return "\n".join(lines).encode()


def _absolute(base: str, reference: str) -> str:
    try:
        parts = urlsplit(urljoin(base, reference))
    except ValueError:
        return reference
    if parts.scheme not in _DEFAULT_PORTS:
        return reference
    path, query = (quote(text, safe=string.punctuation) for text in (parts.path, parts.query))
    return parts._replace(path=path, query=query, fragment="").geturl()


def _decrypted(content: bytes, key: str, iv: str) -> bytes:
    """Decrypt a segment (AES-128, RFC 8216, section 4.3.2.4) with FFmpeg; return nothing if that fails."""
    import av

    options = {"decryption_key": key, "decryption_iv": iv, "protocol_whitelist": "crypto,data"}
    try:
        with open_container(
            f"crypto:data:application/octet-stream;base64,{base64.b64encode(content).decode()}",
            formats=["data"],
            options={**options, "raw_packet_size": str(_READ_BYTES)},
            timeout=_DECRYPTION_SECONDS,
            demuxer="data",
        ) as container:
            return b"".join(bytes(packet) for packet in container.demux())
    except av.FFmpegError:
        return b""
