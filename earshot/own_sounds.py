"""A tagger with the sounds that the user has taught."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from models.loading import AnyTagger
    from models.teaching.taught_sounds import TaughtSound, TaughtSounds
    from models.teaching.taught_tagger import TaughtTagger

SoundTagger: TypeAlias = "AnyTagger | TaughtTagger"
"""A tagger of a model, with the sounds that the user has taught, if there are any."""

_log = logging.getLogger(__name__)


def with_own_sounds(tagger: "AnyTagger", names: Sequence[str] | None = None) -> "SoundTagger":
    """Return the tagger with the sounds and corrections that the user has taught, if there are any; sounds with kept examples are taught to a new model.

    Parameters
    ----------
    tagger : Tagger or RemoteTagger
        Tagger of a model.
    names : sequence of str, optional
        Names of the sounds; by default all that are taught now.
    """
    from streamer.events.own_sounds import corrected_sound_names, own_sound_names, own_sounds_folder

    if names is None:
        names = own_sound_names()
    if not names and not corrected_sound_names():
        return tagger
    from models.teaching.taught_sounds import TaughtSounds
    from models.teaching.taught_tagger import with_taught

    sounds = TaughtSounds(own_sounds_folder())
    return with_taught(tagger, [_learned(sound, sounds, tagger) for sound in sounds.readable()], names)


def _learned(sound: "TaughtSound", sounds: "TaughtSounds", model: "AnyTagger") -> "TaughtSound":
    """Return a sound with what a model can learn from its kept examples, if it has not learned it yet."""
    file = sounds.examples_file(sound.name)
    if model.fingerprint in sound.heads or not model.fingerprint or not file.exists():
        return sound
    from models.errors import ModelError
    from models.loading import require_local
    from models.teaching.kept_examples import read_examples

    try:
        require_local()
        kept = read_examples(file)
        if kept is None:
            return sound
        from models.teaching.lessons import teach_model
        from models.teaching.rooms import load_room

        _log.info("teaching '%s' to %s from its kept examples, once", sound.name, model.name)
        room = load_room(file.parent, model.fingerprint)
        learned = teach_model(model, sound.name, kept.examples, kept.others, room).sound
        sound = replace(sound, heads={**sound.heads, **learned.heads})
        sounds.save(sound)
    except ModelError as error:
        _log.warning("'%s' can't be taught to %s: %s", sound.name, model.name, error)
    return sound


def describe_unknown(tagger: "SoundTagger") -> str:
    """Return a sentence about the taught sounds that a tagger can't recognise; empty if there are none."""
    from models.teaching.taught_tagger import TaughtTagger

    return tagger.describe_unknown() if isinstance(tagger, TaughtTagger) else ""
