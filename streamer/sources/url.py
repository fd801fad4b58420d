"""URLs of network streams, and addresses of sources with their secrets removed."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import SourceError

_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_SECRET = re.compile(r"pass|pwd|token|secret|key|auth|sig|credential|session", re.IGNORECASE)
_URL = re.compile(r"(?:[^/\\:=]*=)?([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StreamUrl:
    """URL of a network stream.

    Attributes
    ----------
    url : str
        Complete URL. It may contain secrets, so it is left out of the representation.
    host : str
        Name or address; an IPv6 address without brackets.
    port : int
        TCP port.
    tls : bool
        True for an encrypted connection.
    shown : str
        URL without secrets, for people.
    track : int
        Number of the audio track, counted from 1.
    """

    url: str = field(repr=False)
    host: str
    port: int
    tls: bool
    shown: str
    track: int = 1


def is_url(address: str) -> bool:
    """Return True if an address begins like a URL."""
    return re.match(r"[a-z][a-z0-9+.-]+://", address, re.IGNORECASE) is not None


def parse_url(address: str) -> StreamUrl:
    """Parse ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``; ``#2`` at the end selects the second audio track.

    Raises
    ------
    SourceError
        The URL is malformed or of another kind. The message never contains a secret.
    """
    shown = without_secrets(address)
    parts = _split(address)
    if parts is None or not parts.hostname or re.search(r"[\s\x00-\x1f\x7f]", address):
        raise SourceError(
            f"{shown} has no host, a malformed port, or spaces in it; write it as rtsp://camera:554/path, with '/' and '@' in "
            "a password as %2F and %40"
        )
    if "@" in parts.netloc and _has_later_at(parts):
        raise SourceError(
            f"{shown} has an '@' behind its host; write '@', '?', '#' and '/' in a password as %40, %3F, %23 and %2F, and '@' in "
            "a path as %40"
        )
    if parts.scheme not in _DEFAULT_PORTS:
        raise SourceError(
            f"{shown} is of an unsupported kind; use one of {', '.join(f'{kind}://' for kind in _DEFAULT_PORTS)} or "
            "tcp://127.0.0.1:PORT"
        )
    if not re.fullmatch(r"([1-9]\d{0,3})?", parts.fragment, re.ASCII):
        raise SourceError(f"the # of {shown} must be followed by the number of an audio track, such as #2")
    return StreamUrl(
        url=parts._replace(fragment="").geturl(),
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme in {"rtsps", "https"},
        shown=shown,
        track=int(parts.fragment or 1),
    )


def without_secrets(address: str) -> str:
    """Return an address fit for display: of a URL, only scheme, host and port remain."""
    found = _URL.match(address)
    if found is None:  # a mistyped URL may still contain a password
        return re.sub(r"(//|:/).*@", "//…@", address, flags=re.DOTALL)
    parts = _split(address[found.start(1) :])
    before = f"{address[: found.start(1)]}{found[1].lower()}://"
    if parts is None or not parts.hostname or _has_later_at(parts):
        return f"{before}…"  # the apparent host may be a piece of a password
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{before}{host}" if parts.port is None else f"{before}{host}:{parts.port}"


def has_secret(address: str) -> bool:
    """Return True if an address is a URL with a password, token or the like."""
    found = _URL.match(address)
    if found is None:
        return False
    parts = _split(address[found.start(1) :])
    if parts is None:
        return "@" in address
    return parts.password is not None or any(
        _SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)
    )


def _has_later_at(parts: SplitResult) -> bool:
    """Return True if there is an '@' behind the apparent host, which may then be a piece of a password."""
    return "@" in f"{parts.path}{parts.query}{parts.fragment}"


def _split(url: str) -> SplitResult | None:
    """Split a URL; return None if it is invalid."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    return parts
