"""The switches of sources, and what is remembered of them."""

import logging
import stat
from pathlib import Path

import pytest

from streamer.errors import SettingsError
from streamer.live.switches import Switches


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "switches.json"


def test_a_source_switched_off_stays_off_after_a_restart_until_it_is_switched_on(file: Path) -> None:
    first = Switches(file)
    for name in ("kitchen", "caf\udce9.wav"):
        assert first.is_on(name)
        first.turn(name, on=False)
    second = Switches(file)
    assert [second.is_on(name) for name in ("kitchen", "caf\udce9.wav", "door")] == [False, False, True]
    second.turn("kitchen", on=True)
    assert Switches(file).is_on("kitchen")
    assert not Switches(file).is_on("caf\udce9.wav")


def test_without_a_file_nothing_is_remembered() -> None:
    switches = Switches()
    switches.turn("kitchen", on=False)
    assert not switches.is_on("kitchen")
    assert Switches().is_on("kitchen")


def test_only_its_owner_can_read_the_file_and_nothing_else_is_left_beside_it(file: Path) -> None:
    Switches(file).turn("door", on=True)
    assert not file.exists()
    Switches(file).turn("door", on=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_two_programs_keep_each_other_s_switches(file: Path) -> None:
    one, other = Switches(file), Switches(file)
    one.turn("kitchen", on=False)
    other.turn("door", on=False)
    again = Switches(file)
    assert not again.is_on("kitchen")
    assert not again.is_on("door")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"off": "door"}', '{"off": [1]}', "[" * 100_000, "\xff"]
)
def test_an_unreadable_file_keeps_all_sources_off(file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content, encoding="latin-1")
    with pytest.raises(SettingsError, match="can't be read; delete it to listen to all"):
        Switches(file)


def test_an_unwritable_file_keeps_a_switch_until_the_end_with_a_warning(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.write_text("a file where a folder should be")
    switches = Switches(file)
    switches.turn("door", on=False)
    assert not switches.is_on("door")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"door is switched off, which will be forgotten at the next start: {file} can't be written (File exists); "
        "make room there, and switch again"
    )
    file.parent.unlink()
    switches.turn("door", on=False)
    assert not Switches(file).is_on("door")
