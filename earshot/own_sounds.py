"""A tagger with the sounds that the user has taught."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from models.loading import AnyTagger
    from models.teaching.taught_sounds import TaughtSound, TaughtSounds
    from models.teaching.taught_tagger import TaughtTagger

SoundTagger: TypeAlias = "TaughtTagger"
"""A tagger of a model, with the sounds that the user has taught."""

_log = logging.getLogger(__name__)


class OwnColumns:
    """Columns of taught sounds behind those of a model, while the program runs: a new sound gets a new one, and that of a sound that is removed stays.

    Parameters
    ----------
    base : sequence of str
        Labels of the model.

    Attributes
    ----------
    base : tuple of str
        As given.
    known : list of str
        Names of all sounds that had a column so far.
    """

    def __init__(self, base: Sequence[str]) -> None:
        from models.teaching.taught_labels import with_taught_labels
        from streamer.events.own_sounds import own_sound_names, own_sounds_version

        self.base = tuple(base)
        self._version = own_sounds_version()
        self.known = list(with_taught_labels(base, own_sound_names())[len(base) :])
        self._names = frozenset(self.known)
        self._sounds: Sequence[TaughtSound] | None = None

    @property
    def have_changed(self) -> bool:
        """True if the files of the sounds have changed since they were read."""
        from streamer.events.own_sounds import own_sounds_version

        return own_sounds_version() != self._version

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each column; empty for a sound that was removed."""
        return tuple(name if name in self._names else "" for name in self.known)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the model, then the names of the columns."""
        return (*self.base, *self.names)

    @property
    def labels_so_far(self) -> tuple[str, ...]:
        """Labels of the model, then the names of all sounds that had a column so far."""
        return (*self.base, *self.known)

    @property
    def sounds(self) -> "Sequence[TaughtSound]":
        """The sounds and corrections."""
        if self._sounds is None:
            self._sounds = _saved_sounds()
        return self._sounds

    def read(self) -> None:
        """Read the files again, and add a column for each new sound."""
        from streamer.events.own_sounds import own_sounds_version

        self._version = own_sounds_version()  # first: what changes meanwhile is read the next time
        self._sounds = _saved_sounds()
        taken = {label.casefold() for label in self.base}
        names = [sound.name for sound in self._sounds if not sound.lowers]
        self._names = frozenset(name for name in names if name.casefold() not in taken)
        self.known += sorted(self._names - set(self.known), key=str.casefold)


def with_own_sounds(tagger: "AnyTagger", names: Sequence[str] | None = None) -> SoundTagger:
    """Return the tagger with the sounds and corrections that the user has taught; sounds with kept examples are taught to a new model.

    Parameters
    ----------
    tagger : Tagger or RemoteTagger
        Tagger of a model.
    names : sequence of str, optional
        Name of each column, as for `TaughtTagger`; by default those of all sounds that are taught now.
    """
    from models.teaching.taught_tagger import with_taught
    from streamer.events.own_sounds import corrected_sound_names, own_sound_names, own_sounds_folder

    if names is None:
        names = own_sound_names()
    if not names and not corrected_sound_names():
        return with_taught(tagger, ())
    from models.teaching.taught_sounds import TaughtSounds

    sounds = TaughtSounds(own_sounds_folder())
    return with_taught(tagger, [_learned(sound, sounds, tagger) for sound in _saved_sounds()], names)


def _saved_sounds() -> "Sequence[TaughtSound]":
    from models.teaching.taught_sounds import TaughtSounds
    from streamer.events.own_sounds import own_sounds_folder

    return TaughtSounds(own_sounds_folder()).readable()


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
        now = sounds.get(sound.name)  # learning takes time, in which the sound may change
        if now is None or now.taught_at != sound.taught_at:
            return sound  # it was removed or taught again, which is noticed elsewhere
        sound = replace(now, heads={**now.heads, **learned.heads})
        sounds.save(sound)
    except ModelError as error:
        _log.warning("'%s' can't be taught to %s: %s", sound.name, model.name, error)
    return sound
