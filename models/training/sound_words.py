"""AudioSet classes that the name of a sound file mentions, such as "Door" and "Slam" in ``metal_DoorSlam2``."""

import csv
import functools
import re
from collections.abc import Mapping
from importlib import resources

_TABLE = "sound_words.csv"
_WORD = re.compile(r"[A-Z]*[a-z]+|[A-Z]+")
"""Word in a name, the next one in ``doorSlam`` beginning with the capital letter."""


def names_in(text: str) -> frozenset[str]:
    """Return the names of the AudioSet classes that a file name mentions.

    The longest known sequences of words count: ``train_passing`` mentions a train, ``train_station`` does not.
    """
    table = _table()
    words = [word.lower() for word in _WORD.findall(text)]
    names, begin = set[str](), 0
    while begin < len(words):
        ends = (end for end in range(len(words), begin, -1) if " ".join(words[begin:end]) in table)
        end = next(ends, begin + 1)
        names |= table.get(" ".join(words[begin:end]), frozenset())
        begin = end
    return frozenset(names)


@functools.cache
def _table() -> Mapping[str, frozenset[str]]:
    text = resources.files("models").joinpath("assets", _TABLE).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["words"]: frozenset(filter(None, row["names"].split("|"))) for row in rows}
