"""What the tests share: real components of the system, skipped where they are missing."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from mosquitto import wait_until

settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_ALSA_CONFIGURATION = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""

STEREO = "front-left,front-right"
EIGHT_CHANNELS = f"{STEREO},rear-left,rear-right,front-center,lfe,side-left,side-right"
"""PulseAudio's names of the channels of sound cards, in ALSA's order."""


def require(*commands: str) -> None:
    """Skip the test where a command is missing; fail it where CI=true, which promises to have them all."""
    missing = [command for command in commands if shutil.which(command) is None]
    if not missing:
        return
    sentence = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the tests leave out of the user's folders; have programs try no other precision where the machine is busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        if "XDG_RUNTIME_DIR" not in os.environ:
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("EARSHOT_PRECISION", "fp32")
        yield


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder with a path that is short enough for a socket; it goes when nobody puts anything into it any more."""
    folder = Path(tempfile.mkdtemp(prefix="earshot-"))

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    try:
        yield folder
    finally:
        wait_until(gone, f"{folder} to be left alone")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: small matrices are faster so, and sums come in the same order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class VirtualMicrophone:
    """A microphone that hears what is played into it: the monitor of a null sink in a private PulseAudio.

    Attributes
    ----------
    environment : dict of str to str
        This process's environment, and what makes the virtual microphone a program's default one.
    """

    environment: dict[str, str]
    _players: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def start(cls, folder: Path, rate_hz: int, channel_map: str = STEREO) -> "VirtualMicrophone":
        """Start PulseAudio with its files in a folder; it returns when the sound server is ready."""
        configuration = folder / "asound.conf"
        configuration.write_text(_ALSA_CONFIGURATION)
        microphone = cls(
            os.environ
            | {
                "ALSA_CONFIG_PATH": str(configuration),
                "PULSE_COOKIE": str(folder / "cookie"),
                "PULSE_SERVER": f"unix:{folder / 'pulse' / 'native'}",
                "PULSE_SOURCE": "vmic.monitor",
                "XDG_RUNTIME_DIR": str(folder),
            }
        )
        channels = f"channels={channel_map.count(',') + 1} channel_map={channel_map}"
        microphone._run(
            [
                *("pulseaudio", "--daemonize=yes", "--exit-idle-time=-1", "--log-target=null", "-n"),
                "--load=module-native-protocol-unix auth-anonymous=1",
                f"--load=module-null-sink sink_name=vmic rate={rate_hz} {channels}",
                "--load=module-always-sink",
            ]
        )
        return microphone

    def plug_in(self, patch: pytest.MonkeyPatch) -> None:
        """Make it the default microphone of this process, until the patch is undone."""
        for name, value in self.environment.items():
            patch.setenv(name, value)

    def play(self, path: Path | str, *options: str, wait: bool = True) -> None:
        """Play a WAV, FLAC or Ogg file into the microphone, with options of paplay, and wait for its end or not."""
        player = subprocess.Popen(["paplay", "--device=vmic", *options, str(path)], env=self.environment)
        self._players.append(player)
        if wait:
            assert player.wait(timeout=120) == 0

    def hush(self) -> None:
        """Stop what is played."""
        for player in self._players:
            player.kill()
            player.wait(timeout=60)
        self._players.clear()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the sound server hang for as long as the block lasts."""
        server = int(self._pid_file.read_text())
        os.kill(server, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server, signal.SIGCONT)

    def stop(self) -> None:
        """Unplug the microphone; it returns when another one can be plugged in."""
        self.hush()
        self._run(["pulseaudio", "--kill"])
        wait_until(lambda: not self._pid_file.exists(), "the sound server to end")

    @property
    def _pid_file(self) -> Path:
        return Path(self.environment["XDG_RUNTIME_DIR"]) / "pulse" / "pid"

    def _run(self, command: list[str]) -> None:
        # The daemon inherits no pipe: nobody would wait for its end.
        environment = self.environment | {"HOME": self.environment["XDG_RUNTIME_DIR"]}
        subprocess.run(
            command,
            env=environment,
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


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
