"""Thresholds for a room: what is proposed, and how the settings file changes."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.commands.thresholds import Background, ThresholdCalibrator
from streamer.errors import SettingsError
from streamer.events.catalogue import Watch, resolve_sounds
from streamer.events.detector import EventDetector
from streamer.events.watchlist import WatchLists
from streamer.messages import SourceStatus, Tagging
from streamer.runtime.timing import format_duration, parse_duration
from streamer.settings.file import (
    difference,
    edited,
    with_rules,
    write_atomically,
)
from streamer.settings.loading import load_settings

RATE = 16_000
LABELS = ("Dog", "Bark", "Siren")


def tagging(second: int, *scores: float, source: str = "x") -> Tagging:
    start = max(0, second - 10) * RATE
    padded = np.array([*scores, *[0.0] * (len(LABELS) - len(scores))], np.float32)
    return Tagging(source, start, second * RATE, 1000.0 + second, padded, -20.0, None)


def listened(
    scores: list[float], *, source: str = "x", into: Background | None = None, **rule: Any
) -> tuple[Background, Any]:
    sounds = resolve_sounds([Watch("Dog", {"threshold": 0.5} | rule)], LABELS)
    room = into or Background(sounds)
    for second, score in enumerate(scores, 1):
        room.accept(tagging(second, score, source=source))
    (heard,) = room.stats()
    return room, heard


def test_a_quiet_room_changes_nothing() -> None:
    room, heard = listened([0.1, 0.2, 0.3, 0.2])
    assert (heard.events, heard.proposal()) == (0, None)
    assert (room.windows, room.seconds) == (4, 4.0)
    assert room.changes() == {}


def test_a_threshold_is_set_just_above_the_loudest_false_event() -> None:
    _, heard = listened([0.9, 0.1, 0.1, 0.6, 0.7, 0.1])  # two of three windows: 0.6, not 0.9 nor 0.7
    assert (heard.events, heard.reached, heard.at) == (1, pytest.approx(0.6), 1005.0)
    assert heard.proposal() == 0.653


@given(
    st.lists(st.floats(0.0, 0.875, width=32), min_size=2, max_size=40), st.integers(1, 3), st.integers(3, 5)
)
def test_with_the_proposal_the_room_is_silent(scores: list[float], hits: int, of: int) -> None:
    _, heard = listened(scores, hits=hits, of=of)
    threshold = heard.proposal() or 0.5
    sounds = resolve_sounds([Watch("Dog", {"threshold": threshold, "hits": hits, "of": of})], LABELS)
    detector = EventDetector(sounds)
    assert not [event for n, score in enumerate(scores, 1) for event in detector.feed(tagging(n, score))]


def test_only_the_classes_that_are_too_sensitive_are_raised(tmp_path: Path) -> None:
    model = np.array([0.67, 0.2, 0.9], np.float32)
    watchlists = WatchLists([Watch("Dog")], {}, LABELS, model)
    before = watchlists.shared.sounds[0].thresholds
    room = Background(watchlists.shared.sounds)
    for second in range(1, 5):  # it sounds a little like a dog, and rather like barking
        room.accept(tagging(second, 0.5, 0.23))
    (heard,) = room.stats()
    assert heard.events == 1
    assert [heard.reached, heard.false] == pytest.approx([0.5, 0.23])
    assert heard.proposal() == 0.272
    assert room.changes() == {"Dog": {"minimum_threshold": 0.272}}
    watchlists.shared.change_rule("Dog", room.changes()["Dog"])
    assert before == pytest.approx((0.67, 0.2))
    assert watchlists.shared.sounds[0].thresholds == (before[0], 0.272)
    file = tmp_path / "earshot.toml"
    rooms = ThresholdCalibrator(WatchLists([Watch("Dog")], {}, LABELS, model))
    for second in range(1, 5):
        rooms.accept(tagging(second, 0.5, 0.23))
    write_atomically(file, rooms.change_of_settings(file)[0])
    watched = load_settings({}, config=file, environment={}).watched
    assert watched == [Watch("Dog", {"minimum_threshold": 0.272})]
    watchlists.shared.watch("Dog", 0.25)  # as a person wants it
    assert watchlists.shared.sounds[0].thresholds == (0.25, 0.25)


def test_thresholds_are_lowered_only_on_demand_and_not_below_the_catalogue_s() -> None:
    sounds = resolve_sounds([Watch("Siren")], LABELS, np.array([0.9, 0.9, 0.9], np.float32))
    room = Background(sounds)
    for second in range(1, 5):
        room.accept(tagging(second, 0.0, 0.0, 0.1))
    (heard,) = room.stats()
    assert heard.proposal() is None
    assert heard.proposal(lower=True) == sounds[0].sound.threshold == 0.3


def test_a_threshold_of_the_user_s_can_be_lowered_too() -> None:
    _, heard = listened([0.03, 0.03, 0.03], threshold=0.95)
    assert heard.proposal() is None
    assert heard.proposal(lower=True) == 0.3


def test_a_background_that_nothing_exceeds_is_called_hopeless() -> None:
    _, heard = listened([0.99, 0.99, 0.99])
    assert heard.is_hopeless
    assert heard.proposal() == 0.95


def test_a_threshold_that_is_higher_than_any_proposal_stays() -> None:
    _, heard = listened([0.99, 0.99, 0.99], threshold=0.97)
    assert heard.is_hopeless
    assert (heard.events, heard.proposal(), heard.proposal(lower=True)) == (1, None, None)


def test_the_loudest_of_all_sources_counts_and_none_reaches_into_another() -> None:
    room, _ = listened([0.6])
    _, heard = listened([0.6], source="y", into=room)
    assert (heard.events, heard.reached) == (0, 0.0)  # one window each: no two of three
    _, heard = listened([0.0, 0.7, 0.7], source="z", into=room)
    assert (heard.source, heard.reached) == ("z", pytest.approx(0.7))


def test_a_source_that_was_switched_off_starts_again_from_nothing() -> None:
    room, _ = listened([0.6])
    room.accept(SourceStatus("x", online=False))
    _, heard = listened([0.6], into=room)
    assert (heard.events, heard.reached) == (0, 0.0)


def test_a_cooldown_counts_over_an_interruption_as_in_the_live_program() -> None:
    rule: dict[str, Any] = {"hits": 1, "of": 1, "cooldown_seconds": 60.0}
    room, heard = listened([0.9, 0.9], **rule)
    room.accept(SourceStatus("x", online=False))
    assert heard.events == 1
    for second in (20, 21):
        room.accept(tagging(second, 0.9))
    (heard,) = room.stats()
    assert heard.events == 1
    assert room.seconds == 4.0 + 9.0, "the first window of each stretch counts whole"


def loud_rooms(*own: str) -> ThresholdCalibrator:
    """A dog, where none is, is heard in every room; these have a list of their own."""
    rule = {"threshold": 0.5}
    rooms = ThresholdCalibrator(
        WatchLists([Watch("dog", rule)], {source: [Watch("Dog", rule)] for source in own}, LABELS)
    )
    for source, score in ("x", 0.6), *((source, 0.7) for source in own):
        for second in range(1, 4):
            rooms.accept(tagging(second, score, source=source))
    return rooms


SETTINGS = """\
# the attic
hop = 0.5  # fast
watch = [
    "dog",  # barks
    "Cat",
    { sound = "Doorbell", hits = 3 },
]
"""


def test_the_diff_touches_nothing_but_the_thresholds(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(SETTINGS)
    text, diff = loud_rooms().change_of_settings(file)
    assert [line for line in diff.splitlines()[2:] if line[0] in "+-"] == [
        '-    "dog",  # barks',
        '+    {sound = "dog", threshold = 0.653},  # barks',
    ]
    assert tomllib.loads(text)["watch"] == [
        {"sound": "dog", "threshold": 0.653},
        "Cat",
        {"sound": "Doorbell", "hits": 3},
    ]
    assert file.read_text() == SETTINGS


@pytest.mark.parametrize(
    ("text", "watch"),
    [
        ("", [{"sound": "Dog", "threshold": 0.4}, "Cat"]),
        ('watch = "Dog, Cat"\n', [{"sound": "Dog", "threshold": 0.4}, "Cat"]),
        ('watch = ["Dog"]', [{"sound": "Dog", "threshold": 0.4}]),
        ('[[watch]]\nsound = "Dog"\nhits = 2\n', [{"sound": "Dog", "hits": 2, "threshold": 0.4}]),
        ('watch = ["Cat"]', ["Cat", {"sound": "Dog", "threshold": 0.4}]),
        (
            '[[watch]]\nsound = "Cat"\n',
            [{"sound": "Cat"}, {"sound": "Dog", "threshold": 0.4}],
        ),
        (
            'watch = [{ sound = "Dog", threshold = 0.2, of = 4 }]',
            [{"sound": "Dog", "threshold": 0.4, "of": 4}],
        ),
    ],
)
def test_every_way_to_write_the_watch_list_takes_a_threshold(text: str, watch: list[object]) -> None:
    assert (
        tomllib.loads(with_rules(text, {"Dog": {"threshold": 0.4}}, {"Dog": {}, "Cat": {}}))["watch"] == watch
    )


@pytest.mark.parametrize(
    ("rule", "model_threshold", "background", "proposed"),
    [
        ({"threshold": 0.6, "off_threshold": 0.5}, 0.0, 0.03, 0.3),
        ({"off_threshold": 0.25}, 0.1, 0.12, 0.146),
    ],
)
def test_a_lower_threshold_above_the_proposal_is_lowered_with_it(
    rule: dict[str, float], model_threshold: float, background: float, proposed: float, tmp_path: Path
) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(edited("", {"watch": [{"sound": "dog", **rule}]}))
    watched = load_settings({}, config=file, environment={}).watched
    model = np.full(len(LABELS), model_threshold, np.float32)
    rooms = ThresholdCalibrator(WatchLists(watched, {}, LABELS, model))
    for second in range(1, 5):
        rooms.accept(tagging(second, background))
    write_atomically(file, rooms.change_of_settings(file, lower=True)[0])
    watched = load_settings({}, config=file, environment={}).watched
    assert watched == [Watch("dog", {"threshold": proposed, "off_threshold": proposed})]
    assert resolve_sounds(watched, LABELS, model)[0].thresholds == (proposed, proposed)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("hits = 4, of = 3", "hits must be between 1 and of"),
        ("hits = 0", "watch in the settings file is invalid: hits"),
    ],
)
def test_no_change_is_proposed_that_would_be_refused_afterwards(
    rule: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(f'watch = [{{ sound = "Dog", {rule} }}]\n')  # other sounds are on the command line
    with pytest.raises(SettingsError, match=complaint):
        loud_rooms().change_of_settings(file)


def test_a_list_that_is_missing_in_the_file_is_written_with_its_rules() -> None:
    watched: dict[str, dict[str, Any]] = {"Dog": {"hits": 3}, "Siren": {"quiet": "always"}, "Bark": {}}
    assert tomllib.loads(with_rules("", {"Dog": {"threshold": 0.4}}, watched))["watch"] == [
        {"sound": "Dog", "hits": 3, "threshold": 0.4},
        {"sound": "Siren", "quiet": "always"},
        "Bark",
    ]


def test_settings_are_set_and_removed_and_comments_stay() -> None:
    text = edited("# mine\nhop = 1.0 # slow\ntop = 3\n", {"hop": 0.5, "top": None, "node": "attic"})
    assert text == '# mine\nhop = 0.5 # slow\nnode = "attic"\n'
    nested = edited('[[watch]]\nsound = "Dog"\n', {"hop": 0.5})
    assert tomllib.loads(nested) == {"watch": [{"sound": "Dog"}], "hop": 0.5}


def test_each_list_gets_what_its_own_sources_ask_for(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('watch = ["Dog"]\n\n[[source]]\nname = "kitchen" # loud\nspec = "mic"\nwatch = ["Dog"]\n')
    rooms = loud_rooms("kitchen")
    assert (set(rooms.backgrounds), rooms.seconds) == ({None, "kitchen"}, 6.0)
    text, _ = rooms.change_of_settings(file)
    assert text == (
        'watch = [{sound = "Dog", threshold = 0.653}]\n\n'
        '[[source]]\nname = "kitchen" # loud\nspec = "mic"\nwatch = [{sound = "Dog", threshold = 0.745}]\n'
    )


def test_a_sources_own_list_missing_from_the_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'kitchen' has no table in the settings file"):
        loud_rooms("kitchen").change_of_settings(tmp_path / "earshot.toml")


def test_a_diff_shows_nothing_of_the_lines_around(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('mqtt_password = "hunter2"\nwatch = ["Dog"]\nmqtt = "mqtt://me:hunter2@broker"\n')
    _, diff = loud_rooms().change_of_settings(file)
    assert "0.653" in diff
    assert "hunter2" not in diff


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://ann:hunter2@cam/live",
        "yard=rtsp://ann:hunter2@cam/live",
        "http://radio.example/live?token=hunter2",
        "rtsp://ann:hun\\u0074er2@cam/",
        "rtsp://ann:hunter2",
    ],
)
@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_diff_shows_no_password_of_an_inline_source_and_the_file_keeps_it(
    address: str, quote: str, tmp_path: Path
) -> None:
    file = tmp_path / "earshot.toml"
    spec = f"{quote}{address}{quote}"
    comment = "# before: http://ann:hunter2@cam/old"
    file.write_text(f'source = [{{name = "kitchen", spec = {spec}, watch = ["Dog"]}}]  {comment}\n')
    text, diff = loud_rooms("kitchen").change_of_settings(file)
    assert "0.745" in diff
    assert "hun" not in diff
    assert f"spec = {spec}, watch" in text
    assert comment in text


def test_a_diff_shows_no_password_that_stands_where_the_file_ends_without_a_newline(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('mqtt_password = "hunter2"')
    text, diff = loud_rooms().change_of_settings(file)
    assert 'mqtt_password = "hunter2"\n' in text
    assert "0.653" in diff
    assert "hunter2" not in diff


def test_line_ends_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_bytes(b'# mine\r\nwatch = ["Dog"]\r\nhop = 0.5\r\n')
    text, _ = loud_rooms().change_of_settings(file)
    write_atomically(file, text)
    assert file.read_bytes() == (b'# mine\r\nwatch = [{sound = "Dog", threshold = 0.653}]\r\nhop = 0.5\r\n')


def test_invalid_toml_is_reported_in_one_sentence() -> None:
    with pytest.raises(SettingsError, match="not valid TOML") as caught:
        edited("hop = ", {})
    assert "\n" not in str(caught.value)


def test_a_file_is_replaced_whole_with_its_permissions_and_through_links(tmp_path: Path) -> None:
    file, link = tmp_path / "earshot.toml", tmp_path / "link.toml"
    file.write_text("hop = 1.0\n")
    file.chmod(0o640)
    link.symlink_to(file)
    write_atomically(link, "hop = 0.5\n")
    assert link.is_symlink()
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("hop = 0.5\n", 0o640)
    assert list(tmp_path.iterdir()) == [file, link] or list(tmp_path.iterdir()) == [link, file]


def test_a_new_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "earshot.toml"
    write_atomically(file, "hop = 0.5\n")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SettingsError, match="can't be written"):
        write_atomically(tmp_path / "file" / "earshot.toml", "hop = 0.5\n")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_diff_marks_a_missing_newline_at_the_end() -> None:
    assert difference("a", "b\n", Path("f")).splitlines()[3:] == ["-a", "\\ No newline at end of file", "+b"]


def test_lengths_of_time_are_read_and_written() -> None:
    assert [parse_duration(text) for text in ("90", "90s", "1.5h", " 2w ")] == [90, 90, 5400, 1_209_600]
    for text in ("", "h", "-1s", "1 fortnight", "nan"):
        with pytest.raises(ValueError, match="is not a duration"):
            parse_duration(text)
    assert [format_duration(seconds) for seconds in (0.84, 185, 3723)] == ["0.8 s", "3:05", "1:02:03"]
