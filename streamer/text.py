"""Text made safe for a terminal, a topic or a file name."""

import re
import unicodedata
import zlib
from collections.abc import Iterable

_MAX_CHARACTERS = 1000


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
    return "_".join(words) or f"x{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Return a unique slug for each name: the second of two equal ones gets ``_2``, the third ``_3``, and so on."""
    unique: dict[str, str] = {}
    for name in dict.fromkeys(names):
        base = candidate = slug(name)
        number = 1
        while candidate in unique.values():
            number += 1
            candidate = f"{base}_{number}"
        unique[name] = candidate
    return unique
