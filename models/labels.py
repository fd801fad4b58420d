"""Label sets: the 527 classes of AudioSet, in the order in which AudioSet models score them."""

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class AudioSetClass:
    """One class of AudioSet.

    Attributes
    ----------
    index : int
        Place in a model's output.
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


def mid_of(label: str) -> str | None:
    """AudioSet's identifier of a display name; None for labels of other sets."""
    return _mids().get(label.casefold())
