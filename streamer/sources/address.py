"""Addresses of sources, as users write them: ``NAME=ADDRESS`` or ``ADDRESS``."""

import re
from pathlib import Path

from ..errors import SourceError
from ..runtime.files import expanded
from ..text import slug
from .sockets import is_socket
from .url import has_secret, is_url, without_secrets

MAX_NAME_CHARACTERS = 64
"""Longest name of a source: it becomes a part of topics and of file names."""

_MAX_SLUG_CHARACTERS = 100


def split_address(text: str) -> tuple[str, str]:
    """Split ``NAME=ADDRESS``; the name is empty if there is none. An existing file with an equals sign in its path needs no name.

    Raises
    ------
    SourceError
        The name or the address is empty, or the name is too long.
    """
    name, equals, address = text.partition("=")
    if (
        not equals
        or re.search(r"[/\\:?@]|#(track|channel)$", name)
        or is_file(text.partition("#")[0])
        or is_file(text)
    ):
        name, address = "", text
    elif not name.strip():
        raise SourceError(
            f"{without_secrets(text)} has no name before the equals sign; write it as NAME=SOURCE"
        )
    if not address.strip():
        raise SourceError(f"{without_secrets(text)!r} is not a source; use mic, mic:NAME, a file, - or demo")
    check_name(name.strip())
    return name.strip(), address.strip()


def check_name(name: str) -> None:
    """Check a name that was given to a source.

    Raises
    ------
    SourceError
        The name is too long, or an address.
    """
    if fault := name_fault(name):
        raise SourceError(f"the name of the source '{without_secrets(name[:MAX_NAME_CHARACTERS])}' {fault}")


def name_fault(name: str) -> str | None:
    """Return what is wrong with the name of a source as a predicate; None if nothing is."""
    if len(name) > MAX_NAME_CHARACTERS:
        return f"has {len(name):,} characters; use at most {MAX_NAME_CHARACTERS}"
    if len(slug(name)) > _MAX_SLUG_CHARACTERS:
        return "becomes too long in topics; use a shorter one, or one without ligatures and symbols"
    if is_url(name) or has_secret(name):
        return "is an address; names appear in logs and topics, so use another one"
    return None


def may_have_secret(text: str) -> bool:
    """Return True for an address, perhaps with a name, that has a password, token or the like; no existing file has one."""
    if not has_secret(text):
        return False
    try:
        address = split_address(text)[1]
    except SourceError:
        return True
    return not is_file(address) and not is_file(address.rpartition("#")[0])


def join_address(name: str, address: str) -> str:
    """Write an address with a name: the reverse of `split_address`.

    Raises
    ------
    SourceError
        The name can't be written like this.
    """
    text = f"{name}={address}"
    check_name(name)
    if split_address(text) != (name, address):
        raise SourceError(
            f"a source called '{name}' can't be saved; start it with another name, as NAME=SOURCE"
        )
    return text


def is_standard_input(text: str) -> bool:
    """Return True for samples on standard input, which can be read only once."""
    return split_address(text)[1] == "-"


def is_socket_source(text: str) -> bool:
    """Return True for a socket, which has no audio before a program connects."""
    return is_socket(split_address(text)[1])


def is_file(path: str) -> bool:
    """Return True for an existing file; False for any text that can't be a path."""
    try:
        return expanded(Path(path)).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte in it
        return False
