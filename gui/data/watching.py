"""Which labels are watched, and at which scores; what the user changes there. No Qt here."""

from collections.abc import Mapping, Sequence

from streamer.messages import Tagging

from ..actions import Actions, Span, Watched
from ..errors import ActionError
from .heatmap import HeatRow
from .viewstate import ViewState

_STEP = 0.01


class Watching:
    """The sounds among the labels that are watched at one source.

    Parameters
    ----------
    labels : sequence of str
        The name of each score.
    actions : Actions
        Who knows what is watched, and changes it.
    state : ViewState
        Says which source is on screen.
    """

    def __init__(self, labels: Sequence[str], actions: Actions, state: ViewState) -> None:
        self._state = state
        self._labels = labels
        self._actions = actions
        self._thresholds: dict[int, float] = {}
        self._sounds: tuple[Watched, ...] = ()

    def sounds(self) -> tuple[Watched, ...]:
        """Return what is watched now."""
        return tuple(self._actions.watched(self._state.source))

    def thresholds(self) -> Mapping[int, float]:
        """Return the threshold of each label that is watched; the same object until something changes."""
        sounds = self.sounds()
        if sounds != self._sounds:
            self._sounds = sounds
            self._thresholds = {
                label: threshold
                for sound in reversed(sounds)
                for label, threshold in zip(sound.labels, sound.thresholds, strict=True)
            }
        return self._thresholds

    def labels(self) -> list[str]:
        """Return the names of the labels that are watched."""
        return [self._labels[label] for label in self.thresholds()]

    def sound_of(self, label: int) -> Watched | None:
        """Return the first watched sound that a label is part of."""
        return next((sound for sound in self.sounds() if label in sound.labels), None)

    def toggle(self, label: int) -> str:
        """Watch a label, or the sound that it is part of no longer; returns a sentence that says what was done."""
        if self._actions.watch is None or self._actions.unwatch is None:
            raise ActionError("what is watched can't be changed here")
        sound = self.sound_of(label)
        if sound is not None:
            self._actions.unwatch(self._state.source, sound.name)
            return f"{sound.name} is no longer watched"
        self._actions.watch(self._state.source, self._labels[label], None)
        sound = self.sound_of(label)
        return f"{sound.name if sound else self._labels[label]} is watched now"

    def move(self, label: int, threshold: float) -> str:
        """Set the threshold of the sound that a label is part of; returns a sentence that says so."""
        sound = self.sound_of(label)
        if sound is None or self._actions.watch is None:
            raise ActionError(f"{self._labels[label]} is not watched: watch it first, with a click or W")
        self._actions.watch(self._state.source, sound.name, threshold)
        return f"{sound.name} counts from a score of {threshold:.2f} on"

    def nudged(self, label: int, steps: int) -> float:
        """Return the threshold of a label, moved by some hundredths."""
        threshold = self.thresholds().get(label, 0.0) + steps * _STEP
        return round(min(0.99, max(0.01, threshold)), 2)

    def trial(
        self, taggings: Sequence[Tagging], label: int, threshold: float
    ) -> tuple[HeatRow, tuple[Span, ...]] | None:
        """Return the row of a label's sound, and when that would have been told of with another threshold."""
        sound = self.sound_of(label)
        if sound is None or self._actions.would_fire is None:
            return None
        spans = self._actions.would_fire(self._state.source, taggings, sound.name, threshold)
        return HeatRow(sound.name, sound.labels, watched=True), tuple(spans)
