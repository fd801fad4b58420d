"""Settings of notifications."""

import re
import shlex
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from ..errors import SettingsError
from ..runtime.files import read_text
from ..sinks.notify.rules import SoundSpan, When, check_template
from .fields import FrozenModel, UserPath, expand
from .sources import parse_list


def _words(value: Any) -> Any:
    """Split a command, as in a shell; a list stays unchanged."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return parse_list(value)
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"must be a command: {error}") from None


def _clock(value: Any) -> time:
    """Return a local time of day, from a text or a TOML time."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", value.strip()):
        value = _time_of(value.strip())
    if not isinstance(value, time) or value.tzinfo is not None:
        raise ValueError('must be a local time such as "22:00"')
    return value


def _time_of(text: str) -> time | None:
    try:
        hour, minute, second = map(int, f"{text}:00".split(":")[:3])
        return time(hour, minute, second)
    except ValueError:
        return None


def _end_clock(value: Any) -> time:
    """Return a time of day as `_clock` does; 24:00 is the midnight at the end of the day."""
    return time() if value == "24:00" else _clock(value)


class QuietTable(FrozenModel):
    """Hours without notifications of a sound."""

    sound: str = ""
    begin: Annotated[time, BeforeValidator(_clock)] = Field(alias="from")
    end: Annotated[time, BeforeValidator(_end_clock)] = Field(alias="to")


class NotifySettings(FrozenModel):
    """Settings of notifications."""

    notify: Annotated[list[SecretStr], BeforeValidator(parse_list)] = Field(default_factory=list)
    notify_file: UserPath | None = None
    notify_command: Annotated[list[str], BeforeValidator(_words)] = Field(default_factory=list)
    notify_when: When = "started"
    notify_sounds: Annotated[list[str], BeforeValidator(parse_list)] = Field(default_factory=list)
    notify_cooldown: float = Field(60.0, ge=0.0, le=86_400.0, allow_inf_nan=False)
    notify_title: Annotated[str, AfterValidator(check_template)] = "{sound}"
    notify_text: Annotated[str, AfterValidator(check_template)] = "{sound} at {source}, {time} ({percent})"
    notify_clip: bool = False
    notify_picture: bool = False
    notify_quiet: Annotated[list[QuietTable], BeforeValidator(parse_list)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_notify(self) -> Self:
        if self.notify and self.notify_file is not None:
            raise ValueError("give notify or notify_file, not both")
        return self

    @property
    def notifies(self) -> bool:
        """True if there are targets of notifications."""
        return bool(self.notify or self.notify_file or self.notify_command)

    @property
    def quiet_hours(self) -> list[SoundSpan]:
        """Spans without notifications."""
        return [SoundSpan(table.sound, table.begin, table.end) for table in self.notify_quiet]

    @property
    def notified_sounds(self) -> list[str]:
        """Names of sounds in the settings of notifications, as they are written."""
        return [name for name in (*self.notify_sounds, *(table.sound for table in self.notify_quiet)) if name]

    @property
    def notify_secret_file(self) -> Path | None:
        """File with addresses of Apprise; None without one."""
        return expand(self.notify_file)

    def notify_addresses(self) -> list[str]:
        """Return the addresses of Apprise.

        Raises
        ------
        SettingsError
            Their file can't be read.
        """
        file = self.notify_secret_file
        if file is None:
            return [address.get_secret_value() for address in self.notify]
        try:
            lines = [line.strip() for line in read_text(file).splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the file of addresses {file} can't be read: check notify_file") from error
        return [line for line in lines if line and not line.startswith("#")]
