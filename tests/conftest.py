"""Fixtures that several test modules share; real components of the system are skipped where they are missing."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.guard import Guard
from support.microphone import VirtualMicrophone
from support.mosquitto import Mosquitto
from support.program import clean_environment
from support.screen import Screen
from support.system import require, short_folder

settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        # Ignored in the background and under nohup, and the programs under test would inherit that.
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
    config.pluginmanager.register(Guard(config))
    config.pluginmanager.register(Screen(config))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the caches of the tests out of the user's folders, and programs from measuring engines on a busy machine."""
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent  # workers share what one of them has translated
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session / "cache"))
        if "XDG_RUNTIME_DIR" not in os.environ:
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("EARSHOT_PRECISION", "fp32")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_idle_decoders() -> Iterator[None]:
    """End the processes that wait for another recording."""
    yield
    if "streamer.sources.ffmpeg.pool" in sys.modules:
        sys.modules["streamer.sources.ffmpeg.pool"].end_idle()


@pytest.fixture(scope="session", autouse=True)
def single_precision() -> Iterator[None]:
    """Keep models from measuring engines for a minute on a busy machine; a limit of 0 s asks for it."""
    if "torch" not in sys.modules:
        yield
        return
    from models.selection import engine_choice

    measure = engine_choice._fastest

    def settle(make: Any, exact: Any, *more: Any, **named: Any) -> Any:
        return measure(make, exact, *more, **named) if more[-1] == 0.0 else exact

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_choice, "_fastest", settle)
        yield


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Reset what a command that runs in this process sets: the level of each package's log."""
    loggers = [logging.getLogger(name) for name in ("earshot", "streamer", "models", "gui", "web")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that finds no settings of the user, no display and no network."""
    return clean_environment(tmp_path)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker that accepts every client."""
    require("mosquitto")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with Mosquitto(folder) as running_broker:
        yield running_broker


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: small matrices are faster so, and sums come in the same order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plugged_in(virtual_microphone: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch) -> VirtualMicrophone:
    """The virtual microphone, as the default one of this process."""
    virtual_microphone.plug_in(monkeypatch)
    return virtual_microphone


@pytest.fixture
def pulseaudio_folder() -> Iterator[Path]:
    """A private folder for a sound server."""
    require("pulseaudio", "paplay")
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def shared_microphone() -> Iterator[VirtualMicrophone]:
    """The one that all tests share, for it takes a moment to start."""
    require("pulseaudio", "paplay")
    with short_folder() as folder:
        microphone = VirtualMicrophone.start(folder, 48_000)
        try:
            yield microphone
        finally:
            microphone.stop()


@pytest.fixture
def virtual_microphone(shared_microphone: VirtualMicrophone) -> Iterator[VirtualMicrophone]:
    """A microphone into which tests play recordings, at 48 kHz; it is silent at first."""
    yield shared_microphone
    shared_microphone.hush()
