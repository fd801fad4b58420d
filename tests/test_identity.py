"""Identities of sources over MQTT: from their names alone, whatever comes, goes, or is listed first."""

import itertools
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.sinks.mqtt.memory import AnnouncedNames, Place
from streamer.sinks.mqtt.topics import Topics
from streamer.text import identity, numbered_slugs, slug, slugs

names = st.lists(
    st.one_of(st.sampled_from(["Комната 1", "Спальня 1", "厨房 1", "a", "A", "a_2", "ä"]), st.text())
)


@pytest.mark.parametrize(
    "name", ["Front Door", "Küche", "Straße 4", "Kjøkken", "rtsp://camera/+/#", "Café 2", "玄関", "łazienka"]
)
def test_names_whose_slug_says_enough_keep_it(name: str) -> None:
    assert identity(name) == slug(name)


@pytest.mark.parametrize(
    "rooms", [("Комната 1", "Спальня 1"), ("厨房 1", "卧室 1"), ("camera 厨房", "camera 卧室")]
)
def test_names_in_other_scripts_have_identities_of_their_own_in_any_order(rooms: tuple[str, str]) -> None:
    (first, second) = rooms
    together = slugs(rooms)
    assert len(set(together.values())) == 2
    assert together == slugs((second, first)) == slugs([first]) | slugs([second])
    assert identity(first).startswith(f"{slug(first)}_x")


def test_very_long_names_have_short_identities_that_differ() -> None:
    parts = slugs(["a" * 70_000, "a" * 70_001, "b c" * 30_000]).values()
    assert len(set(parts)) == 3
    assert all(len(part) < 220 for part in parts)


@given(names)
def test_no_order_changes_an_identity(names: list[str]) -> None:
    expected = slugs(names)
    assert slugs(reversed(names)) == expected
    assert slugs(sorted(names)) == expected
    assert list(expected) == list(dict.fromkeys(names))
    assert len(set(expected.values())) == len(expected)
    assert all(slug(part) == part for part in expected.values())


def test_a_source_that_is_removed_hands_its_identity_to_no_other(tmp_path: Path) -> None:
    file = tmp_path / "announced.json"
    before = AnnouncedNames(file).parts(["front door", "Front-Door", "hall"])
    for remaining in itertools.permutations(["Front-Door", "FRONT DOOR", "hall"]):
        after = AnnouncedNames(file).parts(remaining)
        assert after["Front-Door"] == before["Front-Door"]
        assert after["FRONT DOOR"] not in before.values()
    assert AnnouncedNames(file).parts(["front door"]) == {"front door": before["front door"]}


def test_events_of_a_removed_source_keep_their_topic(tmp_path: Path) -> None:
    file = tmp_path / "announced.json"
    parts = AnnouncedNames(file).parts(["Cam 1", "cam-1"])
    names = AnnouncedNames(file)
    topics = Topics("earshot/n", ["Cam 1"], parts=names.parts(["Cam 1"]), part_of=names.part)
    assert topics.events("Cam 1") == "earshot/n/cam_1/events"
    assert topics.events("cam-1") == f"earshot/n/{parts['cam-1']}/events" != topics.events("Cam 1")


def test_a_source_that_nobody_remembers_has_no_topic_of_another() -> None:
    for topics in (
        Topics("earshot/n", ["Cam 1"]),
        Topics("earshot/n", ["Cam 1"], part_of=AnnouncedNames(None, ["Cam 1"]).part),
    ):
        for stranger in ("cam-1", "Комната 1", "a" * 70_000):
            assert topics.part(stranger) not in {"cam_1", slug(stranger)}
        assert topics.part("hall") == "hall"


def test_a_thousand_names_in_any_script_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "announced.json"
    rooms = [f"{number:04}{'🐶' * 60}" for number in range(1000)]
    parts = AnnouncedNames(file).parts(rooms)
    assert AnnouncedNames(file).part(rooms[0]) == parts[rooms[0]]
    assert AnnouncedNames(file).parts(rooms[500:501]) == {rooms[500]: parts[rooms[500]]}
    assert set(json.loads(file.read_text())["sources"]) == set(rooms)


def test_sources_of_an_older_version_stay_where_they_were(tmp_path: Path) -> None:
    rooms = ["Спальня 1", "Комната 1", "b", "B"]
    file = tmp_path / "announced.json"
    assert AnnouncedNames(file, rooms).parts(rooms) == numbered_slugs(rooms)
    again = AnnouncedNames(file, ["other"]).parts(["Комната 1", "кухня 1"])
    assert again["Комната 1"] == "1_2"
    assert again["кухня 1"] == identity("кухня 1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "null",
        '{"sources": {"a": 1, "b": "X/#", "c": []}}',
        '{"sources": [], "places": [1, [2]]}',
        "[" * 9999,
    ],
)
def test_an_unreadable_file_of_names_changes_nothing_but_what_it_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "announced.json"
    file.write_text(text)
    memory = AnnouncedNames(file)
    assert memory.parts(["a", "Комната 1"]) == slugs(["a", "Комната 1"])
    assert memory.move_to(Place("attic", "earshot/attic")) is None
    assert set(json.loads(file.read_text())["sources"]) == {"a", "Комната 1"}


def test_names_that_cannot_be_kept_are_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").touch()
    memory = AnnouncedNames(tmp_path / "folder" / "announced.json")
    assert [memory.parts([name])[name] for name in ("a", "b")] == ["a", "b"]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) <= 2


def test_the_place_before_is_returned_once_until_it_is_left(tmp_path: Path) -> None:
    file = tmp_path / "announced.json"
    old, new = (
        Place("attic", "earshot/attic", "homeassistant"),
        Place("loft", "earshot/loft", "homeassistant"),
    )
    assert AnnouncedNames(file).move_to(old) is None
    assert AnnouncedNames(file).move_to(old) is None
    assert AnnouncedNames(file).move_to(new) == old
    assert AnnouncedNames(file).move_to(new) is None
    AnnouncedNames(file).leave("loft", "earshot/loft")
    assert AnnouncedNames(file).move_to(new) == old
