"""The add-on of Home Assistant: its description, its settings, and the broker that the supervisor names."""

import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import yaml
from support.system import free_port

from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "home-assistant"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "config.yaml").read_text(encoding="utf-8"))

DOCUMENTED = {
    **dict.fromkeys(("name", "version", "slug", "description", "startup", "boot", "watchdog"), str),
    **dict.fromkeys(("panel_icon", "panel_title"), str),
    **dict.fromkeys(("arch", "services", "map", "backup_exclude"), list),
    **dict.fromkeys(("ingress", "ingress_stream", "audio"), bool),
    **dict.fromkeys(("timeout", "ingress_port"), int),
    **dict.fromkeys(("options", "schema"), dict),
}
"""Keys of the supervisor's schema that the description uses, and their types."""

OPTION_TYPE = re.compile(
    r"(list\(.+\)|bool|email|url|port|(str|password|int|float)(\(.*\))?|match\(.*\)|device)\??"
)


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """The start of the add-on as a module."""
    spec = importlib.util.spec_from_file_location("add_on_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def supervisor(status: int, content: object) -> Iterator[tuple[str, list[str]]]:
    """Run a supervisor that has one answer; yield its address and the tokens that it got."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status if self.path == "/services/mqtt" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", tokens
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read(environment: dict[str, str], folder: Path) -> Settings:
    return load_settings({}, environment=environment, config=None if not folder.exists() else folder)


def test_the_description_uses_keys_of_the_schema_with_their_types() -> None:
    for key, value in CONFIG.items():
        assert isinstance(value, DOCUMENTED[key]), key
    assert {"name", "version", "slug", "description", "arch"} <= CONFIG.keys()
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", CONFIG["slug"])
    assert set(CONFIG["arch"]) == {"amd64", "aarch64"}
    assert CONFIG["startup"] in {"initialize", "system", "services", "application", "once"}
    assert CONFIG["boot"] in {"auto", "manual", "manual_only"}
    assert re.fullmatch(r"(?:https?|\[PROTO:\w+\]|tcp)://\[HOST\]:(\[PORT:\d+\]|\d+).*", CONFIG["watchdog"])
    assert all(re.fullmatch(r"\w+:(provide|want|need)", service) for service in CONFIG["services"])
    assert CONFIG["map"] == [{"type": "addon_config", "read_only": False}]
    assert 10 <= CONFIG["timeout"] <= 300


def test_the_options_fit_their_schema() -> None:
    assert CONFIG["options"].keys() == CONFIG["schema"].keys()
    for name, kind in CONFIG["schema"].items():
        (single,) = kind if isinstance(kind, list) else (kind,)
        assert OPTION_TYPE.fullmatch(single), name
        assert isinstance(CONFIG["options"][name], list) == isinstance(kind, list)
    for language in ("en", "de"):
        words = yaml.safe_load((FOLDER / "translations" / f"{language}.yaml").read_text(encoding="utf-8"))
        assert words["configuration"].keys() == CONFIG["schema"].keys()
        assert all(set(entry) == {"name", "description"} for entry in words["configuration"].values())


def test_the_version_is_that_of_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert CONFIG["version"] == project["version"]


def test_the_image_has_all_that_it_copies() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        words
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for words in line.split()[:-1]
    ]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_options_become_settings(run: ModuleType, tmp_path: Path) -> None:
    options = {
        "sources": ["hall=mic", "yard=rtsp://camera.local/live"],
        "sounds": ["Smoke alarm", "Chirp, tweet"],
        "model": "tiny",
        "clips": True,
        "notify": ["json://localhost"],
    }
    mqtt = {"host": "core-mosquitto", "port": 1883, "ssl": False, "username": "addons", "password": "a,b[c"}
    found = read(run.settings(options, mqtt), tmp_path / "none")
    assert [source.name for source in found.sources] == ["hall", "yard"]
    assert found.watched is not None
    assert [watch.sound for watch in found.watched] == ["Smoke alarm", "Chirp, tweet"]
    assert (found.model, found.clips, found.headless) == ("tiny", True, True)
    assert found.notify_addresses() == ["json://localhost"]
    assert found.web_address == ("0.0.0.0", run.INGRESS_PORT)
    assert (found.web_ingress, CONFIG["ingress_port"]) == ("172.30.32.2", run.INGRESS_PORT)
    broker = found.broker()
    assert broker is not None
    assert (broker.host, broker.port, broker.tls) == ("core-mosquitto", 1883, False)
    assert (broker.username, broker.password) == ("addons", "a,b[c")


def test_the_default_options_leave_the_rest_to_the_settings_file(run: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('watch = ["Dog"]\nclips = true\n')
    found = read(run.settings(CONFIG["options"], None), file)
    assert found.watched is not None
    assert [watch.sound for watch in found.watched] == ["Dog"]
    assert found.clips
    assert found.mqtt is None


def test_the_settings_file_may_name_another_broker_and_another_node(run: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    mqtt = {"host": "core-mosquitto", "username": "addons", "password": "secret"}
    file.write_text('node = "attic"\nmqtt = "mqtt://me@broker.local"\nmqtt_password = "mine"\n')
    found = read(run.settings({}, mqtt, run.named(file)), file)
    broker = found.broker()
    assert broker is not None
    assert (found.node, broker.host, broker.username, broker.password) == (
        "attic",
        "broker.local",
        "me",
        "mine",
    )
    for text in ('watch = ["Dog"]', "node = ", "\x00"):
        file.write_text(text)
        environment = run.settings({}, mqtt, run.named(file))
        assert (environment["EARSHOT_NODE"], environment["EARSHOT_MQTT_PASSWORD"]) == ("earshot", "secret")
    assert run.named(tmp_path / "none") == set()


def test_the_broker_comes_from_the_supervisor(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    data = {"host": "core-mosquitto", "port": 8883, "ssl": True, "username": "addons", "password": "secret"}
    with supervisor(200, {"result": "ok", "data": data}) as (address, tokens):
        mqtt = run.broker(address, "token")
    assert (mqtt, tokens) == (data, ["Bearer token"])
    assert run.settings({}, mqtt)["EARSHOT_MQTT"] == "mqtts://core-mosquitto:8883"
    with supervisor(400, {"result": "error", "message": "Service not enabled"}) as (address, _):
        assert run.broker(address, "token") is None
    answers: tuple[object, ...] = (b"<html>", {"data": None}, [], {"data": {}})
    for answer in answers:
        with supervisor(200, answer) as (address, _):
            assert run.broker(address, "token") is None
    assert run.broker(f"http://127.0.0.1:{free_port()}", "token") is None
    assert "going on without MQTT" in capsys.readouterr().err
