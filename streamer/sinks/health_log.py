"""Tells in the log what is wrong with the stream, seldom enough to be read."""

import logging
import time
from collections.abc import Callable, Sequence

from ..messages import (
    Health,
    Message,
    SoundState,
    SourceHealth,
)
from ..text import printable

_log = logging.getLogger(__name__)

_SENTENCES: dict[SoundState, str] = {
    "silent": "delivers nothing but zeros: unmute it in the system's sound settings or at its switch",
    "faint": "is far fainter than it should be: see whether it is covered, unplugged or turned down",
    "clipping": "is so loud that it clips: lower its volume in the system's sound settings",
}


class HealthLog:
    """Warns of unusable sound, of lost sound and of dropped windows, and says when that is over.

    Of each, for each source, at most one line in a while: what has changed back meanwhile is not told at all.

    Parameters
    ----------
    pause_seconds : float
        The least time between two lines on the same.
    clock : callable
        Seconds, of a clock that is never set.
    """

    def __init__(self, pause_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}
        # As they were told last:
        self._states: dict[str, SoundState] = {}
        self._losses: dict[str, SourceHealth] = {}
        self._dropped_windows = 0
        self._is_late = False

    def accept(self, message: Message) -> None:
        """Say what is new about the health; everything else is ignored."""
        if isinstance(message, Health):
            for source in message.sources:
                self._tell_state(source)
                self._tell_losses(source)
            self._tell_drops(message)

    def follow(self, sources: Sequence[str]) -> None:
        """Forget what was told of others: one that comes later under the same name begins at zero."""
        for told in (self._states, self._losses):
            for name in told.keys() - set(sources):
                del told[name]

    def _tell_state(self, health: SourceHealth) -> None:
        name, state = health.source, health.state
        if state == self._states.get(name, "ok") or not self._is_due(state, name):
            return
        self._states[name] = state
        if state == "ok":
            _log.info("%s: its sound is well again", printable(name))
        else:
            _log.warning("%s %s", printable(name), _SENTENCES[state])

    def _tell_losses(self, health: SourceHealth) -> None:
        told = self._losses.setdefault(health.source, SourceHealth(source=health.source))
        overruns = health.overruns - told.overruns
        if not overruns or not self._is_due("losses", health.source):
            return
        self._losses[health.source] = health
        _log.warning(
            "%s: %.2f s lost in %d %s: see what keeps this machine or its sound system busy",
            printable(health.source),
            health.lost_seconds - told.lost_seconds,
            overruns,
            "gap" if overruns == 1 else "gaps",
        )

    def _tell_drops(self, health: Health) -> None:
        dropped = health.dropped_windows - self._dropped_windows
        if not (dropped or self._is_late) or not self._is_due("drops"):
            return
        self._dropped_windows = health.dropped_windows
        self._is_late = bool(dropped)
        load = health.real_time_factor or 0.0
        windows = f"{dropped} {'window was' if dropped == 1 else 'windows were'} dropped"
        if not dropped:
            _log.info("inference keeps up again")
        elif load > 1.0:
            _log.warning(
                "%s, for inference takes %.0f %% of the time there is: a longer --hop, a shorter --window or a smaller --model "
                "keeps up",
                windows,
                100 * load,
            )
        else:
            _log.warning("%s, for this machine was busy: see with what", windows)

    def _is_due(self, kind: str, source: str = "") -> bool:
        """Whether a line of a kind may be written; counts as written if so."""
        now = self._clock()
        if now - self._last.get((kind, source), -self._pause_seconds) < self._pause_seconds:
            return False
        self._last[kind, source] = now
        return True
