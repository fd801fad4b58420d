"""Watched sounds of the source on screen, and changes to them."""

from collections.abc import Mapping, Sequence

from streamer.messages import Tagging, Watched

from ..actions import Actions, Span
from ..errors import ActionError
from .heatrows import HeatRow
from .viewstate import ViewState

_STEP = 0.01
_FIXED = "watched sounds can't be changed here"


class Watching:
    """Watched sounds of the source on screen.

    Parameters
    ----------
    labels : sequence of str
        Name of each score.
    actions : Actions
        Functions that list and change the watched sounds.
    state : ViewState
        State with the source on screen.
    """

    def __init__(self, labels: Sequence[str], actions: Actions, state: ViewState) -> None:
        self._labels = labels
        self._actions = actions
        self._state = state
        self._thresholds: dict[int, float] = {}
        self._sounds: tuple[Watched, ...] = ()

    def sounds(self) -> tuple[Watched, ...]:
        """Return the watched sounds."""
        return tuple(self._actions.watched(self._state.source))

    def thresholds(self) -> Mapping[int, float]:
        """Return the threshold of each watched label; the same object until something changes."""
        sounds = self.sounds()
        if sounds != self._sounds:
            self._sounds = sounds
            found = [
                (sound.name, label, threshold)
                for sound in reversed(sounds)
                for label, threshold in zip(sound.labels, sound.thresholds, strict=True)
            ]
            first = {label: threshold for _, label, threshold in found}
            named = {label: threshold for name, label, threshold in found if name == self._labels[label]}
            self._thresholds = first | named
        return self._thresholds

    def labels(self) -> list[str]:
        """Return the names of the watched labels."""
        return [self._labels[label] for label in self.thresholds()]

    def sound_of(self, label: int) -> Watched | None:
        """Return the watched sound that a label belongs to: of several, the one with its name, else the first."""
        sounds = [sound for sound in self.sounds() if label in sound.labels]
        return next(
            (sound for sound in sounds if sound.name == self._labels[label]), next(iter(sounds), None)
        )

    def toggle(self, label: int) -> str:
        """Watch a label, or stop watching the sound that it belongs to; return a message that says so."""
        sound = self.sound_of(label)
        return self._watch(label) if sound is None else self._unwatch(sound.name)

    def toggle_name(self, name: str) -> str | None:
        """Stop watching the sound of a name, or else toggle the label of this name; return a message that says so.

        Returns
        -------
        str or None
            Message; None if the name is neither, as after a sound was removed.
        """
        if any(sound.name == name for sound in self.sounds()):
            return self._unwatch(name)
        return self.toggle(self._labels.index(name)) if name in self._labels else None

    def set_threshold(self, label: int, threshold: float) -> str:
        """Set the threshold of the sound that a label belongs to; return a message that says so."""
        sound = self.sound_of(label)
        if sound is None or self._actions.watch is None:
            raise ActionError(f"{self._labels[label]} is not watched; watch it first, with a click or W")
        self._actions.watch(self._state.source, sound.name, threshold)
        return f"{sound.name}: threshold set to {threshold:.2f}"

    def stepped_threshold(self, label: int, steps: int) -> float:
        """Return a label's threshold plus some hundredths."""
        threshold = self.thresholds().get(label, 0.0) + steps * _STEP
        return round(min(0.99, max(0.01, threshold)), 2)

    def preview(
        self, taggings: Sequence[Tagging], label: int, threshold: float
    ) -> tuple[HeatRow, tuple[Span, ...]] | None:
        """Return the row of a label's sound, and the events that another threshold would have given."""
        sound = self.sound_of(label)
        if sound is None or self._actions.preview_events is None:
            return None
        spans = self._actions.preview_events(self._state.source, taggings, sound.name, threshold)
        return HeatRow(sound.name, sound.labels, watched=True), tuple(spans)

    def _watch(self, label: int) -> str:
        if self._actions.watch is None:
            raise ActionError(_FIXED)
        self._actions.watch(self._state.source, self._labels[label], None)
        sound = self.sound_of(label)
        return f"{sound.name if sound else self._labels[label]} is now watched"

    def _unwatch(self, name: str) -> str:
        if self._actions.unwatch is None:
            raise ActionError(_FIXED)
        self._actions.unwatch(self._state.source, name)
        return f"{name} is no longer watched"
