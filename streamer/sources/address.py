"""Addresses of streams: what they say, and what of them may be shown."""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import SourceError

_NETWORK = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_SECRET = re.compile(r"pass|pwd|token|secret|key|auth|sig|credential|session", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[^/\\:=]*=)?([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a stream is.

    Attributes
    ----------
    url : str
        With all that is secret in it, which is why it is left out of the representation.
    host : str
        Name or address; an IPv6 address without brackets.
    port : int
        TCP port.
    tls : bool
        Whether the connection is encrypted.
    shown : str
        The address as people may see it.
    track : int
        Which of its sound tracks to take, counted from 1.
    """

    url: str = field(repr=False)
    host: str
    port: int
    tls: bool
    shown: str
    track: int = 1


def is_address(what: str) -> bool:
    """Whether it begins like an address."""
    return re.match(r"[a-z][a-z0-9+.-]+://", what, re.IGNORECASE) is not None


def parse_address(what: str) -> StreamAddress:
    """Read ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``; ``#2`` at the end picks the second sound track.

    Raises
    ------
    SourceError
        The address is malformed or of another kind. The sentence never repeats what may be secret in it.
    """
    shown = without_secrets(what)
    parts = _split(what)
    if parts is None or not parts.hostname or re.search(r"[\s\x00-\x1f\x7f]", what):
        raise SourceError(
            f"{shown} has no host, a malformed port, or blanks in it; write it as rtsp://camera:554/path, and a '/' or '@' in "
            "a password as %2F or %40"
        )
    if parts.scheme not in _NETWORK:
        raise SourceError(
            f"{shown} is of a kind that can't be heard; use one of {', '.join(f'{kind}://' for kind in _NETWORK)} or "
            "tcp://127.0.0.1:PORT"
        )
    if not re.fullmatch(r"([1-9]\d{0,3})?", parts.fragment, re.ASCII):
        raise SourceError(f"what follows the # of {shown} is the number of a sound track, such as #2")
    return StreamAddress(
        url=parts._replace(fragment="").geturl(),
        host=parts.hostname,
        port=parts.port or _NETWORK[parts.scheme],
        tls=parts.scheme in {"rtsps", "https"},
        shown=shown,
        track=int(parts.fragment or 1),
    )


def without_secrets(spec: str) -> str:
    """Leave all of an address but its kind, host and port out of a specification, so that it can be shown."""
    found = _ADDRESS.match(spec)
    if found is None:  # it may be meant for one
        return re.sub(r"(//|:/).*@", "//…@", spec, flags=re.DOTALL)
    parts = _split(spec[found.start(1) :])
    before = f"{spec[: found.start(1)]}{found[1].lower()}://"
    if parts is None or not parts.hostname or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return f"{before}…"  # what looks like the host may be a piece of a password
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{before}{host}" if parts.port is None else f"{before}{host}:{parts.port}"


def has_secret(spec: str) -> bool:
    """Whether a specification is an address with a password, or with what is like one."""
    found = _ADDRESS.match(spec)
    if found is None:
        return False
    parts = _split(spec[found.start(1) :])
    if parts is None:
        return "@" in spec
    return parts.password is not None or any(
        _SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)
    )


def _split(url: str) -> SplitResult | None:
    """Take an address apart; None if it can't be one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        return None
    return parts
