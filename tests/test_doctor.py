"""The command `doctor`: each check on the real thing, and the whole as its users run it."""

import gc
import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.microphone import VirtualMicrophone
from support.mosquitto import Authority, Mosquitto, Subscriber
from support.program import ChildProcess
from support.system import free_port, require
from support.waiting import wait_until

from streamer.doctor import CheckResult
from streamer.doctor.broker import check_broker, check_embedded
from streamer.doctor.disk import check_folder, check_history
from streamer.doctor.model import BestModel, check_model, faster_model
from streamer.doctor.settings import check_settings
from streamer.doctor.sound_quality import Kind, SoundMeter, problems
from streamer.doctor.source import check_source, check_sources
from streamer.doctor.speed import check_speed
from streamer.doctor.stream import check_stream
from streamer.doctor.watched_sounds import check_notified_sounds, check_sounds
from streamer.errors import BrokerError
from streamer.events.catalogue import Watch
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Samples
from streamer.settings.loading import load_settings, where_set
from streamer.settings.schema import Settings
from streamer.settings.sources import SourceSettings
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.probe import probe

ROOT = Path(__file__).parent.parent
PASSWORD = "correct-horse-battery"


# Sound


def noise(seconds: float, size: float = 0.1) -> Samples:
    return np.random.default_rng(0).uniform(-size, size, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


class Player:
    """A live source that plays samples, a tenth of a second at a time; a clock that each of them moves on."""

    def __init__(self, samples: Samples, *, lost_samples: int = 0, pace: float = 1.0) -> None:
        self.name = "desk"
        self.live = True
        self.retry_seconds: float | None = None
        self.repaired_samples = 0
        self.seconds = 0.0
        self._samples = samples
        self._lost_samples = lost_samples
        self._pace = pace

    def chunks(self) -> Generator[AudioChunk, None, None]:
        for start in range(0, len(self._samples), 1_600):
            self.seconds += 0.1 / self._pace
            lost = self._lost_samples if start >= 16_000 else 0
            yield AudioChunk(self._samples[start : start + 1_600], start + lost, self.seconds)

    def close(self) -> None:
        pass

    def check(self) -> CheckResult:
        return check_source(self, seconds=3.0, clock=lambda: self.seconds)


def test_sound_that_can_be_used_is_measured() -> None:
    result = Player(noise(10.0)).check()
    assert result == CheckResult(
        "source desk",
        "ok",
        "3.0 s at -25 dBFS, peak -20 dBFS",
        "",
        {
            "source": "desk",
            "seconds": 3.0,
            "level_dbfs": pytest.approx(-24.77, abs=0.05),
            "peak_dbfs": pytest.approx(-20.0, abs=0.01),
            "clipped_share": 0.0,
            "offset": pytest.approx(0.0, abs=0.002),
            "gaps": 0,
            "lost_seconds": 0.0,
            "repaired_samples": 0,
            "pace": 1.0,
        },
    )


@pytest.mark.parametrize(
    ("player", "state", "found", "advice"),
    [
        (Player(0 * noise(3.0)), "failed", "nothing but zeros", "unmute it"),
        (Player(noise(3.0, 1e-5)), "warning", "fainter than the noise of any room", "raise its volume"),
        (
            Player(np.clip(noise(3.0, 1.1), -1, 1)),
            "warning",
            "9.1% of the samples at full",
            "lower its volume",
        ),
        (Player(noise(3.0), lost_samples=4_000), "warning", "0.25 s lost in 1 gap", "busy"),
        (Player(noise(3.0) + np.float32(0.2)), "warning", "offset of +20%", "another microphone"),
        (Player(noise(3.0), pace=0.5), "warning", "only 0.50 s of audio a second", "`earshot devices`"),
    ],
    ids=["dead", "faint", "clipped", "gaps", "offset", "slow"],
)
def test_a_problem_with_the_sound_is_reported_with_its_remedy(
    player: Player, state: str, found: str, advice: str
) -> None:
    result = player.check()
    assert result.state == state
    assert found in result.found
    assert advice in result.advice


@pytest.mark.parametrize("kind", ["microphone", "stream", "recording"])
def test_the_remedy_fits_the_kind_of_source(kind: Kind) -> None:
    dead, loud = SoundMeter(), SoundMeter()
    dead.add(AudioChunk(np.zeros(SAMPLE_RATE_HZ, np.float32), 800, 0.0))
    loud.add(AudioChunk(np.ones(SAMPLE_RATE_HZ, np.float32), 0, 0.0))
    advice = " ".join(problem.advice for meter in (dead, loud) for problem in problems(meter.result(), kind))
    words = {
        "microphone": "system's sound settings",
        "stream": "camera or sender",
        "recording": "another recording",
    }
    for other, word in words.items():
        assert (word in advice) == (other == kind)
    assert ("intact copy" in advice) == (kind == "recording"), "a hole in a file is not this machine's fault"


def test_all_problems_of_a_source_are_reported_worst_first() -> None:
    result = Player(0 * noise(3.0), lost_samples=1_600).check()
    assert result.state == "failed"
    assert result.found.endswith("; nothing but zeros; 0.10 s lost in 1 gap")


def test_a_source_that_comes_slowly_is_not_waited_for() -> None:
    player = Player(noise(60.0), pace=0.01)
    assert player.check().figures["seconds"] < 1.0


def sources(*specs: str | Path) -> list[SourceSettings]:
    return Settings.model_validate({"source": list(map(str, specs))}).sources


def check_one(spec: str | Path) -> CheckResult:
    (result,) = check_sources(sources(spec), seconds=1.0)
    return result


def test_a_recording_is_read_to_its_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "door.wav", noise(12.5), SAMPLE_RATE_HZ)
    result = check_one(tmp_path / "door.wav")
    assert (result.check, result.state) == ("source door", "ok")
    assert (result.figures["seconds"], result.figures["pace"]) == (12.5, None)
    assert check_one("demo").figures["seconds"] > 60.0


def test_the_position_where_a_recording_is_cut_off_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "door.flac"
    soundfile.write(path, noise(10.0), SAMPLE_RATE_HZ)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    result = check_one(path)
    assert result.state == "warning"
    assert "; cut off at second 4.9 of 10.0" in result.found
    assert "get an intact copy" in result.advice


def test_non_finite_samples_and_silence_of_a_recording_are_reported(tmp_path: Path) -> None:
    samples = noise(1.0)
    samples[:10] = np.nan
    soundfile.write(tmp_path / "odd.wav", samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    assert "10 samples that are not numbers" in check_one(tmp_path / "odd.wav").found
    soundfile.write(tmp_path / "silent.wav", 0 * noise(1.0), SAMPLE_RATE_HZ)
    assert check_one(tmp_path / "silent.wav").state == "warning"


def test_a_socket_is_checked_without_waiting_for_a_sender(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    listed = sources(f"unix:{tmp_path / 'door'}", f"unix:{tmp_path / 'file'}")
    assert [result.state for result in check_sources(listed, seconds=1.0)] == ["skipped", "failed"]


@pytest.mark.parametrize("spec", ["-", "kitchen=-"])
def test_standard_input_is_not_read(spec: str) -> None:
    result = check_one(spec)
    assert (result.state, "only once" in result.found) == ("skipped", True)
    assert [result.state for result in check_sources(sources(spec, spec), seconds=1.0)] == [
        "skipped",
        "failed",
    ]


def test_a_source_that_is_switched_off_is_not_listened_to(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "door.wav", noise(1.0), SAMPLE_RATE_HZ)
    listed = sources(f"kitchen={tmp_path}/door.wav", tmp_path / "door.wav")
    off, on = check_sources(listed, seconds=1.0, switched_off={"kitchen"})
    assert (off.check, off.state, off.figures) == ("source kitchen", "skipped", {})
    assert (on.check, on.state) == ("source door", "ok")


def test_no_source_is_opened_when_the_switches_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.settings.storage.user_data_path", lambda _name: tmp_path)
    (tmp_path / "switches.json").write_text("{")
    settings = load_settings({"source": ["demo"]}, environment={})
    found = [result for result in check_stream(settings, [], seconds=1.0) if "source" in result.check]
    assert [(result.check, result.state) for result in found] == [("sources", "failed")]
    assert "switches.json" in found[0].advice


def test_sources_that_cannot_be_opened_do_not_stop_others(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "door.wav", noise(1.0), SAMPLE_RATE_HZ)
    specs = [
        "/no/such.wav",
        "rtsp://me:secret@camera/1",
        "x=",
        f"{tmp_path}/door.wav",
        f"{tmp_path}/door.wav",
    ]
    results = list(check_sources(sources(*specs), seconds=1.0))
    assert [result.state for result in results] == ["failed", "failed", "failed", "ok", "failed"]
    assert "secret" not in str(results)
    assert "NAME=SOURCE" in results[-1].advice


LISTENER = """
import json, sys
from dataclasses import asdict
from streamer.doctor.source import check_sources
from streamer.settings.schema import Settings
for result in check_sources(Settings(source=sys.argv[1:]).sources, seconds=6.0):
    print(json.dumps(asdict(result)))
"""


def listen(microphone: VirtualMicrophone) -> Any:
    """Check the virtual microphone in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", LISTENER, "mic"],
        cwd=ROOT,
        env=microphone.environment,
        capture_output=True,
        timeout=120,
        check=True,
    )
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("espeak-ng")
    path = tmp_path_factory.mktemp("sounds") / "speech.wav"
    words = (
        "Good evening. This is somebody who talks about the weather, and about nothing else, for a while. "
    )
    subprocess.run(["espeak-ng", "-w", str(path), 20 * words], check=True, timeout=60)
    return path


@pytest.mark.system
def test_a_microphone_into_which_nothing_is_played_is_dead(virtual_microphone: VirtualMicrophone) -> None:
    result = listen(virtual_microphone)
    assert (result["check"], result["state"]) == ("source mic", "failed")
    assert "nothing but zeros" in result["found"]
    assert result["figures"]["seconds"] >= 6.0
    assert result["figures"]["pace"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.system
def test_a_microphone_with_speech_is_fine(virtual_microphone: VirtualMicrophone, speech: Path) -> None:
    virtual_microphone.play(speech, wait=False)
    result = listen(virtual_microphone)
    assert (result["state"], result["advice"]) == ("ok", "")
    assert -40 < result["figures"]["level_dbfs"] < result["figures"]["peak_dbfs"] <= 0


@pytest.mark.system
def test_the_remedy_for_a_clipping_microphone_is_a_lower_gain(
    virtual_microphone: VirtualMicrophone, speech: Path, tmp_path: Path
) -> None:
    samples, rate_hz = soundfile.read(speech, dtype="float32")
    soundfile.write(tmp_path / "loud.wav", np.clip(30 * samples, -1, 1), rate_hz)
    virtual_microphone.play(tmp_path / "loud.wav", wait=False)
    result = listen(virtual_microphone)
    assert result["state"] == "warning"
    assert result["figures"]["clipped_share"] > 0.01
    assert result["advice"].startswith("lower its volume")


# Model


class SlowScorer:
    """Takes a time for each window, by a clock of its own."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self._seconds = seconds

    def __call__(self, samples: Samples) -> Samples:
        self.now += self._seconds * len(samples)
        return np.zeros((len(samples), 2), np.float32)

    def check(self, *, hop_seconds: float = 1.0, sources: int = 1, **more: Any) -> CheckResult:
        return check_speed(
            self,
            window_samples=163_840,
            hop_seconds=hop_seconds,
            sources=sources,
            clock=lambda: self.now,
            **more,
        )


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.1, "ok"), (0.79, "ok"), (0.81, "warning"), (0.99, "warning"), (1.01, "failed")]
)
def test_a_model_keeps_up_with_the_hop_or_does_not(seconds: float, state: str) -> None:
    result = SlowScorer(seconds).check()
    assert result.state == state
    assert result.figures["real_time_factor"] == pytest.approx(seconds)
    assert bool(result.advice) == (state != "ok")


def test_a_model_too_slow_for_all_sources_is_reported_with_a_remedy() -> None:
    assert SlowScorer(0.3).check(sources=1).state == "ok"
    result = SlowScorer(0.3).check(sources=4, remedies=["--model tiny"])
    assert result.state == "failed"
    assert result.found == "1.2 s for 4 windows every 1 s: a load of 120%"
    assert result.advice == ("use --hop 1.5, --model tiny or fewer sources: late windows are dropped")
    assert SlowScorer(0.3).check(sources=4, hop_seconds=1.6).state == "ok"


class SlowTagger(SlowScorer):
    """Tagger that is too slow by its own clock, and by the real one takes no time."""

    name = "base-10-10"
    labels = ("Speech", "Dog")
    thresholds = None
    window_samples = 163_840


def test_sounds_of_notifications_that_the_model_lacks_are_named() -> None:
    labels = ("Bark", "Dog", "Speech")
    assert check_notified_sounds(["Dog", "Speech"], labels) == CheckResult(
        "notified sounds", "ok", "Dog, Speech"
    )
    missing = check_notified_sounds(["Dogg"], labels)
    assert (missing.check, missing.state) == ("notified sounds", "failed")
    assert "Dogg" in missing.advice


@pytest.mark.parametrize(
    ("best", "found", "state"),
    [
        (
            BestModel("ced-small", 0.222),
            "ced-small keeps up with a hop of 1 s here: about 0.22 s for 2 windows",
            "ok",
        ),
        (BestModel(None), "no model keeps up with a hop of 1 s here", "warning"),
    ],
)
def test_the_best_model_for_this_machine_is_named(best: BestModel, found: str, state: str) -> None:
    settings = load_settings({"source": ["a=demo", "b=demo"], "model": "base"}, environment={})
    results = check_model(
        settings, SlowTagger(0.0), reason="as requested", engine="torch cpu fp32", best=best
    )
    (result,) = (result for result in results if result.check == "best model")
    assert (result.found, result.state) == (found, state)
    assert result.figures["name"] == best.name


@pytest.mark.parametrize(
    ("best", "name", "remedies"),
    [
        (BestModel("ced-small", 0.2), "base-10-10", ["--model ced-small"]),
        (BestModel(None), "base-10-10", ["--model ced-tiny"]),
        (None, "base-10-10", ["--model ced-tiny"]),
        (BestModel(None), "ced-tiny", []),
        (BestModel("ced-small", 0.2), "ced-small", []),
    ],
)
def test_a_faster_model_is_the_remedy(best: BestModel | None, name: str, remedies: list[str]) -> None:
    assert faster_model(name, best) == remedies


def test_a_very_slow_model_is_not_timed_for_long() -> None:
    scorer = SlowScorer(20.0)
    assert scorer.check().advice.startswith("use --hop 25:")
    assert scorer.now == 40.0


def test_watched_sounds_are_looked_for_in_the_model() -> None:
    labels = ("Speech", "Dog", "Bark")
    assert check_sounds([Watch("dog"), Watch("Speech")], labels).figures["sounds"] == ["Dog", "Speech"]
    assert check_sounds(None, labels).state == "ok"
    assert check_sounds([], labels).state == "skipped"
    assert check_sounds(None, [str(number) for number in range(100)]).state == "warning"
    unknown = check_sounds([Watch("Doog")], labels)
    assert (unknown.state, "did you mean 'Dog'" in unknown.advice) == ("failed", True)


# Broker


def ask(broker: Broker, *, prefix: str | None = "homeassistant") -> list[CheckResult]:
    return list(check_broker(broker, node="attic", base_topic="earshot/attic", discovery_prefix=prefix))


def at(broker: Mosquitto, **more: Any) -> Broker:
    return Broker("127.0.0.1", broker.port, **more)


@pytest.mark.system
def test_a_broker_that_returns_a_published_message_is_fine(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber:
        result, _ = ask(at(broker))
        assert result.state == "ok"
        assert result.figures["round_trip_seconds"] > 0
        seen = subscriber.wait_for("earshot/attic/doctor")
        assert (seen.qos, seen.retained) == (1, False)
        assert not [m for m in subscriber.messages if m.topic.endswith("/status")]
    with Subscriber(broker.port) as latecomer:
        latecomer.publish("end", "")
        latecomer.wait_for("end")
        assert not latecomer.messages, "nothing is left behind"


def test_without_a_broker_the_advice_is_to_look_for_it() -> None:
    port = free_port()
    broker, home = ask(Broker("127.0.0.1", port))
    assert (broker.state, home.state) == ("failed", "skipped")
    assert broker.found == f"127.0.0.1:{port} can't be reached: connection refused"
    assert "that the broker is running" in broker.advice


def test_a_password_that_is_not_text_fails_without_being_shown() -> None:
    broker, _ = ask(Broker("127.0.0.1", 1883, username="ear", password="secret\udcff"))
    assert (broker.state, broker.advice) == ("failed", "the MQTT password is not valid UTF-8: set it again")


def test_a_broker_that_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        broker, _ = ask(Broker("127.0.0.1", mute.getsockname()[1]))
    assert (broker.state, broker.found.rpartition(": ")[2]) == ("failed", "no answer")


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog swallows connections on Linux only")
def test_a_network_that_swallows_packets_is_not_waited_for() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        silent = Broker(*server.getsockname())
        with pytest.raises(BrokerError, match="unreachable: no answer"):
            probe(silent, node="attic", base_topic="earshot/attic", timeout_seconds=0.2)
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if thread.name == "mqtt connecting"],
        "the attempt to end",
    )


@pytest.mark.system
def test_credentials_are_right_or_wrong_and_never_shown(tmp_path: Path) -> None:
    require("mosquitto", "mosquitto_passwd")
    with Mosquitto(tmp_path, username="ear", password=PASSWORD) as running:
        right, _ = ask(at(running, username="ear", password=PASSWORD))
        wrong, _ = ask(at(running, username="ear", password="secret"))
        nameless, _ = ask(at(running))
    assert [right.state, wrong.state, nameless.state] == ["ok", "failed", "failed"]
    assert wrong.found.endswith("refuses the connection: wrong user name or password")
    assert "EARSHOT_MQTT_PASSWORD" in wrong.advice
    assert nameless.found.endswith("it asks for a user name")
    assert PASSWORD not in str(right)
    assert "secret" not in str(wrong)


@pytest.mark.system
def test_a_user_without_permission_to_publish_is_reported(tmp_path: Path) -> None:
    require("mosquitto", "mosquitto_passwd")
    folders = [tmp_path / "reader", tmp_path / "stranger"]
    for folder, access in zip(folders, ["topic read earshot/#", "topic readwrite garden/#"], strict=True):
        folder.mkdir()
        with Mosquitto(folder, username="ear", password=PASSWORD, access=f"user ear\n{access}\n") as running:
            result, home = ask(at(running, username="ear", password=PASSWORD))
        assert result.state == "failed"
        assert "do not come back" in result.found
        assert "earshot/attic/#" in result.advice
        assert home.state == "warning"


@pytest.mark.system
def test_a_user_without_permission_for_discovery_is_reported(tmp_path: Path) -> None:
    require("mosquitto", "mosquitto_passwd")
    access = "user ear\ntopic readwrite earshot/#\n"
    with Mosquitto(tmp_path, username="ear", password=PASSWORD, access=access) as running:
        result, home = ask(at(running, username="ear", password=PASSWORD))
    assert (result.state, home.state) == ("ok", "warning")
    assert "homeassistant/#" in home.advice


@pytest.fixture
def _collected() -> Iterator[None]:
    """Collect what the library leaves of sockets whose TLS handshake failed, which is not for other tests to meet."""
    yield
    gc.collect()


leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.system
@leaves_sockets
@pytest.mark.usefixtures("_collected")
def test_certificates_hold_or_the_remedy_is_named(tmp_path: Path) -> None:
    require("mosquitto", "openssl")
    authority, another = Authority(tmp_path), Authority(tmp_path, "another")
    certificate, key = authority.sign("broker")
    with Mosquitto(tmp_path, certificate=certificate, key=key) as running:
        trusted, _ = ask(at(running, tls=True, ca_file=authority.certificate))
        strange, _ = ask(at(running, tls=True, ca_file=another.certificate))
        missing, _ = ask(at(running, tls=True, ca_file=tmp_path / "none.pem"))
        plain, _ = ask(at(running))
    assert (trusted.state, "over TLS" in trusted.found) == ("ok", True)
    assert (strange.state, strange.advice) == ("failed", "set another mqtt_ca")
    assert (missing.state, "none.pem" in missing.advice) == ("failed", True)
    assert (plain.state, "mqtts://" in plain.advice) == ("failed", True)


@pytest.mark.system
@leaves_sockets
@pytest.mark.usefixtures("_collected")
def test_a_certificate_that_has_expired_is_to_be_renewed(tmp_path: Path) -> None:
    require("mosquitto", "openssl")
    authority = Authority(tmp_path)
    certificate, key = authority.sign("broker", days=-1)
    with Mosquitto(tmp_path, certificate=certificate, key=key) as running:
        result, _ = ask(at(running, tls=True, ca_file=authority.certificate))
    assert (result.state, result.advice[:14]) == ("failed", "renew it there")


def retain(broker: Mosquitto, topic: str, *texts: str) -> None:
    """Leave a message at the broker, on a topic each where there are several."""
    with Subscriber(broker.port, "nothing") as publisher:
        for number, text in enumerate(texts):
            publisher.publish(topic.format(number), text, retain=True)


@pytest.mark.system
def test_home_assistant_is_known_by_what_it_leaves_at_the_broker(broker: Mosquitto) -> None:
    def home() -> CheckResult:
        return ask(at(broker))[1]

    nothing = home()
    assert (nothing.state, "no messages" in nothing.found) == ("warning", True)
    ours = {"device": {"identifiers": ["earshot_attic_mic"]}, "origin": {"name": "Earshot"}}
    retain(broker, "homeassistant/device/attic_mic/config", json.dumps(ours))
    assert home() == nothing, "what Earshot announces is no sign of Home Assistant"
    retain(broker, "homeassistant/sensor/thermometer/config", '{"name": "Thermometer"}')
    retain(broker, "homeassistant/light/hall/lamp/config", "no JSON")
    others = home()
    assert (others.state, others.figures["announcements"]) == ("ok", 2)
    assert "its status is unknown" in others.found
    retain(broker, "homeassistant/status", "offline")
    assert (home().state, home().advice[:20]) == ("warning", "start Home Assistant")
    retain(broker, "homeassistant/status", "online")
    assert home().state == "ok"
    assert ask(at(broker), prefix="home")[1].found.startswith("no messages under home;")
    assert ask(at(broker), prefix=None)[1].state == "skipped"


@pytest.mark.system
def test_more_announcements_than_a_broker_queues_are_all_seen(broker: Mosquitto) -> None:
    retain(broker, "homeassistant/sensor/{}/config", *(1_500 * ["{}"]))
    result, home = ask(at(broker))
    assert (result.state, home.figures["announcements"]) == ("ok", 1_500)


def test_the_embedded_broker_has_its_port_or_another(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    assert [result.state for result in check_embedded(port)] == ["ok", "skipped"]
    with socket.create_server(("127.0.0.1", port)):
        result, _ = check_embedded(port)
    assert result.state == "warning"
    assert f"mqtt://127.0.0.1:{port}" in result.advice
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    missing, _ = check_embedded(port)
    assert (missing.state, "pip install" in missing.advice) == ("failed", True)


# Disk


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A history of two events, one of which waits for the broker."""
    path = tmp_path / "data" / "history.sqlite3"
    with History(path) as keeper:
        events = [Event(str(number), "started", "Dog", "desk", 0.5, 1e9 * number) for number in (1, 2)]
        keeper.keep_seconds = float("inf")
        for event in events:
            keeper.accept(event)
        keeper.mark_published(events[:1])
    return path


def test_a_history_is_counted_and_left_as_it_is(history: Path) -> None:
    before = history.read_bytes()
    result = check_history(history)
    assert result.state == "ok"
    assert (result.figures["events"], result.figures["waiting_events"]) == (2, 1)
    assert result.figures["size_bytes"] >= len(before)
    assert result.figures["free_bytes"] > 0
    assert history.read_bytes() == before


def test_a_missing_history_is_not_created(tmp_path: Path) -> None:
    result = check_history(tmp_path / "new" / "folder" / "history.sqlite3")
    assert result.state == "ok"
    assert not (tmp_path / "new").exists()
    assert check_history(None).state == "skipped"


def test_a_history_that_another_earshot_writes_is_a_warning(history: Path) -> None:
    with History(history):
        result = check_history(history)
    assert (result.state, "another Earshot is writing to it" in result.found) == ("warning", True)
    assert check_history(history).state == "ok"


def test_a_history_that_is_damaged_or_none_at_all_fails_and_is_left_alone(history: Path) -> None:
    for content in (b"Dear diary", history.read_bytes()[:4096] + b"x" * 20_000):
        history.write_bytes(content)
        result = check_history(history)
        assert result.state == "failed"
        assert result.advice
        assert history.read_bytes() == content


def test_a_folder_that_others_can_write_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    result = check_folder("history", tmp_path)
    assert (result.state, result.advice) == ("warning", f"run chmod go-w {tmp_path}")
    tmp_path.chmod(0o777 | stat.S_ISVTX)
    assert check_folder("history", tmp_path).state == "ok"


def test_a_path_that_is_not_a_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    result = check_history(tmp_path / "data" / "history.sqlite3")
    assert (result.state, "not a directory" in result.found) == ("failed", True)


def test_the_folder_of_clips_is_checked_where_they_are_on(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file where a folder should be")
    given = {"source": ["-"], "history": "off", "clips_folder": str(tmp_path / "clips")}
    states = [
        {
            result.check: result.state
            for result in check_stream(load_settings({**given, "clips": on}, environment={}), [], seconds=1)
        }
        for on in (True, False)
    ]
    assert states[0]["clips"] == "failed"
    assert "clips" not in states[1]


ON_A_DISK_OF_ITS_OWN = """
set -e
mount -t tmpfs -o size=256k none "$1"
{prepare}
exec "$2" -c 'import sys
from pathlib import Path
from streamer.doctor.disk import check_history
result = check_history(Path(sys.argv[1]) / "history.sqlite3")
print(result.state, result.found, result.advice, sep="|")' "$1"
"""


@pytest.mark.system
@pytest.mark.parametrize(
    ("prepare", "state", "found", "advice"),
    [
        ("true", "warning", "only 0.3 MB free in", "free some space"),
        ('head -c 240000 /dev/zero >"$1/video"', "failed", "no space left on device", "free some space"),
        ('mount -o remount,ro "$1"', "failed", "read-only file system", "allow this user to write there"),
    ],
    ids=["small", "full", "read-only"],
)
def test_a_disk_without_room_or_right_is_named(
    prepare: str, state: str, found: str, advice: str, tmp_path: Path
) -> None:
    require("unshare", "mount")
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount")
    script = ON_A_DISK_OF_ITS_OWN.format(prepare=prepare)
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", tmp_path, sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = result.stdout.strip().split("|")
    assert told[0] == state
    assert found in told[1]
    assert advice in told[2]


# Settings


def test_the_origin_of_each_setting_is_named_without_its_value(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('hop = 0.5\nmqtt = "mqtt://me:secret@broker"\n')
    file.chmod(0o600)
    environment = {"EARSHOT_CONFIG": str(file), "EARSHOT_MQTT_USERNAME": "secret", "PATH": "/"}
    result = check_settings(where_set({"model": "tiny", "top": None}, environment=environment))
    assert result == CheckResult(
        "settings",
        "ok",
        f"the file {file} sets hop, mqtt; the environment sets mqtt_username; the command line sets model",
        figures={
            "places": {
                f"the file {file}": ["hop", "mqtt"],
                "the environment": ["mqtt_username"],
                "the command line": ["model"],
            }
        },
    )
    assert check_settings([]).found == "all settings have their defaults"


@pytest.mark.parametrize("line", ['mqtt = "mqtt://me:secret@broker"', 'mqtt_password = "secret"'])
def test_a_password_in_a_file_that_others_can_read_is_a_warning(tmp_path: Path, line: str) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(f"{line}\n")
    file.chmod(0o644)
    result = check_settings(where_set({}, config=file, environment={}))
    assert (result.state, result.advice) == ("warning", f"run chmod go= {file}")
    file.write_text("hop = 2\n")
    assert check_settings(where_set({}, config=file, environment={})).state == "ok"


def test_a_password_file_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    settings = load_settings({"mqtt_password_file": str(file)}, environment={})
    file.chmod(0o640)
    assert check_settings([], settings.secret_files).advice == f"run chmod go= {file}"
    file.chmod(0o600)
    assert check_settings([], settings.secret_files).state == "ok"


# The program


def run(*options: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_live.py"), "doctor", *options],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


CHECKS = [
    "settings",
    "source demo",
    "history",
    "broker",
    "Home Assistant",
    "display",
    "model",
    "speed",
    "best model",
    "sounds",
]


@pytest.mark.slow
@pytest.mark.system
def test_without_problems_the_program_reports_success_and_changes_nothing(
    broker: Mosquitto, environment: dict[str, str], tmp_path: Path
) -> None:
    mqtt = f"mqtt://127.0.0.1:{broker.port}"
    options = ("--source", "demo", "--model", "tiny", "--hop", "60", "--mqtt", mqtt, "--offline", "--json")
    result = run(*options, environment=environment)
    assert result.returncode == 0, result.stdout
    checks = {check["check"]: check for check in json.loads(result.stdout)["checks"]}
    assert list(checks) == CHECKS
    assert set(checks["model"]) == {"check", "state", "found", "advice", "figures"}
    assert checks["model"]["figures"]["classes"] == 527
    assert 0 < checks["speed"]["figures"]["real_time_factor"] < 0.8
    assert (checks["display"]["state"], "--headless" in checks["display"]["advice"]) == ("warning", True)
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_each_list_of_sounds_is_checked(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(
        'watch = ["Dog"]\nmodel = "tiny"\nhop = 60\nhistory = "off"\n'
        '[[source]]\nname = "kitchen"\nspec = "demo"\nwatch = ["Alarm clock", "Smoke alarm"]\n'
        '[[source]]\nname = "hall"\nspec = "demo"\nwatch = ["Dgo"]\n'
    )
    result = run("--config", str(file), "--offline", "--json", environment=environment)
    checks = {check["check"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.returncode == 1
    assert checks["sounds kitchen"]["figures"]["sounds"] == ["Alarm clock", "Smoke alarm"]
    assert (checks["sounds hall"]["state"], "did you mean 'Dog'" in checks["sounds hall"]["advice"]) == (
        "failed",
        True,
    )
    assert "sounds" not in checks, "no source has the list that holds for all"


@pytest.mark.slow
@pytest.mark.system
def test_all_checks_are_made_whatever_fails_and_no_password_is_shown(
    environment: dict[str, str], tmp_path: Path
) -> None:
    require("mosquitto", "mosquitto_passwd")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with Mosquitto(folder, username="ear", password="right") as guarded:
        result = run(
            *("--source", "/no/such.wav", "--model", "tinny", "--headless"),
            *("--mqtt", f"mqtt://ear@127.0.0.1:{guarded.port}"),
            environment=environment | {"EARSHOT_MQTT_PASSWORD": PASSWORD},
        )
    assert result.returncode == 1
    states = [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert states == ["ok", "failed", "ok", "failed", "skipped", "skipped", "failed", "skipped", "skipped"]
    assert "wrong user name or password" in result.stdout
    assert "the environment sets precision, mqtt_password" in result.stdout
    assert PASSWORD not in result.stdout + result.stderr
    assert result.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hop", "0.015"], "multiple of 0.01"),
        (["--config", "/no/such.toml"], "/no/such.toml"),
        (["--mqtt", "mqtt://me:secret@x"], "EARSHOT_MQTT_PASSWORD"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_settings_that_can_not_be_read_are_a_usage_error(
    options: list[str], words: str, environment: dict[str, str]
) -> None:
    result = run(*options, environment=environment)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.slow
def test_a_reader_that_has_read_enough_ends_the_command_quietly(environment: dict[str, str]) -> None:
    options = [sys.executable, str(ROOT / "run_live.py"), "doctor", "--source", "demo", "--model", "tinny"]
    with ChildProcess[bytes](
        options, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline().startswith(b"ok")
        program.stdout.close()
        assert program.stderr.read() == b""
        assert program.wait(timeout=60) == 0
