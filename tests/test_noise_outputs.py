"""Noise on its way out: sessions, health, MQTT, Home Assistant, metrics, the history and its command."""

import csv
import io
import json
import logging
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from support.fakes import Memory, scorer
from support.metrics import samples, serving
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import retained, running, sink_for, wait_for_state
from support.noise import exact_hz, in_chunks, noise, tone
from support.session import live_session
from support.system import require
from support.waiting import PATIENCE_SECONDS, wait_until
from support.zones import local_zone
from typer.testing import CliRunner, Result

from earshot.cli import add_commands
from streamer.commands import reference
from streamer.errors import SettingsError, SourceError
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.live.late_ends import LateEnds
from streamer.live.session import LiveSession
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Health, NoiseLevels, Samples, SourceHealth
from streamer.noise.octaves import BAND_NAMES
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings
from streamer.sinks.clips.recorder import ClipLimits, Clips
from streamer.sinks.history.noise_levels import by_hour, read_minutes, write_csv, write_json, write_table
from streamer.sinks.history.noise_log import NoiseLog
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.homeassistant import Discovery, HomeAssistant
from streamer.sinks.mqtt.topics import Topics
from streamer.sinks.payloads import health_payload, noise_payload

HOUR = 1_772_366_400.0
MINUTE = NoiseLevels(
    source="front door",
    started_at=HOUR,
    ended_at=HOUR + 60.0,
    seconds=60.0,
    is_calibrated=True,
    leq_db=45.25,
    lmax_db=61.0,
    l10_db=47.5,
    l90_db=38.04,
    bands_db=tuple(float(band) for band in range(25)),
    hour_leq_db=44.0,
    hour_l10_db=46.0,
    hour_l90_db=37.0,
    hour_seconds=600.0,
)


def health_with(*levels: NoiseLevels) -> Health:
    sources = tuple(SourceHealth(source=one.source, noise=one) for one in levels)
    return Health(1.0, 0, 0, 0, 0.0, 0, None, None, None, "tiny", "cpu", "connected", sources=sources)


class Sound:
    """Source of samples, as fast as they are read."""

    repaired_samples = 0

    def __init__(self, name: str, sound: Samples) -> None:
        self.name, self.live, self._sound = name, False, sound
        self.retry_seconds: float | None = None

    def chunks(self) -> Generator[AudioChunk, None, None]:
        yield from in_chunks(self._sound, began_at=HOUR)

    def close(self) -> None:
        pass


class NoiseMemory(Memory):
    """Sink that keeps the noise of each minute too."""

    def __init__(self) -> None:
        super().__init__()
        self.noise: list[NoiseLevels] = []

    def accept_noise(self, levels: NoiseLevels) -> None:
        self.noise.append(levels)


def listen(session: LiveSession) -> None:
    began = time.monotonic()
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.02)
            assert time.monotonic() - began < PATIENCE_SECONDS


def loud() -> WatchedSound:
    return resolve_sounds([Watch("Loud noise")], ["Speech", "Dog"])[0]


def with_bang() -> Samples:
    sound = noise(30.0, level_dbfs=-70.0)
    sound[20 * SAMPLE_RATE_HZ : 21 * SAMPLE_RATE_HZ] += noise(1.0, level_dbfs=-30.0, seed=1)
    return sound


class TestSessions:
    def test_each_minute_goes_to_the_sinks_and_the_last_one_into_the_health(self) -> None:
        memory = NoiseMemory()
        session = live_session([Sound("hall", noise(130.0))], scorer, sinks=[memory], fast=True, noise=True)
        listen(session)
        assert [round(levels.seconds) for levels in memory.noise] == [60, 60, 10]
        assert memory.noise[0].started_at == pytest.approx(HOUR, abs=0.2)
        (hall,) = session.health().sources
        assert hall.noise == memory.noise[-1]

    def test_noise_is_not_measured_unless_asked_for(self) -> None:
        memory = NoiseMemory()
        session = live_session([Sound("hall", noise(70.0))], scorer, sinks=[memory], fast=True)
        listen(session)
        assert not memory.noise
        assert session.health().sources[0].noise is None

    def test_loud_noise_is_an_event_beside_those_of_the_model(self) -> None:
        memory = Memory()
        listen(live_session([Sound("hall", with_bang())], scorer, sounds=[loud()], sinks=[memory], fast=True))
        assert [(event.kind, event.label) for event in memory.events] == [
            ("started", "Loud noise"),
            ("ended", "Loud noise"),
        ]
        assert memory.events[0].started_at == pytest.approx(HOUR + 20.0, abs=0.06)
        assert memory.events[1].ended_at == pytest.approx(HOUR + 21.0, abs=0.06)

    @pytest.mark.parametrize("hop_seconds", [1, 2, 4, 5])
    def test_the_clip_of_a_loud_noise_contains_it(self, tmp_path: Path, hop_seconds: int) -> None:
        for position in (20.1, 20.5, 20.9, 26.3, 27.7):
            sound = noise(30.0, level_dbfs=-70.0)
            start = round(position * SAMPLE_RATE_HZ)
            sound[start : start + SAMPLE_RATE_HZ // 5] += noise(0.2, level_dbfs=-20.0, seed=1)
            clips = Clips(
                tmp_path / f"{position}",
                sources=["hall"],
                model="tiny",
                limits=ClipLimits(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, 30 * SAMPLE_RATE_HZ),
                never=resolve_sounds([Watch("Speech", {"threshold": 0.9})], ["Speech", "Dog"]),
                days=36_500.0,
                max_bytes=10**9,
                fast=True,
            )
            memory = Memory()
            session = live_session(
                [Sound("hall", sound)],
                lambda batch: np.zeros((len(batch), 2), np.float32),
                hop_samples=hop_seconds * SAMPLE_RATE_HZ,
                window_samples=163_840,
                sounds=[loud()],
                sinks=[memory],
                clips=clips,
                fast=True,
            )
            listen(session)
            started, ended = memory.events
            assert (started.kind, ended.kind) == ("started", "ended")
            assert ended.clip is not None
            assert np.abs(soundfile.read(ended.clip)[0]).max() > 0.1

    def test_an_end_waits_for_its_windows_but_not_behind_the_next_start(self) -> None:
        ends = LateEnds()
        first = Event("1", "started", "Loud noise", "hall", 1.0, HOUR, start_sample=20 * SAMPLE_RATE_HZ)
        over = replace(first, kind="ended", ended_at=HOUR + 1, end_sample=21 * SAMPLE_RATE_HZ)
        assert ends.add(first) == [first]
        assert ends.add(over) == []
        assert ends.tagged(20 * SAMPLE_RATE_HZ) == []
        assert ends.tagged(30 * SAMPLE_RATE_HZ) == [over]
        later = replace(over, id="2", end_sample=35 * SAMPLE_RATE_HZ)
        third = replace(first, id="3", start_sample=37 * SAMPLE_RATE_HZ)
        assert ends.add(later) == []
        assert ends.add(third) == [later, third]
        again = replace(over, id="3", end_sample=38 * SAMPLE_RATE_HZ)
        assert ends.add(again) == []
        assert ends.close() == [again]
        assert ends.add(replace(over, id="4", end_sample=1)) == [], "the next stretch begins at 0"

    def test_an_end_does_not_wait_for_windows_that_nobody_answers(self, tmp_path: Path) -> None:
        memory = Memory()
        clips = Clips(
            tmp_path,
            sources=["hall"],
            model="tiny",
            limits=ClipLimits(0, 0, SAMPLE_RATE_HZ),
            never=(),
            days=1.0,
            max_bytes=10**9,
            fast=True,
        )
        order: list[str] = []

        def away(batch: Samples) -> Samples:
            order.extend(event.kind for event in memory.events[len(order) :])
            return np.full((len(batch), 2), np.nan, np.float32)

        session = live_session(
            [Sound("hall", np.concatenate([with_bang(), noise(60.0, level_dbfs=-70.0)]))],
            away,
            sounds=[loud()],
            sinks=[memory],
            clips=clips,
            fast=True,
        )
        listen(session)
        assert order == ["started", "ended"], "while the source goes on"

    def test_loud_noise_needs_no_model(self) -> None:
        memory = Memory()
        session = live_session([Sound("hall", with_bang())], None, sounds=[loud()], sinks=[memory])
        with ThreadGroup() as threads:
            session.start(threads)
            wait_until(lambda: len(memory.events) == 2, "the start and the end of the bang")
            assert session.awaits_model
        assert not memory.taggings


class TestPayloads:
    def test_the_payload_says_what_the_levels_are(self) -> None:
        payload = noise_payload(MINUTE)
        assert payload["unit"] == "dB(A)"
        assert (payload["leq"], payload["lmax"], payload["l10"], payload["l90"]) == (45.2, 61.0, 47.5, 38.0)
        assert payload["hour"] == {"seconds": 600.0, "leq": 44.0, "l10": 46.0, "l90": 37.0}
        assert list(payload["bands"]) == list(BAND_NAMES)
        relative = noise_payload(replace(MINUTE, is_calibrated=False))
        assert (relative["unit"], relative["bands_unit"]) == ("dBFS(A)", "dBFS")

    def test_the_health_has_the_noise_of_each_source(self) -> None:
        payload = health_payload(health_with(MINUTE))
        assert payload["sources"]["front door"]["noise"] == noise_payload(MINUTE)

    def test_prometheus_gets_levels_and_bands(self) -> None:
        with serving() as metrics:
            metrics.accept(health_with(MINUTE))
            values = samples(metrics)
        assert values["earshot_noise_db", "leq", "front door", "dB(A)"] == 45.25
        assert values["earshot_noise_band_db", "1000", "front door", "dB"] == 16.0


def home(noise: dict[str, str]) -> dict[str, dict[str, object]]:
    topics = Topics("earshot/attic", ["front door"], noise=noise)
    (message,) = HomeAssistant(Discovery(), topics, node="attic").messages.values()
    return {key: entity for key, entity in message["components"].items() if key.startswith("noise_")}


class TestHomeAssistant:
    def test_calibrated_noise_is_sound_pressure(self) -> None:
        entities = home({"front door": "dBA"})
        assert list(entities) == ["noise_leq", "noise_lmax", "noise_l10", "noise_l90"]
        assert entities["noise_leq"]["device_class"] == "sound_pressure"
        assert entities["noise_leq"]["unit_of_measurement"] == "dBA"
        assert entities["noise_l90"]["state_topic"] == "earshot/attic/front_door/noise/l90"

    def test_noise_without_a_reference_is_not(self) -> None:
        entities = home({"front door": "dBFS"})
        assert "device_class" not in entities["noise_leq"]
        assert entities["noise_leq"]["unit_of_measurement"] == "dBFS"

    def test_a_source_whose_noise_is_not_measured_has_no_entities(self) -> None:
        assert not home({})


@pytest.mark.system
class TestMqtt:
    @pytest.fixture
    def broker(self, tmp_path: Path) -> Iterator[Mosquitto]:
        require("mosquitto")
        with Mosquitto(tmp_path) as broker:
            yield broker

    def test_each_minute_is_published_whole_and_its_figures_are_retained(self, broker: Mosquitto) -> None:
        with (
            Subscriber(broker.port) as subscriber,
            running(sink_for(broker.port, noise_units={"front door": "dBA"})) as sink,
        ):
            wait_for_state(sink, "connected")
            sink.accept(health_with(MINUTE))
            assert subscriber.wait_for("earshot/attic/front_door/noise/leq").text == "45.2"
            whole = subscriber.wait_for("earshot/attic/front_door/noise")
            assert whole.json() == noise_payload(MINUTE)
            sink.accept(health_with(replace(MINUTE, leq_db=50.0)))
            wait_until(
                lambda: (
                    retained(broker, "earshot/attic/front_door/noise").get(
                        "earshot/attic/front_door/noise/leq"
                    )
                    == "50.0"
                ),
                "the next minute",
            )

    def test_what_is_not_measured_any_more_is_removed(self, broker: Mosquitto) -> None:
        options = {"noise_units": {"front door": "dBFS"}, "discovery": Discovery()}
        with running(sink_for(broker.port, **options)) as sink:
            wait_for_state(sink, "connected")
            sink.accept(health_with(MINUTE))
            wait_until(lambda: len(retained(broker, "earshot/attic/front_door/noise")) == 4, "the figures")
        with running(sink_for(broker.port, discovery=Discovery())) as sink:
            wait_for_state(sink, "connected")
            wait_until(lambda: not retained(broker, "earshot/attic/front_door/noise"), "their removal")
            announced = retained(broker, "homeassistant/device")
            assert "noise_leq" not in json.dumps(announced)

    def test_the_unit_follows_a_changed_offset(self, broker: Mosquitto) -> None:
        options = {"noise_units": {"front door": "dBFS"}, "discovery": Discovery()}
        with running(sink_for(broker.port, **options)) as sink:
            wait_for_state(sink, "connected")
            wait_until(lambda: '"dBFS"' in str(retained(broker, "homeassistant/device")), "the first unit")
            sink.set_noise_units({"front door": "dBA"})
            wait_until(lambda: '"dBA"' in str(retained(broker, "homeassistant/device")), "the second unit")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


def stored(path: Path, *minutes: NoiseLevels, days: float = 36_500.0) -> list[NoiseLevels]:
    with History(path, days=days) as history:
        log = NoiseLog(history)
        for minute in minutes:
            log.accept_noise(minute)
    return list(read_minutes(path))


class TestHistory:
    def test_a_minute_comes_back_as_it_was(self, path: Path) -> None:
        bare = replace(
            MINUTE,
            started_at=HOUR + 60.0,
            lmax_db=None,
            l10_db=None,
            l90_db=None,
            bands_db=(),
            is_calibrated=False,
        )
        assert stored(path, MINUTE, bare) == [MINUTE, bare]

    def test_minutes_are_chosen_by_time_and_source(self, path: Path) -> None:
        stored(path, MINUTE, replace(MINUTE, source="hall"), replace(MINUTE, started_at=HOUR + 60.0))
        assert [one.source for one in read_minutes(path, since=HOUR + 1.0)] == ["front door"]
        assert len(list(read_minutes(path, sources=["hall"]))) == 1
        assert len(list(read_minutes(path, sources=["HALL"]))) == 1, "as for events"

    def test_old_minutes_are_deleted_where_noise_is_not_measured_any_more(self, path: Path) -> None:
        old = [replace(MINUTE, started_at=time.time() - 3 * 86_400.0 + second) for second in range(3)]
        assert len(stored(path, *old)) == 3
        with History(path, days=1.0):
            wait_until(lambda: not list(read_minutes(path)), "the pruning")

    def test_a_history_from_before_noise_has_none_and_takes_some(self, path: Path) -> None:
        with History(path):
            pass
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("DROP TABLE noise; PRAGMA user_version = 2;")
        assert list(read_minutes(path)) == []
        assert stored(path, MINUTE) == [MINUTE]

    def test_what_can_not_be_written_is_written_later(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with History(path, days=36_500.0) as history:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                log = NoiseLog(history)
                log.accept_noise(MINUTE)
                other.execute("ROLLBACK")
            assert "can't be written" in caplog.text
            assert list(read_minutes(path)) == []
            log.accept_noise(replace(MINUTE, started_at=HOUR + 60.0))
        assert len(list(read_minutes(path))) == 2

    def test_a_row_that_is_no_minute_is_left_out(self, path: Path) -> None:
        stored(path, MINUTE)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE noise SET leq_db = 'loud'")
            connection.commit()
        assert list(read_minutes(path)) == []

    def test_an_hour_adds_up_energy_and_keeps_the_highest(self) -> None:
        minutes = [
            replace(MINUTE, leq_db=40.0, lmax_db=50.0),
            replace(MINUTE, started_at=HOUR + 60.0, leq_db=50.0, lmax_db=70.0, hour_l10_db=48.0),
            replace(MINUTE, started_at=HOUR + 3600.0),
        ]
        with local_zone("UTC"):
            first, second = by_hour(minutes)
        assert first.leq_db == pytest.approx(10.0 * np.log10((1e4 + 1e5) / 2.0))
        assert (first.lmax_db, first.l10_db, first.seconds) == (70.0, 48.0, 120.0)
        assert first.bands_db == pytest.approx(MINUTE.bands_db)
        assert (first.started_at, second.started_at) == (HOUR, HOUR + 3600.0)

    @pytest.mark.parametrize(("zone", "minutes"), [("Asia/Kolkata", 30), ("Asia/Kathmandu", 15)])
    def test_an_hour_is_one_of_the_local_clock(self, zone: str, minutes: int) -> None:
        before, after = [replace(MINUTE, started_at=HOUR + 60.0 * (minutes + minute)) for minute in (-1, 0)]
        with local_zone(zone):
            hours = list(by_hour([before, after]))
        assert [hour.started_at - HOUR for hour in hours] == [60.0 * minutes - 3600.0, 60.0 * minutes]

    def test_the_table_shows_local_times_and_the_unit(self) -> None:
        text = io.StringIO()
        write_table([MINUTE, replace(MINUTE, lmax_db=None, is_calibrated=False)], text)
        header, first, second = text.getvalue().splitlines()
        assert header.split() == ["began", "Leq", "Lmax", "L10", "L90", "unit", "source"]
        began = datetime.fromtimestamp(HOUR).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        assert first == f"{began}    45.2    61.0    47.5    38.0  dB(A)    front door"
        assert "dBFS(A)" in second

    def test_csv_and_json_say_the_same(self) -> None:
        table, lines = io.StringIO(), io.StringIO()
        write_csv([MINUTE], table)
        write_json([MINUTE], lines)
        (row,) = csv.DictReader(io.StringIO(table.getvalue()))
        payload = json.loads(lines.getvalue())
        assert row["leq"] == str(payload["leq"]) == "45.2"
        assert row["band_1000_hz"] == str(payload["bands"]["1000"])
        assert payload["started_at"] == row["started_at"] == "2026-03-01T12:00:00.000Z"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    add_commands(app)
    return CliRunner().invoke(app, [*map(str, arguments)])


def run_noise(*arguments: str | Path) -> Result:
    return run("noise", *arguments)


@pytest.mark.usefixtures("environment")
class TestCommand:
    def test_it_lists_minutes_and_hours(self, path: Path) -> None:
        stored(path, MINUTE, replace(MINUTE, started_at=HOUR + 60.0))
        assert len(run_noise("--history", path).stdout.splitlines()) == 3
        assert len(run_noise("--history", path, "--hours").stdout.splitlines()) == 2
        assert json.loads(run_noise("--history", path, "--hours", "--json").stdout)["seconds"] == 120.0
        assert run_noise("--history", path, "--since", "1h").stdout == ""

    def test_nothing_yet_is_no_failure(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            assert run_noise().exit_code == 0
        assert "there are no noise levels yet: measure them with --noise" in caplog.text
        with caplog.at_level(logging.INFO):
            assert run_noise("--source", "attic").exit_code == 0
        assert "there are no noise levels of attic yet" in caplog.text

    def test_it_reports_what_is_wrong(self) -> None:
        assert "'soon' is not a time" in run_noise("--since", "soon").stderr
        assert "give either --csv or --json" in run_noise("--csv", "--json").stderr


class TestSettings:
    def test_sources_have_offsets_of_their_own(self) -> None:
        settings = Settings.model_validate(
            {
                "noise_offset_db": 110.0,
                "source": [{"name": "a", "spec": "mic", "noise_offset_db": 94.5}, "b=mic"],
            }
        )
        assert [source.noise_offset_db for source in settings.sources] == [94.5, 110.0]

    def test_a_level_in_db_a_needs_an_offset(self, tmp_path: Path) -> None:
        file = tmp_path / "earshot.toml"
        file.write_text('watch = [{sound = "Loud noise", level_db = 80}]\n')
        with pytest.raises(SettingsError, match="level_db is a level in dB.A., which needs noise_offset_db"):
            load_settings({}, config=file)
        file.write_text('watch = [{sound = "Loud noise", level_db = 80}]\nnoise_offset_db = 100\n')
        watched = load_settings({}, config=file).watched
        assert watched is not None
        assert [dict(entry.rule) for entry in watched] == [{"level_db": 80.0}]


@pytest.mark.usefixtures("environment")
class TestReference:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Path:
        file = tmp_path / "earshot.toml"
        file.touch()
        return file

    @staticmethod
    def recorded(folder: Path, sound: Samples) -> str:
        soundfile.write(folder / "sound.wav", sound, SAMPLE_RATE_HZ, subtype="FLOAT")
        return f"kitchen={folder / 'sound.wav'}"

    def calibrate(self, config: Path, sound: Samples, *more: str) -> Result:
        source = self.recorded(config.parent, sound)
        options = ("--source", source, "--config", config, "--for", "3s", "--fast")
        return run("calibrate", "--reference", "94", *options, *more)

    def test_the_offset_is_the_distance_from_the_meter(self, config: Path) -> None:
        config.write_text("# mine\n")
        result = self.calibrate(config, tone(1000.0, 5.0, level_dbfs=-23.0), "--apply")
        assert result.exit_code == 0, result.exception
        assert config.read_text() == "# mine\nnoise_offset_db = 117.0\n"

    def test_an_offset_that_the_environment_overrules_is_warned_of(
        self, config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for warned in (False, True):
            caplog.clear()
            self.calibrate(config, tone(1000.0, 5.0, level_dbfs=-23.0), "--apply")
            assert ("EARSHOT_NOISE_OFFSET_DB is set and wins over the file" in caplog.text) == warned
            monkeypatch.setenv("EARSHOT_NOISE_OFFSET_DB", "100")

    def test_a_low_tone_is_weighted_as_the_meter_does(self, config: Path) -> None:
        result = self.calibrate(config, tone(exact_hz(125), 5.0, level_dbfs=-23.0))
        assert "noise_offset_db = 133.1" in result.stdout
        assert config.read_text() == "", "without --apply, it is a proposal"

    def test_a_change_of_the_file_during_the_measurement_stays(
        self, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def measured(*given: Any) -> reference.Reference:
            config.write_text('watch = [{sound = "Dog", quiet = "always"}]\n')  # as over MQTT
            return measure(*given)

        measure = reference.measure
        monkeypatch.setattr(reference, "measure", measured)
        config.write_text('watch = ["Dog"]\n')
        assert self.calibrate(config, tone(1000.0, 5.0, level_dbfs=-23.0), "--apply").exit_code == 0
        assert config.read_text() == (
            'watch = [{sound = "Dog", quiet = "always"}]\nnoise_offset_db = 117.0\n'
        )

    def test_it_goes_into_the_table_of_the_source(self, config: Path) -> None:
        config.write_text('noise = true\n\n[[source]]\nname = "kitchen"\nspec = "demo"\n')
        assert self.calibrate(config, tone(1000.0, 5.0, level_dbfs=-23.0), "--apply").exit_code == 0
        assert config.read_text().endswith('spec = "demo"\nnoise_offset_db = 117.0\n')

    @pytest.mark.parametrize(
        "others", ['source = ["kitchen=demo", "hall=mic"]\n', '[[source]]\nname = "hall"\nspec = "demo"\n']
    )
    def test_a_source_beside_others_needs_a_table(self, config: Path, others: str) -> None:
        config.write_text(others)
        silence = np.zeros(5 * SAMPLE_RATE_HZ, np.float32)  # not listened to
        result = self.calibrate(config, silence, "--apply")
        with pytest.raises(
            SettingsError, match="'kitchen' has no table in the settings file for its noise_offset_db"
        ):
            raise result.exception or AssertionError

    @pytest.mark.parametrize(
        ("sound", "complaint"),
        [
            (tone(1000.0, 5.0, level_dbfs=0.0), "the sound clips"),
            (np.zeros(5 * SAMPLE_RATE_HZ, np.float32), "nothing but zeros"),
            (tone(1000.0, 0.5, level_dbfs=-23.0), "less than a second was heard"),
        ],
    )
    def test_a_sound_without_a_level_is_refused(self, config: Path, sound: Samples, complaint: str) -> None:
        with pytest.raises(SourceError, match=complaint):
            raise self.calibrate(config, sound).exception or AssertionError

    def test_a_sound_that_is_too_quiet_for_the_reference_leaves_the_settings(self, config: Path) -> None:
        result = self.calibrate(config, tone(1000.0, 5.0, level_dbfs=-110.0), "--reference", "150", "--apply")
        with pytest.raises(SourceError, match=r"is too quiet for a sound of 150 dB\(A\)"):
            raise result.exception or AssertionError
        assert config.read_text() == ""

    def test_an_unsteady_sound_causes_a_warning(self, config: Path, caplog: pytest.LogCaptureFixture) -> None:
        steady = tone(1000.0, 2.0, level_dbfs=-23.0)
        self.calibrate(config, np.concatenate([steady, steady * np.float32(0.1)]))
        assert "take a steady sound" in caplog.text

    def test_it_says_what_does_not_go_together(self) -> None:
        assert "--reference goes with" in run("calibrate", "--reference", "94", "--lower").stderr
