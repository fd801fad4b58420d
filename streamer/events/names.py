"""Names of sounds in other languages. They are for people only: settings, MQTT and files have the English ones."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

NO_NAMES: Mapping[str, str] = MappingProxyType({})

_FILES = {"de": "german.json"}

LANGUAGES = tuple(_FILES)
"""Languages with names of their own."""


@lru_cache(maxsize=4)
def names_in(language: str) -> Mapping[str, str]:
    """Return the names of the 527 classes of AudioSet and of the sounds of the catalogue, by the English one.

    Parameters
    ----------
    language : str
        Code such as "de". The names are empty for English, and for a language without names.
    """
    if language not in _FILES:
        return NO_NAMES
    text = (files("streamer") / "assets" / _FILES[language]).read_text(encoding="utf-8")
    names: dict[str, str] = json.loads(text)
    return MappingProxyType(names)
