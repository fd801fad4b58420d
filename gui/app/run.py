"""Opens the window and runs Qt's loop. Qt itself is imported only when it is needed."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from ..actions import Actions
from ..data.columns import RowsFunction
from ..data.feed import Feed

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from .kiosk import KioskWindow
    from .window import LiveWindow

_log = logging.getLogger(__name__)

_FRAME_MILLISECONDS = 33
_LEAST_KIOSK_SECONDS = 5.0
"""A kiosk that fails sooner would fail again and again."""


def run(
    feed: Feed,
    *,
    rows: RowsFunction,
    poll: Callable[[], bool],
    title: str = "Earshot",
    kiosk: bool = False,
    actions: Actions | None = None,
    theme: str = "dark",
) -> int:
    """Open the window and run Qt's loop on this thread until the window closes.

    Parameters
    ----------
    feed : Feed
        What the window draws from.
    rows : callable
        Samples to log-mel rows, see `RowsFunction`.
    poll : callable
        Called at each tick, 30 times a second; the window closes when it returns False.
    title : str
        The window's title.
    kiosk : bool
        Fill the screen with what reads from afar, and keep it on. After an error in it, the window is opened anew, with what was
        heard before.
    actions : Actions, optional
        What the window offers besides looking.
    theme : {"dark", "light", "auto"}
        Its colours; "auto" is the system's choice.

    Returns
    -------
    int
        0.

    Raises
    ------
    BaseException
        What was raised in `poll` or by a signal handler; in a view, unless it is a kiosk that has worked for a while.
    """
    from PySide6.QtWidgets import QApplication

    from ..data.histories import Pasts
    from ..style.theme import palette_for
    from .awake import keep_screen_awake
    from .kiosk import KioskWindow
    from .window import LiveWindow

    application = QApplication.instance() or QApplication([title])
    application.setApplicationName(title)
    if kiosk:
        keep_screen_awake(title)
    kind = KioskWindow if kiosk else LiveWindow
    pasts = Pasts(rows)
    while True:
        opened_at = time.monotonic()
        window = kind(feed, pasts=pasts, title=title, actions=actions, colours=palette_for(theme))
        failed = _show(window, poll, whole_screen=kiosk)
        if failed is None:
            return 0
        if not kiosk or time.monotonic() - opened_at < _LEAST_KIOSK_SECONDS:
            raise failed
        _log.warning("the window is opened anew after an error: %s", failed, exc_info=failed)


def _show(
    window: "LiveWindow | KioskWindow", poll: Callable[[], bool], *, whole_screen: bool
) -> Exception | None:
    """Show a window until it closes, or until one of its views fails: how, in that case."""
    from PySide6.QtCore import QEventLoop, Qt, QTimer
    from PySide6.QtWidgets import QApplication

    loop = QEventLoop()
    window.closed.connect(loop.quit)
    stopped: list[BaseException] = []

    def end() -> None:
        """Close menus and dialogs first: each has a loop of its own, which would go on inside this one."""
        while over := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            over.close()
        loop.quit()

    def tick() -> None:
        try:
            going_on = poll()
        except BaseException as error:  # noqa: BLE001 - Qt's loop would only print it
            stopped.append(error)
            going_on = False
        if not going_on:
            end()
        elif window.windowHandle().isExposed():
            window.refresh(time.monotonic())
        else:
            window.keep(time.monotonic())

    timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=_FRAME_MILLISECONDS)
    timer.timeout.connect(tick)
    failed: Exception | None = None
    try:
        with _raising_what_qt_swallows(end):
            if whole_screen:
                window.setGeometry(window.screen().geometry())  # also where no window manager does it
                window.showFullScreen()
            else:
                window.show()
            timer.start()
            loop.exec()
    except Exception as error:  # noqa: BLE001 - whoever shows the window decides
        failed = error
    finally:
        timer.stop()
        _destroy(window)
    if stopped:
        raise stopped[0]
    return failed


@contextmanager
def _raising_what_qt_swallows(stop: Callable[[], object]) -> Iterator[None]:
    """Raise at the end the first exception that Qt's loop would only have printed."""
    raised: list[BaseException] = []

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        del kind, trace
        raised.append(error)
        stop()

    before, sys.excepthook = sys.excepthook, hook
    try:
        yield
    finally:
        sys.excepthook = before
    if raised:
        raise raised[0]


def _destroy(window: "QWidget") -> None:
    """Delete the window now: nothing of it may outlive the application."""
    from PySide6.QtCore import QCoreApplication, QEvent

    window.close()
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
