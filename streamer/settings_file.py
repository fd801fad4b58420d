"""Changes to the settings file that leave everything else in it as the user wrote it, comments and all."""

import difflib
import os
import tempfile
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from .errors import SettingsError
from .files import read_text


def edited(text: str, changes: Mapping[str, Any]) -> str:
    """Set some settings in the text of a settings file.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    changes : mapping of str to value
        By name; None removes a setting. Lists of tables are written a line each.

    Raises
    ------
    SettingsError
        The text is no TOML.
    """
    document = _parse(text)
    for name, value in changes.items():
        if value is None:
            document.pop(name, None)
        else:
            document[name] = _item(value)
    return tomlkit.dumps(document)


def with_thresholds(
    text: str, thresholds: Mapping[str, float], watched: Sequence[str], name_of: Callable[[str], str] = str
) -> str:
    """Set the thresholds of watched sounds in the text of a settings file; each entry of ``watch`` stays where it is, new ones follow.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    thresholds : mapping of str to float
        By the sound's name.
    watched : sequence of str
        What to write into ``watch`` before, where the text has none.
    name_of : callable
        Finds a sound's name from what ``watch`` may call it.

    Raises
    ------
    SettingsError
        The text is no TOML.
    """
    document = _parse(text)
    if not isinstance(document.get("watch"), list):
        document["watch"] = _item([{"sound": name} if name in thresholds else name for name in watched])
    missing = dict(thresholds)
    for index, entry in enumerate(document["watch"]):
        threshold = missing.pop(name_of(_sound_of(entry)), None)
        if threshold is not None:
            _set_rule(document["watch"], index, {"threshold": threshold})
    for name, threshold in missing.items():
        _append(document["watch"], name, {"threshold": threshold})
    return tomlkit.dumps(document)


def with_watch(text: str, rules: Mapping[str, Mapping[str, Any]], name_of: Callable[[str], str] = str) -> str:
    """Set which sounds are watched in the text of a settings file; entries that stay are left where and as they are.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    rules : mapping of str to mapping
        By the sound's name, what of its rule differs from the catalogue's.
    name_of : callable
        Finds a sound's name from what ``watch`` may call it.

    Raises
    ------
    SettingsError
        The text is no TOML.
    """
    document = _parse(text)
    if not isinstance(document.get("watch"), list):
        document["watch"] = tomlkit.array().multiline(multiline=True)
    entries: Any = document["watch"]
    missing = dict(rules)
    for index in reversed(range(len(entries))):
        rule = missing.pop(name_of(_sound_of(entries[index])), None)
        if rule is None:
            del entries[index]
        else:
            _set_rule(entries, index, rule)
    for name, rule in missing.items():
        _append(entries, name, rule)
    return tomlkit.dumps(document)


def _sound_of(entry: Any) -> str:
    return str(entry.get("sound") if isinstance(entry, Mapping) else entry)


def _set_rule(entries: Any, index: int, rule: Mapping[str, Any]) -> None:
    """Set what is new in the rule of an entry."""
    entry = entries[index]
    if isinstance(entry, MutableMapping):
        for name, value in rule.items():
            if entry.get(name) != value:
                entry[name] = value
    elif rule:
        entries[index] = _table({"sound": str(entry), **rule})


def _append(entries: Any, name: str, rule: Mapping[str, Any]) -> None:
    if isinstance(entries, AoT):
        table = tomlkit.table()
        table.update({"sound": name, **rule})
        entries.append(table)
    else:
        entries.append(_table({"sound": name, **rule}) if rule else name)


def difference(before: str, after: str, path: Path) -> str:
    """Write what changes in a file as a unified diff, which ``patch`` can apply; empty if nothing does.

    It has no lines around the changes, for there may be passwords in them.
    """
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), str(path), n=0
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def read(path: Path) -> str:
    """Read a settings file as it is, line ends included; empty if there is none.

    Raises
    ------
    SettingsError
        It can't be read.
    """
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise SettingsError(f"the settings file {path} is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error


def write_atomically(path: Path, text: str) -> None:
    """Put a text in the place of a settings file at once: never half of it is there. Its permissions stay.

    Raises
    ------
    SettingsError
        It can't be written.
    """
    target = path.resolve()  # a link stays one
    temporary = None
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600  # it may hold a password
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise SettingsError(
            f"the settings file {path} can't be written ({error.strerror}): check its folder"
        ) from error


def _parse(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise SettingsError(f"the settings file is no valid TOML ({error}): mend it first") from error


def _item(value: Any) -> Any:
    """Turn a value into TOML; a list with tables in it into one of inline tables, each on a line of its own."""
    if not isinstance(value, (list, tuple)) or not any(isinstance(entry, Mapping) for entry in value):
        return value
    array = tomlkit.array().multiline(multiline=True)
    for entry in value:
        array.append(_table(entry) if isinstance(entry, Mapping) else entry)
    return array


def _table(entry: Mapping[str, Any]) -> tomlkit.items.InlineTable:
    table = tomlkit.inline_table()
    table.update(entry)
    return table
