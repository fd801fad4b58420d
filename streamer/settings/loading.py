"""Layers of settings: the command line wins over the environment, that over the file, that over the defaults."""

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_config_path
from pydantic import ValidationError

from ..errors import SettingsError
from ..runtime.files import expanded, read_text
from ..sinks.mqtt.broker import parse_broker_url
from ..sources import may_have_secret, without_secrets
from .schema import Settings
from .sentences import COMMAND_LINE, ENVIRONMENT, ENVIRONMENT_PREFIX, error_sentence
from .sources import addresses, merge_sources

_FILE_NAME = "earshot.toml"
_MAX_DOTS = 200
"""Limit for a line of the settings file: the time and memory for a dotted name grow with the square of its length."""

_SERVICE_VARIABLE = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def load_settings(
    command_line: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    is_readable: bool = True,
) -> Settings:
    """Merge the layers and validate the result.

    Parameters
    ----------
    command_line : mapping
        Settings given on the command line; None stands for not given.
    config : Path, optional
        Settings file; if None, ``EARSHOT_CONFIG``, or ``earshot.toml`` in the user's configuration folder if it exists.
    environment : mapping
        Environment; ``EARSHOT_HOP`` sets ``hop``, and so on.
    is_readable : bool
        True if other users can read what is given as the command line, which must not contain a password then.

    Raises
    ------
    SettingsError
        A setting is unknown, malformed or out of range. The message names the setting and its place.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if is_readable:
        _refuse_secrets(command_line)
    for layer in _layers(command_line, config, environment):
        for name in layer.values:
            _check_name(name, layer.place)
            origin[name] = layer.place
        sources = merge_sources(layer.values, merged.get("source"))
        for name in layer.values:  # a password and its file are one setting
            merged.pop(_twin(name), None)
        for name in _credentials_in(layer.values.get("mqtt")):  # those of another broker do not go with it
            merged.pop(name, None)
        merged |= layer.values
        if sources is not None:
            merged["source"] = sources
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(error_sentence(error, origin, merged)) from None


def _credentials_in(address: Any) -> Collection[str]:
    """Return the names of the settings of which the address of a broker has the value."""
    try:
        parts = urlsplit(address if isinstance(address, str) else "")
    except ValueError:  # which is reported when it is read
        return ()
    password = ("mqtt_password", "mqtt_password_file") if parts.password else ()
    return ("mqtt_username", *password) if parts.username else password


def _twin(name: str) -> str:
    """Return the name of the setting that says the same in another way: a secret's file, or the secret; else an empty text."""
    twin = name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"
    return twin if {name, twin} <= Settings.model_fields.keys() else ""


@dataclass(frozen=True, slots=True)
class Place:
    """Place where settings are set.

    Attributes
    ----------
    name : str
        Name for people.
    settings : tuple of str
        Names of the settings.
    secret_file : Path or None
        Settings file, if it contains a password.
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
    """Return the places where settings are set, without their values; parameters as for `load_settings`.

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


def settings_file(config: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the settings file, existing or not: `config`, ``EARSHOT_CONFIG``, or that in the user's configuration folder."""
    named = config or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    return expanded(Path(named) if named else user_config_path("earshot") / _FILE_NAME)


@dataclass(frozen=True, slots=True)
class _Layer:
    """Settings of one place."""

    place: str
    values: Mapping[str, Any]
    file: Path | None = None


def _refuse_secrets(command_line: Mapping[str, Any]) -> None:
    """Refuse passwords on the command line."""
    broker = command_line.get("mqtt") or ""
    if "://" in broker and parse_broker_url(broker).password is not None:
        raise SettingsError(
            "other users can read a password on the command line: "
            "put it into EARSHOT_MQTT_PASSWORD or the settings file"
        )
    if any(map(may_have_secret, addresses(command_line.get("source")))):
        raise SettingsError(
            "other users can read a password in an address on the command line: "
            "put the source into EARSHOT_SOURCE or the settings file"
        )


def _layers(
    command_line: Mapping[str, Any], config: Path | None, environment: Mapping[str, str]
) -> list[_Layer]:
    """Return the layers; later ones win."""
    given = {name: value for name, value in command_line.items() if value is not None}
    layers = [
        _Layer(ENVIRONMENT, _environment_layer(environment)),
        _Layer(COMMAND_LINE, given),
    ]
    file = settings_file(config, environment)
    if config or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG") or file.is_file():
        layers.insert(0, _Layer(f"the file {file}", _file_layer(file), file))
    return layers


def _holds_password(values: Mapping[str, Any]) -> bool:
    return (
        "mqtt_password" in values
        or "model_token" in values
        or "notify" in values
        or bool(re.search(r"//[^/@]*:[^/@]*@", str(values.get("mqtt", ""))))
        or any(map(may_have_secret, addresses(values.get("source"))))
    )


def _environment_layer(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in the environment; empty variables, and those of a service in Kubernetes, are no settings."""
    layer = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and value.strip() and not _is_of_kubernetes(name, value)
    }
    layer.pop("config", None)  # path of the settings file, not a setting
    return layer


def _is_of_kubernetes(name: str, value: str) -> bool:
    """Return True for a variable that Kubernetes sets for a service whose name begins with "earshot"."""
    is_port = name.endswith("_PORT") and _SERVICE_ADDRESS.match(value) is not None
    return is_port or _SERVICE_VARIABLE.search(name) is not None


def _file_layer(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings file {path} is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise SettingsError(
            f"the settings file {path} has a line with hundreds of dots: write each list entry on its own line"
        )
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise SettingsError(f"the settings file {path} is not valid TOML ({error}); fix it first") from error


def _names() -> list[str]:
    return [field.alias or name for name, field in Settings.model_fields.items()]


def _check_name(name: str, place: str) -> None:
    if name in _names():
        return
    near = difflib.get_close_matches(name[:100], _names(), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(_names())}"
    raise SettingsError(f"unknown setting '{without_secrets(name)}' in {place}: {hint}")
