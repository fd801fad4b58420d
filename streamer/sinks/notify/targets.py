"""Targets of notifications: an address of Apprise, of which this is the only importer, and a command."""

import hashlib
import logging
import os
import re
import signal
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...errors import SettingsError
from ...runtime.files import is_file

if TYPE_CHECKING:
    from apprise import Apprise

_SCHEME = re.compile(r"[a-z0-9]{1,32}://", re.IGNORECASE)
_END_SECONDS = 1.0
"""Time for a command that was killed to end."""
_OWN_PREFIX = "EARSHOT_"
_HUB_TOKENS = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}
"""Variables in which `huggingface_hub` finds a token."""


class NotDelivered(Exception):  # noqa: N818 - not an error of this program
    """A target did not take a notification; the text says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """Notification.

    Attributes
    ----------
    title, text : str
        Words for people.
    values : mapping of str to str
        Facts about the event, see `values_of`.
    files : sequence of str
        Paths of files to attach.
    """

    title: str
    text: str
    values: Mapping[str, str]
    files: Sequence[str] = ()


class Target(Protocol):
    """Receiver of notifications."""

    @property
    def key(self) -> str:
        """Identifier that is the same after a restart, and tells no secret."""

    @property
    def name(self) -> str:
        """Name for people, without secrets."""

    def send(self, note: Note) -> None:
        """Deliver a notification; this may take seconds.

        Raises
        ------
        NotDelivered
            The target did not take it.
        """


class AppriseTarget:
    """Service at an address of Apprise, such as ``ntfy://topic``.

    Parameters
    ----------
    address : str
        The address; it may contain secrets.

    Raises
    ------
    SettingsError
        Apprise is not installed, or does not know the address.
    """

    def __init__(self, address: str) -> None:
        for name in ("apprise", "urllib3"):  # their lines contain addresses
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", DeprecationWarning
                )  # of its plugins, which it loads on first use
                self._apprise, is_known = _open(address)
        except ModuleNotFoundError:
            raise SettingsError(
                "notify needs Apprise, which is not installed: run pip install 'earshot[notify]'"
            ) from None
        if not is_known:
            scheme = _SCHEME.match(address)  # nothing else is shown: it may be a secret
            shown = f"'{scheme[0]}…'" if scheme else "one without a scheme such as ntfys://"
            raise SettingsError(f"notify: {shown} is not an address that Apprise knows; see docs/notify.md")
        self.key = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        service = next(iter(self._apprise))
        self.name = f"{service.service_name} ({address.partition('://')[0]})"

    def send(self, note: Note) -> None:
        """Deliver a notification, with its files that are there.

        Raises
        ------
        NotDelivered
            The service did not take it.
        """
        attach = [file for file in note.files if is_file(file)]
        try:
            sent = self._apprise.notify(body=note.text, title=note.title, attach=attach or None)
        except Exception as error:
            raise NotDelivered(type(error).__name__) from error
        if not sent:
            raise NotDelivered("it did not answer, or refused the notification")


def _open(address: str) -> "tuple[Apprise, bool]":
    """Return Apprise with a service, and whether it knows the address."""
    import apprise

    asset = apprise.AppriseAsset(
        app_id="Earshot",
        app_desc="Earshot",
        app_url="",
        image_url_mask="",  # pictures of another site
        image_url_logo="",
        async_mode=False,
    )
    opened = apprise.Apprise(asset=asset)
    return opened, bool(opened.add(address))


class CommandTarget:
    """Command that is run for each notification, without a shell; the facts are in its environment as ``EVENT_…``.

    Its environment has none of the settings of Earshot, which may contain passwords, and no token of the Hugging Face Hub.

    Parameters
    ----------
    command : sequence of str
        Program and its arguments.
    longest_seconds : float
        Time after which it is ended.
    """

    def __init__(self, command: Sequence[str], longest_seconds: float = 60.0) -> None:
        self._command = tuple(command)
        self._longest_seconds = longest_seconds
        self.key = hashlib.sha256("\0".join(command).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self.name = f"the command {Path(command[0]).name}"

    def send(self, note: Note) -> None:
        """Run the command and wait for its end.

        Raises
        ------
        NotDelivered
            It can't be run, failed, or took too long.
        """
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OWN_PREFIX) and name not in _HUB_TOKENS
        }
        given = {**note.values, "title": note.title, "text": note.text}
        environment |= {f"EVENT_{name.upper()}": value.replace("\0", "") for name, value in given.items()}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise NotDelivered(f"it can't be run: {getattr(error, 'strerror', None) or error}") from error
        try:
            code = process.wait(self._longest_seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise NotDelivered(f"it took longer than {self._longest_seconds:.0f} s") from None
        if code:
            raise NotDelivered(f"it ended with the code {code}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started."""
    if hasattr(os, "killpg"):
        with suppress(OSError):  # it has ended, or has other rights, as with sudo
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
