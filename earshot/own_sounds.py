"""A tagger with the sounds that the user has taught."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from models.loading import AnyTagger
    from models.teaching.taught_tagger import TaughtTagger

SoundTagger: TypeAlias = "AnyTagger | TaughtTagger"
"""A tagger of a model, with the sounds that the user has taught, if there are any."""


def with_own_sounds(tagger: "AnyTagger", names: Sequence[str] | None = None) -> "SoundTagger":
    """Return the tagger with the sounds that the user has taught, if there are any.

    Parameters
    ----------
    tagger : Tagger or RemoteTagger
        Tagger of a model.
    names : sequence of str, optional
        Names of the sounds; by default all that are taught now.
    """
    from streamer.events.own_sounds import own_sound_names, own_sounds_folder

    if names is None:
        names = own_sound_names()
    if not names:
        return tagger
    from models.teaching.taught_sounds import TaughtSounds
    from models.teaching.taught_tagger import with_taught

    return with_taught(tagger, TaughtSounds(own_sounds_folder()).readable(), names)


def describe_unknown(tagger: "SoundTagger") -> str:
    """Return a sentence about the taught sounds that a tagger can't recognise; empty if there are none."""
    from models.teaching.taught_tagger import TaughtTagger

    return tagger.describe_unknown() if isinstance(tagger, TaughtTagger) else ""
