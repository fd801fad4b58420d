"""Sessions of browsers, and the limit for wrong passwords."""

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_COOKIE = "earshot_session"
SESSION_SECONDS = 30 * 86_400

_MOST_ENDED = 10_000
_MOST_ADDRESSES = 1_000
_FREE_TRIES = 5
_LONGEST_WAIT_SECONDS = 60.0
_FORGOTTEN_SECONDS = 3600.0
_MOST_TRIES_A_MINUTE = 30


def cookie_name(path: str) -> str:
    """Return the name of the cookie of a page under a path of a proxy, which may serve others beside it; `path` may be empty."""
    return _COOKIE + path.replace("/", "_")


class Sessions:
    """Sessions, as signed cookies: they outlive a restart of the program, and nothing of them is stored.

    Parameters
    ----------
    key : bytes
        Secret key of the signatures; with another key, all sessions end.
    clock : callable
        Unix time in seconds.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._ended: OrderedDict[str, None] = OrderedDict()

    def change_key(self, key: bytes) -> None:
        """Sign with another key from now on."""
        self._key = key

    def begin(self) -> str:
        """Return the cookie of a new session."""
        content = f"{round(self._clock()) + SESSION_SECONDS}.{secrets.token_urlsafe(18)}"
        return f"{content}.{self._signature(content)}"

    def is_valid(self, cookie: str) -> bool:
        """Return True for the cookie of a session that has not ended."""
        content, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(content).encode()):
            return False
        return float(content.partition(".")[0]) > self._clock() and content not in self._ended

    def end(self, cookie: str) -> None:
        """End a session."""
        if self.is_valid(cookie):
            self._ended[cookie.rpartition(".")[0]] = None
            if len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)

    def _signature(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


class LoginLimit:
    """Limit for tries of the password: after five wrong ones, an address waits longer and longer; all together have a limit too.

    Parameters
    ----------
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=_MOST_TRIES_A_MINUTE)

    def wait_seconds(self, address: str) -> float:
        """Return the time until an address may try a password; 0 if it may now."""
        now = self._clock()
        count, latest = self._wrong.get(_network(address), (0, now))
        own = 0.0
        if count >= _FREE_TRIES and now - latest < _FORGOTTEN_SECONDS:
            own = latest + min(_LONGEST_WAIT_SECONDS, 2.0 ** (count - _FREE_TRIES)) - now
        shared = self._recent[0] + 60.0 - now if len(self._recent) == _MOST_TRIES_A_MINUTE else 0.0
        return max(0.0, own, shared)

    def begin(self, address: str) -> None:
        """Count a try as wrong until `succeed` is called, so that tries at the same time count too."""
        network, now = _network(address), self._clock()
        count, latest = self._wrong.pop(network, (0, now))
        self._wrong[network] = (1 if now - latest > _FORGOTTEN_SECONDS else count + 1), now
        self._recent.append(now)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def succeed(self, address: str) -> None:
        """Forget the wrong passwords of an address, after the right one."""
        self._wrong.pop(_network(address), None)
        if self._recent:
            self._recent.pop()


def _network(address: str) -> str:
    """Return the address, or for IPv6 the network of 64 bits that one user usually has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # IPv4 on a socket of IPv6
    if parsed.version == 4 or parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
