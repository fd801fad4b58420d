"""URLs of network streams, and addresses of sources with their secrets removed."""

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit

from ..errors import NetworkError, SourceError
from .selection import Selection, parse_selection

_DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_SECRET = re.compile(
    r"pass|pwd|psw|\bpw\b|token|secret|key|auth|\bsig\b|signature|credential|session", re.IGNORECASE
)
_NAMED_IN_PATH = re.compile(r"([a-z]+)=(?!_[a-z]+=)[^/&;]", re.IGNORECASE)
"""Name of a value in a path, as in those of some cameras: ``/user=admin_password=…_channel=1``."""
_KINDS = (*_DEFAULT_PORTS, "rtmp", "rtp", "mms", "ftp", "udp", "srt")
_BEGINNING = re.compile(
    r"([^/\\:=@?]*=)?[\s\"']*([a-z][a-z0-9+.-]*)\s*(?::|;|//|\\\\)[:;/\\]*", re.IGNORECASE
)
_SIMILARITY = 0.7
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
    selection : Selection
        Audio track and channel.
    """

    url: str = field(repr=False)
    host: str
    port: int
    tls: bool
    shown: str
    selection: Selection

    @property
    def is_rtsp(self) -> bool:
        """True for RTSP, False for HTTP."""
        return self.url.startswith("rtsp")

    @property
    def has_credentials(self) -> bool:
        """True if the URL has a user name or password."""
        return "@" in urlsplit(self.url).netloc


def is_url(address: str) -> bool:
    """Return True if an address begins like a URL."""
    return re.match(r"[a-z][a-z0-9+.-]+://", address, re.IGNORECASE) is not None


def parse_url(address: str) -> StreamUrl:
    """Parse ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``; ``#2`` at the end selects the second channel, ``#track=2`` the second audio track.

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
    selection = parse_selection(parts.fragment)
    if selection is None:
        raise SourceError(
            f"the # of {shown} must be followed by the number of a channel, such as #2, or of an audio track, such as #track=2; "
            "leave it out otherwise"
        )
    return StreamUrl(
        url=parts._replace(fragment="").geturl(),
        host=parts.hostname,
        port=parts.port or _DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme in {"rtsps", "https"},
        shown=shown,
        selection=selection,
    )


def redirected(url: StreamUrl, location: str) -> StreamUrl:
    """Return the URL that a server redirects to. Credentials stay with the host, port and encryption that they were given for.

    Raises
    ------
    NetworkError
        The new URL is invalid, less secure, or would receive the credentials of the old one.
    """
    try:
        found = parse_url(urljoin(url.url, location))
    except SourceError as error:
        raise NetworkError(
            f"{url.shown} redirects to an address that is invalid; check the path of the URL"
        ) from error
    if found.is_rtsp != url.is_rtsp or (url.tls and not found.tls):
        raise NetworkError(
            f"{url.shown} redirects to {found.shown}, which is another kind of connection; use that address if you trust it"
        )
    parts = urlsplit(found.url)
    if url.has_credentials and "@" not in parts.netloc:
        if (found.host, found.port, found.tls) != (url.host, url.port, url.tls):
            raise NetworkError(
                f"{url.shown} redirects to {found.shown}, which is not sent the password of {url.host}; use that address, with the "
                "password, if you trust it"
            )
        credentials = urlsplit(url.url).netloc.rpartition("@")[0]
        parts = parts._replace(netloc=f"{credentials}@{parts.netloc}")
    return replace(found, url=parts.geturl(), selection=url.selection)


def without_secrets(address: str) -> str:
    """Return an address fit for display: of a URL, only scheme, host and port remain; of a mistyped one, even less."""
    found = _URL.match(address)
    if found is None:
        return _mistyped(address) or address
    parts = _split(address[found.start(1) :])
    before = f"{address[: found.start(1)]}{found[1].lower()}://"
    if parts is None or not parts.hostname or _has_later_at(parts):
        return f"{before}…"  # the apparent host may be a piece of a password
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{before}{host}" if parts.port is None else f"{before}{host}:{parts.port}"


def has_secret(address: str) -> bool:
    """Return True if an address is a URL with a password, token or the like, or a mistyped one that may have such a thing."""
    found = _URL.match(address)
    if found is None:
        return _mistyped(address) is not None
    parts = _split(address[found.start(1) :])
    if parts is None:
        return "@" in address
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    names += _NAMED_IN_PATH.findall(unquote(parts.path))
    return parts.password is not None or any(map(_SECRET.search, names))


def hide_addresses(text: str) -> str:
    """Return a text, such as the message of a library, with the secrets of the URLs in it removed."""
    return re.sub(
        r"[a-z][a-z0-9+.-]*://\S+", lambda found: without_secrets(found[0]), text, flags=re.IGNORECASE
    )


def is_mistyped(address: str) -> bool:
    """Return True if an address looks like a URL with a mistake in it."""
    return not is_url(address) and (_URL.match(address) is not None or _mistyped(address) is not None)


def _mistyped(address: str) -> str | None:
    """Return the harmless part of what may be a URL with a mistake; None if it looks like none."""
    found = _BEGINNING.match(address)
    if found is not None and get_close_matches(found[2].lower(), _KINDS, 1, _SIMILARITY):
        return f"{found[0]}…"
    if re.search(r":.*@", address, re.DOTALL):  # user:password@host
        return "…"
    before, mark, query = address.partition("?")
    return f"{before}?…" if mark and "=" in query else None


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
