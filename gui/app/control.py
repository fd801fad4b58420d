"""What a window's keys, buttons, menus and clicks do."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFileDialog, QMenu

from streamer.messages import Event

from ..actions import Actions
from ..data.feed import Feed
from ..data.watching import Watching
from ..errors import ActionError
from ..style.theme import Look
from ..widgets.overlay import Help, Search
from ..widgets.timeline import Trial
from .export import save_events, save_picture
from .shortcuts import CommandSet

if TYPE_CHECKING:
    from .window import LiveWindow

_SCROLL_SECONDS = 2.0
_TRIAL_SECONDS = 4.0
_LOOK_BACK_SECONDS = 6.0


class Control:
    """Joins a window's views to what is to be done.

    Parameters
    ----------
    window : LiveWindow
        With all its views.
    feed : Feed
        What it draws from.
    actions : Actions
        What it offers.
    watching : Watching
        What is watched.

    Attributes
    ----------
    commands : CommandSet
        What has keys.
    places : QMenu
        What there is to listen to.
    search, help : Overlay
        What may lie over the window.
    """

    def __init__(self, window: "LiveWindow", feed: Feed, actions: Actions, watching: Watching) -> None:
        self._window = window
        self._feed = feed
        self._actions = actions
        self._watching = watching
        self._trial_seconds = 0.0
        self.places = QMenu(window)
        self.commands = CommandSet(window, self._slots())
        self.search = Search(window, feed.labels)
        self.help = Help(
            window, [("  ".join(command.keys), command.does) for command in self.commands.offered()]
        )
        self._fill_header()
        self._connect()

    @property
    def paused(self) -> bool:
        """Whether the source on show is not listened to."""
        return not self._actions.listens(self._window.source)

    def follow(self) -> None:
        """Let buttons say how the window is now."""
        self.commands["freeze"].setChecked(self._window.frozen_at is not None)
        if "pause" in self.commands:
            self.commands["pause"].setChecked(self.paused)

    def advance(self, seconds: float) -> None:
        """Let time pass: what was tried with a key is shown for a while."""
        if self._trial_seconds > 0:
            self._trial_seconds -= seconds
            if self._trial_seconds <= 0:
                self._window.timeline.heat.show_trial(None)

    def scroll(self, steps: float) -> None:
        """Move through time; forward from now is nowhere."""
        if self._window.frozen_at is not None or steps < 0:
            self._window.freeze(self._window.moment + steps * _SCROLL_SECONDS)

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self.search.dress(look)
        self.help.dress(look)

    def _slots(self) -> dict[str, Callable[[], object]]:
        """Return what each command does, of those that there are."""
        window, actions = self._window, self._actions
        slots: dict[str, Callable[[], object]] = {
            "freeze": lambda: window.freeze(window.moment if window.frozen_at is None else None),
            "back": lambda: self.scroll(-1),
            "forward": lambda: self.scroll(1),
            "oldest": lambda: window.freeze(0.0),
            "newest": lambda: window.freeze(None),
            "earlier": lambda: self._step_event(-1),
            "later": lambda: self._step_event(1),
            "up": lambda: window.tags.select(-1),
            "down": lambda: window.tags.select(1),
            "theme": window.change_colours,
            "screen": lambda: window.showNormal() if window.isFullScreen() else window.showFullScreen(),
            "help": self._open_help,
            "next": window.header.show_next,
            "quit": window.close,
        }
        if actions.watch is not None:
            slots |= {
                "watch": lambda: self._on_selected(self._toggle),
                "lower": lambda: self._on_selected(lambda label: self._nudge(label, -1)),
                "raise": lambda: self._on_selected(lambda label: self._nudge(label, 1)),
                "find": self._open_search,
            }
        if actions.places is not None:
            slots["source"] = self._open_places
        if actions.listen is not None:
            slots["pause"] = self._pause
        if actions.play is not None:
            slots["play"] = self._play_selected
        if actions.exports is not None:
            slots |= {"picture": self._save_picture, "table": self._save_events}
        if actions.save is not None:
            slots["save"] = self._save
        return slots

    def _open_help(self) -> None:
        self.help.open()

    def _open_search(self) -> None:
        self.search.open()

    def _open_places(self) -> None:
        self._window.header.buttons["Source"].showMenu()

    def _fill_header(self) -> None:
        header = self._window.header
        for name in ("freeze", "pause", "find"):
            if name in self.commands:
                header.add_button(self.commands[name])
        if self._actions.places is not None:
            self.places.aboutToShow.connect(self._list_places)
            header.add_menu("Source", self.places)
        more = QMenu(self._window)
        for name in ("picture", "table", "save", "theme", "screen", "help", "quit"):
            if name in self.commands:
                more.addAction(self.commands[name])
        header.add_menu("More", more)

    def _connect(self) -> None:
        window = self._window
        window.header.source_chosen.connect(window.show_source)
        window.tags.label_chosen.connect(self._toggle)
        window.tags.threshold_moved.connect(self._try_threshold)
        window.tags.threshold_chosen.connect(self._choose_threshold)
        window.timeline.time_chosen.connect(window.freeze)
        window.timeline.name_chosen.connect(self._toggle_name)
        window.events.event_chosen.connect(self._show_event)
        window.events.clip_chosen.connect(self._play)
        self.search.chosen.connect(self._toggle_name)
        self.search.shown.connect(lambda: self.search.mark(self._watching.labels()))
        for overlay in (self.search, self.help):
            overlay.shown.connect(self.commands.suspend)

    def _try(self, do: Callable[[], str | None]) -> None:
        """Do something, and say what came of it."""
        try:
            said = do()
        except ActionError as error:
            said = str(error)
        if said:
            self._window.status.say(said)

    # Events

    def _step_event(self, step: int) -> None:
        """Go to the event before or after the moment on show."""
        here = self._window.moment
        found = [event for event in self._window.own_events() if (_moment_of(event) - here) * step > 0.05]
        if found:
            self._show_event(min(found, key=lambda event: abs(_moment_of(event) - here)))

    def _show_event(self, event: Event) -> None:
        window = self._window
        window.events.select(event)
        if event.source not in window.snapshot.sources:
            window.status.say(f"{event.source} has gone, and its sound with it")
            return
        window.header.choose(event.source)
        window.freeze(_moment_of(event))

    def _play_selected(self) -> None:
        event = self._window.events.selected
        if event is None or event.clip is None or not self._window.events.model.playable(event):
            self._window.status.say("choose an event that has a clip first")
        else:
            self._play(event.clip)

    def _play(self, clip: str) -> None:
        play = self._actions.play
        if play is not None:
            self._try(lambda: play(clip))

    # Watched sounds

    def _on_selected(self, do: Callable[[int], None]) -> None:
        label = self._window.tags.selected
        if label is None:
            self._window.status.say("choose a tag first, with Up and Down")
        else:
            do(label)

    def _toggle(self, label: int) -> None:
        self._try(lambda: self._watching.toggle(label))
        self.search.mark(self._watching.labels())

    def _toggle_name(self, name: str) -> None:
        """Watch, or watch no longer, what a label or a sound is called."""
        sound = next((sound for sound in self._watching.sounds() if sound.name == name), None)
        if sound is not None:
            self._toggle(sound.labels[0])
        elif name in self._feed.labels:  # and not the row of a sound that has just been given up
            self._toggle(self._feed.labels.index(name))

    def _nudge(self, label: int, steps: int) -> None:
        threshold = self._watching.nudged(label, steps)
        self._choose_threshold(label, threshold)

    def _try_threshold(self, label: int, threshold: float) -> None:
        """Show in the timeline what would have been told, until the threshold is chosen."""
        taggings = self._window.snapshot.sources[self._window.source].taggings
        found = self._watching.trial(taggings, label, threshold)
        self._trial_seconds = 0.0
        if found is not None:
            row, spans = found
            self._window.timeline.heat.show_trial(Trial(row, threshold, spans))
            times = "once" if len(spans) == 1 else f"{len(spans)} times"
            self._window.status.say(f"from {threshold:.2f} on, {row.name} would have been told of {times}")

    def _choose_threshold(self, label: int, threshold: float) -> None:
        self._try_threshold(label, threshold)
        self._try(lambda: self._watching.move(label, threshold))
        self._trial_seconds = _TRIAL_SECONDS

    # Sources

    def _pause(self) -> None:
        listen, source = self._actions.listen, self._window.source
        if listen is not None:
            self._try(lambda: listen(source, self.paused))
            self.follow()

    def _list_places(self) -> None:
        """Fill the menu with what there is to listen to at this moment, in place of the source that is on show now."""
        self.places.clear()
        places, source = self._actions.places, self._window.source
        try:
            found = places() if places is not None else ()
        except ActionError as error:
            found = ()
            self._window.status.say(str(error))
        for place in found:
            self.places.addAction(place.title, partial(self._choose_place, source, place.spec))
        self.places.addSeparator()
        self.places.addAction("A recording…", partial(self._choose_recording, source))

    def _choose_place(self, source: str, spec: str) -> None:
        choose = self._actions.choose
        if choose is None:
            return

        def do() -> str:
            if source not in self._window.snapshot.sources:
                raise ActionError(f"{source} has gone: choose again, for another source")
            choose(source, spec)
            return f"{source} listens to {spec} now"

        self._try(do)

    def _choose_recording(self, source: str) -> None:
        path, _ = QFileDialog.getOpenFileName(self._window, "Listen to a recording")
        if path:
            self._choose_place(source, path)

    # What is kept

    def _save_picture(self) -> None:
        folder = self._actions.exports
        if folder is not None:
            self._try(lambda: f"the picture is {save_picture(self._window, folder)}")

    def _save_events(self) -> None:
        folder = self._actions.exports
        if folder is not None:
            self._try(lambda: f"the events are in {save_events(self._window.snapshot.events, folder)}")

    def _save(self) -> None:
        save = self._actions.save
        if save is not None:
            self._try(lambda: f"the settings are in {save(self._window.colours.name)}")


def _moment_of(event: Event) -> float:
    """Return the Unix time from which to look back at an event: its end, or some seconds after its beginning."""
    latest = event.started_at + _LOOK_BACK_SECONDS
    return latest if event.ended_at is None else min(latest, event.ended_at + 1.0)
