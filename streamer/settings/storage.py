"""Settings of everything that is written to the disk: history, clips and the score log."""

from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field

from ..events.catalogue import Watch
from .fields import FrozenModel, Roll, UserName, UserPath, expand, sound_entries
from .tables import SoundTable, watches

_HISTORY_NAME = "history.sqlite3"
_SWITCHES_NAME = "switches.json"
_CLIPS_NAME = "clips"
_NOTIFICATIONS_NAME = "notifications.json"
_ANNOUNCED_NAME = "announced.json"


class StorageSettings(FrozenModel):
    """Settings of history, clips and the score log."""

    history: UserName | None = None
    history_days: float = Field(30.0, gt=0.0, le=36_500.0, allow_inf_nan=False)
    history_events: int = Field(100_000, ge=1, le=100_000_000)
    score_log: UserPath | None = None
    clips: bool = False
    clips_folder: UserName | None = None
    clips_pre_seconds: Roll = 2.0
    clips_post_seconds: Roll = 2.0
    clips_longest_seconds: float = Field(30.0, ge=1.0, le=600.0, allow_inf_nan=False)
    clips_days: float = Field(7.0, gt=0.0, le=36_500.0, allow_inf_nan=False)
    clips_megabytes: int = Field(500, ge=1, le=100_000_000)
    clips_never: Annotated[list[SoundTable], BeforeValidator(sound_entries)] = Field(
        [SoundTable(sound="Speech")]
    )

    @property
    def excluded_from_clips(self) -> list[Watch]:
        """Sounds during which no clip is recorded."""
        return watches(self.clips_never)

    @property
    def score_log_file(self) -> Path | None:
        """File of the score log; None without one."""
        return expand(self.score_log)

    @property
    def history_file(self) -> Path | None:
        """File of the history; None if the history is "off"."""
        if self.history == "off":
            return None
        return Path(self.history).expanduser() if self.history else user_data_path("earshot") / _HISTORY_NAME

    @property
    def switches_file(self) -> Path:
        """File that stores which sources are switched off."""
        return user_data_path("earshot") / _SWITCHES_NAME

    @property
    def notifications_file(self) -> Path:
        """File of the notifications that wait."""
        return user_data_path("earshot") / _NOTIFICATIONS_NAME

    @property
    def announced_file(self) -> Path:
        """File that stores which names were announced over MQTT."""
        return user_data_path("earshot") / _ANNOUNCED_NAME

    @property
    def clips_path(self) -> Path:
        """Folder of the clips."""
        if self.clips_folder is None:
            return user_data_path("earshot") / _CLIPS_NAME
        return Path(self.clips_folder).expanduser()
