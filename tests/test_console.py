"""Output for terminals and pipes."""

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.logging import RichHandler
from support.program import ChildProcess
from support.terminal import LABELS, VOCABULARY, live_table, picture
from support.waiting import wait_until
from support.zones import local_zone

from streamer.errors import OutputClosed, SinkError
from streamer.messages import Event, Health, Losses, SourceHealth, SourceStatus, Tagging
from streamer.sinks.payloads import LabelSet
from streamer.sinks.terminal.lines import JsonLines
from streamer.sinks.terminal.table import LiveTable

HEALTH = Health(
    60.0, 60, 2, 1, 3600.5, 0, 0.21, 0.3, 0.46, "base-16-16", "cpu", "connected", overrun_seconds=0.5
)
ROOT = Path(__file__).resolve().parent.parent


def tagging(*scores: float, second: int = 1, source: str = "desk", level_dbfs: float = -30.0) -> Tagging:
    padded = np.zeros(len(LABELS), np.float32)
    padded[: len(scores)] = scores
    return Tagging(source, 0, second * 16_000, 1_772_366_400.0 + second, padded, level_dbfs, 0.2)


def tags_in(lines: list[str]) -> list[str]:
    found = (re.match(r"   (\S.*?) +[━╸─]+ +\d\.\d\d$", line) for line in lines)
    return [match[1] for match in found if match]


def test_json_lines_are_flushed_one_by_one() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream, VOCABULARY, 2)
    sink.accept(tagging(0.1, 0.9))
    first = json.loads(stream.getvalue())
    assert first["source"] == "desk"
    assert first["tags"][0] == {"label": "Dog", "mid": None, "score": 0.9}
    sink.accept(SourceStatus("desk", online=False))
    sink.accept(HEALTH)
    sink.accept(Event("1", "started", "Dog", "desk", 0.9, 0.0))
    sink.accept(tagging(0.2, second=2))
    assert [json.loads(line)["end_seconds"] for line in stream.getvalue().splitlines()] == [1.0, 2.0]


def test_events_are_lines_of_their_own_type_if_wanted() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream, VOCABULARY, 2, events=True)
    began = Event("1", "started", "Dog", "desk", 0.9, 1_772_366_401.0, start_sample=16_000)
    sink.accept(tagging(0.1, 0.9))
    sink.accept(began)
    sink.accept(SourceStatus("desk", online=False))
    sink.accept(replace(began, kind="ended", ended_at=1_772_366_403.0, end_sample=48_000))
    first, start, end = map(json.loads, stream.getvalue().splitlines())
    assert (first["type"], first["tags"][0]["label"]) == ("tagging", "Dog")
    assert start == {
        "type": "event",
        "source": "desk",
        "start_seconds": 1.0,
        "end_seconds": None,
        "event_type": "started",
        "id": "1",
        "label": "Dog",
        "score": 0.9,
        "confirmed": True,
        "fast_score": None,
        "started_at": "2026-03-01T12:00:01.000Z",
        "ended_at": None,
        "clip": None,
    }
    assert (end["event_type"], end["end_seconds"]) == ("ended", 3.0)


@pytest.mark.usefixtures("utc")
def test_in_a_pipe_each_start_and_end_of_a_sound_is_a_plain_line() -> None:
    stream = io.StringIO()
    began = Event("1", "started", "Dog\n", "desk", 0.9, 1_772_366_401.0)
    with LiveTable(VOCABULARY, 3, console=Console(file=stream, width=40)) as table:
        table.accept(began)
        table.accept(replace(began, kind="ended", ended_at=1_772_366_403.5, score=0.95))
    start, end = stream.getvalue().splitlines()
    assert start.startswith("12:00:01  desk  Dog")
    assert start.endswith("began (0.90)")
    assert end.endswith("ended after 2.5 s (0.95)")
    assert end.startswith("12:00:03  desk  Dog")


@pytest.mark.usefixtures("utc")
def test_the_view_shows_the_newest_events_where_there_is_room() -> None:
    table = live_table(height=14)
    table.accept(tagging(0.8, 0.4, 0.1))
    table.accept(HEALTH)
    starts = [
        Event(str(number), "started", "Dog", "desk", 0.9, 1_772_366_401.0 + number) for number in range(4)
    ]
    for began in starts:
        table.accept(began)
    table.accept(replace(starts[-1], kind="ended", ended_at=1_772_366_406.0))
    lines = picture(table)
    assert [line.strip() for line in lines[-5:-2]] == [
        "12:00:02  desk  Dog began (0.90)",
        "12:00:03  desk  Dog began (0.90)",
        "12:00:04  desk  Dog ended after 2.0 s (0.90)",
    ]
    assert len(lines) <= 14
    low = live_table(height=6)
    low.accept(tagging(0.8, 0.4, 0.1))
    low.accept(starts[-1])
    assert "began" not in "".join(picture(low))


def test_lines_of_two_threads_are_never_mixed() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream, VOCABULARY, 6)

    def work(source: str) -> None:
        for second in range(1, 101):
            sink.accept(tagging(0.5, second=second, source=source))

    threads = [threading.Thread(target=work, args=(source,)) for source in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 200


def test_each_write_to_a_closed_pipe_raises_the_same_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        sink = JsonLines(stream, VOCABULARY)
        for _ in range(2):
            with pytest.raises(OutputClosed):
                sink.accept(tagging(0.5))


@pytest.mark.parametrize("view", ["JsonLines(sys.stdout, words)", "LiveTable(words)"])
def test_a_program_whose_reader_has_gone_ends_without_complaint(view: str) -> None:
    program = f"""
import sys
import numpy as np
from streamer.errors import OutputClosed
from streamer.messages import Tagging
from streamer.sinks.terminal.lines import JsonLines
from streamer.sinks.terminal.table import LiveTable
from streamer.sinks.payloads import LabelSet
words = LabelSet(("Speech",), (None,))
sink = {view}
try:
    while True:
        sink.accept(Tagging("desk", 0, 16000, 0.0, np.ones(1, np.float32), -30.0, None))
except OutputClosed:
    sys.exit(0)
"""
    with ChildProcess[bytes](
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"FORCE_COLOR": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"Speech" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_reported_in_one_sentence() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        with pytest.raises(SinkError, match="No space left"):
            JsonLines(stream, VOCABULARY).accept(tagging(0.5))
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())  # so that the stream can be closed


@pytest.fixture
def utc() -> Iterator[None]:
    """The time zone, for as long as a test lasts."""
    with local_zone("UTC"):
        yield


@pytest.mark.usefixtures("utc")
def test_in_a_pipe_each_tagging_is_a_plain_line() -> None:
    stream = io.StringIO()
    with LiveTable(VOCABULARY, 3, console=Console(file=stream, width=40)) as table:
        table.accept(SourceStatus("desk", online=True))
        table.accept(tagging(0.93, 0.41, 0.04, second=5))
        table.accept(tagging(0.01, second=6))
        table.accept(HEALTH)
        table.accept(SourceStatus("desk", online=False, reason="unplugged"))
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("  desk  online")
    assert lines[1:3] == ["12:00:05  desk  Speech 0.93 · Dog 0.41", "12:00:06  desk  Speech 0.01"]
    assert lines[3].endswith("  desk  offline: unplugged")
    assert len(lines) == 4


def test_a_terminal_that_knows_only_ascii_gets_question_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with LiveTable(VOCABULARY, 2, console=Console(file=stream)) as table:
        table.accept(tagging(0.9, 0.8, source="Küche"))
    assert raw.getvalue().endswith(b"  K?che  Speech 0.90 ? Dog 0.80\n")


def test_the_footer_shows_problems_with_the_sound_first() -> None:
    sources = (SourceHealth(source="desk"), SourceHealth(source="door", state="faint"))
    table = live_table(width=40)
    table.accept(replace(HEALTH, sources=sources))
    assert picture(table)[-1].strip().startswith("door faint")


def test_the_view_names_the_model_that_is_being_loaded() -> None:
    table = live_table()
    table.accept(SourceStatus("desk", online=True))
    table.accept(replace(HEALTH, model="", device="", loading="tiny"))
    assert "loading tiny …" in picture(table)[1]
    assert picture(table)[-1].strip().startswith("loading tiny · ")
    table.accept(tagging(0.8, 0.4, 0.1))
    table.accept(replace(HEALTH, loading="base, 34 % fetched"))
    assert "loading base, 34 % fetched" in picture(table)[-1]
    assert "loading" not in "".join(picture(table)[:-1])


def test_the_view_shows_tags_levels_and_health() -> None:
    table = live_table()
    table.accept(tagging(0.8, 0.4, 0.1))
    table.accept(HEALTH)
    lines = picture(table)
    assert re.search(r"● desk +━+╸?─+ +-30 dB$", lines[1])
    assert tags_in(lines) == ["Speech", "Dog", "Siren [bold]loud[/bold]"]
    assert [line[-4:] for line in lines[2:5]] == ["0.80", "0.40", "0.10"]
    assert lines[-1] == " base-16-16 on cpu · latency 0.21 s · 2 dropped · 0.5 s lost · broker connected"


def test_a_bar_is_as_long_as_its_score() -> None:
    table = live_table(width=120)
    table.accept(tagging(0.5, 0.25))
    lines = picture(table)
    whole = sum(lines[2].count(piece) for piece in "━╸─")
    lengths = [line.count("━") + line.count("╸") / 2 for line in lines[2:4]]
    assert lengths == [pytest.approx(whole * score, abs=0.5) for score in (0.5, 0.25)]


def test_tags_are_in_the_order_of_their_numbers() -> None:
    table = live_table(top=3)
    for second in range(1, 30):
        wobble = 0.03 * (-1) ** second
        table.accept(tagging(0.47 + wobble, 0.48 - wobble, 0.49, second=second))
        numbers = [
            float(line.split()[-1]) for line in picture(table) if re.search(r" 0\.\d\d$", line.rstrip())
        ]
        assert len(numbers) == 3
        assert numbers == sorted(numbers, reverse=True)


def test_tags_that_read_the_same_stay_where_they_are() -> None:
    table = live_table(top=2)
    table.accept(tagging(0.50, 0.498, 0.44))
    for second in range(2, 30):
        wobble = 0.002 * (-1) ** second
        table.accept(tagging(0.5, 0.5 + wobble, 0.44, second=second))
        assert tags_in(picture(table)) == ["Speech", "Dog"]


def test_a_clear_lead_changes_places_soon() -> None:
    table = live_table(top=2)
    table.accept(tagging(0.9, 0.6))
    for second in range(2, 8):
        table.accept(tagging(0.2, 0.6, 0.0, 0.9, second=second))
    assert tags_in(picture(table)) == ["Bell", "Dog"]


@given(
    st.lists(
        st.lists(st.floats(0, 1, width=32) | st.just(float("nan")), min_size=6, max_size=6),
        min_size=1,
        max_size=8,
    )
)
def test_no_tag_stands_clearly_below_a_smaller_one(history: list[list[float]]) -> None:
    table = live_table(top=4)
    for second, scores in enumerate(history, start=1):
        table.accept(tagging(*scores, second=second))
    view = table._views["desk"]
    assert view.smoothed is not None
    shown = [float(view.smoothed[bar.index]) for bar in view.bars]
    assert len({bar.index for bar in view.bars}) == 4
    for above, below in pairwise(shown):
        assert below <= above + 0.051
    assert max(view.smoothed) <= max(shown) + 0.051


def test_bars_glide_to_their_scores() -> None:
    table = live_table()
    table.accept(tagging(0.8))
    bar = table._views["desk"].bars[0]
    seen = [bar.drawn]
    for _ in range(12):
        table._views["desk"].animate(1 / 6)
        seen.append(bar.drawn)
    assert seen[0] == 0.0
    assert seen == sorted(seen)
    assert 0.3 < seen[1] < 0.5
    assert seen[-1] == pytest.approx(0.8, abs=0.01)


def test_a_stopped_source_shows_the_reason_and_drops_its_tags() -> None:
    table = live_table()
    table.accept(tagging(0.9))
    table.accept(SourceStatus("desk", online=False, reason="the microphone was unplugged"))
    lines = picture(table)
    assert re.search(r"○ desk +the microphone was unplugged +offline$", lines[1])
    assert tags_in(lines) == []
    table.accept(SourceStatus("desk", online=True))
    assert "listening" in picture(table)[1]


@pytest.mark.parametrize("width", [40, 41, 63, 80, 120, 200])
@pytest.mark.parametrize("height", [8, 12, 24, 50])
def test_the_view_fits_every_terminal(width: int, height: int) -> None:
    table = live_table(width=width, height=height, top=5)
    table.accept(tagging(0.9, 0.8, 0.7, 0.6, 0.5, source="the long name of a source, 会議室"))
    table.accept(tagging(0.9, source="kitchen"))
    table.accept(HEALTH)
    lines = picture(table)
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) <= height
    assert "latency" in lines[-1]


def test_trouble_stays_on_a_short_line() -> None:
    table = live_table(width=40)
    table.accept(Health(60.0, 60, 7, 1, 0.0, 0, 0.21, 0.3, 0.46, "m", "cpu", "unreachable: no answer"))
    assert picture(table)[-1] == " latency 0.21 s · broker unreachable"


def test_events_that_could_not_be_stored_or_delivered_are_on_the_last_line() -> None:
    table = live_table(width=80)
    table.accept(replace(HEALTH, losses=Losses(undelivered_events=2, lost_events=1, unsaved_events=4)))
    assert "3 events lost · 4 events unsaved" in picture(table)[-1]


def test_control_characters_never_reach_the_terminal() -> None:
    hostile = LabelSet(("\x1b]0;owned\x07\x1b[2J", *LABELS[1:]), VOCABULARY.mids)
    stream = io.StringIO()
    plain = LiveTable(hostile, 1, console=Console(file=stream))
    plain.accept(tagging(0.9, source="a\x1b[31m\nb"))
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
    table = LiveTable(
        hostile, 1, console=Console(file=io.StringIO(), width=80, force_terminal=True), live=True
    )
    table.accept(tagging(0.9))
    assert not any("\x1b" in line or "\x07" in line for line in picture(table))


def test_log_lines_stand_above_the_view() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True, color_system=None)
    with LiveTable(VOCABULARY, 2, console=console, live=True) as table:
        table.accept(tagging(0.9))
        handler = RichHandler(console=table.console, show_path=False)
        handler.handle(logging.makeLogRecord({"msg": "the cat [red]sat[/red] on it"}))
        table.accept(tagging(0.9, second=2))
    text = stream.getvalue()
    assert "the cat [red]sat[/red] on it" in text
    assert text.index("the cat") < text.rindex("Speech")
    # Shown again at the end: the cursor, which the view had hidden.
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert not [thread for thread in threading.enumerate() if "refresh" in thread.name.lower()]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [Screen, io.StringIO])
def test_logging_that_was_set_up_before_does_not_tear_the_view(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = kind()
    monkeypatch.setattr(sys, "stderr", stderr)
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        with live_table() as table:
            table.accept(tagging(0.9))
            logging.getLogger("test").warning("the [cat] sat on it")
        drawn = table.console.file
        assert isinstance(drawn, io.StringIO)
        above_the_view = stderr.isatty()
        assert ("the [cat] sat on it" in drawn.getvalue()) == above_the_view
        logging.getLogger("test").warning("it stood up")
    finally:
        logging.getLogger().removeHandler(handler)
    expected = ["it stood up"] if above_the_view else ["the [cat] sat on it", "it stood up"]
    assert stderr.getvalue().splitlines() == expected


def test_the_view_is_repainted_by_itself() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True, color_system=None)
    with LiveTable(VOCABULARY, 2, console=console, live=True, repaints_per_second=20) as table:
        table.accept(tagging(0.9))
        wait_until(lambda: "Speech" in stream.getvalue(), "a picture")


def test_importing_the_module_loads_no_rich() -> None:
    program = "import sys, streamer.sinks.terminal.table; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
