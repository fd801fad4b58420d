"""Every setting, validated: the command line wins over the environment, that over the file, that over the defaults."""

import difflib
import math
import os
import re
import reprlib
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import harmonic_mean
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

from platformdirs import user_config_path, user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    model_validator,
)

from ..errors import SettingsError
from ..events.catalogue import Watch
from ..messages import SAMPLE_RATE_HZ
from ..runtime.files import expanded, read_text
from ..sinks.mqtt.broker import (
    Broker,
    check_base_topic,
    check_node_name,
    parse_broker_url,
)
from ..sources import has_secret, without_secrets
from .sources import (
    SourceSettings,
    addresses,
    merge_sources,
    name_and_address,
    parse_list,
)

ENVIRONMENT_PREFIX = "EARSHOT_"
FILE_NAME = "earshot.toml"
HISTORY_NAME = "history.sqlite3"
SWITCHES_NAME = "switches.json"
CLIPS_NAME = "clips"

_TICK_SECONDS = 0.01
_LONGEST_SECONDS = 100 * 365.25 * 86_400.0
_MOST_DOTS = 200
"""In a line of the settings file: the time and the memory that reading a dotted name takes grow with the square of its length."""

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80

PathOrName = TypeVar("PathOrName", Path, str)


def _ticks(value: float) -> float:
    """Round to a multiple of 10 ms, which it must be."""
    ticks = value / _TICK_SECONDS
    if not math.isfinite(ticks):
        return value  # out of range, as is said next
    if abs(ticks - round(ticks)) > 1e-6:
        raise ValueError("must be a multiple of 0.01 seconds")
    return round(ticks) * _TICK_SECONDS


def _usable(path: PathOrName) -> PathOrName:
    """Refuse what no file can be called."""
    if "\0" in str(path):
        raise ValueError("no file can have a NUL character in its name")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError("begins with the home of a user whom this machine does not know") from None
    return path


def _expanded(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser()


def _default_node() -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().lower()).strip("-")
    return name or "earshot"


def _wishes(value: Any) -> Any:
    """Take a name, where a table may stand, for a sound with the rule it has; blank names are none."""
    items = parse_list(value)
    if not isinstance(items, (list, tuple)):
        return items
    return [{"sound": item} if isinstance(item, str) else item for item in items if item != ""]


def _sources(value: Any) -> Any:
    if isinstance(value, Mapping):
        raise ValueError("write [[source]] with two brackets, for there may be several")  # noqa: TRY004 - pydantic's
    return parse_list(value)


Ticks: TypeAlias = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_ticks)]
Hop: TypeAlias = Annotated[Ticks, Field(ge=_TICK_SECONDS, le=3600.0)]
Seconds: TypeAlias = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
UserPath: TypeAlias = Annotated[Path, AfterValidator(_usable)]
UserName: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_usable)]
Score: TypeAlias = Annotated[float, Field(gt=0.0, le=1.0)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Roll: TypeAlias = Annotated[float, Field(ge=0.0, le=60.0, allow_inf_nan=False)]


class SoundTable(BaseModel):
    """A sound, and the score from which it counts as heard, if that is to differ from its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sound: str
    threshold: Score | None = None


class WatchTable(SoundTable):
    """A sound to be watched, and what is to differ from its own rule; see `streamer.events.catalogue.Sound`."""

    off_threshold: Score | None = None
    hits: Count | None = None
    of: Count | None = None
    minimum_on_seconds: Seconds | None = None
    minimum_off_seconds: Seconds | None = None
    cooldown_seconds: Seconds | None = None


class SourceTable(BaseModel):
    """A source with settings of its own; what is None holds as it does for all."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: str = Field(min_length=1)
    spec: str = Field(min_length=1)
    watch: Annotated[list[WatchTable], BeforeValidator(_wishes)] | None = None
    hop: Hop | None = None
    clips: bool | None = None


def _kind(entry: Any) -> str:
    return "table" if isinstance(entry, (Mapping, SourceTable)) else "text"


SourceEntry: TypeAlias = Annotated[
    Annotated[str, Tag("text")] | Annotated[SourceTable, Tag("table")], Discriminator(_kind)
]


class Settings(BaseModel):
    """What the user decides. Seconds and names, as the user gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[list[SourceEntry], BeforeValidator(_sources), Field(min_length=1)] = ["mic"]
    wait_for_sources: bool = False
    model: str = "auto"
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    fstride: int | None = Field(None, ge=1)
    tstride: int | None = Field(None, ge=1)
    input_tdim: int | None = Field(None, ge=1)
    hop: Hop = 1.0
    window: Ticks | None = Field(None, ge=1.0, le=10.24)
    top: int = Field(5, ge=1, le=10_000)
    duration: float | None = Field(None, gt=0.0, le=_LONGEST_SECONDS, allow_inf_nan=False)
    watch: Annotated[list[WatchTable], BeforeValidator(_wishes)] | None = None
    mqtt: str | None = None
    mqtt_topic: Annotated[str, AfterValidator(check_base_topic)] | None = None
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_password_file: UserPath | None = None
    mqtt_ca: UserPath | None = None
    mqtt_certificate: UserPath | None = None
    mqtt_key: UserPath | None = None
    discovery: Literal["device", "component", "off"] = "device"
    discovery_prefix: Annotated[str, AfterValidator(check_base_topic)] = "homeassistant"
    history: UserName | None = None
    history_days: float = Field(30.0, gt=0.0, le=36_500.0, allow_inf_nan=False)
    history_events: int = Field(100_000, ge=1, le=100_000_000)
    metrics_port: int = Field(0, ge=0, le=65_535)
    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    score_log: UserPath | None = None
    clips: bool = False
    clips_folder: UserName | None = None
    clips_pre_seconds: Roll = 2.0
    clips_post_seconds: Roll = 2.0
    clips_longest_seconds: float = Field(30.0, ge=1.0, le=600.0, allow_inf_nan=False)
    clips_days: float = Field(7.0, gt=0.0, le=36_500.0, allow_inf_nan=False)
    clips_megabytes: int = Field(500, ge=1, le=100_000_000)
    clips_never: Annotated[list[SoundTable], BeforeValidator(_wishes)] = [SoundTable(sound="Speech")]
    node: Annotated[str, AfterValidator(check_node_name)] = Field(default_factory=_default_node)
    headless: bool = False
    kiosk: bool = False
    theme: Literal["dark", "light", "auto"] = "dark"
    json_lines: bool = Field(False, alias="json")
    fast: bool = False
    offline: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kiosk and self.headless:
            raise ValueError("kiosk and headless exclude each other")
        if self.mqtt_password is not None and self.mqtt_password_file is not None:
            raise ValueError("give mqtt_password or mqtt_password_file, not both")
        if self.mqtt_key is not None and self.mqtt_certificate is None:
            raise ValueError("mqtt_key is the key of a certificate: give mqtt_certificate too")
        return self

    @property
    def sources(self) -> list[SourceSettings]:
        """What is decided about each source, in the order of `source`."""
        return [self._of_source(entry) for entry in self.source]

    @property
    def hop_samples(self) -> int:
        """From one window to the next."""
        return _samples(self.hop)

    @property
    def usual_hop(self) -> float:
        """The hop in seconds with which, if all sources had it, as many windows would come as with their own."""
        return harmonic_mean(source.hop_samples for source in self.sources) / SAMPLE_RATE_HZ

    @property
    def own_hop_samples(self) -> dict[str, int]:
        """From one window to the next at sources with a hop of their own."""
        return {
            source.name: source.hop_samples
            for source in self.sources
            if source.hop_samples != self.hop_samples
        }

    @property
    def limit_samples(self) -> int | None:
        """How much of each source to listen to."""
        return None if self.duration is None else _samples(self.duration)

    @property
    def watched(self) -> list[Watch] | None:
        """The sounds to decide on events of where a source has no list of its own: none if empty, the usual ones if None."""
        return None if self.watch is None else _watches(self.watch)

    @property
    def own_watched(self) -> dict[str, Sequence[Watch]]:
        """The sounds to decide on events of at sources with lists of their own."""
        return {source.name: source.watch for source in self.sources if source.watch is not None}

    def with_clips(self, names: Sequence[str]) -> list[str]:
        """Which of the sources that are called so have the sound of their events kept; `names` as `sources`, in their order."""
        return [name for name, source in zip(names, self.sources, strict=True) if source.clips]

    @property
    def never_kept(self) -> list[Watch]:
        """The sounds during which no clip is kept."""
        return _watches(self.clips_never)

    @property
    def windowless(self) -> bool:
        """Whether no Qt window is wanted: asked for, or because results go to standard output or run ahead of time."""
        return self.headless or self.json_lines or self.fast

    @property
    def waits_for_sources(self) -> bool:
        """Whether a microphone may be missing as yet: a wall has nobody who would start it again."""
        return self.wait_for_sources or self.kiosk

    @property
    def base_topic(self) -> str:
        """Of everything that this node publishes."""
        return self.mqtt_topic or f"earshot/{self.node}"

    @property
    def embedded_broker(self) -> bool:
        """Whether the program is to be its own MQTT broker."""
        return self.mqtt == "embedded"

    def differing(self, other: "Settings") -> set[str]:
        """Return the names of the settings that another one has otherwise."""
        return {name for name in type(self).model_fields if getattr(self, name) != getattr(other, name)}

    def broker(self) -> Broker | None:
        """The MQTT broker with its credentials; None where none is set, or the program is its own.

        Raises
        ------
        SettingsError
            The URL is malformed, the password file can't be read, or what is for TLS is given without it.
        """
        if self.mqtt is None or self.embedded_broker:
            return None
        broker = parse_broker_url(self.mqtt)
        if not broker.tls and (self.mqtt_ca or self.mqtt_certificate):
            raise SettingsError("mqtt_ca and mqtt_certificate are for TLS: write the address as mqtts://HOST")
        return replace(
            broker,
            username=self.mqtt_username or broker.username,
            password=self._password() or broker.password,
            ca_file=_expanded(self.mqtt_ca),
            certificate_file=_expanded(self.mqtt_certificate),
            key_file=_expanded(self.mqtt_key),
        )

    @property
    def score_log_file(self) -> Path | None:
        """Where all scores are logged, if they are."""
        return _expanded(self.score_log)

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """Files whose content nobody else is to read."""
        files = (_expanded(self.mqtt_password_file), _expanded(self.mqtt_key))
        return tuple(file for file in files if file is not None)

    @property
    def history_file(self) -> Path | None:
        """Where events are written; None where the history is "off"."""
        if self.history == "off":
            return None
        return Path(self.history).expanduser() if self.history else user_data_path("earshot") / HISTORY_NAME

    @property
    def switches_file(self) -> Path:
        """Where it is remembered which sources are switched off."""
        return user_data_path("earshot") / SWITCHES_NAME

    @property
    def clips_path(self) -> Path:
        """The folder of clips."""
        if self.clips_folder is None:
            return user_data_path("earshot") / CLIPS_NAME
        return Path(self.clips_folder).expanduser()

    def _of_source(self, entry: str | SourceTable) -> SourceSettings:
        if isinstance(entry, str):
            return SourceSettings(*name_and_address(entry), None, self.hop_samples, self.clips)
        return SourceSettings(
            entry.name,
            entry.spec,
            None if entry.watch is None else _watches(entry.watch),
            self.hop_samples if entry.hop is None else _samples(entry.hop),
            self.clips if entry.clips is None else entry.clips,
        )

    def _password(self) -> str | None:
        if self.mqtt_password_file is None:
            return None if self.mqtt_password is None else self.mqtt_password.get_secret_value()
        try:
            return read_text(self.mqtt_password_file.expanduser()).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the password file {self.mqtt_password_file} can't be read: check mqtt_password_file"
            ) from error


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def _watches(tables: Sequence[SoundTable]) -> list[Watch]:
    return [Watch(table.sound, table.model_dump(exclude={"sound"}, exclude_none=True)) for table in tables]


def load_settings(
    command_line: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Put the layers together and validate the whole.

    Parameters
    ----------
    command_line : mapping
        Settings given on the command line; None means not given.
    config : Path, optional
        The settings file; if None, ``EARSHOT_CONFIG``, or ``earshot.toml`` in the user's configuration
        directory where there is one.
    environment : mapping
        ``EARSHOT_HOP`` sets ``hop``, and so on.

    Raises
    ------
    SettingsError
        Something is unknown, malformed or out of range; the sentence names the setting and where it was set.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in _layers(command_line, config, environment):
        for name in layer.values:
            _check_name(name, layer.place)
            origin[name] = layer.place
        sources = merge_sources(layer.values, merged.get("source"))
        merged |= layer.values
        if sources is not None:
            merged["source"] = sources
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(_sentence(error, origin, merged)) from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where settings were set.

    Attributes
    ----------
    name : str
        For people.
    settings : tuple of str
        The names of those that are set there.
    secret_file : Path or None
        The file, where it holds a password.
    """

    name: str
    settings: tuple[str, ...]
    secret_file: Path | None


def where_set(
    command_line: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[Place]:
    """Say where settings come from, without their values; parameters as for `load_settings`.

    Raises
    ------
    SettingsError
        The file can't be read.
    """
    return [
        Place(layer.place, tuple(layer.values), layer.file if _holds_password(layer.values) else None)
        for layer in _layers(command_line, config, environment)
        if layer.values or layer.file
    ]


@dataclass(frozen=True, slots=True)
class _Layer:
    """What is set at a place."""

    place: str
    values: Mapping[str, Any]
    file: Path | None = None


def _layers(
    command_line: Mapping[str, Any], config: Path | None, environment: Mapping[str, str]
) -> list[_Layer]:
    """Gather what is set, the places that win last."""
    given = {name: value for name, value in command_line.items() if value is not None}
    if "://" in given.get("mqtt", "") and parse_broker_url(given["mqtt"]).password is not None:
        raise SettingsError(
            "a password on the command line can be read by everyone on this machine: "
            "put it into EARSHOT_MQTT_PASSWORD or the settings file"
        )
    if any(map(has_secret, addresses(given.get("source")))):
        raise SettingsError(
            "a password in an address on the command line can be read by everyone on this machine: "
            "put the source into EARSHOT_SOURCE or the settings file"
        )
    layers = [
        _Layer("the environment", _environment_layer(environment)),
        _Layer("the command line", given),
    ]
    file = settings_file(config, environment)
    if config or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG") or file.is_file():
        layers.insert(0, _Layer(f"the file {file}", _file_layer(file), file))
    return layers


def _holds_password(values: Mapping[str, Any]) -> bool:
    return (
        "mqtt_password" in values
        or bool(re.search(r"//[^/@]*:[^/@]*@", str(values.get("mqtt", ""))))
        or any(map(has_secret, addresses(values.get("source"))))
    )


def settings_file(config: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the settings file is, or would be: `config`, ``EARSHOT_CONFIG``, or in the user's configuration directory."""
    named = config or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    return expanded(Path(named) if named else user_config_path("earshot") / FILE_NAME)


def _environment_layer(environment: Mapping[str, str]) -> dict[str, str]:
    layer = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    layer.pop("config", None)  # names the file; no setting of its own
    return layer


def _file_layer(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings file {path} is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise SettingsError(
            f"the settings file {path} has a line with hundreds of dots: write lists a line for each entry"
        )
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of which tomllib's own is one
        raise SettingsError(f"the settings file {path} is not valid TOML ({error}); fix it first") from error


def _names() -> list[str]:
    return [field.alias or name for name, field in Settings.model_fields.items()]


def _check_name(name: str, place: str) -> None:
    if name in _names():
        return
    near = difflib.get_close_matches(name[:100], _names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(_names())}"
    raise SettingsError(f"unknown setting '{name}' in {place}: {hint}")


def _sentence(error: ValidationError, origin: Mapping[str, str], merged: Mapping[str, Any]) -> str:
    """The first complaint, as a sentence that never shows a secret."""
    first = error.errors(include_url=False)[0]
    where: tuple[int | str, ...] = first["loc"]
    what = first["msg"].removeprefix("Value error, ")
    if not where:
        return what
    place = origin.get(str(where[0]), "the defaults")
    secret, whose = str(where[0]).startswith(("mqtt", "source")), ""
    if where[0] == "source" and len(where) > 1:
        whose = f" of {_called(merged['source'], int(where[1]))}"
        secret = not isinstance(first["input"], (int, float))  # an address may have a password in it
        where = where[3:] or ("spec",)
        if first["type"] == "extra_forbidden":
            what = (
                f"there is none of this name: a source has {', '.join(SourceTable.model_fields)}, and what holds for all "
                "stands above the first [[source]]"
            )
    shown = "" if secret else f", not {_brief(first['input'])}"
    path = ".".join(part for part in where if isinstance(part, str))
    return f"the setting '{path}'{whose} (from {place}): {what[0].lower()}{what[1:]}{shown}"


def _called(sources: Any, place: int) -> str:
    """Say which of the sources is meant."""
    name = sources[place].get("name") if isinstance(sources[place], Mapping) else None
    if not (isinstance(name, str) and name.strip()):
        return f"source number {place + 1}"
    return f"the source '{without_secrets(name)}'"


def _brief(value: Any) -> str:
    """Write a wrong value, or the ends of one that is long."""
    try:
        return _BRIEF.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"
