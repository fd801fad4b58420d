"""Short names of sounds for people."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from support.terminal import picture

from earshot.window import _look
from models.labels import audioset_classes
from models.short_names import short_name, short_names
from streamer.messages import Event, Tagging
from streamer.settings.loading import load_settings
from streamer.sinks.payloads import LabelSet
from streamer.sinks.terminal.table import LiveTable

CLASSES = [entry.name for entry in audioset_classes()]
LONG = "Wind instrument, woodwind instrument"


def test_long_names_get_a_short_one() -> None:
    assert short_name(LONG) == "Wind instrument"
    assert short_name("Smoke detector, smoke alarm") == "Smoke alarm"
    assert short_name("Inside, large room or hall") == "Large room or hall"
    assert short_name("Speech") == "Speech"
    assert short_name("Door, the left one") == "Door, the left one", "labels of other sets keep their names"


def test_no_two_sounds_share_a_name_and_none_is_long() -> None:
    names = [short_name(label) for label in CLASSES]
    assert len({name.casefold() for name in names}) == len(CLASSES)
    assert max(map(len, names)) <= 25
    assert not [name for name in names if "(" in name]
    assert short_names().keys() <= set(CLASSES)


def test_the_table_of_the_terminal_shows_short_names_and_plain_lines_the_labels() -> None:
    labels = LabelSet((LONG, "Dog"), (None, None))
    scores = np.array([0.9, 0.1], np.float32)
    messages = (
        Tagging("desk", 0, 16_000, 1.7e9, scores, -30.0, 0.2),
        Event("1", "started", LONG, "desk", 0.9, 1.7e9),
    )
    console = Console(file=io.StringIO(), width=100, height=24, force_terminal=True, color_system=None)
    table = LiveTable(labels, console=console, names=short_names(), live=True)
    lines = Console(file=io.StringIO(), width=100, color_system=None)
    plain = LiveTable(labels, console=lines, names=short_names(), live=False)
    for message in messages:
        table.accept(message)
        plain.accept(message)
    shown = "\n".join(picture(table))
    assert shown.count("Wind instrument ") == 2
    assert "woodwind" not in shown
    assert isinstance(lines.file, io.StringIO)
    assert lines.file.getvalue().count(LONG) == 2


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("Gunshot", {"Gunshot, gunfire", "Machine gun", "Fusillade"}),
        ("Smoke alarm", {"Smoke detector, smoke alarm", "Fire alarm"}),
        ("Violin", {"Violin, fiddle"}),
        ("whimper", {"Whimper"}),
    ],
)
def test_a_sound_that_the_kiosk_hides_is_one_of_the_catalogue_first(name: str, hidden: set[str]) -> None:
    settings = load_settings({"kiosk_hide": name}, config=Path("/dev/null"), environment={})
    found = _look(settings, CLASSES).hidden
    assert hidden <= found
    assert len(found) < 10
