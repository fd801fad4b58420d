import re
import stat
from pathlib import Path
from typing import Any

import pytest

from models.labels import audioset_classes
from streamer.errors import SettingsError
from streamer.events.catalogue import Watch
from streamer.events.watchlist import WatchLists
from streamer.settings.file import with_sources
from streamer.settings.loading import load_settings, where_set
from streamer.settings.schema import Settings


def load(file: Path | None = None, environment: dict[str, str] | None = None, **given: Any) -> Settings:
    isolated = {"EARSHOT_CONFIG": str(file)} if file else {}
    return load_settings(given, environment=isolated | (environment or {}))


@pytest.fixture(autouse=True)
def no_file_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("streamer.settings.loading.user_config_path", lambda _name: tmp_path / "nothing")


def test_defaults_are_those_of_the_help() -> None:
    settings = load()
    assert (settings.source, settings.model, settings.hop, settings.window, settings.top) == (
        ["mic"],
        "auto",
        1.0,
        None,
        5,
    )
    assert settings.hop_samples == 16_000
    assert settings.broker() is None


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('hop = 0.5\ntop = 3\nnode = "file"\n')
    settings = load(file, {"EARSHOT_TOP": "4", "EARSHOT_NODE": "environment"}, node="given", model=None)
    assert (settings.hop, settings.top, settings.node, settings.model) == (0.5, 4, "given", "auto")


def test_a_password_and_its_file_are_one_setting_of_which_the_highest_place_counts(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('mqtt_password_file = "/etc/secret"\nnotify = ["ntfy://x"]\n')
    found = load_settings(
        {},
        config=file,
        environment={"EARSHOT_MQTT_PASSWORD": "hunter2", "EARSHOT_NOTIFY_FILE": "/etc/phones"},
    )
    assert found.mqtt_password is not None
    assert (found.mqtt_password.get_secret_value(), found.mqtt_password_file) == ("hunter2", None)
    assert (found.notify, str(found.notify_file)) == ([], "/etc/phones")
    file.write_text('mqtt_password_file = "/etc/secret"\nmqtt_password = "hunter2"\n')
    with pytest.raises(SettingsError, match="give mqtt_password or mqtt_password_file, not both"):
        load_settings({}, config=file, environment={})


def test_credentials_in_the_address_of_a_higher_place_count(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('mqtt = "mqtt://broker"\nmqtt_username = "me"\nmqtt_password = "hunter2"\n')

    def credentials(address: str) -> tuple[str | None, str | None]:
        broker = load_settings({}, config=file, environment={"EARSHOT_MQTT": address}).broker()
        assert broker is not None
        return broker.username, broker.password

    assert credentials("mqtt://you:secret@other") == ("you", "secret")
    assert credentials("mqtt://you@other") == ("you", "hunter2")
    assert credentials("mqtt://other") == ("me", "hunter2")


def test_several_sources_come_from_the_environment() -> None:
    assert load(environment={"EARSHOT_SOURCE": "mic, door=mic:2"}).source == ["mic", "door=mic:2"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"hop": 0.0}, r"^--hop must be at least 0\.01 s, not 0\.0$"),
        ({"hop": 0.015}, r"^--hop must be a multiple of 0\.01 s, not 0\.015$"),
        ({"hop": float("nan")}, "^--hop must be a finite number, not nan$"),
        ({"window": 0.5}, "^--window must be at least 1 s, not 0.5$"),
        ({"window": 11.0}, "^--window must be at most 10.24 s, not 11.0$"),
        ({"top": 0}, "^--top must be at least 1, not 0$"),
        ({"engine": "warp"}, "^--engine must be auto, torch or openvino, not 'warp'$"),
        ({"device": "tpu"}, "^--device must be auto, cpu, cuda or cuda:NUMBER, not 'tpu'$"),
        ({"hop": True}, "^--hop must be a number, not true$"),
        ({"fast_window": True}, "^--fast-window must be a number, not true$"),
        ({"noise_offset_db": True}, "^--noise-offset-db must be a number, not true$"),
        ({"top": False}, "^--top must be a number, not false$"),
        ({"watch": [{"sound": "Dog", "hits": True}]}, "^hits in --watch must be a number, not true$"),
        ({"score_log": ""}, "^--score-log must not be empty$"),
        ({"kiosk_logo": ""}, "^--kiosk-logo must not be empty$"),
        (
            {"watch": [{"sound": "Dog", "quiet": "22-07"}]},
            "^quiet in --watch must be hours such as 22:00-07:00 or sat,sun 23:00-09:00, not '22-07'$",
        ),
        ({"duration": -1.0}, "^--duration must be more than 0 s, not -1.0$"),
        ({"node": "living room"}, "living room"),
        ({"mqtt_topic": "a/#"}, "topic"),
        ({"kiosk": True, "headless": True}, "exclude"),
        ({"hopp": 1.0}, "did you mean 'hop'"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        load(**given)
    assert "\n" not in str(caught.value)


def test_an_unknown_setting_in_the_file_names_the_file_and_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text("widow = 5.0\n")
    with pytest.raises(SettingsError, match=r"'widow' in the file .*earshot\.toml: did you mean 'window'"):
        load(file)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"hop = ", "not valid TOML"), (b"\xff\xfe", "not UTF-8"), (None, "can't be read")],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "earshot.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=complaint):
        load(file)


def test_a_password_on_the_command_line_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="EARSHOT_MQTT_PASSWORD") as caught:
        load(mqtt="mqtt://me:hunter2@broker")
    assert "hunter2" not in str(caught.value)


def test_an_address_with_a_password_is_never_repeated(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('mqtt = ["mqtt://me:hunter2@broker"]')
    with pytest.raises(SettingsError, match=r"^mqtt in the file .*earshot\.toml must be text$") as caught:
        load(file)
    assert "hunter2" not in str(caught.value)


def test_a_token_without_quotes_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text("model_token = 123456789")
    with pytest.raises(SettingsError, match="must be text$") as caught:
        load(file)
    assert "123456789" not in str(caught.value)


@pytest.mark.parametrize("name", ["10:30 ann@home.wav", "clip?token=1.mp3", "mail:me@here.wav"])
def test_a_file_has_no_password_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).touch()
    address = str(tmp_path / name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (address, f"hall={address}", f"{address}#2", f"hall=~/{name}"):
        assert load(source=[source]).sources[0].address == source.removeprefix("hall=")
    assert address in with_sources("", {"hall": address}, {"hall": "hall=mic"})
    with pytest.raises(SettingsError, match="other users can read a password"):
        load(source=["rtsp://me:secret@camera/1"])


def test_the_password_comes_from_the_environment() -> None:
    broker = load(environment={"EARSHOT_MQTT_PASSWORD": "hunter2"}, mqtt="mqtt://me@broker").broker()
    assert broker is not None
    assert (broker.host, broker.username, broker.password) == ("broker", "me", "hunter2")
    assert "hunter2" not in repr(broker)


def test_the_password_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(stat.S_IRUSR)
    broker = load(mqtt="mqtt://me@broker", mqtt_password_file=str(secret)).broker()
    assert broker is not None
    assert broker.password == "hunter2"


def test_a_missing_password_file_is_named() -> None:
    with pytest.raises(SettingsError, match="mqtt_password_file"):
        load(mqtt="mqtt://me@broker", mqtt_password_file="/no/such/file").broker()


def test_no_error_shows_a_password() -> None:
    with pytest.raises(SettingsError) as caught:
        load(
            environment={"EARSHOT_MQTT_PASSWORD": "hunter2", "EARSHOT_MQTT_PASSWORD_FILE": "/x"},
            mqtt="mqtt://a@b",
        )
    assert "hunter2" not in str(caught.value)


def test_files_for_tls_go_with_the_broker() -> None:
    broker = load(
        mqtt="mqtts://broker", mqtt_ca="~/ca.pem", mqtt_certificate="/ear.pem", mqtt_key="/ear.key"
    ).broker()
    assert broker is not None
    assert (broker.tls, broker.port) == (True, 8883)
    assert (broker.ca_file, broker.certificate_file, broker.key_file) == (
        Path.home() / "ca.pem",
        Path("/ear.pem"),
        Path("/ear.key"),
    )


@pytest.mark.parametrize("given", [{"mqtt_ca": "/ca.pem"}, {"mqtt_certificate": "/ear.pem"}])
def test_files_for_tls_without_tls_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="mqtts://HOST"):
        load(mqtt="mqtt://broker", **given).broker()


def test_a_key_without_a_certificate_is_refused() -> None:
    with pytest.raises(SettingsError, match="give mqtt_certificate too"):
        load(mqtt="mqtts://broker", mqtt_key="/ear.key")


def test_the_embedded_broker_needs_no_address() -> None:
    settings = load(mqtt="embedded")
    assert settings.embedded_broker
    assert settings.broker() is None
    assert not load(mqtt="mqtt://broker").embedded_broker


def test_the_history_is_in_the_users_data_folder_or_where_it_is_set_or_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("streamer.settings.storage.user_data_path", lambda _name: tmp_path)
    assert load().history_file == tmp_path / "history.sqlite3"
    assert load(history="~/heard.sqlite3").history_file == Path.home() / "heard.sqlite3"
    assert load(environment={"EARSHOT_HISTORY": "off"}).history_file is None
    assert (load().history_days, load().history_events) == (30.0, 100_000)


@pytest.mark.parametrize("given", [{"history": ""}, {"history_days": 0.0}, {"history_events": 0}])
def test_a_history_that_keeps_nothing_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="^--history"):
        load(**given)


def test_clips_are_off_and_would_be_in_the_users_data_folder_without_speech(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("streamer.settings.storage.user_data_path", lambda _name: tmp_path)
    settings = load()
    assert (settings.clips, settings.clips_path) == (False, tmp_path / "clips")
    assert (settings.clips_pre_seconds, settings.clips_post_seconds, settings.clips_longest_seconds) == (
        2,
        2,
        30,
    )
    assert (settings.clips_days, settings.clips_megabytes) == (7, 500)
    assert settings.excluded_from_clips == [Watch("Speech")]
    assert load(clips_folder="~/heard").clips_path == Path.home() / "heard"


def test_clips_never_comes_from_the_environment_and_the_file(tmp_path: Path) -> None:
    assert load(environment={"EARSHOT_CLIPS_NEVER": "[]"}).excluded_from_clips == []
    named = load(environment={"EARSHOT_CLIPS_NEVER": "Speech, Shout", "EARSHOT_CLIPS": "1"})
    assert (named.clips, named.excluded_from_clips) == (True, [Watch("Speech"), Watch("Shout")])
    file = tmp_path / "earshot.toml"
    file.write_text('clips_never = ["Shout", { sound = "Speech", threshold = 0.2 }]\n')
    assert load(file).excluded_from_clips == [Watch("Shout"), Watch("Speech", {"threshold": 0.2})]
    file.write_text("clips_never = []\n")
    assert load(file).excluded_from_clips == []


@pytest.mark.parametrize(
    "given",
    [
        {"clips_folder": ""},
        {"clips_pre_seconds": -1.0},
        {"clips_post_seconds": 61.0},
        {"clips_longest_seconds": 0.5},
        {"clips_longest_seconds": 601.0},
        {"clips_days": 0.0},
        {"clips_megabytes": 0},
        {"clips_never": [{"sound": "Speech", "hits": 2}]},
        {"clips_never": 5},
    ],
)
def test_clips_out_of_range_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=f"--{next(iter(given)).replace('_', '-')}"):
        load(**given)


def test_json_and_fast_need_no_window() -> None:
    assert load(json=True).windowless
    assert load(fast=True).windowless
    assert not load().windowless


ROOMS = """\
clips = true
watch = ["Dog"]

[[source]]
name = "kitchen"
spec = "mic:USB"
watch = ["Smoke alarm", { sound = "Dog", threshold = 0.4 }]
hop = 0.5

[[source]]
name = "bedroom"
spec = "mic:2"
watch = []
clips = false
"""


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    file = tmp_path / "earshot.toml"
    file.write_text(ROOMS)
    return file


def specs(settings: Settings) -> list[tuple[str, str]]:
    return [(source.name, source.address) for source in settings.sources]


def test_a_source_has_settings_of_its_own_or_those_that_hold_for_all(rooms: Path) -> None:
    settings = load(rooms)
    kitchen, bedroom = settings.sources
    assert (kitchen.name, kitchen.address, kitchen.hop_samples, kitchen.clips) == (
        "kitchen",
        "mic:USB",
        8_000,
        True,
    )
    assert kitchen.watch == [Watch("Smoke alarm"), Watch("Dog", {"threshold": 0.4})]
    assert (bedroom.hop_samples, bedroom.watch, bedroom.clips) == (16_000, [], False)
    assert settings.mean_hop == pytest.approx(2 / 3), "three windows in a second"
    (plain,) = load().sources
    assert (plain.watch, plain.hop_samples, plain.clips) == (None, 16_000, False)


def test_strings_and_tables_may_be_mixed_in_one_list(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(
        'source = ["mic", "door=mic:2", { name = "garden, behind", spec = "rtsp://camera/a,b" }]\n'
    )
    assert specs(load(file)) == [("", "mic"), ("door", "mic:2"), ("garden, behind", "rtsp://camera/a,b")]


def test_a_name_alone_chooses_a_source_of_the_file_with_all_its_settings(rooms: Path) -> None:
    settings = load(rooms, source=["kitchen"])
    assert specs(settings) == [("kitchen", "mic:USB")]
    assert settings.watch_overrides == {"kitchen": load(rooms).watch_overrides["kitchen"]}


def test_a_source_on_the_command_line_keeps_the_settings_of_its_name(rooms: Path) -> None:
    kitchen, other = load(rooms, source=["kitchen=demo", "door.wav"]).sources
    assert (kitchen.address, kitchen.hop_samples, kitchen.watch) == (
        "demo",
        8_000,
        load(rooms).sources[0].watch,
    )
    assert (other.address, other.watch) == ("door.wav", None)


def test_options_and_environment_hold_for_every_source(rooms: Path) -> None:
    given = load(rooms, {"EARSHOT_HOP": "2"}, watch=["Siren"])
    assert [source.hop_samples for source in given.sources] == [32_000, 32_000]
    assert (given.watch_overrides, given.watched) == ({}, [Watch("Siren")])
    assert not any(source.clips for source in load(rooms, {"EARSHOT_CLIPS": "0"}).sources)


def test_a_source_without_clips_overrides_the_setting_for_all(rooms: Path) -> None:
    assert [source.clips for source in load(rooms, clips=True).sources] == [True, False]


def test_a_list_in_the_environment_is_json_where_names_have_commas() -> None:
    given = load(
        environment={
            "EARSHOT_WATCH": '["Chirp, tweet", {"sound": "Dog", "threshold": 0.4}]',
            "EARSHOT_SOURCE": '["rtsp://camera/a,b", {"name": "garden", "spec": "mic", "watch": []}]',
            "EARSHOT_CLIPS_NEVER": '["Male speech, man speaking"]',
        }
    )
    assert given.watched == [Watch("Chirp, tweet"), Watch("Dog", {"threshold": 0.4})]
    assert specs(given) == [("", "rtsp://camera/a,b"), ("garden", "mic")]
    assert given.watch_overrides == {"garden": []}
    assert given.excluded_from_clips == [Watch("Male speech, man speaking")]
    with pytest.raises(SettingsError, match="^EARSHOT_WATCH is not a valid JSON list"):
        load(environment={"EARSHOT_WATCH": '["Chirp, tweet'})


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('name = "kitchen"', "^spec of the source 'kitchen' in the file "),
        ('spec = "rtsp://me:hunter2@camera"', "^name of source number 1 in the file "),
        ('name = " "\nspec = "mic"', "^name of source number 1 in the file "),
        (
            'name = "kitchen"\nspec = ["rtsp://me:hunter2@camera"]',
            "^spec of the source 'kitchen' in the file ",
        ),
        (
            'name = "kitchen"\nspec = "mic"\nhop = 0.015',
            "^hop of the source 'kitchen' in the file .* must be a multiple of 0.01 s, not 0.015",
        ),
        (
            'name = "kitchen"\nspec = "mic"\nwatch = [{ sound = "Dog", hits = 0 }]',
            "^watch.hits of the source 'kitchen' in the file .* must be at least 1, not 0",
        ),
        (
            'name = "kitchen"\nspec = "rtsp://me:hunter2@camera"\nmqtt = "b"',
            "^mqtt of .* is unknown: .* above the first",
        ),
    ],
)
def test_a_wrong_setting_of_a_source_is_named_with_the_source(
    tmp_path: Path, lines: str, complaint: str
) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(f"[[source]]\n{lines}\n")
    with pytest.raises(SettingsError, match=complaint) as caught:
        load(file)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('[source]\nname = "kitchen"\nspec = "mic"', "two brackets"),
        ("source = [5]", "source number 1"),
        ("source = 5", "^source in the file .* must be a list$"),
        ("source = []", "^source in the file .* must not be empty$"),
    ],
)
def test_an_invalid_list_of_sources_is_refused(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(line)
    with pytest.raises(SettingsError, match=complaint):
        load(file)


def test_the_settings_in_the_page_on_rooms_are_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "rooms.md").read_text()
    whole, short = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    labels = [entry.name for entry in audioset_classes()]
    file = tmp_path / "earshot.toml"
    for text in (whole, short):
        file.write_text(text)
        settings = load(file)
        watched = WatchLists(settings.watched, settings.watch_overrides, labels)
        assert all(watchlist.sounds for watchlist in watched.overrides.values())
    file.write_text(whole)
    variables = dict(re.findall(r"^    (EARSHOT_\w+)='(.*)'$", page, re.MULTILINE))
    settings = load(file, variables)
    assert specs(settings) == [("kitchen", "mic:USB"), ("yard", "yard,north.wav")]
    assert settings.watch_overrides == {"yard": [Watch("Dog")]}
    assert settings.watched == [Watch("Chirp, tweet"), Watch("Dog", {"threshold": 0.4})]


def test_a_password_in_an_address_belongs_into_the_environment_or_the_file(tmp_path: Path) -> None:
    for spec in ("rtsp://ann:hunter2@camera/1", "yard=http://camera/1?token=hunter2"):
        with pytest.raises(SettingsError, match="EARSHOT_SOURCE or the settings file") as caught:
            load(source=[spec])
        assert "hunter2" not in str(caught.value)
        assert load(environment={"EARSHOT_SOURCE": spec}).source == [spec]
        file = tmp_path / "earshot.toml"
        file.write_text(f'source = ["{spec}"]\n')
        assert load(file).source == [spec]
        (place,) = where_set({}, config=file, environment={})
        assert place.secret_file == file
    assert load(source=["rtsp://camera/1"]).source == ["rtsp://camera/1"]


@pytest.mark.parametrize("name", ["NODE", "HOP", "SOURCE", "WATCH", "MQTT", "CLIPS", "NOSUCH"])
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    assert load(environment={f"EARSHOT_{name}": ""}) == load()


def test_variables_of_a_service_in_kubernetes_are_no_settings() -> None:
    service = {"HOST": "10.0.0.11", "PORT": "8000", "PORT_HTTP": "8000"}
    address = {"TCP": "tcp://10.0.0.11:8000", "TCP_PROTO": "tcp", "TCP_PORT": "8000", "TCP_ADDR": "10.0.0.11"}
    for prefix in ("EARSHOT", "EARSHOT_METRICS", "EARSHOT_2"):
        variables = {f"{prefix}_SERVICE_{name}": value for name, value in service.items()}
        variables |= {f"{prefix}_PORT_8000_{name}": value for name, value in address.items()}
        assert load(environment=variables | {f"{prefix}_PORT": "tcp://10.0.0.11:8000"}) == load()
    assert load(environment={"EARSHOT_METRICS_PORT": "9000"}).metrics_port == 9000
    with pytest.raises(SettingsError, match="unknown setting 'port' in the environment"):
        load(environment={"EARSHOT_PORT": "8000"})


def test_a_deeply_nested_list_is_refused() -> None:
    with pytest.raises(SettingsError, match="EARSHOT_SOURCE is not a valid JSON list"):
        load(environment={"EARSHOT_SOURCE": 100_000 * "["})


def test_a_byte_order_mark_is_no_part_of_a_file_and_its_password(tmp_path: Path) -> None:
    file, password = tmp_path / "earshot.toml", tmp_path / "password"
    password.write_bytes(b"\xef\xbb\xbfhunter2\r\n")
    file.write_bytes(
        b'\xef\xbb\xbfhop = 0.5\r\nmqtt = "mqtt://me@broker"\r\nmqtt_password_file = "%s"\r\n'
        % bytes(password)
    )
    settings = load_settings({}, config=file, environment={})
    broker = settings.broker()
    assert broker is not None
    assert (settings.hop, broker.password) == (0.5, "hunter2")


def test_an_address_in_the_place_of_a_name_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('"rtsp://ann:hunter2@cam/" = 1\n')
    with pytest.raises(SettingsError, match="unknown setting 'rtsp://cam'") as error:
        load_settings({}, config=file, environment={})
    assert "hunter2" not in str(error.value)


def test_a_malformed_source_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('source = [{ url = "rtsp://ann:hunter2@camera" }]\n')
    with pytest.raises(SettingsError, match="source number 1") as caught:
        load(file)
    assert "hunter2" not in str(caught.value)


def test_a_kiosk_has_short_windows_unless_they_are_set() -> None:
    assert (load(kiosk=True).hop, load(kiosk=True).window) == (0.25, 2.56)
    assert (load(kiosk="true").hop, load(kiosk="false").hop) == (0.25, 1.0)
    chosen = load(kiosk=True, hop=1.0, window=10.24)
    assert (chosen.hop, chosen.window) == (1.0, 10.24)
    assert load(kiosk=True, hop=1.0).window == 2.56


def test_the_look_of_a_kiosk_is_set() -> None:
    plain = load()
    assert (plain.kiosk_text, plain.kiosk_logo, plain.kiosk_hide, plain.language) == ("", None, [], "en")
    chosen = load(kiosk_hide="Silence,Speech", language="de", kiosk_text="Klatsch!")
    assert (chosen.kiosk_hide, chosen.language, chosen.kiosk_text) == (
        ["Silence", "Speech"],
        "de",
        "Klatsch!",
    )
    assert load(kiosk_hide=["", " ", "Speech"]).kiosk_hide == ["Speech"]
    with pytest.raises(SettingsError, match="language"):
        load(language="fr")


def test_a_kiosk_waits_for_its_sources() -> None:
    assert load(kiosk=True).waits_for_sources
    assert load(wait_for_sources=True).waits_for_sources
    assert not load(headless=True).waits_for_sources
