"""Virtual microphone into which tests play sound."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.waiting import wait_until

_ALSA_CONFIGURATION = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""

STEREO = "front-left,front-right"
EIGHT_CHANNELS = f"{STEREO},rear-left,rear-right,front-center,lfe,side-left,side-right"
"""PulseAudio's names of the channels of sound cards, in ALSA's order."""


@dataclass
class VirtualMicrophone:
    """Microphone that records what is played into it: the monitor of a null sink in a private PulseAudio.

    Attributes
    ----------
    environment : dict of str to str
        This process's environment, and what makes the virtual microphone a program's default one.
    """

    environment: dict[str, str]
    _players: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def start(cls, folder: Path, rate_hz: int, channel_map: str = STEREO) -> "VirtualMicrophone":
        """Start PulseAudio with its files in a folder, and return when it is ready."""
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
        """Stop playing."""
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
        """Unplug the microphone, and return when another one can be plugged in."""
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
