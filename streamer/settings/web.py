"""Settings of the page for browsers."""

import ipaddress
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from .fields import FrozenModel

_LOCAL = "127.0.0.1"
_PASSWORD = re.compile(r"scrypt:[0-9a-f]{32}:[0-9a-f]{64}")
_TOKEN = re.compile(r"sha256:[0-9a-f]{64}")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def parse_web_address(text: str) -> tuple[str, int]:
    """Parse ``PORT`` or ``HOST:PORT`` to the host and the port; without a host, it is this machine alone.

    Raises
    ------
    ValueError
        The text is neither.
    """
    match = re.fullmatch(
        r"(?:(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%a-z]+\]):)?(?P<port>\d{1,5})", text.strip()
    )
    if match is None or not 1 <= int(match["port"]) <= 65_535:
        raise ValueError(f"must be a port such as 8080, or HOST:PORT such as 0.0.0.0:8080, not {text[:80]!r}")
    return (match["host"] or _LOCAL).strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Return True if no other machine can reach a host's address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_address(text: str) -> str:
    parse_web_address(text)
    return text


def _check_password(text: str) -> str:
    if not _PASSWORD.fullmatch(text):
        raise ValueError("must be the hash of a password: run earshot web password")
    return text


def _check_token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("must be the hash of a token: run earshot web token")
    return text


def _check_path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("must be a path such as /earshot, without a / at the end")
    return text


def _check_ingress(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError("must be the address of the proxy, such as 172.30.32.2 for Home Assistant") from None


class WebSettings(FrozenModel):
    """Settings of the page for browsers."""

    web: Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_check_address)] | None = None
    web_path: Annotated[str, AfterValidator(_check_path)] | None = None
    web_password: Annotated[str, AfterValidator(_check_password)] | None = None
    web_token: Annotated[str, AfterValidator(_check_token)] | None = None
    web_audio: bool = False
    web_ingress: Annotated[str, AfterValidator(_check_ingress)] | None = None

    @model_validator(mode="after")
    def _check_web(self) -> Self:
        address = self.web_address
        is_open = self.web_password is None and self.web_ingress is None
        if address is not None and not is_loopback(address[0]) and is_open:
            raise ValueError(
                f"web = {self.web} lets other machines in, so it needs a password: run earshot web password, or give only a port"
            )
        return self

    @property
    def web_address(self) -> tuple[str, int] | None:
        """Host and port that the page is served at; None without a page."""
        return None if self.web is None else parse_web_address(self.web)
