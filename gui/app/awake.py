"""Keeps the screen on while a kiosk is shown."""

import logging
import os
import subprocess
import sys

_log = logging.getLogger(__name__)


def keep_screen_awake(name: str) -> None:
    """Ask the system to keep the screen on until this process ends; log a warning if it refuses.

    Parameters
    ----------
    name : str
        Name of the program, for people.
    """
    if not _inhibit_screen_saver(name):
        _log.warning(
            "the screen can't be kept on; turn off the screen saver in the system, for example with `xset s off -dpms`"
        )


def _inhibit_screen_saver(name: str) -> bool:
    if sys.platform == "win32":
        import ctypes

        continuous, display, system = 0x8000_0000, 0x2, 0x1
        return bool(ctypes.windll.kernel32.SetThreadExecutionState(continuous | display | system))
    if sys.platform == "darwin":
        subprocess.Popen(["/usr/bin/caffeinate", "-d", "-w", str(os.getpid())])  # noqa: S603 - the system's own
        return True
    from PySide6.QtDBus import QDBusConnection, QDBusInterface, QDBusMessage

    # The desktop allows the screen to sleep again once this process, and so the connection, ends.
    saver = QDBusInterface(
        "org.freedesktop.ScreenSaver",
        "/org/freedesktop/ScreenSaver",
        "org.freedesktop.ScreenSaver",
        QDBusConnection.sessionBus(),
    )
    reply = saver.call("Inhibit", name, "kiosk on screen")
    return bool(reply.type() == QDBusMessage.MessageType.ReplyMessage)
