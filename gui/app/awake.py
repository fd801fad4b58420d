"""Keeps the screen from going dark while a kiosk is on it."""

import logging
import os
import subprocess
import sys

_log = logging.getLogger(__name__)


def keep_screen_awake(name: str) -> None:
    """Ask the system to leave the screen on until this process ends; where it can't be asked, say so.

    Parameters
    ----------
    name : str
        Who asks, for people.
    """
    if not _asked(name):
        _log.warning(
            "the screen can't be kept on from here: switch its saver off in the system, as with `xset s off -dpms`"
        )


def _asked(name: str) -> bool:
    if sys.platform == "win32":
        import ctypes

        continuous, display, system = 0x8000_0000, 0x2, 0x1
        return bool(ctypes.windll.kernel32.SetThreadExecutionState(continuous | display | system))
    if sys.platform == "darwin":
        subprocess.Popen(["/usr/bin/caffeinate", "-d", "-w", str(os.getpid())])  # noqa: S603 - the system's own
        return True
    from PySide6.QtDBus import QDBusConnection, QDBusInterface, QDBusMessage

    # The desktop lets the screen sleep again when the connection ends, with this process.
    saver = QDBusInterface(
        "org.freedesktop.ScreenSaver",
        "/org/freedesktop/ScreenSaver",
        "org.freedesktop.ScreenSaver",
        QDBusConnection.sessionBus(),
    )
    reply = saver.call("Inhibit", name, "it is on show")
    return bool(reply.type() == QDBusMessage.MessageType.ReplyMessage)
