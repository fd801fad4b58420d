"""Opening the window, and Qt's event loop."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
from support.display_bench import LABELS, chunks_of, feed_with_sound, polls, tone

from gui.actions import Actions
from gui.app.display import require_display
from gui.app.kiosk import KioskWindow
from gui.app.run import run
from gui.app.window import LiveWindow
from gui.data.columns import GAP, Columns
from gui.data.feed import Feed
from gui.errors import DisplayError
from models.log_mel import log_mel
from streamer.messages import SAMPLE_RATE_HZ, Samples

ROOT = Path(__file__).resolve().parent.parent


# Event loop


@pytest.mark.usefixtures("qapp")
def test_the_window_closes_when_poll_returns_false() -> None:
    began_at = time.monotonic()
    run(feed_with_sound(), log_mel=log_mel, poll=polls(5))
    assert time.monotonic() - began_at < 10
    assert not [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, LiveWindow)]


@pytest.mark.usefixtures("qapp")
def test_run_returns_when_the_window_is_closed() -> None:
    closed: list[bool] = []

    def poll() -> bool:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, LiveWindow) and not closed:
                closed.append(widget.close())
        return True

    run(feed_with_sound(), log_mel=log_mel, poll=poll)
    assert closed == [True]


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("kiosk", [False, True])
def test_a_hidden_window_loses_no_sound(kiosk: bool) -> None:
    feed = Feed(["mic"], LABELS)
    kept: list[Columns] = []
    due = [time.monotonic() + 1.2 * number for number in range(4)]

    def poll() -> bool:
        (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, LiveWindow | KioskWindow))
        window.hide()
        if due and time.monotonic() >= due[0]:
            del due[0]
            start = 10 * SAMPLE_RATE_HZ * (3 - len(due))
            for chunk in chunks_of(tone(1000, 10.0), size=1600, start_sample=start):
                feed.add_chunk("mic", chunk)
        kept[:] = [
            window.state.history.columns
            if isinstance(window, LiveWindow)
            else window.tiles[0].picture.columns
        ]
        return bool(due) or kept[0].end < 3990

    run(feed, log_mel=log_mel, poll=poll, kiosk=kiosk)
    values = kept[0].values(0, 3990)
    assert not (values == GAP).all(axis=1).any()
    assert values.any(axis=1).all()


def open_menu(window: LiveWindow) -> None:
    window.panels.header.buttons["Source"].showMenu()


def open_dialog(window: LiveWindow) -> None:
    window.control.source.menu.aboutToShow.emit()
    window.control.source.menu.actions()[-1].trigger()


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("open_something", [open_menu, open_dialog])
def test_sources_may_be_removed_while_a_menu_or_dialog_is_open(
    open_something: Callable[[LiveWindow], None],
) -> None:
    feed = feed_with_sound()
    opened: list[QWidget] = []
    shown: list[str] = []
    ticks = iter(range(200))

    def poll() -> bool:
        (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, LiveWindow))
        if next(ticks) == 3:
            QTimer.singleShot(0, lambda: open_something(window))
        if over := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            opened.append(over)
            feed.set_sources(["door", "attic"])
        shown.append(window.state.source)
        return len(opened) < 5

    run(feed, log_mel=log_mel, poll=poll, actions=Actions(list_inputs=lambda _: ()))
    assert len(opened) == 5
    assert shown[-1] == "door"


@pytest.mark.usefixtures("qapp")
def test_an_error_of_poll_reaches_the_caller() -> None:
    def poll() -> bool:
        raise OSError("a thread has failed")

    with pytest.raises(OSError, match="a thread has failed"):
        run(feed_with_sound(), log_mel=log_mel, poll=poll)


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("open_something", [open_menu, open_dialog])
@pytest.mark.parametrize("fails", ["poll", "view"])
def test_an_open_menu_or_dialog_does_not_keep_the_program_alive(
    open_something: Callable[[LiveWindow], None], fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QWidget] = []
    ticks = iter(range(200))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    def poll() -> bool:
        if next(ticks) == 3:
            (window,) = (w for w in QApplication.topLevelWidgets() if isinstance(w, LiveWindow))
            QTimer.singleShot(0, lambda: open_something(window))
        if over := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            opened.append(over)
            if fails == "poll":
                raise KeyboardInterrupt
            monkeypatch.setattr(LiveWindow, "refresh", broken)
        return True

    actions = Actions(list_inputs=lambda _: ())
    with pytest.raises(KeyboardInterrupt if fails == "poll" else ZeroDivisionError):
        run(feed_with_sound(), log_mel=log_mel, poll=poll, actions=actions)
    assert len(opened) == 1


@pytest.mark.usefixtures("qapp")
def test_an_error_of_a_widget_reaches_the_caller() -> None:
    def broken(samples: Samples) -> NDArray[np.float32]:
        raise ValueError(f"no rows of {len(samples)} samples")

    with pytest.raises(ValueError, match="no rows of"):
        run(feed_with_sound(), log_mel=broken, poll=polls(100))


@pytest.mark.usefixtures("qapp")
def test_an_error_while_painting_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError(f"{len(arguments)}")

    monkeypatch.setattr("gui.widgets.spectrogram.Picture._draw", broken)
    with pytest.raises(ZeroDivisionError):
        run(feed_with_sound(), log_mel=log_mel, poll=polls(100))


@pytest.mark.usefixtures("qapp")
def test_the_exception_hook_is_restored() -> None:
    before = sys.excepthook
    run(feed_with_sound(), log_mel=log_mel, poll=polls(1))
    assert sys.excepthook is before


# Child processes


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in _DISPLAY_VARIABLES}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


_DISPLAY_VARIABLES = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
_REQUIRE = """
    from gui.app.display import require_display
    from gui.errors import DisplayError
    try:
        require_display()
    except DisplayError as error:
        print(error)
    else:
        print("ready")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no DISPLAY")
@pytest.mark.parametrize("environment", [{}, {"DISPLAY": ":4711"}, {"QT_QPA_PLATFORM": "no-such-platform"}])
def test_a_missing_display_is_reported_in_one_sentence_with_a_remedy(environment: dict[str, str]) -> None:
    done = run_python(_REQUIRE, **environment)
    assert done.returncode == 0, done.stderr
    assert "--headless" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_the_offscreen_platform_counts_as_a_display() -> None:
    done = run_python(_REQUIRE, QT_QPA_PLATFORM="offscreen")
    assert (done.stdout.strip(), done.returncode) == ("ready", 0)


def test_missing_packages_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyqtgraph" else name)
    with pytest.raises(DisplayError, match=r'pip install -e "\.\[gui\]"'):
        require_display()


def test_a_process_that_opened_a_window_ends_cleanly() -> None:
    done = run_python(
        """
        import numpy as np
        from gui.app.run import run
        from gui.data.feed import Feed
        ticks = iter(range(5))
        run(
            Feed(["a", "b"], ["Speech"]),
            log_mel=lambda samples: np.zeros((0, 128), np.float32),
            poll=lambda: next(ticks, None) is not None,
        )
        print("closed")
        """,
        QT_QPA_PLATFORM="offscreen",
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("closed", "", 0)


def test_this_pyside_loses_no_references_to_none() -> None:
    done = run_python(
        """
        import sys
        from PySide6.QtCore import QRectF
        rect = QRectF()
        before = sys.getrefcount(None)
        for _ in range(1000):
            rect.setWidth(1.0)
        print(abs(sys.getrefcount(None) - before) < 100)
        """
    )
    assert done.stdout.strip() == "True", (
        "this version of PySide6 loses references to None and will abort the process"
    )
