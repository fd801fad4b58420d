"""Arbitrary text for a source, a broker, a duration."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from promises import assert_one_sentence, examples, kept, within, words

from models.checkpoints import load_checkpoint, member_specs
from streamer.errors import SettingsError, SourceError
from streamer.runtime.timing import format_duration, parse_duration
from streamer.settings.loading import load_settings
from streamer.sinks.history.occurrences import parse_since
from streamer.sinks.mqtt.broker import parse_broker_url
from streamer.sources import is_standard_input, join_address, open_source, without_secrets

pytestmark = pytest.mark.slow

SOURCES = [
    "mic",
    "mic:",
    "mic:#",
    "demo",
    "kitchen=",
    "=",
    "tcp://",
    "unix:",
    "rtsp://",
    "http://[",
    "file:",
    "~",
    "~x",
]
"""Beginnings of specifications: a new kind of source has its own here."""

NOTHING = {"EARSHOT_CONFIG": "/dev/null"}
SECRET = "hunter2-correct-horse"
SHAPES = [
    "rtsp://me:{}@camera/stream",
    "RTSP://me:{}@camera",
    "http://me:{}@[::1",
    "h://me:{}@host",
    "//me:{}@host",
    "rtsp:/me:{}@host",
    "door=rtsp://me:{}@host/a=b",
    "=rtsp://me:{}@host",
    "a=b=rtsp://me:{}@host",
    "tcp://me:{}@host:99999",
    "rtsp://me:{}@host:port/@",
]
"""Addresses with a password in them, well written or not."""

specs = st.one_of(
    words,
    st.tuples(st.sampled_from(SOURCES), words).map("".join),
    st.tuples(words, st.just("="), st.sampled_from(SOURCES), words).map("".join),
)
surrogates = st.text(st.characters(), max_size=30)


def shown_of(spec: str) -> str | None:
    """Open a source and return what people see of it: its name, or the sentence that refuses it."""
    try:
        if is_standard_input(spec):  # which a test has none of
            return None
        return open_source(spec).name
    except SourceError as error:
        assert_one_sentence(str(error))
        return str(error)


@examples(300)
@given(st.one_of(specs, surrogates))
@example("mic:" + "9" * 5000)
@example("mic:#" + "9" * 5000)
@example("mic:99999999999999999999")
@example("~nobody-of-that-name/a.wav")
@example("unix:~0")
@example("a\0b")
@example("x" * 5000)
def test_any_text_is_a_source_or_refused_in_a_sentence(spec: str) -> None:
    with within():
        assert shown_of(spec) != ""


@examples(100)
@given(st.sampled_from(SHAPES), st.text("ab:/@=?#% \n\t", max_size=8), st.text("ab:/@=?#% \n", max_size=4))
@example(SHAPES[0], "@", "?")
@example("yard=rtsp://me:{}@camera", "a@", "#")
def test_a_password_in_an_address_is_never_shown(shape: str, before: str, after: str) -> None:
    spec = shape.format(before + SECRET + after)
    assert SECRET not in (shown_of(spec) or "")


WRITTEN = [
    "rtsp://me:{}@camera/live",
    "rtsps://me:{}@camera:322/live?a=b",
    "http://radio/live?token={}",
    "https://radio:8000/live?a=b&key={}#2",
    "yard=rtsp://me:{}@camera/live",
]


@st.composite
def mistyped(draw: st.DrawFn) -> str:
    """Draw an address whose beginning has up to three mistakes: a character removed, doubled, replaced or inserted."""
    spec = draw(st.sampled_from(WRITTEN))
    end = re.search(r"me:|radio", spec)
    assert end is not None
    begin = list(spec[: end.start()])
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(begin) - 1))
        begin[place] = draw(
            st.sampled_from(["", begin[place] * 2, "/", ":", " ", ";", "\\", "x", "=", '"', "{"])
        )
    return "".join(begin) + spec[end.start() :].format(SECRET)


@examples(300)
@given(mistyped())
@example(f"rtsp:u:{SECRET}@h")
@example(f"http:/host/live?token={SECRET}")
@example(f"rtsp//u:{SECRET}@h")
@example(f"htp://u:{SECRET}@h")
@example(f"camera/live?token={SECRET}")
@example(f"u:{SECRET}@h")
@example(f'{{spec="rtsp:u:{SECRET}@h"}}')
def test_a_password_in_a_mistyped_address_is_never_shown(spec: str) -> None:
    assert SECRET not in (shown_of(spec) or "")
    assert SECRET not in without_secrets(spec)
    for source in ({"name": spec, "spec": "demo"}, {"name": "yard", "spec": spec, "hop": -1}, [spec]):
        assert SECRET not in refusal_of(source)


def refusal_of(source: object) -> str:
    """Return the sentence that refuses the settings of a source; an empty text if they are accepted."""
    try:
        load_settings({"source": [source]}, environment=NOTHING)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("long", ["x" * 65, "x" * 70_000, "㎨" * 64])
def test_a_name_that_is_too_long_is_refused_wherever_it_is_given(long: str) -> None:
    for wrong in (
        lambda: open_source(f"{long}=demo"),
        lambda: open_source("demo", name=long),
        lambda: join_address(long, "demo"),
        lambda: load_settings({"source": [{"name": long, "spec": "demo"}]}, environment=NOTHING),
    ):
        with pytest.raises((SourceError, SettingsError), match="use at most 64|use a shorter one") as caught:
            wrong()
        assert len(str(caught.value)) < 400
    assert open_source("x" * 64 + "=demo").name == "x" * 64
    assert len(open_source("mic:" + "x" * 200, allow_missing=True).name) == 64


@examples(100)
@given(surrogates, specs)
def test_a_named_source_is_written_as_it_is_read_or_refused(name: str, spec: str) -> None:
    written = kept(lambda: join_address(name, spec))
    assert written in {None, f"{name}={spec}"}


@examples(300)
@given(
    st.one_of(
        surrogates, st.tuples(st.sampled_from(["mqtt://", "mqtts://", "MQTT:"]), surrogates).map("".join)
    )
)
@example("mqtt://[::1")
@example("mqtt://a:99999999")
@example("mqtt://" + "a" * 64)
@example("mqtt://" + "٣" * 8 + ":٣")
def test_any_text_is_the_address_of_a_broker_or_refused_in_a_sentence(url: str) -> None:
    broker = kept(lambda: parse_broker_url(url))
    if broker is not None:
        assert broker.host
        assert 1 <= broker.port <= 65_535
        assert broker.tls == url.lower().startswith("mqtts:")
        assert broker.password is None or broker.username


@examples(100)
@given(
    st.sampled_from(
        [
            "mqtt://me:{}@broker",
            "mqtts://me:{}@",
            "http://me:{}@a",
            "mqtt://me:{}@[",
            "//:{}@a",
            "mqtt://me:{}@a:b",
        ]
    ),
    st.text("ab:/@=?#% \n\t", max_size=8),
)
def test_the_password_of_a_broker_is_never_shown(shape: str, noise: str) -> None:
    url = shape.format(noise + SECRET)
    environment = {"EARSHOT_CONFIG": "/dev/null", "EARSHOT_MQTT": url}
    try:
        broker = load_settings({}, environment=environment).broker()
        shown = f"{broker!r} {broker and broker.address}"
    except SettingsError as error:
        shown = str(error)
        assert_one_sentence(shown)
    assert SECRET not in shown


@pytest.mark.parametrize(
    "source",
    [[{"a": f"rtsp://me:{SECRET}@host"}], {"a": f"rtsp://me:{SECRET}@host"}, [[f"me:{SECRET}@host"]]],
)
def test_a_wrong_list_of_sources_does_not_show_their_passwords(source: object) -> None:
    with pytest.raises(SettingsError, match="source") as caught:
        load_settings({"source": source}, environment={"EARSHOT_CONFIG": "/dev/null"})
    assert SECRET not in str(caught.value)


@examples(300)
@given(
    st.one_of(
        st.text(max_size=20),
        st.from_regex(r"[0-9.]{1,12}[smhdwx]?"),
        st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.{0,15}"),
    )
)
@example("0001-01-01")
@example("9999-12-31T23:59:59-23:59")
@example("999999999w")
@example("٣s")
def test_any_text_is_a_time_or_no_time(text: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for read in (parse_duration, lambda text: parse_since(text, now)):
        seconds = read_or_refused(read, text)
        if seconds is not None:
            assert math.isfinite(seconds)
            assert format_duration(abs(seconds))


def read_or_refused(read: Callable[[str], float], text: str) -> float | None:
    try:
        return read(text)
    except ValueError as error:
        sentence = str(error)
    assert sentence.endswith(("2w", "2026-03-01T18:30"))
    return None


@examples(150)
@given(
    st.one_of(
        surrogates, words, st.tuples(st.sampled_from(["ensemble:", "~", "./"]), surrogates).map("".join)
    )
)
@example("~nobody-of-that-name")
@example("a\0b")
@example("ensemble:tiny+")
@example("x" * 5000)
def test_any_text_is_a_model_or_refused_in_a_sentence(spec: str) -> None:
    assume(not spec.startswith("hub:"))
    with within(mebibytes=512):
        for member in kept(lambda: member_specs(spec)) or []:
            kept(lambda member=member: load_checkpoint(member, offline=True))  # type: ignore[misc]
