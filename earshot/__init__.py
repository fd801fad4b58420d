"""Earshot recognises 500 everyday sounds: the program, and its Python interface.

>>> from earshot import listen, load_tagger, tag
>>> taggings = tag("door.wav")
>>> taggings.top(3), taggings.scores.shape, taggings.events()
>>> for tagging in listen("mic", hop=0.5):
...     print(tagging.top(1))

This package is the only one that imports the others. Importing it loads nothing heavy; using a name does.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.loading import load_tagger
    from streamer.messages import Event

    from .api import listen, tag, tag_folder, with_taught
    from .taggings import Tagging, Taggings

__all__ = ["Event", "Tagging", "Taggings", "listen", "load_tagger", "tag", "tag_folder", "with_taught"]


def __getattr__(name: str) -> Any:
    """Import what a name needs when it is used."""
    if name in __all__:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
