"""Changes of the settings file that preserve everything else in it, including comments."""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import TypeAdapter, ValidationError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array

from ..errors import SettingsError
from ..events.catalogue import Watch
from ..events.watchlist import WatchLists
from ..runtime.files import read_text, replace_text
from ..sources import join_address, may_have_secret, without_secrets
from .fields import sound_entries
from .sources import addresses, name_and_address
from .tables import WatchTable, watches

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:/+[^\s\"\',]*", re.IGNORECASE)
"""Address outside of a string, as in a comment."""
_PASSWORD = re.compile(r"[-+]?\s*[\"\']?\w*(password|token|secret)[\"\']?\s*=", re.IGNORECASE)
"""Beginning of a line that sets a password."""
_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"""|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|\s+|.''', re.DOTALL
)
"""Token of TOML, as far as comments, strings and commas are concerned."""
_TABLES = TypeAdapter(list[WatchTable])


def save(
    path: Path,
    changes: Mapping[str, Any],
    watchlists: WatchLists,
    chosen: Mapping[str, str],
    written: Mapping[str, str | None],
) -> None:
    """Write changed settings to a settings file, and preserve the rest.

    Parameters
    ----------
    path : Path
        Settings file, existing or not.
    changes : mapping of str to value
        As for `edited`.
    watchlists : WatchLists
        Watch lists; only changed ones are written.
    chosen, written
        As for `with_sources`; without any chosen source, the sources are preserved.

    Raises
    ------
    SettingsError
        The file can't be read or written, or has no table for a change.
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


def save_quiet(path: Path, watchlists: WatchLists, source: str, quiet: Mapping[str, str]) -> None:
    """Write quiet hours of a source's sounds to a settings file, and preserve the rest.

    Parameters
    ----------
    path : Path
        Settings file, existing or not.
    watchlists : WatchLists
        Watch lists.
    source : str
        Name of the source; one without a list of its own changes the shared list.
    quiet : mapping of str to str
        Quiet hours by the name of the sound.

    Raises
    ------
    SettingsError
        The file can't be read or written, or has no table for the source.
    """
    watchlist, own = watchlists.of(source), source if source in watchlists.overrides else None
    rules = {name: {"quiet": hours} for name, hours in quiet.items()}
    text = with_rules(read(path), rules, watchlist.rules, watchlist.name_of, source=own)
    write_atomically(path, text)


def edited(text: str, changes: Mapping[str, Any]) -> str:
    """Set some settings in the text of a settings file.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    changes : mapping of str to value
        New values by name; None removes a setting. Each table of a list goes on its own line.

    Raises
    ------
    SettingsError
        The text is not TOML.
    """
    document = _parse(text)
    for name, value in changes.items():
        if value is None:
            document.pop(name, None)
        else:
            document[name] = _item(value)
    return _dumps(document)


def with_noise_offset(text: str, source: str, offset_db: float) -> str:
    """Set the noise offset of a source in the text of a settings file: in its table, or for all if the file has no tables.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    source : str
        Name of the source.
    offset_db : float
        Level in dB(A) of a sound of 0 dBFS.

    Raises
    ------
    SettingsError
        The text is not TOML, or has tables of sources but none for this one.
    """
    document = _parse(text)
    entries = document.get("source")
    entries = entries if isinstance(entries, list) else []
    tables = [entry for entry in entries if isinstance(entry, MutableMapping)]
    table = next((entry for entry in tables if _name_in(entry, {}) == source), None)
    if table is None and (tables or len(entries) > 1):
        raise SettingsError(
            f"the source '{source}' has no table in the settings file for its noise_offset_db; add a [[source]] table with its "
            "name and spec first"
        )
    (document if table is None else table)["noise_offset_db"] = offset_db
    return _dumps(document)


def with_rules(
    text: str,
    rules: Mapping[str, Mapping[str, Any]],
    watched: Mapping[str, Mapping[str, Any]],
    name_of: Callable[[str], str] = str,
    *,
    source: str | None = None,
) -> str:
    """Set attributes of watched sounds in the text of a settings file; entries of ``watch`` keep their order, new ones follow.

    An ``off_threshold`` above the new threshold is lowered to it.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    rules : mapping of str to mapping
        Attributes to set, by the name of the sound.
    watched : mapping of str to mapping
        Rules to write into ``watch`` first, if the text has none, by the name of the sound.
    name_of : callable
        Function that returns the name of a sound for an entry of ``watch``.
    source : str, optional
        Source of the watch list; None for the shared list.

    Raises
    ------
    SettingsError
        The text is not TOML, or has no table for this source.
    """
    default = _item(
        [{"sound": name, **rule} if rule or name in rules else name for name, rule in watched.items()]
    )
    document, entries = _with_entries(text, source, default)
    missing = dict(rules)
    for index, entry in enumerate(entries):
        rule = missing.pop(name_of(_sound_of(entry)), None)
        if rule is not None:
            _set_rule(entries, index, rule)
    for name, rule in missing.items():
        _append(entries, name, rule)
    return _dumps(document)


def with_watch(
    text: str,
    rules: Mapping[str, Mapping[str, Any]],
    name_of: Callable[[str], str] = str,
    *,
    source: str | None = None,
) -> str:
    """Set the watched sounds in the text of a settings file; entries that remain are preserved in place.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    rules : mapping of str to mapping
        Rules by the name of the sound: the attributes that differ from the catalogue.
    name_of : callable
        Function that returns the name of a sound for an entry of ``watch``.
    source : str, optional
        Source of the watch list; None for the shared list.

    Raises
    ------
    SettingsError
        The text is not TOML, or has no table for this source.
    """
    document, entries = _with_entries(text, source, tomlkit.array().multiline(multiline=True))
    missing = dict(rules)
    for index in reversed(range(len(entries))):
        rule = missing.pop(name_of(_sound_of(entries[index])), None)
        if rule is None:
            del entries[index]
        else:
            _drop_rule(entries[index], rule)
            _set_rule(entries, index, rule)
    for name, rule in missing.items():
        _append(entries, name, rule)
    return _dumps(document)


def watched_in(text: str, source: str | None = None) -> list[Watch]:
    """Return the watched sounds in the text of a settings file.

    Parameters
    ----------
    text : str
        TOML.
    source : str, optional
        Source of the watch list; None for the shared list.

    Raises
    ------
    SettingsError
        The list is invalid, or the text has no table for this source.
    """
    table = _table_of(tomllib.loads(text), source)
    try:
        return watches(_TABLES.validate_python(sound_entries(table.get("watch", []))))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(part for part in fault["loc"] if isinstance(part, str))
        raise SettingsError(
            f"watch in the settings file is invalid: {place or 'it'}: {fault['msg']}; fix it first"
        ) from None


def with_sources(text: str, chosen: Mapping[str, str], written: Mapping[str, str | None]) -> str:
    """Change the addresses of sources in the text of a settings file; other settings in their tables are preserved.

    Parameters
    ----------
    text : str
        TOML; empty for a new file.
    chosen : mapping of str to str
        New addresses by the name of the source.
    written : mapping of str to (str or None)
        Present entries of all sources by name; None for a table. If chosen sources are missing in the text, and no
        tables would be lost, this list replaces the one in the text.

    Raises
    ------
    SettingsError
        The text is not TOML, has other sources, or would contain a password that is not in it now.
    SourceError
        A name can't be written.
    """
    document = _parse(text)
    entries: Any = document.get("source")
    present = list(entries) if isinstance(entries, list) else []
    names = [_name_in(entry, written) for entry in present]
    if chosen.keys() <= set(names):
        for name, address in chosen.items():
            entry = entries[names.index(name)]
            if isinstance(entry, MutableMapping):
                entry["spec"] = address
            else:
                entries[names.index(name)] = join_address(name, address)
    elif None in written.values() or any(isinstance(entry, Mapping) for entry in present):
        missing = ", ".join(sorted(chosen.keys() - set(names)))
        raise SettingsError(f"{missing} is not among the sources in the settings file; add it there first")
    else:
        document["source"] = [
            join_address(name, chosen[name]) if name in chosen else entry for name, entry in written.items()
        ]
    _refuse_new_secrets(document["source"], text)
    return _dumps(document)


def _refuse_new_secrets(entries: Any, text: str) -> None:
    """Refuse passwords that the text of a settings file does not contain."""
    for address in addresses(entries):
        if may_have_secret(address) and address not in text:
            raise SettingsError(
                f"{without_secrets(address)} has a password that is not in the settings file; write the sources there yourself"
            )


def _name_in(entry: Any, written: Mapping[str, str | None]) -> str:
    """Return the name of a source in a list."""
    if isinstance(entry, Mapping):
        return str(entry.get("name", "")).strip()
    return next((name for name, text in written.items() if text == entry), name_and_address(str(entry))[0])


def _with_entries(text: str, source: str | None, default: Any) -> tuple[tomlkit.TOMLDocument, Any]:
    """Parse a text, and find the watched sounds of a source in it; without any, the default is added."""
    document = _parse(text)
    table = _table_of(document, source)
    if isinstance(entries := table.get("watch"), Array):
        array = entries.as_string()
        if (changed := _with_last_comma(array)) != array:
            table = _table_of(document := _parse(text.replace(array, changed)), source)
    if not isinstance(table.get("watch"), list):
        table["watch"] = default
    return document, table["watch"]


def _table_of(document: MutableMapping[str, Any], source: str | None) -> MutableMapping[str, Any]:
    """Return the table of a source; the document without a source."""
    if source is None:
        return document
    entries = document.get("source")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, MutableMapping) and _name_in(entry, {}) == source:
            return entry
    raise SettingsError(
        f"the source '{source}' has no table in the settings file for its watch list; add one first"
    )


def _with_last_comma(array: str) -> str:
    """Put the first item on a line of its own and a comma behind the last one if comments follow it, so that another one can be added below."""
    end = last = 0
    has_comments = False
    for token in _TOKEN.finditer(array.removesuffix("]")):
        if token[0].isspace():
            continue
        if token[0].startswith("#"):
            has_comments = True
        else:
            end, last, has_comments = token.end(), token.start(), False
    if not has_comments or array[last] in ",[":
        return array
    return f"[\n  {array[1:end].lstrip()},{array[end:]}"


def _sound_of(entry: Any) -> str:
    return str(entry.get("sound") if isinstance(entry, Mapping) else entry)


def _drop_rule(entry: Any, rule: Mapping[str, Any]) -> None:
    """Remove the attributes of an entry that are not in its rule any more."""
    if isinstance(entry, MutableMapping):
        for name in WatchTable.model_fields.keys() & entry.keys() - rule.keys() - {"sound"}:
            del entry[name]


def _set_rule(entries: Any, index: int, rule: Mapping[str, Any]) -> None:
    """Set the changed attributes in the rule of an entry; its lower threshold stays at or below the threshold."""
    entry = entries[index]
    if isinstance(entry, MutableMapping):
        for name, value in rule.items():
            if entry.get(name) != value:
                entry[name] = value
        threshold, off_threshold = entry.get("threshold"), entry.get("off_threshold")
        if isinstance(threshold, float) and isinstance(off_threshold, float) and off_threshold > threshold:
            entry["off_threshold"] = threshold
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
    """Return the change of a file as a unified diff for people; empty without a change.

    It has no context lines, and passwords in changed lines are left out.
    """
    lines = map(
        without_passwords,
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), str(path), n=0
        ),
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def without_passwords(line: str) -> str:
    """Return a line of a settings file, or a piece of one, with the secrets in addresses and passwords replaced by ``…``."""
    if found := _PASSWORD.match(line):
        return f'{found[0]} "…"\n'
    return _ADDRESS.sub(lambda address: without_secrets(address[0]), _STRING.sub(_shown_string, line))


def _shown_string(found: re.Match[str]) -> str:
    """Return a string of a settings file without secrets; one that has none stays as it is written."""
    try:
        value = str(tomllib.loads(f"value = {found[0]}")["value"])
    except ValueError:
        value = found[0][1:-1]
    shown = without_secrets(value)
    return found[0] if shown == value else json.dumps(shown, ensure_ascii=False)


def read(path: Path) -> str:
    """Read a settings file, with its line ends; return an empty text if there is none.

    Raises
    ------
    SettingsError
        The file can't be read.
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
    """Replace a settings file in one step, so that it is never incomplete. Its permissions are preserved.

    Raises
    ------
    SettingsError
        The file can't be written.
    """
    target = path.resolve()  # a link is preserved
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600  # it may contain a password
        replace_text(target, text, mode=mode)
    except OSError as error:
        raise SettingsError(
            f"the settings file {path} can't be written ({error.strerror}): check its folder"
        ) from error


def _dumps(document: tomlkit.TOMLDocument) -> str:
    """Return the text of a document.

    Raises
    ------
    SettingsError
        The text would say something else, which a rare layout can lead to.
    """
    text = tomlkit.dumps(document)
    with suppress(ValueError, RecursionError):
        if tomllib.loads(text) == document.unwrap():
            return text
    raise SettingsError(
        "the settings file can't be changed as it is laid out: write each entry of its lists on a line of its own, with a comma"
    )


def _parse(text: str) -> tomlkit.TOMLDocument:
    if text and not text.endswith("\n"):
        text += "\n"  # so that a table can be added below
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise SettingsError(f"the settings file is not valid TOML ({error}); fix it first") from error


def _item(value: Any) -> Any:
    """Convert a value to TOML; a list with tables becomes a list of inline tables, each on its own line."""
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
