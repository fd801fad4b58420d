"""Changes to the settings file that leave everything else in it as the user wrote it, comments and all."""

import difflib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from ..errors import SettingsError
from ..events.watchlist import WatchLists
from ..runtime.files import read_text, replace_text
from ..sources import has_secret, join_address, without_secrets
from .sources import addresses, name_and_address


def save(
    path: Path,
    changes: Mapping[str, Any],
    watchlists: WatchLists,
    chosen: Mapping[str, str],
    written: Mapping[str, str | None],
) -> None:
    """Write what was changed into a settings file, and leave the rest as it is.

    Parameters
    ----------
    path : Path
        The settings file, which need not be there.
    changes : mapping of str to value
        As for `edited`.
    watchlists : WatchLists
        What is watched; lists that were not changed stay as they are written.
    chosen, written
        As for `with_sources`; if none are chosen, the sources stay.

    Raises
    ------
    SettingsError
        The file can't be read or written, or has no place for a change.
    SourceError
        A source's name can't be written.
    """
    text = edited(read(path), changes)
    if chosen:
        text = with_sources(text, chosen, written)
    for source, watchlist in (None, watchlists.shared), *watchlists.overrides.items():
        if watchlist.changed:
            text = with_watch(text, watchlist.rules, watchlist.name_of, source=source)
    write_atomically(path, text)


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
    text: str,
    thresholds: Mapping[str, float],
    watched: Sequence[str],
    name_of: Callable[[str], str] = str,
    *,
    source: str | None = None,
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
    source : str, optional
        Whose list is meant; if None, the one that holds for all.

    Raises
    ------
    SettingsError
        The text is no TOML, or has no table of this source.
    """
    usual = _item([{"sound": name} if name in thresholds else name for name in watched])
    document, entries = _with_entries(text, source, usual)
    missing = dict(thresholds)
    for index, entry in enumerate(entries):
        threshold = missing.pop(name_of(_sound_of(entry)), None)
        if threshold is not None:
            _set_rule(entries, index, {"threshold": threshold})
    for name, threshold in missing.items():
        _append(entries, name, {"threshold": threshold})
    return tomlkit.dumps(document)


def with_watch(
    text: str,
    rules: Mapping[str, Mapping[str, Any]],
    name_of: Callable[[str], str] = str,
    *,
    source: str | None = None,
) -> str:
    """Set which sounds are watched in the text of a settings file; entries that stay are left where and as they are.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    rules : mapping of str to mapping
        By the sound's name, what of its rule differs from the catalogue's.
    name_of : callable
        Finds a sound's name from what ``watch`` may call it.
    source : str, optional
        Whose list is meant; if None, the one that holds for all.

    Raises
    ------
    SettingsError
        The text is no TOML, or has no table of this source.
    """
    document, entries = _with_entries(text, source, tomlkit.array().multiline(multiline=True))
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


def with_sources(text: str, chosen: Mapping[str, str], written: Mapping[str, str | None]) -> str:
    """Let sources in the text of a settings file be something else; what their tables say besides stays.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    chosen : mapping of str to str
        By the source's name, its new specification.
    written : mapping of str to (str or None)
        How the settings in force write each source, by its name; None for a table. If the text has not all of those that
        are chosen, and no tables that would be lost, its list becomes this one.

    Raises
    ------
    SettingsError
        The text is no TOML, has other sources, or would have a password in it that the user has not written there.
    SourceError
        A name can't be written.
    """
    document = _parse(text)
    entries: Any = document.get("source")
    listed = list(entries) if isinstance(entries, list) else []
    names = [_name_in(entry, written) for entry in listed]
    if chosen.keys() <= set(names):
        for name, spec in chosen.items():
            entry = entries[names.index(name)]
            if isinstance(entry, MutableMapping):
                entry["spec"] = spec
            else:
                entries[names.index(name)] = join_address(name, spec)
    elif None in written.values() or any(isinstance(entry, Mapping) for entry in listed):
        missing = ", ".join(sorted(chosen.keys() - set(names)))
        raise SettingsError(f"{missing} is not among the sources in the settings file: write it there first")
    else:
        document["source"] = [
            join_address(name, chosen[name]) if name in chosen else spec for name, spec in written.items()
        ]
    _refuse_new_secrets(document["source"], text)
    return tomlkit.dumps(document)


def _refuse_new_secrets(entries: Any, text: str) -> None:
    """Let no password into the text of a settings file that is not in it."""
    for spec in addresses(entries):
        if has_secret(spec) and spec not in text:
            raise SettingsError(
                f"{without_secrets(spec)} has a password, which is not in the settings file: write the sources there yourself"
            )


def _name_in(entry: Any, written: Mapping[str, str | None]) -> str:
    """Return the name of a source in the list."""
    if isinstance(entry, Mapping):
        return str(entry.get("name", "")).strip()
    return next((name for name, text in written.items() if text == entry), name_and_address(str(entry))[0])


def _with_entries(text: str, source: str | None, usual: Any) -> tuple[tomlkit.TOMLDocument, Any]:
    """Read a text, and find the watched sounds of a source in it: the usual ones where it names none."""
    document = _parse(text)
    table = _table_of(document, source)
    if not isinstance(table.get("watch"), list):
        table["watch"] = usual
    return document, table["watch"]


def _table_of(document: tomlkit.TOMLDocument, source: str | None) -> MutableMapping[str, Any]:
    """Return the table whose settings are meant: that of a source, or the whole."""
    if source is None:
        return document
    entries = document.get("source")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, MutableMapping) and _name_in(entry, {}) == source:
            return entry
    raise SettingsError(
        f"the source '{source}' has no table in the settings file, where its own list would stand: write one there first"
    )


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
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600  # it may hold a password
        replace_text(target, text, mode=mode)
    except OSError as error:
        raise SettingsError(
            f"the settings file {path} can't be written ({error.strerror}): check its folder"
        ) from error


def _parse(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise SettingsError(f"the settings file is not valid TOML ({error}); fix it first") from error


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
