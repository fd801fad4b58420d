"""Nothing leaves the machine: no command looks up a name or connects, except to the Hub for a model that is asked for."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.audio_pack import write_pack
from support.hub_server import serve
from support.program import ROOT, command
from support.spy import contacts, spied
from support.waiting import PATIENCE_SECONDS

DEMO = str(ROOT / "streamer" / "assets" / "demo.ogg")
TINY = ("--model", "tiny")
LISTEN = (*TINY, "--source", "demo", "--offline")
LEARN = ("--epochs", "1", "--batch", "2", "--window", "1", "--device", "cpu", "--validation", "0.5")
SMALL_NETWORK = ("--network", "tiny-16-16", "--window", "1", "--precision", "fp32")


def run(words: Sequence[str], environment: dict[str, str], folder: Path) -> set[str]:
    """Run a program that succeeds, in an empty home; return what it has contacted."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        words,
        cwd=folder,
        env=spied(environment, folder / "spied") | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.iterdir())
    return contacts(folder / "spied")


@pytest.fixture
def offline(environment: dict[str, str]) -> dict[str, str]:
    """The environment of a program that is to stay offline by its own settings alone."""
    del environment["HF_HUB_OFFLINE"]
    return environment | {"EARSHOT_OFFLINE": "1"}


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two classes with two recordings each."""
    random = np.random.default_rng(0)
    for name in ("Dog", "Cat"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            noise = 0.1 * random.standard_normal(16_000)
            soundfile.write(tmp_path / "data" / name / f"{number}.wav", noise, 16_000)
    return tmp_path


def test_a_tagger_contacts_nothing_on_an_empty_cache(offline: dict[str, str], tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from earshot import load_tagger; load_tagger('tiny', offline=True, precision='fp32')"
    environment = offline | {"XDG_CACHE_HOME": str(tmp_path / "empty")}
    assert run([sys.executable, "-c", code], environment, tmp_path) == set()


def test_the_spy_sees_a_lookup_in_a_child_process(offline: dict[str, str], tmp_path: Path) -> None:
    lookup = "import contextlib, socket\nwith contextlib.suppress(OSError): socket.create_connection(('127.0.0.1', 9))"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {lookup!r}], check=True)"
    assert run([sys.executable, "-c", code], offline, tmp_path) == {"127.0.0.1 9"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--headless", "--duration", "2", "--fast", *LISTEN),
        ("--json", "--model", "auto", "--source", "demo", "--duration", "2", "--fast", "--offline"),
        ("doctor", "--headless", "--seconds", "1", *LISTEN),
        ("calibrate", "--for", "2s", "--fast", *LISTEN),
        ("tag", *TINY, "--offline", "--events", DEMO),
        ("sounds",),
        ("models",),
        ("models", "download", "tiny"),
        ("models", "quantize", "tiny", "--sound", DEMO),
        ("bench", "--runs", "2", "--engine", "openvino", *SMALL_NETWORK),
        ("finetune", "--offline", "--data", "data", "--out", "new.safetensors", *LEARN),
        ("evaluate", "--offline", "--data", "data"),
        ("evaluate", "--offline", "--background", "5s"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_an_offline_command_contacts_nothing(
    words: tuple[str, ...], offline: dict[str, str], recordings: Path
) -> None:
    assert run(command(*words), offline, recordings) == set()


@pytest.mark.slow
def test_replay_and_events_contact_nothing(offline: dict[str, str], tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    listening = command("--headless", "--duration", "2", "--fast", "--score-log", log, *LISTEN)
    assert run(listening, offline, tmp_path) == set()
    assert run(command("replay", log), offline, tmp_path) == set()
    assert run(command("events"), offline, tmp_path) == set()


@pytest.mark.slow
def test_training_on_a_pack_contacts_nothing(offline: dict[str, str], tmp_path: Path) -> None:
    write_pack(tmp_path / "pack")
    device = ("--pack", "pack", "--device", "cpu")
    short = ("--steps", "1", "--no-compile", "--no-calibrate")
    assert run(command("distil", *device, *short, "--out", "run"), offline, tmp_path) == set()
    limits = ("--limit", "2", "--background", "5s")
    assert (
        run(command("calibrate-model", *device, *limits, "--out", "out.safetensors"), offline, tmp_path)
        == set()
    )


def test_a_command_that_may_download_contacts_the_hub_alone(
    environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["HF_HUB_OFFLINE"]
    with serve({}) as hub:
        words = command("models", "download", "hub:someone/none")
        file = tmp_path / "spied"
        online = spied(environment, file) | {"HF_ENDPOINT": hub.endpoint, "no_proxy": "127.0.0.1"}
        done = subprocess.run(
            words, env=online, capture_output=True, timeout=10 * PATIENCE_SECONDS, check=False
        )
        assert done.returncode == 1
        assert contacts(file) == {hub.endpoint.removeprefix("http://").replace(":", " ")}


@pytest.mark.parametrize("words", [("bench", "--model", "base"), ("models", "download", "base")])
def test_an_offline_command_refuses_a_download(
    words: tuple[str, ...], offline: dict[str, str], tmp_path: Path
) -> None:
    with serve({}) as hub:
        file = tmp_path / "spied"
        environment = spied(offline, file) | {"HF_ENDPOINT": hub.endpoint}
        done = subprocess.run(
            command(*words),
            env=environment,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 1
        assert "offline mode prevents the download" in done.stderr
        assert contacts(file) == set()
