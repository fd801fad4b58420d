"""Settings files and environment variables of any content."""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import assume, example, given
from hypothesis import strategies as st
from promises import MEBIBYTE, a_file, examples, json_values, kept, numbers, within, words

from streamer.errors import SettingsError
from streamer.settings.file import (
    edited,
    read,
    with_rules,
    with_watch,
)
from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings

pytestmark = pytest.mark.slow

NAMES = [field.alias or name for name, field in Settings.model_fields.items()]

rules = st.dictionaries(
    st.sampled_from(["sound", "threshold", "off_threshold", "hits", "of", "minimum_on_seconds", "x"]),
    st.one_of(words, numbers, st.sampled_from(["Dog", "Speech"])),
    max_size=4,
)
values = st.one_of(
    json_values,
    st.lists(st.one_of(rules, words), max_size=4),
    st.sampled_from(["mic", "demo", "off", "auto", "mqtt://a@b", "kitchen/ear", True, 0.01, "cpu"]),
)


def settings_of(content: bytes, environment: Mapping[str, str] | None = None) -> Settings | None:
    """Load a settings file, and use what it says of files and of the broker."""
    with a_file(content, ".toml") as file, within(mebibytes=512):
        return kept(lambda: in_use(load_settings({}, config=file, environment=environment or {})))


def in_use(settings: Settings) -> Settings:
    """Ask for all that is worked out from settings; what can be said of each."""
    assert settings.source
    assert settings.hop_samples >= 160
    assert settings.limit_samples is None or settings.limit_samples >= 0
    assert settings.window is None or 1.0 <= settings.window <= 10.24
    assert all(0.0 < wish.rule.get("threshold", 1.0) <= 1.0 for wish in settings.watched or ())
    for path in (settings.history_file, settings.clips_path, settings.score_log_file, *settings.secret_files):
        assert path is None or "\0" not in str(path)
    broker = settings.broker()
    assert broker is None or 1 <= broker.port <= 65_535
    return settings


def as_toml(table: Mapping[str, Any]) -> bytes:
    """Write TOML; what TOML has no word for is left to other examples."""
    try:
        return tomlkit.dumps(table).encode()
    except (ValueError, UnicodeEncodeError, TypeError):
        assume(False)
        raise


@examples(300)
@given(
    st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
)
@example(b"x = " + b"[" * 5000)
@example(b"hop = 0x" + b"f" * 5000)
@example(b"hop = 1" + b"0" * 5000)
@example(b"a." * 3000 + b"b = 1")
@example(b'"\\u001b[2J" = 1')
@example(b'"a\\nb" = 1')
def test_any_bytes_are_settings_or_refused_in_a_sentence(content: bytes) -> None:
    settings_of(content)


@examples(400)
@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
@example({"hop": 1e308})
@example({"duration": 1e308})
@example({"top": 10**400})
@example({"model": "\0"})
@example({"history": "a\0b"})
@example({"history": "~nobody-of-that-name/x"})
@example({"mqtt": "mqtt://a", "mqtt_password_file": "~nobody-of-that-name/x"})
@example({"mqtt": "mqtt://a", "mqtt_password_file": "a\0b"})
@example({"theme": "x" * 5000})
@example({"source": [[[[[[[[]]]]]]]]})
@example({"watch": [{"sound": "Dog", "threshold": math.nan}]})
def test_any_values_of_real_settings_are_taken_or_refused_in_a_sentence(table: dict[str, Any]) -> None:
    settings_of(as_toml(table))


@examples(200)
@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30), max_size=4))
@example({"hop": "\udcff"})
@example({"duration": "1e308"})
@example({"hop": "9" * 5000})
@example({"config": "~nobody-of-that-name/x"})
@example({"config": "/"})
def test_any_environment_is_taken_or_refused_in_a_sentence(variables: dict[str, str]) -> None:
    environment = {f"EARSHOT_{name.upper()}": value for name, value in variables.items()}
    with within():
        kept(lambda: in_use(load_settings({}, environment={"EARSHOT_CONFIG": "/dev/null"} | environment)))


@pytest.mark.parametrize("content", [b'node = "%s"', b"# %s", b"%s = 1", b"top = %s"], ids=str)
def test_a_settings_file_of_ten_megabytes_is_refused_at_once(content: bytes) -> None:
    with (
        a_file(content.replace(b"%s", b"9" * 10 * MEBIBYTE), ".toml") as file,
        within(mebibytes=64, seconds=1.0),
    ):
        with pytest.raises(SettingsError, match="too large"):
            load_settings({}, config=file, environment={})
        with pytest.raises(SettingsError, match="too large"):
            read(file)


def test_an_endless_device_is_refused_as_a_settings_file() -> None:
    with within(seconds=1.0), pytest.raises(SettingsError, match="too large"):
        load_settings({}, config=Path("/dev/zero"), environment={})


COMMENTED = """\
# at the top
hop = 0.5  # half a second
watch = [
    "Dog",  # ours
    { sound = "Siren", threshold = 0.4 },
]

# before the end
node = "attic"  # at the end
"""
COMMENTS = [line.partition("#")[2] for line in COMMENTED.splitlines() if "#" in line]

storable = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
thresholds = st.floats(0.0, 1.0, exclude_min=True)


@examples(150)
@given(
    st.dictionaries(
        st.sampled_from(["hop", "node", "theme", "source", "top"]),
        st.one_of(
            st.none(), storable, st.integers(-(2**63), 2**63 - 1), thresholds, st.lists(storable, max_size=3)
        ),
    )
)
def test_what_is_set_is_read_again_and_all_other_comments_stay(changes: dict[str, Any]) -> None:
    text = edited(COMMENTED, changes)
    after = tomllib.loads(text)
    assert after == {
        name: value for name, value in (tomllib.loads(COMMENTED) | changes).items() if value is not None
    }
    lines = {"hop": " half a second", "node": " at the end"}
    for comment in COMMENTS:
        assert comment in text or any(
            changes.get(name, ...) != ... and said == comment for name, said in lines.items()
        )


@examples(150)
@given(
    st.dictionaries(
        st.one_of(st.sampled_from(["Dog", "Siren"]), storable), st.none() | thresholds, max_size=4
    )
)
def test_what_is_watched_is_read_again_and_comments_stay(watched: dict[str, float | None]) -> None:
    rules = {name: {} if value is None else {"threshold": value} for name, value in watched.items()}
    text = with_watch(COMMENTED, rules)
    after = tomllib.loads(text)["watch"]
    said = {entry if isinstance(entry, str) else entry["sound"]: entry for entry in after}
    assert said.keys() == rules.keys()
    assert len(after) == len(rules)
    for name, rule in rules.items():
        assert not rule or said[name]["threshold"] == rule["threshold"]
    for comment in COMMENTS:
        assert comment in text or comment == " ours"


@examples(150)
@given(st.binary(max_size=120).map(lambda content: content.decode("utf-8", "surrogateescape")))
@example("watch = [")
@example("watch = 1")
@example("[[watch]]\nsound = 1")
@example("watch = [[1]]")
@example("x = " + "[" * 5000)
def test_any_text_is_edited_or_refused_in_a_sentence(text: str) -> None:
    with within():
        kept(lambda: edited(text, {"hop": 0.5}))
        kept(lambda: with_watch(text, {"Dog": {"threshold": 0.5}}))
        kept(lambda: with_rules(text, {"Dog": {"threshold": 0.5}}, {"Dog": {}}))
