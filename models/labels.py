"""Label sets: the 527 classes of AudioSet, in the order in which AudioSet models score them."""

import csv
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class AudioSetClass:
    """One class of AudioSet.

    Attributes
    ----------
    index : int
        Index in a model's output.
    mid : str
        Machine identifier of the AudioSet ontology, such as ``/m/09x0r``.
    name : str
        Display name, such as ``Speech``.
    """

    index: int
    mid: str
    name: str


@lru_cache(maxsize=1)
def audioset_classes() -> tuple[AudioSetClass, ...]:
    """Read the class table (Gemmeke et al., ICASSP 2017; published by Google under CC BY 4.0)."""
    with (files(__package__) / "assets" / "class_labels.csv").open(encoding="utf-8") as table:
        rows = [
            AudioSetClass(int(row["index"]), row["mid"], row["display_name"]) for row in csv.DictReader(table)
        ]
    return tuple(rows)


@lru_cache(maxsize=1)
def _mids() -> dict[str, str]:
    return {entry.name.casefold(): entry.mid for entry in audioset_classes()}


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {entry.mid: entry.name for entry in audioset_classes()}


def with_full_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels; those of AudioSet in full, because some files cut them at the first comma."""
    audioset = tuple(entry.name for entry in audioset_classes())
    cut = tuple(name.partition(",")[0] for name in audioset)
    return audioset if tuple(labels) == cut else tuple(labels)


def mid_of(label: str) -> str | None:
    """Return AudioSet's identifier of a display name; None for labels of other sets."""
    return _mids().get(label.casefold())


def name_of(label: str) -> str:
    """Return the display name of one of AudioSet's identifiers; other labels stay."""
    return _names().get(label, label)


_FAMILIES = (
    *((0, "voice"), (37, "person"), (72, "animal"), (111, "bird"), (122, "animal"), (137, "music")),
    *((283, "weather"), (288, "water"), (298, "alarm"), (300, "vehicle"), (310, "alarm")),
    *((311, "vehicle"), (322, "alarm"), (326, "vehicle"), (343, "machine"), (354, "home"), (355, "alarm")),
    *((357, "home"), (388, "alarm"), (404, "machine"), (426, "impact"), (444, "water"), (457, "impact")),
    *((481, "alarm"), (484, "impact"), (500, "silence"), (501, "sound"), (506, "place"), (511, "sound")),
)
"""First index and name of each family: AudioSet's classes are in the order of its ontology."""


@lru_cache(maxsize=1)
def _family_names() -> dict[str, str]:
    starts = [start for start, _ in _FAMILIES]
    return {
        entry.name.casefold(): _FAMILIES[bisect_right(starts, entry.index) - 1][1]
        for entry in audioset_classes()
    }


def family_of(label: str) -> str:
    """Return the kind of a sound, for its icon: "voice", "animal", "alarm", …; "sound" if it is unknown."""
    return _family_names().get(label.casefold(), "sound")
