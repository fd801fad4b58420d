"""Files of `deploy`: units that systemd accepts and rates as well sandboxed, and a container that has all it names."""

import configparser
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.program import ChildProcess, command
from support.system import free_port, require
from support.systemd import Systemd, service
from support.waiting import START_SECONDS, wait_until

from streamer.settings.loading import load_settings, settings_file

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
UNITS = ("earshot.service", "earshot-user.service")
KIOSK = "earshot-kiosk.service"
UNITS_OF_WORKERS = ("ray/earshot-head.service", "ray/earshot-worker.service")


def unit(name: str, folder: Path) -> Path:
    """Install a unit with a program that is there."""
    text = (DEPLOY / name).read_text(encoding="utf-8").replace("/opt/earshot/.venv/bin/earshot", "/bin/true")
    text = text.replace("/opt/earshot/deploy", str(DEPLOY))
    installed = folder / Path(name).name
    installed.write_text(text, encoding="utf-8")
    return installed


def entries(name: str, key: str) -> list[str]:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return [value for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE) for value in line.split()]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in instructions("ENV") for pair in line.split())


def test_the_entry_of_the_desktop_starts_the_unit_of_the_kiosk() -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(DEPLOY / "earshot-kiosk.desktop", encoding="utf-8")
    section = entry["Desktop Entry"]
    assert section["type"] == "Application"
    shell, option, line = shlex.split(section["exec"])
    assert (shell, option) == ("/bin/sh", "-c")
    subprocess.run([shell, "-n", option, line], check=True, timeout=60)
    assert line.split()[-1] == KIOSK
    assert {"DISPLAY", "WAYLAND_DISPLAY"} <= set(line.partition(";")[0].split())


@pytest.mark.system
@pytest.mark.parametrize("name", [*UNITS, *UNITS_OF_WORKERS, KIOSK])
def test_systemd_accepts_the_units(name: str, tmp_path: Path) -> None:
    require("systemd-analyze")
    kind = ["--user"] if "user" in name or name == KIOSK else []
    with_password = tmp_path / f"{Path(name).name}.d"
    with_password.mkdir()
    for file in ("mqtt-password.conf", "settings.conf") if name in UNITS else ():
        (with_password / file).write_bytes((DEPLOY / file).read_bytes())
    result = subprocess.run(
        ["systemd-analyze", *kind, "verify", "--man=no", unit(name, tmp_path)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "exposure"),
    [
        ("earshot.service", 2.0),
        ("earshot-user.service", 6.5),
        *((name, 4.0) for name in UNITS_OF_WORKERS),
    ],
)
def test_systemd_rates_the_units_as_well_sandboxed(name: str, exposure: float, tmp_path: Path) -> None:
    require("systemd-analyze")
    subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", f"--threshold={exposure * 10:.0f}"),
            unit(name, tmp_path),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize("name", [*UNITS, KIOSK])
def test_the_units_start_existing_commands(name: str) -> None:
    program, *options = entries(name, "ExecStart")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert Path(program).name in scripts
    subprocess.run(command(*options, "--help"), capture_output=True, timeout=60, check=True)
    (documentation,) = entries(name, "Documentation")
    assert (ROOT / documentation.removeprefix("file:///opt/earshot/")).is_file()


@pytest.mark.parametrize("name", UNITS_OF_WORKERS)
def test_the_units_of_workers_start_existing_commands_with_their_tokens(name: str) -> None:
    program = ROOT / entries(name, "ExecStart")[0].removeprefix("/opt/earshot/")
    assert os.access(program, os.X_OK)
    assert "EARSHOT_WORKER_FOLDER=%d" in entries(name, "Environment")
    environment = (DEPLOY / "ray/environment.sh").read_text(encoding="utf-8")
    for credential in entries(name, "LoadCredential"):
        token, _, path = credential.partition(":")
        assert f"$EARSHOT_WORKER_FOLDER/{token}\n" in environment
        assert f"{path}\n" in (ROOT / "docs/scale-out.md").read_text(encoding="utf-8")


def test_the_system_s_unit_keeps_everything_in_its_own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    for assignment in entries("earshot.service", "Environment"):
        monkeypatch.setenv(*assignment.split("=", 1))
    settings = load_settings({}, config=Path("/dev/null"), environment={})
    assert settings_file(environment={}) == Path("/etc/earshot/earshot.toml")
    for path in (settings.history_file, settings.switches_file, settings.clips_path):
        assert path is not None
        assert path.parent == Path("/var/lib/earshot")
    assert os.environ["HF_HOME"].startswith("/var/cache/earshot/")


def test_the_password_of_the_unit_is_a_setting() -> None:
    (assignment,) = entries("mqtt-password.conf", "Environment")
    name, value = assignment.split("=")
    settings = load_settings({}, config=Path("/dev/null"), environment={name: value})
    assert (
        str(settings.mqtt_password_file)
        == f"%d/{entries('mqtt-password.conf', 'LoadCredential')[0].split(':')[0]}"
    )


def test_the_settings_file_of_the_unit_is_a_credential() -> None:
    (assignment,) = entries("settings.conf", "Environment")
    name, value = assignment.split("=")
    credential, path = entries("settings.conf", "LoadCredential")[0].split(":")
    assert settings_file(environment={name: value}) == Path(f"%d/{credential}")
    assert f"install -D -m 0600 my-earshot.toml {path}\n" in (ROOT / "docs" / "service.md").read_text()


def test_the_container_is_built_from_existing_files() -> None:
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in let_in
    system = re.search(r"^SYSTEM := (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert system is not None
    sound = {package for package in system[1].split() if "audio" in package or "asound" in package}
    assert sound <= set(DOCKERFILE.split())
    assert instructions("ENTRYPOINT") == ['["earshot"]']


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "home-assistant/Dockerfile"])
def test_the_container_installs_extras_without_a_window(dockerfile: str) -> None:
    text = (DEPLOY / dockerfile).read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (chosen,) = re.findall(r"^ARG EXTRAS=(.*)$", text, re.MULTILINE)
    assert set(chosen.split(",")) <= extras.keys() - {"gui", "all", "dev"}


@pytest.mark.parametrize("with_compose", [False, True])
def test_the_container_s_environment_is_one_of_settings(
    with_compose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = image_environment()
    if with_compose:
        environment |= COMPOSE["services"]["earshot"]["environment"] | {"EARSHOT_MQTT_PASSWORD": "secret"}
    for name, value in environment.items():
        if name.startswith("XDG"):
            monkeypatch.setenv(name, value)
    settings = load_settings({}, config=Path("/dev/null"), environment=environment)
    assert settings.windowless
    broker = settings.broker()
    if with_compose:
        assert broker is not None
        assert (broker.host, broker.username, broker.password) == ("mosquitto", "earshot", "secret")
        assert "EARSHOT_SOURCE" not in environment, "it would win over the settings file"
    assert settings.history_file == Path("/var/lib/earshot/history.sqlite3")
    assert str(settings.history_file.parent) in instructions("VOLUME")[0]


def test_the_compose_file_refers_to_existing_files() -> None:
    services = COMPOSE["services"]
    build = services["earshot"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    mounted = [volume.split(":") for each in services.values() for volume in each["volumes"]]
    named = {source for source, *_ in mounted if not source.startswith((".", "/"))}
    assert named == set(COMPOSE["volumes"])
    assert (DEPLOY / "mosquitto" / "mosquitto.conf").is_file()
    inside = {target for _, target, *_ in mounted}
    assert {"/etc/earshot", "/var/lib/earshot", "/var/cache/earshot", "/mosquitto/config"} <= inside


@pytest.mark.system
def test_mosquitto_accepts_the_configuration_of_the_compose_file(tmp_path: Path) -> None:
    require("mosquitto", "mosquitto_passwd")
    port, text = free_port(), (DEPLOY / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    for old, new in (("/mosquitto/", f"{tmp_path}/"), ("listener 1883", f"listener {port} 127.0.0.1")):
        assert old in text
        text = text.replace(old, new)
    for folder in ("config", "data"):
        (tmp_path / folder).mkdir()
    passwords = tmp_path / "config" / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "earshot", "secret"], check=True, timeout=10)
    (tmp_path / "mosquitto.conf").write_text(f"{text}user root\n", encoding="utf-8")
    said = tmp_path / "said"
    with (
        said.open("w") as output,
        ChildProcess[bytes](["mosquitto", "-c", tmp_path / "mosquitto.conf"], stderr=output) as broker,
    ):
        try:
            wait_until(lambda: "running" in said.read_text(), "mosquitto to run")
        finally:
            broker.terminate()


@pytest.mark.slow
def test_the_health_check_passes_while_the_program_is_alive(
    environment: dict[str, str], tmp_path: Path
) -> None:
    check = instructions("HEALTHCHECK")[0].partition(" CMD ")[2]
    interpreter, script = yaml.safe_load(check)
    assert interpreter == "python3"
    assert f"COPY deploy/healthcheck.py {script}" in DOCKERFILE
    address = str(tmp_path / "notify")
    health = [sys.executable, str(DEPLOY / "healthcheck.py")]
    quick = environment | {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": image_environment()["WATCHDOG_USEC"]}
    with Systemd(address) as systemd, service("--source", "demo", environment=quick, systemd=systemd):
        for _ in range(2):
            subprocess.run(health, env=quick, timeout=START_SECONDS, check=True)


def test_the_health_check_fails_for_a_program_that_is_not_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(DEPLOY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    healthcheck = importlib.import_module("healthcheck")
    monkeypatch.setattr(healthcheck, "PATIENCE_SECONDS", 0.2)
    assert healthcheck.main() == 1


def test_the_files_named_in_the_documentation_exist() -> None:
    text = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    files = re.findall(r"deploy/(?:Dockerfile|[\w-]+\.\w+)", text)
    assert len(files) > 5
    assert all((ROOT / file).is_file() for file in files)
