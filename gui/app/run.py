"""Opens the window and runs Qt's event loop. Qt is imported only when a window is opened."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from ..actions import Actions
from ..data.columns import LogMelFunction
from ..data.feed import Feed
from ..look import KioskLook

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from .kiosk import KioskWindow
    from .window import LiveWindow

_log = logging.getLogger(__name__)

_FRAME_MILLISECONDS = 33
_PLAIN = KioskLook()
_MIN_KIOSK_SECONDS = 5.0
"""A kiosk that fails sooner is not opened again: it would go on failing."""


def run(
    feed: Feed,
    *,
    log_mel: LogMelFunction,
    poll: Callable[[], bool],
    title: str = "Earshot",
    kiosk: bool = False,
    actions: Actions | None = None,
    theme: str = "dark",
    look: KioskLook = _PLAIN,
) -> None:
    """Open the window and run Qt's event loop on this thread until the window closes.

    Parameters
    ----------
    feed : Feed
        Data to show.
    log_mel : callable
        Function from samples to spectrogram columns, see `LogMelFunction`.
    poll : callable
        Function called 30 times a second; the window closes when it returns False.
    title : str
        Title of the window.
    kiosk : bool
        True for the kiosk: it fills the screen and keeps it on. After an error it is opened again with the same data.
    actions : Actions, optional
        Functions of the program that the window offers.
    theme : {"dark", "light", "auto"}
        Colours; "auto" follows the system.
    look : KioskLook
        Words, logo and hidden sounds of a kiosk.

    Raises
    ------
    LookError
        The logo of a kiosk can't be read.
    BaseException
        An error of `poll`, of a signal handler or of the window; a kiosk raises its own errors only in its first seconds.
    """
    from PySide6.QtWidgets import QApplication

    with _hidden("cuda"):
        from ..data.histories import SourceHistories
        from ..style.theme import palette_for
        from .awake import keep_screen_awake
        from .kiosk import KioskWindow
        from .window import LiveWindow

    application = QApplication.instance() or QApplication([title])
    application.setApplicationName(title)
    if kiosk:
        keep_screen_awake(title)
    kind = partial(KioskWindow, look=look) if kiosk else LiveWindow
    histories, colours = SourceHistories(log_mel), palette_for(theme)
    _keep_open(
        lambda: kind(feed, histories=histories, title=title, actions=actions, colours=colours),
        poll,
        kiosk=kiosk,
    )


def _keep_open(
    open_window: "Callable[[], LiveWindow | KioskWindow]", poll: Callable[[], bool], *, kiosk: bool
) -> None:
    """Show a window until it closes; open a kiosk again after an error."""
    while True:
        opened_at = time.monotonic()
        error = _show(open_window(), poll, full_screen=kiosk)
        if error is None:
            return
        if not kiosk or time.monotonic() - opened_at < _MIN_KIOSK_SECONDS:
            raise error
        _log.warning("window failed (%s); opening it again", error, exc_info=error)


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Hide a package from what is imported: pyqtgraph would load CUDA's, for widgets that are not used, in a tenth of a second."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # for the import system: not found
    try:
        yield
    finally:
        del sys.modules[package]


def _show(
    window: "LiveWindow | KioskWindow", poll: Callable[[], bool], *, full_screen: bool
) -> Exception | None:
    """Show a window until it closes or fails; return its error. Raise an error of ``poll``."""
    from PySide6.QtCore import QEventLoop, Qt, QTimer
    from PySide6.QtWidgets import QApplication

    loop = QEventLoop()
    window.closed.connect(loop.quit)
    poll_errors: list[BaseException] = []

    def stop() -> None:
        """Quit the loop, after closing menus and dialogs: each runs a nested loop."""
        while popup := QApplication.activePopupWidget() or QApplication.activeModalWidget():
            popup.close()
        loop.quit()

    def tick() -> None:
        try:
            running = poll()
        except BaseException as error:  # noqa: BLE001 - Qt's loop would only print it
            poll_errors.append(error)
            running = False
        if not running:
            stop()
        elif window.windowHandle().isExposed():
            window.refresh(time.monotonic())
        else:
            window.collect(time.monotonic())

    timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=_FRAME_MILLISECONDS)
    timer.timeout.connect(tick)
    window_error: Exception | None = None
    try:
        with _raising_qt_errors(stop):
            if full_screen:
                window.setGeometry(window.screen().geometry())  # needed without a window manager
                window.showFullScreen()
            else:
                window.show()
            timer.start()
            loop.exec()
    except Exception as error:  # noqa: BLE001 - the caller decides about it
        window_error = error
    finally:
        timer.stop()
        _destroy(window)
    if poll_errors:
        raise poll_errors[0]
    return window_error


@contextmanager
def _raising_qt_errors(stop: Callable[[], object]) -> Iterator[None]:
    """Stop at the first exception that Qt's loop would only print, and raise it at the end."""
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
    """Delete the window now: no part of it may outlive the application."""
    from PySide6.QtCore import QCoreApplication, QEvent

    window.close()
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
