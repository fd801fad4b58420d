"""Names and sentences made fit for a terminal, a topic or a file name."""

import re
import unicodedata
import zlib
from collections.abc import Iterable

_MOST_CHARACTERS = 1000


def one_sentence(text: str) -> str:
    """Make sure that a sentence is one line to read, whatever of the user's it repeats.

    Control characters, with which it could rewrite the terminal, are replaced; of what is too long the middle is left out.
    """
    half = _MOST_CHARACTERS // 2 - 2
    line = " ".join(text.split())
    if len(line) > _MOST_CHARACTERS:
        line = f"{line[:half]} … {line[-half:]}"
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line
    )


def printable(text: str) -> str:
    """Replace control characters, with which a label could rewrite the terminal."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def slug(name: str) -> str:
    """Turn a name into a part of a topic: lower-case ASCII letters, digits and ``_``, never empty.

    A name of which nothing is left, such as one in Chinese, becomes a checksum of itself.
    """
    ascii_name = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode("ascii")
    words = re.findall(r"[a-z0-9]+", ascii_name.lower())
    return "_".join(words) or f"x{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Give each name a slug of its own: where two are the same, the later one gets ``_2``, ``_3``, …."""
    given: dict[str, str] = {}
    for name in dict.fromkeys(names):
        wanted = candidate = slug(name)
        number = 1
        while candidate in given.values():
            number += 1
            candidate = f"{wanted}_{number}"
        given[name] = candidate
    return given
