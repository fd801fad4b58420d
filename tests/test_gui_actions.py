"""Functions that the program gives the window, with real sessions and settings files."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from support.session import live_session

from earshot.window import window_actions
from gui.actions import Actions
from gui.errors import ActionError
from models.labels import audioset_classes
from streamer.errors import DeviceError, SettingsError, SourceError
from streamer.events.catalogue import Watch
from streamer.events.watchlist import WatchLists
from streamer.live.changes import LiveSettings, Running
from streamer.live.switches import Switches
from streamer.messages import Samples, Tagging
from streamer.settings.file import save
from streamer.settings.loading import load_settings
from streamer.sources import DEMO_PATH, join_address, open_source

AUDIOSET = tuple(entry.name for entry in audioset_classes())


def scorer(batch: Samples) -> Samples:
    return np.zeros((len(batch), len(AUDIOSET)), np.float32)


class Listening:
    """Session and watch lists made from a settings file."""

    def __init__(
        self,
        file: Path,
        environment: Mapping[str, str] = MappingProxyType({}),
        source: Sequence[object] | None = None,
    ) -> None:
        load = partial(load_settings, {"source": source}, config=file, environment=environment)
        self.settings = load()
        self.watchlists = WatchLists(self.settings.watched, self.settings.watch_overrides, AUDIOSET)
        sources = [open_source(source.address, name=source.name) for source in self.settings.sources]
        self.session = live_session(sources, scorer)
        running = Running(self.session, self.watchlists, lambda *_: None)
        self.live_settings = LiveSettings(self.settings, load, file, running)


def offers(
    file: Path, environment: Mapping[str, str] = MappingProxyType({}), source: Sequence[object] | None = None
) -> Actions:
    listening, switches = Listening(file, environment, source), Switches()
    return window_actions(listening.live_settings, listening.watchlists, switches.turn, switches)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "earshot.toml"
    path.write_text('# mine\nhop = 0.5 # twice a second\nsource = ["room=demo", "demo"]\nwatch = ["Dog"]\n')
    return path


@pytest.fixture
def offered(file: Path) -> Actions:
    return offers(file)


def test_changes_in_the_window_are_saved_and_the_rest_of_the_file_stays(offered: Actions, file: Path) -> None:
    assert offered.watch is not None
    assert offered.set_input is not None
    assert offered.save_settings is not None
    offered.watch("room", "Siren", None)
    offered.watch("room", "Siren", 0.4)
    offered.set_input("room", "demo")
    assert [sound.name for sound in offered.watched("demo")] == ["Dog", "Siren"]
    assert offered.save_settings("light") == str(file)
    assert file.read_text().startswith("# mine\nhop = 0.5 # twice a second\n")
    settings = load_settings({}, config=file, environment={})
    assert (settings.hop, settings.theme, settings.source) == (0.5, "light", ["room=demo", "demo"])
    assert settings.watched == [Watch("Dog"), Watch("Siren", {"threshold": 0.4})]


def test_the_theme_is_saved_again_as_it_was_at_the_start(offered: Actions, file: Path) -> None:
    assert offered.save_settings is not None
    for theme in ("light", "dark", "light"):
        offered.save_settings(theme)
        assert load_settings({}, config=file, environment={}).theme == theme


def test_what_the_environment_sets_is_saved_with_a_warning(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = offers(file, {"EARSHOT_WATCH": "Dog", "EARSHOT_SOURCE": "room=demo,hall=demo"})
    assert given.watch is not None
    assert given.set_input is not None
    assert given.save_settings is not None
    given.save_settings("light")
    assert not caplog.messages
    given.watch("room", "Siren", None)
    given.set_input("hall", str(DEMO_PATH))
    given.save_settings("light")
    end = (
        "is set in the environment or on the command line, so your changes of it last only until the restart"
    )
    assert caplog.messages == [f"source {end}", f"watch {end}"]


def test_a_password_from_the_environment_is_not_saved(file: Path) -> None:
    camera = "yard=rtsp://ann:hunter2@camera.invalid/1"
    given = offers(file, {"EARSHOT_SOURCE": f"room=demo,{camera}"})
    assert given.set_input is not None
    assert given.save_settings is not None
    file.write_text(before := "hop = 0.5\n")
    given.set_input("room", "demo")
    with pytest.raises(ActionError, match="yard=rtsp://camera.invalid has a password") as caught:
        given.save_settings("dark")
    assert "hunter2" not in str(caught.value)
    assert file.read_text() == before
    file.write_text(f'source = ["{camera}"]\n')
    given.save_settings("dark")
    assert load_settings({}, config=file, environment={}).source == ["room=demo", camera]


def test_unchanged_settings_are_not_saved(offered: Actions, file: Path) -> None:
    assert offered.save_settings is not None
    before = file.read_text()
    offered.save_settings("dark")
    assert file.read_text() == before


def test_a_source_name_that_could_not_be_read_back_is_refused() -> None:
    assert join_address("room", "mic:2") == "room=mic:2"
    for name in ("2026-01-01T12:00:00", "a=b", "a/b"):
        with pytest.raises(SourceError, match="NAME=SOURCE"):
            join_address(name, "demo")


def test_a_patient_source_may_start_without_its_microphone() -> None:
    with pytest.raises(DeviceError):
        open_source("mic:no such microphone")
    source = open_source("mic:no such microphone", allow_missing=True)
    assert source.name == "no such microphone"
    with pytest.raises(DeviceError):
        next(source.chunks())


def test_errors_reach_the_window_as_action_errors(offered: Actions, tmp_path: Path) -> None:
    assert offered.watch is not None
    assert offered.set_input is not None
    assert offered.play_clip is not None
    with pytest.raises(ActionError, match="no sound called"):
        offered.watch("room", "Dgo", None)
    with pytest.raises(ActionError, match=r"gone\.wav"):
        offered.set_input("room", str(tmp_path / "gone.wav"))
    with pytest.raises(ActionError, match=r"gone\.flac"):
        offered.play_clip(str(tmp_path / "gone.flac"))


def test_the_window_previews_events_for_a_threshold(offered: Actions) -> None:
    assert offered.preview_events is not None
    scores = np.zeros(len(AUDIOSET), np.float32)
    scores[AUDIOSET.index("Bark")] = 0.5
    taggings = [
        Tagging("room", 0, 16_000 * end, 1e9 + end, scores if end < 9 else 0 * scores, -20.0, None)
        for end in range(1, 30)
    ]
    ((began, ended),) = offered.preview_events("room", taggings, "Dog", 0.4)
    assert ended is not None
    assert 1e9 <= began < ended < 1e9 + 12
    assert list(offered.preview_events("room", taggings, "Dog", 0.6)) == []


def test_a_settings_file_with_invalid_toml_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "earshot.toml"
    path.write_text("hop = = 1")
    with pytest.raises(SettingsError, match="not valid TOML"):
        save(path, {"theme": "light"}, WatchLists(None, {}, AUDIOSET), {}, {})
    assert path.read_text() == "hop = = 1"


ROOMS = """\
watch = ["Dog"]

[[source]] # by the stove
name = "kitchen"
spec = "demo" # for now
watch = [
    "Smoke alarm", # the loud one
    "Alarm clock",
]

[[source]]
name = "hall"
spec = "demo"
"""


@pytest.fixture
def rooms(file: Path) -> Actions:
    file.write_text(ROOMS)
    return offers(file)


def test_each_source_shows_its_own_list_and_a_change_affects_no_other(rooms: Actions, file: Path) -> None:
    assert rooms.watch is not None
    assert rooms.unwatch is not None
    assert rooms.save_settings is not None
    rooms.watch("kitchen", "Smoke alarm", 0.6)
    rooms.unwatch("kitchen", "Alarm clock")
    assert [sound.name for sound in rooms.watched("kitchen")] == ["Smoke alarm"]
    assert [sound.name for sound in rooms.watched("hall")] == ["Dog"]
    rooms.save_settings("dark")
    assert file.read_text() == ROOMS.replace(
        '"Smoke alarm", # the loud one\n    "Alarm clock",\n',
        '{sound = "Smoke alarm", threshold = 0.6}, # the loud one\n',
    )
    settings = load_settings({}, config=file, environment={})
    assert settings.watch_overrides == {"kitchen": [Watch("Smoke alarm", {"threshold": 0.6})]}


def test_a_source_without_its_own_list_changes_the_shared_one(rooms: Actions, file: Path) -> None:
    assert rooms.watch is not None
    assert rooms.save_settings is not None
    rooms.watch("hall", "Siren", None)
    rooms.save_settings("dark")
    assert file.read_text() == ROOMS.replace('["Dog"]', '["Dog", "Siren"]')


def test_another_microphone_is_saved_into_the_table_of_its_source(rooms: Actions, file: Path) -> None:
    assert rooms.set_input is not None
    assert rooms.save_settings is not None
    rooms.set_input("kitchen", str(DEMO_PATH))
    rooms.save_settings("dark")
    assert file.read_text() == ROOMS.replace('spec = "demo" # for now', f'spec = "{DEMO_PATH}" # for now')


def test_each_sound_has_a_pictogram_of_its_kind_and_each_long_label_a_short_name(offered: Actions) -> None:
    kinds = {
        name: offered.families.get(name, "sound") for name in ("Smoke alarm", "Dog", "Speech", "Loud noise")
    }
    assert kinds == {"Smoke alarm": "alarm", "Dog": "animal", "Speech": "voice", "Loud noise": "sound"}
    assert offered.name_of("Wind instrument, woodwind instrument") == "Wind instrument"


def test_the_current_input_is_marked_and_a_password_in_it_is_not_shown(
    rooms: Actions, tmp_path: Path
) -> None:
    assert rooms.list_inputs is not None
    assert rooms.set_input is not None

    def current(source: str) -> list[str]:
        assert rooms.list_inputs is not None
        return [entry.title for entry in rooms.list_inputs(source) if entry.current]

    assert current("kitchen") == ["The demo"]
    recording = tmp_path / "noise.wav"
    recording.write_bytes(DEMO_PATH.read_bytes())
    rooms.set_input("kitchen", str(recording))
    assert current("kitchen") == [str(recording)]
    camera = "rtsp://earshot:secret@127.0.0.1:9/live"
    assert rooms.set_input("kitchen", camera) == "rtsp://127.0.0.1:9"
    assert current("kitchen") == ["rtsp://127.0.0.1:9"]


def test_an_input_replaced_by_reloaded_settings_is_not_saved(
    file: Path,
) -> None:
    listening = Listening(file)
    live_settings = listening.live_settings
    before = file.read_text()
    live_settings.choose("room", str(DEMO_PATH))
    live_settings.choose("demo", str(DEMO_PATH))
    listening.session.channels.exchange("room", open_source("room=demo"))
    assert live_settings.save({}) == file
    assert file.read_text() == before.replace('"demo"]', f'"demo={DEMO_PATH}"]')


@pytest.mark.parametrize("given", [["attic=demo"], ["kitchen", "attic=demo"]])
def test_a_source_missing_from_the_settings_file_does_not_delete_its_tables(
    file: Path, given: list[str]
) -> None:
    file.write_text(ROOMS)
    offered = offers(file, source=given)
    assert offered.set_input is not None
    assert offered.save_settings is not None
    offered.set_input("attic", "demo")
    with pytest.raises(ActionError, match="attic is not among the sources in the settings file"):
        offered.save_settings("dark")
    assert file.read_text() == ROOMS


def test_the_list_of_a_source_without_a_table_is_not_saved(file: Path) -> None:
    listed = [{"name": "attic", "spec": "demo", "watch": ["Dog"]}]
    offered = offers(file, source=listed)
    assert offered.watch is not None
    assert offered.save_settings is not None
    before = file.read_text()
    offered.watch("attic", "Siren", None)
    with pytest.raises(ActionError, match="'attic' has no table in the settings file"):
        offered.save_settings("dark")
    assert file.read_text() == before
