"""What the window can be told, each with its keys: buttons, menus and the page of help come from this one table."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


@dataclass(frozen=True, slots=True)
class Command:
    """A thing to do: its name on buttons, its keys, what it does, and whether it stays on."""

    title: str
    keys: tuple[str, ...]
    does: str
    lasting: bool = False


COMMANDS: Mapping[str, Command] = {
    "freeze": Command("Freeze", ("Space",), "stop the picture; again, and it is live", lasting=True),
    "back": Command("Back", ("Left", "PgUp"), "scroll back, over the last ten minutes"),
    "forward": Command("Forward", ("Right", "PgDown"), "scroll forward"),
    "oldest": Command("Oldest", ("Home",), "to the oldest sound that is kept"),
    "newest": Command("Newest", ("End",), "back to what is heard now"),
    "earlier": Command("Earlier event", ("Ctrl+Left",), "to the event before this moment"),
    "later": Command("Later event", ("Ctrl+Right",), "to the event after this moment"),
    "play": Command("Play clip", ("C",), "play the clip of the event chosen"),
    "up": Command("Up", ("Up",), "choose the tag above"),
    "down": Command("Down", ("Down",), "choose the tag below"),
    "watch": Command("Watch", ("W", "Return"), "watch the tag chosen, or watch it no longer"),
    "lower": Command("Lower threshold", ("-",), "lower the threshold of the tag chosen"),
    "raise": Command("Raise threshold", ("+", "="), "raise it"),
    "find": Command("Find", ("Ctrl+F", "/"), "search all labels, to watch them"),
    "source": Command("Source", ("S",), "choose what to listen to"),
    "pause": Command("Pause", ("P",), "stop listening to this source; again, and it goes on", lasting=True),
    "next": Command("Next source", ("Ctrl+Tab", "N"), "show the next source"),
    "picture": Command("Save picture", ("Ctrl+E",), "keep the window as a PNG"),
    "table": Command("Save events", ("Ctrl+Shift+E",), "keep the list of events as a CSV file"),
    "save": Command("Save settings", ("Ctrl+S",), "keep sources, watched sounds, thresholds and theme"),
    "theme": Command("Light or dark", ("T",), "change the theme"),
    "screen": Command("Full screen", ("F11",), "use the whole screen; again, and it is a window"),
    "help": Command("Keys", ("F1", "?"), "show this page"),
    "quit": Command("Quit", ("Ctrl+Q", "Ctrl+W"), "close the window and end the program"),
}


class CommandSet:
    """The commands as actions of one window.

    Parameters
    ----------
    window : QWidget
        Whose keys they are.
    slots : mapping of str to callable
        What to do, by a command's name. A command without is not offered.
    """

    def __init__(self, window: QWidget, slots: Mapping[str, Callable[[], object]]) -> None:
        self._actions: dict[str, QAction] = {}
        for name, command in COMMANDS.items():
            if name not in slots:
                continue
            action = QAction(command.title, window, checkable=command.lasting)
            action.setShortcuts([QKeySequence(keys) for keys in command.keys])
            action.setToolTip(f"{command.title}: {command.does} ({command.keys[0]})")
            action.triggered.connect(lambda *_, do=slots[name]: do())
            window.addAction(action)
            self._actions[name] = action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __contains__(self, name: str) -> bool:
        return name in self._actions

    def offered(self) -> Iterator[Command]:
        """Yield the commands that there are."""
        return (COMMANDS[name] for name in self._actions)

    def suspend(self, suspended: bool) -> None:
        """Leave the keys to something that lies over the window, but for the one that closes it."""
        for name, action in self._actions.items():
            if name != "quit":
                action.setEnabled(not suspended)
