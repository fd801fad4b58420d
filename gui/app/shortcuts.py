"""Commands of the window with their keyboard shortcuts: one table for buttons, menus and the page of keys."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Command with its keys.

    Attributes
    ----------
    title : str
        Title on buttons and in menus.
    keys : tuple of str
        Keys that trigger it.
    description : str
        Description in tooltips and on the page of keys.
    checkable : bool
        True if it is a switch that stays on.
    """

    title: str
    keys: tuple[str, ...]
    description: str
    checkable: bool = False


SHORTCUTS: Mapping[str, Shortcut] = {
    "freeze": Shortcut(
        "Freeze", ("Space",), "hold the picture, while listening goes on; again: go live", checkable=True
    ),
    "back": Shortcut("Back", ("Left", "PgUp"), "scroll back, up to ten minutes"),
    "forward": Shortcut("Forward", ("Right", "PgDown"), "scroll forward"),
    "oldest": Shortcut("Oldest", ("Home",), "go to the oldest sound"),
    "newest": Shortcut("Newest", ("End",), "go live"),
    "earlier": Shortcut("Earlier event", ("Ctrl+Left",), "go to the previous event"),
    "later": Shortcut("Later event", ("Ctrl+Right",), "go to the next event"),
    "play": Shortcut("Play clip", ("C",), "play the clip of the selected event"),
    "right": Shortcut("Right", ("R",), "mark the selected event as right; again: no mark"),
    "wrong": Shortcut("Wrong", ("X",), "mark the selected event as wrong; again: no mark"),
    "teach": Shortcut("This is…", ("L",), "teach the selected stretch of the spectrogram; none: select one"),
    "select_back": Shortcut("Selection back", ("Shift+Left",), "move the selection back"),
    "select_on": Shortcut("Selection forward", ("Shift+Right",), "move it forward"),
    "longer": Shortcut("Longer selection", ("Shift+Up",), "make it longer"),
    "shorter": Shortcut("Shorter selection", ("Shift+Down",), "make it shorter"),
    "remember": Shortcut(
        "Keep ten minutes of sound",
        ("Ctrl+M",),
        "keep it in memory, to teach from; again: forget it",
        checkable=True,
    ),
    "up": Shortcut("Up", ("Up",), "select the tag above"),
    "down": Shortcut("Down", ("Down",), "select the tag below"),
    "watch": Shortcut("Watch", ("W", "Return"), "watch for the selected tag, or stop watching for it"),
    "lower": Shortcut("Lower threshold", ("-",), "lower the threshold of the selected tag"),
    "raise": Shortcut("Raise threshold", ("+", "="), "raise it"),
    "find": Shortcut("Watch for a sound", ("Ctrl+F", "/"), "search all sounds, to watch for one"),
    "source": Shortcut("Source", ("S",), "choose the input of this source"),
    "pause": Shortcut(
        "Stop listening", ("P",), "switch this source off, until you switch it on again", checkable=True
    ),
    "next": Shortcut("Next source", ("Ctrl+Tab", "N"), "show the next source"),
    "picture": Shortcut("Save picture", ("Ctrl+E",), "save the window as a PNG"),
    "table": Shortcut("Save events", ("Ctrl+Shift+E",), "save the list of events as a CSV file"),
    "save": Shortcut("Save settings", ("Ctrl+S",), "save sources, watched sounds, thresholds and theme"),
    "theme": Shortcut("Light or dark", ("T",), "change the theme"),
    "screen": Shortcut("Full screen", ("F11",), "fill the screen; again: back to a window"),
    "figures": Shortcut("Figures", ("I",), "show the figures: latency, load, drops, lost audio, broker"),
    "help": Shortcut("Help", ("F1", "?"), "show this page: the signs of the window, and its keys"),
    "quit": Shortcut("Quit", ("Ctrl+Q", "Ctrl+W"), "close the window and end the program"),
}


class ShortcutSet:
    """Shortcuts of one window, as Qt actions.

    Parameters
    ----------
    window : QWidget
        Window that receives the keys.
    slots : mapping of str to callable
        Function of each command; a command without a function is left out.
    """

    def __init__(self, window: QWidget, slots: Mapping[str, Callable[[], object]]) -> None:
        self._actions: dict[str, QAction] = {}
        for name, shortcut in SHORTCUTS.items():
            if name not in slots:
                continue
            action = QAction(shortcut.title, window, checkable=shortcut.checkable)
            action.setShortcuts([QKeySequence(keys) for keys in shortcut.keys])
            action.setToolTip(f"{shortcut.title}: {shortcut.description} ({shortcut.keys[0]})")
            action.triggered.connect(lambda *_, do=slots[name]: do())
            window.addAction(action)
            self._actions[name] = action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def __contains__(self, name: str) -> bool:
        return name in self._actions

    def available(self) -> Iterator[Shortcut]:
        """Yield the shortcuts of this window."""
        return (SHORTCUTS[name] for name in self._actions)

    def suspend(self, suspended: bool) -> None:
        """Disable all keys except those that quit, or enable them again."""
        for name, action in self._actions.items():
            if name != "quit":
                action.setEnabled(not suspended)
