"""The page in the settings, on the command line and in the running program."""

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.program import ROOT, Program
from support.system import free_port
from support.waiting import START_SECONDS, wait_until

from earshot import web_view
from earshot.web_events import EventAccess
from streamer.errors import SettingsError, SinkError
from streamer.messages import Event, EventQuery, Occurrence
from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings
from streamer.settings.web import is_loopback, parse_web_address
from streamer.sinks.history import page
from streamer.sinks.history.store import History
from web.passwords import hash_password, is_password

HASH = hash_password("correct horse")


def settings(**given: Any) -> Settings:
    return Settings.model_validate(given)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("localhost:80", ("localhost", 80)),
        ("0.0.0.0:8080", ("0.0.0.0", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("my-box.local:1", ("my-box.local", 1)),
    ],
)
def test_an_address_is_a_port_or_a_host_with_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_web_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "80:80:80", "::1:80", "a b:80", "http://x:80", "x:", ":80"]
)
def test_another_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a port such as 8080"):
        parse_web_address(text)


def test_only_this_machine_needs_no_password() -> None:
    assert settings(web="8080").web_address == ("127.0.0.1", 8080)
    assert settings(web="[::1]:8080").web_address == ("::1", 8080)
    with pytest.raises(
        ValueError, match="lets other machines in, so it needs a password: run earshot web password"
    ):
        settings(web="0.0.0.0:8080")
    assert settings(web="0.0.0.0:8080", web_password=HASH).web_address == ("0.0.0.0", 8080)
    assert is_loopback("127.8.0.1")
    assert not is_loopback("earshot.local")


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("web", "soon", "web must be a port such as 8080"),
        (
            "web_password",
            "correct horse",
            "web_password must be the hash of a password: run earshot web password",
        ),
        ("web_token", "abc", "web_token must be the hash of a token: run earshot web token"),
        ("web_path", "earshot/", "web_path must be a path such as /earshot"),
        ("web_path", "/../x;y", "web_path must be a path such as /earshot"),
    ],
)
def test_a_wrong_setting_gets_a_sentence_without_its_secret(
    tmp_path: Path, setting: str, value: str, sentence: str
) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(f'{setting} = "{value}"\n')
    with pytest.raises(SettingsError) as error:
        load_settings({}, config=file)
    assert sentence in str(error.value).replace(f" in the file {file}", "")
    assert "correct horse" not in str(error.value)


def test_a_port_may_be_a_number(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text("web = 8080\n")
    assert load_settings({}, config=file).web_address == ("127.0.0.1", 8080)


def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "run_live.py", *words],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )


def test_the_command_hashes_a_password_from_standard_input() -> None:
    result = run("web", "password", text="correct horse\n")
    name, _, value = result.stdout.strip().partition(" = ")
    assert name == "web_password"
    assert is_password("correct horse", json.loads(value))
    short = run("web", "password", text="short\n")
    assert short.returncode == 2
    assert "a password has 8 to 1024 characters; choose another one" in short.stderr


def test_the_key_of_sessions_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "web-key"
    key = web_view._session_key(file, HASH)
    assert web_view._session_key(file, HASH) == key
    assert web_view._session_key(file, hash_password("another one")) != key
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("damaged")
    assert web_view._session_key(file, HASH) != key


def test_the_newest_occurrences_of_a_history_are_read(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"
    with History(file) as history:
        for number, label in enumerate(("Dog", "Siren", "Dog")):
            for kind in ("started", "ended"):
                ended = None if kind == "started" else number + 0.5
                history.accept(
                    Event(
                        str(number),
                        kind,
                        label,
                        "kitchen",
                        0.5 + 0.1 * number,
                        float(number) + 1e9,
                        ended and ended + 1e9,
                    )
                )
        history.accept(Event("3", "started", "Dog", "yard", 0.9, 1e9 + 3))

    def ids(**query: Any) -> list[str]:
        return [event.id for event in page.read_newest(file, EventQuery(**query))]

    assert ids() == ["3", "2", "1", "0"]
    assert ids(limit=2) == ["3", "2"]
    assert ids(labels=["Dog"]) == ["3", "2", "0"]
    assert ids(sources=["yard"]) == ["3"]
    assert ids(since=1e9 + 1, until=1e9 + 3) == ["2", "1"]
    assert ids(least_score=0.65) == ["3", "2"]
    after = page.read_newest(file, EventQuery(limit=2), (1e9 + 2, "2"))
    assert [event.id for event in after] == ["1", "0"]
    found = page.read_one(file, "2")
    assert found is not None
    assert found.ended_at == 1e9 + 2.5
    assert page.read_one(file, "' OR 1=1 --") is None


def test_events_with_one_start_keep_their_places_when_they_end(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite3"

    def read(after: tuple[float, str] | None) -> list[str]:
        return [event.id for event in page.read_newest(file, EventQuery(limit=2), after)]

    with History(file, days=36_500.0) as history:
        for name in ("a", "d", "b", "c"):
            history.accept(Event(name, "started", "Dog", "kitchen", 0.5, 1e9))
        assert read(None) == ["d", "c"]
        history.accept(Event("b", "ended", "Dog", "kitchen", 0.5, 1e9, 1e9 + 1))
        history.accept(Event("d", "ended", "Dog", "kitchen", 0.5, 1e9, 1e9 + 1))
        assert read((1e9, "c")) == ["b", "a"]


@pytest.mark.parametrize(
    "place", ["outside.flac", "clips/../outside.flac", "clips/link.flac", "clips/notes.txt"]
)
def test_only_clips_in_their_folder_are_served(tmp_path: Path, place: str) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for file in (tmp_path / "outside.flac", clips / "inside.flac", clips / "notes.txt"):
        file.write_bytes(b"fLaC")
    (clips / "link.flac").symlink_to(tmp_path / "outside.flac")
    history = tmp_path / "history.sqlite3"
    with History(history) as store:
        for identifier, clip in (("good", clips / "inside.flac"), ("bad", tmp_path / place)):
            store.accept(Event(identifier, "ended", "Dog", "kitchen", 0.5, 1e9, 1e9 + 1, str(clip)))

    class Live:
        current = settings(history=str(history), clips_folder=str(clips))

    live: Any = Live()
    events = EventAccess(live, None)
    assert events.find_clip("good") == (clips / "inside.flac").resolve()
    assert events.find_clip("bad") is None
    assert events.find_clip("nobody") is None


def test_a_proxy_that_logs_users_in_takes_the_place_of_a_password() -> None:
    assert settings(web="0.0.0.0:8099", web_ingress="172.30.32.2").web_address == ("0.0.0.0", 8099)
    with pytest.raises(ValueError, match="must be the address of the proxy"):
        settings(web="0.0.0.0:8099", web_ingress="homeassistant")


def test_a_clip_is_kept_or_deleted_with_its_event(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    day = clips / "2026-03-01"
    day.mkdir(parents=True)
    files = [day / f"120005257-kitchen-dog-1f0c9a2b.{kind}" for kind in ("flac", "json", "keep")]
    for file in files[:2]:
        file.write_bytes(b"fLaC")

    class Live:
        current = settings(history=str(tmp_path / "history.sqlite3"), clips_folder=str(clips))

    live: Any = Live()
    with History(tmp_path / "history.sqlite3", days=36_500.0, outgoing=False) as store:
        store.accept(Event("dog", "ended", "Dog", "kitchen", 0.5, 1e9, 1e9 + 1, str(files[0])))
        store.accept(Event("siren", "ended", "Siren", "kitchen", 0.5, 1e9, 1e9 + 1))
        events = EventAccess(live, store)
        events.keep_clip("dog", True)
        assert files[2].exists()
        events.mark("dog", "right")
        (dog,) = events.read(EventQuery(labels=("Dog",)))
        assert isinstance(dog, Occurrence)
        assert (dog.mark, dog.keeps_clip) == ("right", True)
        with pytest.raises(SinkError, match="has no clip"):
            events.keep_clip("siren", True)
        events.delete("dog")
        assert not day.exists()
        assert [event.id for event in events.read(EventQuery())] == ["siren"]
        with pytest.raises(SinkError, match="events are not stored"):
            EventAccess(live, None).mark("siren", "right")


@pytest.mark.slow
def test_the_program_serves_its_page(environment: dict[str, str]) -> None:
    port = free_port()

    def get(name: str) -> Any:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/api/v1/{name}", timeout=START_SECONDS
        ) as answer:
            return json.load(answer)

    with Program("--source", "demo", "--web", str(port), environment=environment) as program:
        wait_until(
            lambda: program.logged(f"the page is at http://127.0.0.1:{port}/"), "the page", START_SECONDS
        )
        wait_until(lambda: get("tags")["tags"], "tags", START_SECONDS)
        body = json.dumps({"source": "demo", "sound": "Dog", "threshold": 0.9}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/watch", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            assert answer.status == 200
        assert {"sound": "Dog", "threshold": 0.9, "quiet": "never"} in get("sources")["sources"][0]["watched"]
        assert program.interrupt() == 130


@pytest.mark.slow
def test_what_is_set_and_calibrated_on_the_page_of_the_program_is_in_its_settings(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    port, file = free_port(), tmp_path / "earshot.toml"
    file.write_text('# mine\nwatch = ["Speech", { sound = "Music", threshold = 0.2 }]\n')

    def ask(name: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/{name}", content, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            return json.load(answer)

    options = ("--source", "demo", "--web", str(port), "--config", str(file))
    with Program(*options, environment=environment) as program:
        wait_until(lambda: program.logged("the page is at"), "the page", START_SECONDS)
        wait_until(lambda: ask("status")["model"], "the model", START_SECONDS)
        ask("quiet", {"source": "demo", "sound": "Music", "quiet": "sat,sun 22:00-9:00"})
        assert ask("save", {}) == {"file": str(file)}
        assert 'quiet = "sat,sun 22:00-09:00"' in file.read_text()
        assert file.read_text().startswith("# mine\n")

        ask("calibration", {"seconds": 3600})
        wait_until(lambda: any(sound["proposed"] for sound in ask("calibration")["sounds"]), "a proposal")
        ask("calibration/stop", {})
        assert ask("calibration/apply", {}) == {"file": str(file)}
        found = {check["check"]: check["state"] for check in ask("doctor")["checks"]}
        assert found["source demo"] == found["model"] == "ok"
        assert program.interrupt() == 130
    watched = load_settings({}, config=file, environment={}).watched
    assert watched is not None
    assert {watch.sound: watch.rule.get("quiet") for watch in watched} == {
        "Speech": None,
        "Music": "sat,sun 22:00-09:00",
    }
    rules = [watch.rule for watch in watched]
    assert max(rule.get("minimum_threshold", rule.get("threshold", 0.0)) for rule in rules) > 0.2


@pytest.mark.slow
def test_a_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("--headless", "--source", "demo", "--model", "tiny", "--web", str(port))
    assert result.returncode == 1
    assert f"the page can't be served at 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr
