"""Warnings about the health, with a limited rate."""

import logging
import time
from collections.abc import Callable, Sequence

from ..messages import Health, Message, SoundState, SourceHealth, WorkerHealth
from ..text import printable

_log = logging.getLogger(__name__)

_PROBLEMS: dict[SoundState, str] = {
    "silent": "audio is nothing but zeros; unmute it in the system's sound settings, at its switch or in the settings of the camera",
    "faint": "audio is far too quiet; check whether it is covered, unplugged or turned down",
    "clipping": "audio clips; lower its volume in the system's sound settings or in those of the camera",
}


class HealthLog:
    """Logs unusable audio, lost audio, dropped and unanswered windows, and when they are over.

    Each kind of line is limited to one per source and pause; a change that is reverted within the pause is not logged.

    Parameters
    ----------
    pause_seconds : float
        Minimum time between two lines of one kind.
    clock : callable
        Monotonic clock, in seconds.
    has_fast_window : callable
        Returns True while there is a fast window, which takes time too.
    """

    def __init__(
        self,
        pause_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        has_fast_window: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._has_fast_window = has_fast_window
        self._last: dict[tuple[str, str], float] = {}
        self._newest: dict[str, SourceHealth] = {}
        self._losses: dict[str, tuple[int, float]] = {}  # gaps and seconds that are not logged yet
        # As logged last:
        self._states: dict[str, SoundState] = {}
        self._dropped_windows = 0
        self._is_late = False
        self._due_windows = 0
        self._unanswered_windows = 0
        self._lacks_answers = False

    def accept(self, message: Message) -> None:
        """Log changes of the health; ignore other messages."""
        if isinstance(message, Health):
            for source in message.sources:
                self._log_state(source)
                self._log_losses(source)
            self._log_answers(message)
            self._log_drops(message)

    def set_sources(self, sources: Sequence[str]) -> None:
        """Forget other sources; a later one with the same name starts from zero."""
        for logged in (self._states, self._newest, self._losses):
            for name in logged.keys() - set(sources):
                del logged[name]

    def _log_state(self, health: SourceHealth) -> None:
        name, state = health.source, health.state
        if state == self._states.get(name, "ok") or not self._is_due(state, name):
            return
        self._states[name] = state
        if state == "ok":
            _log.info("%s: audio is back to normal", printable(name))
        else:
            _log.warning("%s: %s", printable(name), _PROBLEMS[state])

    def _log_losses(self, health: SourceHealth) -> None:
        name = health.source
        before = self._newest.get(name, SourceHealth(source=name))
        self._newest[name] = health
        gaps, seconds = self._losses.get(name, (0, 0.0))
        overruns = health.overruns - before.overruns
        if overruns:  # else the source was away, which its status says
            seconds += health.overrun_seconds - before.overrun_seconds
            gaps += overruns
            self._losses[name] = gaps, seconds
        if not gaps or not self._is_due("losses", name):
            return
        del self._losses[name]
        _log.warning(
            "%s: %.2f s of audio lost in %d %s; check its sender, and what keeps this machine or its sound system busy",
            printable(name),
            seconds,
            gaps,
            "gap" if gaps == 1 else "gaps",
        )

    def _log_answers(self, health: Health) -> None:
        unanswered = health.unanswered_windows - self._unanswered_windows
        if not (unanswered or self._lacks_answers) or not self._is_due("answers"):
            return
        due = health.windows + health.dropped_windows
        windows = due - self._due_windows
        self._due_windows, self._unanswered_windows = due, health.unanswered_windows
        self._lacks_answers = bool(unanswered)
        workers = health.workers or WorkerHealth(address="their address")
        if not unanswered:
            _log.info("the workers at %s answer again", workers.address)
            return
        _log.warning(
            "%d of %d windows unanswered%s; check the workers at %s",
            unanswered,
            windows,
            f" ({workers.problem})" if workers.problem else "",
            workers.address,
        )

    def _log_drops(self, health: Health) -> None:
        late = health.dropped_windows - health.unanswered_windows
        dropped = late - self._dropped_windows
        if not (dropped or self._is_late) or not self._is_due("drops"):
            return
        self._dropped_windows = late
        self._is_late = bool(dropped)
        load = health.real_time_factor or 0.0
        windows = f"{dropped} {'window' if dropped == 1 else 'windows'} dropped"
        if not dropped:
            _log.info("inference keeps up again")
        elif load > 1.0:
            _log.warning(
                "%s: inference takes %.0f %% of the available time; use %sa longer --hop, a shorter --window or a smaller "
                "--model",
                windows,
                100 * load,
                "no --fast-window, " if self._has_fast_window() else "",
            )
        else:
            _log.warning("%s: this machine was busy; check what keeps it busy", windows)

    def _is_due(self, kind: str, source: str = "") -> bool:
        """Return True if a line of a kind may be written, and record it as written."""
        now = self._clock()
        if now - self._last.get((kind, source), -self._pause_seconds) < self._pause_seconds:
            return False
        self._last[kind, source] = now
        return True
