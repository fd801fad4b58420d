"""Hashes of the password and the token, as they stand in the settings, and their checks."""

import hashlib
import hmac
import re
import secrets

_COST, _BLOCK, _LANES = 2**14, 8, 1
"""Parameters of scrypt (RFC 7914): 16 MiB, and about a tenth of a second on a small machine."""

_PASSWORD = re.compile(r"scrypt:([0-9a-f]{32}):([0-9a-f]{64})")
_TOKEN = re.compile(r"sha256:([0-9a-f]{64})")

MOST_CHARACTERS = 1024
"""Longest password that is checked."""


def hash_password(password: str) -> str:
    """Return the hash of a password, with a new salt."""
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_derive(password, salt).hex()}"


def is_password(password: str, stored: str) -> bool:
    """Return True if a password has the stored hash; the time taken does not depend on the password's characters."""
    match = _PASSWORD.fullmatch(stored)
    if match is None or len(password) > MOST_CHARACTERS:
        return False
    found = _derive(password, bytes.fromhex(match[1]))
    return hmac.compare_digest(found, bytes.fromhex(match[2]))


def new_token() -> tuple[str, str]:
    """Return a random token, and its hash."""
    token = secrets.token_urlsafe(32)
    return token, _token_hash(token)


def is_token(token: str, stored: str) -> bool:
    """Return True if a token has the stored hash."""
    return _TOKEN.fullmatch(stored) is not None and hmac.compare_digest(_token_hash(token), stored)


def _token_hash(token: str) -> str:
    """Return the hash of a token; it is random, so that no slow hash is needed."""
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _derive(password: str, salt: bytes) -> bytes:
    encoded = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(encoded, salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
