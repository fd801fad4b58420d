"""Teaching in the window: a selected stretch of the spectrogram becomes an example of a sound."""

import time
from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from streamer.messages import SAMPLE_RATE_HZ, Event

from ..actions import Examples, Lesson, TeachActions
from ..data.columns import HOP_SAMPLES
from ..data.viewstate import ViewState
from ..errors import ActionError
from ..widgets.teachcard import TeachCard
from .navigation import Navigation
from .panels import Panels


class TeachControl:
    """Selection, the card that names it, and lessons.

    Parameters
    ----------
    window : QWidget
        Window to cover.
    state : ViewState
        Source and time on screen.
    panels : Panels
        Panels of the window.
    navigation : Navigation
        Holds the picture while a stretch is selected.
    actions : TeachActions or None
        Functions of the program; None if nothing can be taught.

    Attributes
    ----------
    card : TeachCard
        Card over the window.
    """

    def __init__(
        self,
        window: QWidget,
        state: ViewState,
        panels: Panels,
        navigation: Navigation,
        actions: TeachActions | None,
    ) -> None:
        self._state, self._panels, self._navigation, self._actions = state, panels, navigation, actions
        self._selection = panels.spectrogram.selection
        self._held = self._is_done = False
        self._name = ""
        self._lesson: Lesson | None = None
        self.card = TeachCard(window)
        if actions is not None:
            self._selection.offer()
        self._selection.begun.connect(self._hold)
        self._selection.chosen.connect(self._selected)
        self.card.named.connect(self._add)
        self.card.shown.connect(self._let_go)
        self.card.play_wanted.connect(self._play)
        self.card.learning_wanted.connect(self._learn)

    def name_selection(self) -> None:
        """Ask for the name of the selected sound; without one, select the newest."""
        if self._selection.span is not None:
            self._ask()
            return
        self._hold()
        if self._state.frozen_at is not None:
            self._selection.select_newest()
            self._panels.status.show_message(
                "Shift with the arrow keys moves the selection and changes its length; L names it"
            )

    def slots(self) -> dict[str, Callable[[], object]]:
        """Return the function of each shortcut that is offered."""
        if self._actions is None:
            return {}
        return {
            "teach": self.name_selection,
            "select_back": lambda: self._selection.move_by(-1),
            "select_on": lambda: self._selection.move_by(1),
            "longer": lambda: self._selection.grow(1),
            "shorter": lambda: self._selection.grow(-1),
            "remember": self.toggle_memory,
        }

    def correct(self, event: Event) -> None:
        """Begin to learn that an event was wrong."""
        actions = self._actions
        if actions is not None:
            self._panels.report(lambda: actions.correct(event.id))

    def toggle_memory(self) -> None:
        """Keep ten minutes of sound in memory, or no longer."""
        actions = self._actions
        if actions is None:
            return

        def change() -> str:
            on = not actions.remembers()
            actions.remember(on)
            return (
                "the last ten minutes of sound are kept, in memory only"
                if on
                else "only the sound on screen is kept"
            )

        self._panels.report(change)

    def update(self) -> None:
        """Show how learning goes; called at each tick."""
        lesson = None if self._actions is None else self._actions.lesson()
        if lesson is None or lesson is self._lesson:
            return
        is_new = self._lesson is None or self._lesson.is_over
        self._lesson = lesson
        if lesson.is_over:
            self._finish(lesson)
        elif is_new or self.card.isVisible():
            if not self.card.isVisible():
                self.card.open()
            doing = "Correcting" if lesson.is_correction else "Learning"
            self.card.show_progress(
                f"{doing} {lesson.name}", f"{lesson.part or 'Loading the model'}…", lesson.share
            )

    def _finish(self, lesson: Lesson) -> None:
        done = "corrected" if lesson.is_correction else "learned"
        title = f"{lesson.name} {'was not' if lesson.failed else 'is'} {done}"
        if self.card.isVisible():
            self.card.show_verdict(title, lesson.verdict)
        else:
            self._panels.status.show_message(f"{title}: {' '.join(lesson.verdict)}")

    def _hold(self) -> None:
        """Freeze the picture, so that what is selected stays."""
        self._held = self._state.frozen_at is None
        if self._held:
            self._navigation.freeze(self._state.shown_until)

    def _let_go(self, shown: bool) -> None:
        """Let the picture go on once the card is closed, if the selection has become an example."""
        if not shown and self._is_done:
            self._is_done = False
            if self._held:
                self._navigation.go_live()

    def _selected(self) -> None:
        if self._selection.span is not None:
            self._ask()
        elif self._held:
            self._navigation.go_live()

    def _ask(self) -> None:
        actions, span = self._actions, self._selection.span
        if actions is None or span is None:
            return
        columns = self._state.history.columns
        seconds = (span[1] - span[0]) * HOP_SAMPLES / SAMPLE_RATE_HZ
        clock = time.strftime("%H:%M:%S", time.localtime(columns.time_of(span[0])))
        advice = "" if actions.remembers() else "Only the sound on screen is kept; Ctrl+M keeps ten minutes."
        try:
            names = actions.names()
        except ActionError as error:
            names, advice = (), str(error)
        self.card.ask(f"This is…   ({seconds:.1f} s at {clock})", names, self._name, advice)

    def _samples(self) -> tuple[int, int]:
        first, last = self._selection.span or (0, 0)
        return first * HOP_SAMPLES, last * HOP_SAMPLES

    def _play(self) -> None:
        actions = self._actions
        if actions is not None:
            try:
                actions.play(self._state.source, *self._samples())
            except ActionError as error:
                self.card.show_text(str(error))

    def _add(self, name: str) -> None:
        actions = self._actions
        if actions is None or self._selection.span is None:
            return
        try:
            examples = actions.add(self._state.source, *self._samples(), name)
        except ActionError as error:
            self.card.show_text(str(error))
            return
        self._name = examples.name
        self._selection.clear()
        self._is_done = True
        if examples.count < examples.needed:
            self.card.show_count(
                examples.name, _count_text(examples), can_learn=examples.count >= examples.fewest
            )
        self.update()

    def _learn(self) -> None:
        actions = self._actions
        if actions is not None:
            try:
                actions.learn(self._name)
            except ActionError as error:
                self.card.show_text(str(error))
            self.update()


def _count_text(examples: Examples) -> str:
    enough = " It can be learned now, and better with more." if examples.count >= examples.fewest else ""
    return f"{examples.count} of {examples.needed} examples; select the next one.{enough}"
