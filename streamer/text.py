"""Text made safe for a terminal, a topic or a file name."""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

_MAX_CHARACTERS = 1000
_LONGEST_IDENTITY = 200


def printable(text: str) -> str:
    """Replace control characters, which could manipulate the terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def one_sentence(text: str) -> str:
    """Turn a text that may quote user input into one printable line of limited length; the middle of a long one is cut out."""
    line = " ".join(text.split())
    if len(line) > _MAX_CHARACTERS:
        half = _MAX_CHARACTERS // 2 - 2
        line = f"{line[:half]} … {line[-half:]}"
    return printable(line)


def slug(name: str) -> str:
    """Turn a name into a part of a topic: lower-case ASCII letters, digits and ``_``, never empty.

    A name without ASCII letters or digits, such as one in Chinese, becomes its checksum.
    """
    ascii_name = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z0-9]+", ascii_name.lower())
    return "_".join(words) or _checksum(name)


def identity(name: str) -> str:
    """Turn a name into a slug that differs from that of other names in the same script.

    Where the slug leaves out letters or digits of a script other than Latin, as of "Комната 1", a checksum of the name is
    added; also where the slug of a very long name is cut, as a topic has at most 65,535 bytes.
    """
    if len(slug(name)) > _LONGEST_IDENTITY:
        return f"{slug(name)[:_LONGEST_IDENTITY].strip('_')}_{_checksum(name)}"
    lost = any(
        character.isalnum() and not character.isascii() and not _is_latin(character)
        for character in unicodedata.normalize("NFKD", name.casefold())
    )
    return f"{slug(name)}_{checksum}" if lost and (checksum := _checksum(name)) != slug(name) else slug(name)


def slugs(names: Iterable[str], known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return a unique slug for each name, whatever the order of the names.

    Of names with the same slug, the alphabetically first one gets it, and the others have a checksum of their name added.

    Parameters
    ----------
    names : iterable of str
        Names.
    known : mapping of str to str
        Slugs that are given already, also to other names.
    """
    names = list(dict.fromkeys(names))
    unique = {name: known[name] for name in names if name in known}
    taken = set(known.values())
    for name in sorted(set(names) - unique.keys()):
        candidate = identity(name)
        while candidate in taken:
            candidate = f"{candidate}_{_checksum(name)}"
        unique[name] = candidate
        taken.add(candidate)
    return {name: unique[name] for name in names}


def numbered_slugs(names: Iterable[str]) -> dict[str, str]:
    """Return a unique slug for each name as earlier versions did: the second of two equal ones gets ``_2``, and so on."""
    unique: dict[str, str] = {}
    for name in dict.fromkeys(names):
        base = candidate = slug(name)
        number = 1
        while candidate in unique.values():
            number += 1
            candidate = f"{base}_{number}"
        unique[name] = candidate
    return unique


def _is_latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith("LATIN ")


def _checksum(name: str) -> str:
    return f"x{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"
