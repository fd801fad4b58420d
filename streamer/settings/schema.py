"""Model of all settings, with their types, limits and defaults."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import harmonic_mean
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator

from ..errors import SettingsError
from ..events.catalogue import Watch
from ..messages import SAMPLE_RATE_HZ
from ..runtime.files import read_text
from .fields import Device, FastWindow, Hop, Offset, Ticks, UserPath, expand, sound_entries
from .kiosk import KioskSettings
from .mqtt import MqttSettings
from .notify import NotifySettings
from .sources import SourceSettings, name_and_address
from .storage import StorageSettings
from .tables import SourceEntry, SourceTable, WatchTable, source_entries, watches
from .web import WebSettings

_BOOLEAN = TypeAdapter(bool)
_KIOSK = {"hop": 0.25, "window": 2.56}
"""Settings of a kiosk that are not given."""
_LONGEST_SECONDS = 100 * 365.25 * 86_400.0


class Settings(MqttSettings, StorageSettings, WebSettings, NotifySettings, KioskSettings):
    """All settings, in the units and under the names that users write."""

    source: Annotated[list[SourceEntry], BeforeValidator(source_entries)] = Field(["mic"], min_length=1)
    wait_for_sources: bool = False
    model: str = "auto"
    model_token: SecretStr | None = None
    model_token_file: UserPath | None = None
    fallback: str | None = None
    device: Device = "auto"
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    fstride: int | None = Field(None, ge=1)
    tstride: int | None = Field(None, ge=1)
    input_tdim: int | None = Field(None, ge=1)
    hop: Hop = 1.0
    window: Ticks | None = Field(None, ge=1.0, le=10.24)
    fast_window: FastWindow = 0.0
    top: int = Field(5, ge=1, le=10_000)
    duration: float | None = Field(None, gt=0.0, le=_LONGEST_SECONDS, allow_inf_nan=False)
    watch: Annotated[list[WatchTable], BeforeValidator(sound_entries)] | None = None
    noise: bool = False
    noise_offset_db: Offset | None = None
    metrics_port: int = Field(0, ge=0, le=65_535)
    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    headless: bool = False
    theme: Literal["dark", "light", "auto"] = "dark"
    remember: bool = False
    json_lines: bool = Field(False, alias="json")
    json_events: bool = False
    fast: bool = False
    offline: bool = False

    @model_validator(mode="before")
    @classmethod
    def _adapt_to_kiosk(cls, given: Any) -> Any:
        """Give a kiosk short windows, unless they are set: it shows what is heard now."""
        with suppress(ValidationError):
            if isinstance(given, dict) and _BOOLEAN.validate_python(given.get("kiosk", False)):
                return _KIOSK | {name: value for name, value in given.items() if value is not None}
        return given

    @model_validator(mode="after")
    def _check_display(self) -> Self:
        if self.kiosk and self.headless:
            raise ValueError("kiosk and headless exclude each other: choose one of them")
        return self

    @model_validator(mode="after")
    def _check_windows(self) -> Self:
        if self.window is not None and self.fast_window >= self.window:
            raise ValueError(
                f"fast_window must be shorter than window ({self.window:g} s), not {self.fast_window:g} s"
            )
        return self

    @model_validator(mode="after")
    def _check_workers(self) -> Self:
        if self.model_token is not None and self.model_token_file is not None:
            raise ValueError("give model_token or model_token_file, not both")
        if self.fallback is not None and "://" not in self.model:
            raise ValueError("fallback is for workers: give model as http://HOST:8000 too")
        return self

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        for source in self.sources:
            entries = (self.watched if source.watch is None else source.watch) or ()
            if source.noise_offset_db is None and any("level_db" in entry.rule for entry in entries):
                raise ValueError(
                    "level_db is a level in dB(A), which needs noise_offset_db: run earshot calibrate --reference DB, or give "
                    "above_db, the distance from the background"
                )
        return self

    @property
    def sources(self) -> list[SourceSettings]:
        """Settings of each source, in the order of `source`."""
        return [self._settings_of(entry) for entry in self.source]

    @property
    def hop_samples(self) -> int:
        """Samples from one window to the next."""
        return _samples(self.hop)

    @property
    def fast_window_samples(self) -> int | None:
        """Length of a fast window in samples; None without fast windows."""
        return _samples(self.fast_window) or None

    @property
    def mean_hop(self) -> float:
        """Hop in seconds at which, if all sources shared it, the number of windows would be the same."""
        return harmonic_mean(source.hop_samples for source in self.sources) / SAMPLE_RATE_HZ

    @property
    def hop_overrides(self) -> dict[str, int]:
        """Hops in samples of the sources that have their own."""
        return {
            source.name: source.hop_samples
            for source in self.sources
            if source.hop_samples != self.hop_samples
        }

    @property
    def limit_samples(self) -> int | None:
        """Number of samples to read from each source; None without a limit."""
        return None if self.duration is None else _samples(self.duration)

    @property
    def watched(self) -> list[Watch] | None:
        """Watch list of the sources without their own; None for the default sounds."""
        return None if self.watch is None else watches(self.watch)

    @property
    def watch_overrides(self) -> dict[str, Sequence[Watch]]:
        """Watch lists of the sources that have their own."""
        return {source.name: source.watch for source in self.sources if source.watch is not None}

    def with_clips(self, names: Sequence[str]) -> list[str]:
        """Return the names of the sources whose clips are recorded; `names` are in the order of `sources`."""
        return [name for name, source in zip(names, self.sources, strict=True) if source.clips]

    @property
    def windowless(self) -> bool:
        """True if no Qt window is opened: on request, or because results go to standard output or come faster than real time."""
        return self.headless or self.prints_json or self.fast

    @property
    def prints_json(self) -> bool:
        """True if results go to standard output as JSON."""
        return self.json_lines or self.json_events

    @property
    def waits_for_sources(self) -> bool:
        """True if a microphone may be missing at the start; always so for a kiosk, which nobody restarts."""
        return self.wait_for_sources or self.kiosk

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Files that only their owner should be able to read."""
        files = (*super().secret_files, expand(self.model_token_file), self.notify_secret_file)
        return tuple(file for file in files if file is not None)

    def worker_token(self) -> str | None:
        """Return the token of the workers that have the model; None without one.

        Raises
        ------
        SettingsError
            Its file can't be read.
        """
        if self.model_token_file is None:
            return None if self.model_token is None else self.model_token.get_secret_value()
        try:
            return read_text(self.model_token_file.expanduser()).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the token file {self.model_token_file} can't be read: check model_token_file"
            ) from error

    def changes_from(self, other: "Settings") -> set[str]:
        """Return the names of the settings that differ."""
        return {name for name in type(self).model_fields if getattr(self, name) != getattr(other, name)}

    def _settings_of(self, entry: str | SourceTable) -> SourceSettings:
        if isinstance(entry, str):
            return SourceSettings(
                *name_and_address(entry), None, self.hop_samples, self.clips, self.noise_offset_db
            )
        return SourceSettings(
            entry.name,
            entry.spec,
            None if entry.watch is None else watches(entry.watch),
            self.hop_samples if entry.hop is None else _samples(entry.hop),
            self.clips if entry.clips is None else entry.clips,
            self.noise_offset_db if entry.noise_offset_db is None else entry.noise_offset_db,
        )


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
