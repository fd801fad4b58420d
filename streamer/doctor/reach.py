"""Checks of what reaches people: the page for browsers, and notifications."""

import errno
import shutil
import socket
from collections.abc import Iterator

from ..errors import SettingsError
from ..settings.schema import Settings
from ..settings.web import is_loopback
from .result import CheckResult

_PAGE = "page"
_NOTIFICATIONS = "notifications"


def check_reach(settings: Settings) -> Iterator[CheckResult]:
    """Check the page and the notifications, as far as they are on."""
    if settings.web_address is not None:
        yield check_page(settings)
    if settings.notifies:
        yield check_notifications(settings)


def check_page(settings: Settings) -> CheckResult:
    """Check that the page can be served at its address, and say who may open it."""
    host, port = settings.web_address or ("", 0)
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    figures = {"host": host, "port": port, "password": settings.web_password is not None}
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        socket.create_server(address, family=family).close()
    except (OSError, UnicodeError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            advice = "if Earshot is not running, give web another port"
            return CheckResult(_PAGE, "warning", f"{shown} is in use", advice, figures)
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        advice = "give web a free port, or an address of this machine"
        return CheckResult(_PAGE, "failed", f"{shown} can't be used: {reason}", advice, figures)
    return CheckResult(_PAGE, "ok", f"{shown} is free; {audience(settings, host)}", figures=figures)


def check_notifications(settings: Settings) -> CheckResult:
    """Check that Apprise knows the addresses and the command is there; nothing is sent."""
    from ..sinks.notify.targets import AppriseTarget

    try:
        names = [AppriseTarget(address).name for address in settings.notify_addresses()]
    except SettingsError as error:
        return CheckResult(_NOTIFICATIONS, "failed", "nobody would be notified", str(error))
    if settings.notify_command:
        program = settings.notify_command[0]
        if shutil.which(program) is None:
            return CheckResult(
                _NOTIFICATIONS,
                "failed",
                f"the command {program} can't be run",
                "check notify_command: the program must exist and be executable",
            )
        names.append(f"the command {program}")
    if not names:
        return CheckResult(
            _NOTIFICATIONS, "warning", "there is no address in the file", "write one a line into notify_file"
        )
    return CheckResult(
        _NOTIFICATIONS, "ok", f"{', '.join(names)}; nothing was sent", figures={"targets": len(names)}
    )


def audience(settings: Settings, host: str) -> str:
    """Return who may open the page."""
    if settings.web_password is not None:
        return "browsers need the password"
    if settings.web_ingress is not None:
        return f"only the proxy {settings.web_ingress} and this machine may open it"
    return "only this machine may open it" if is_loopback(host) else "everybody may open it"
