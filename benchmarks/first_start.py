"""First start of the program, second by second: window, first tags, download and change-over to a better model.

    python benchmarks/first_start.py [--case hub --case offline --case two] [--megabytes-per-second 5] [--pictures FOLDER]

Each case starts the real program with its window, on an empty home, plays its demo into a virtual microphone (PulseAudio), and listens at a real
Mosquitto. The Hub is a server on the loopback that sends the CED models, with random weights of their real sizes, at the given speed: the times
hold for the published ones, the tags after the change-over mean nothing. The case `offline` has no Hub that answers, the case `two` has two
sources. Lost windows are missing ones between the first tagging and the last.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import IO

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from PIL import ImageGrab

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.hub_server import serve
from support.microphone import VirtualMicrophone
from support.mosquitto import Mosquitto
from support.program import clean_environment, command
from support.reference_ced import ReferenceCed

from models.bench.plan import machine
from models.catalogue import PUBLISHED
from models.labels import audioset_classes
from streamer.sources import DEMO_PATH

SIZES = ("tiny", "mini", "small", "base")
AFTER_CHANGE_SECONDS = 15.0
"""Time for which the program goes on after the change-over."""
UNCONNECTED = "http://127.0.0.1:9"
"""Address at which nothing answers."""
SHOWN = "the window is drawn"

CASES = {
    "hub": ("a Hub on the loopback", ("--source", "room=mic")),
    "offline": ("no network", ("--source", "room=mic")),
    "two": ("a Hub on the loopback, two sources", ("--source", "room=mic", "--source", "hall=demo")),
}


@dataclass
class Recorder:
    """Everything that happens after a start, with its time.

    Attributes
    ----------
    began : float
        Time of the start, on the monotonic clock.
    moments : list of (float, str)
        Seconds after the start, and what happened then.
    ends : dict of str to list of (float, float)
        Seconds after the start, and the time of a window's end, for each source.
    """

    began: float = field(default_factory=time.monotonic)
    moments: list[tuple[float, str]] = field(default_factory=list)
    ends: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def note(self, text: str) -> None:
        """Record a moment."""
        self.moments.append((self.seconds, text))

    def read_log(self, stream: IO[str]) -> None:
        """Record lines of the log until its end."""
        for line in stream:
            self.note(line.rstrip())

    def receive(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        """Record a message."""
        _, _, source, kind = message.topic.split("/")
        if kind == "status":
            self.note(f"{source}: {message.payload.decode()}")
            return
        end = datetime.fromisoformat(json.loads(message.payload)["time"]).timestamp()
        self.ends.setdefault(source, []).append((self.seconds, end))

    @property
    def models(self) -> list[tuple[float, str]]:
        """Models that were used, with the time of each."""
        marks = ((at, text.partition("model ")[2]) for at, text in self.moments if ", 527 classes, " in text)
        return [(at, text.split()[0]) for at, text in marks]

    def lost_windows(self, hop_seconds: float = 1.0) -> int:
        """Return the number of windows that are missing between the first tagging and the last one of each source."""
        lost = 0
        for ends in self.ends.values():
            hops = (round((after - before) / hop_seconds) for (_, before), (_, after) in pairwise(ends))
            lost += sum(max(0, count - 1) for count in hops)  # the last window of a session is shorter
        return lost

    def report(self) -> None:
        """Print the course of a start, and its figures."""
        for at, text in sorted(self.moments):
            print(f"{at:7.1f} s  {text[:150]}")
        arrivals = sorted(at for ends in self.ends.values() for at, _ in ends)
        counts = Counter(map(int, arrivals))
        print("taggings in each second:", *(counts[second] for second in range(int(self.seconds))))
        shown = [at for at, text in self.moments if text == SHOWN]
        first = {source: ends[0][0] for source, ends in self.ends.items()}
        print(f"window: {_seconds(shown[:1])} | first tags: {_seconds(first.values())}", end=" | ")
        better = [f"{at:.1f} s to {name}" for at, name in self.models[1:]]
        print(f"change-over: {', '.join(better) or 'none'} | lost windows: {self.lost_windows()}\n")


def _seconds(times: Iterable[float]) -> str:
    return ", ".join(f"{at:.1f} s" for at in times) or "never"


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """Start a virtual screen; return its name."""
    words = "Xvfb -displayfd 1 -screen 0 1280x900x24 -nolisten tcp -noreset"
    with subprocess.Popen(words.split(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:  # noqa: S603 - Xvfb
        try:
            yield f":{int(next(iter(server.stdout or ())))}"
        finally:
            server.terminate()


def random_models(folder: Path) -> dict[str, Path]:
    """Write the CED models with random weights; return their folders by repository."""
    names = {"id2label": {str(number): entry.name for number, entry in enumerate(audioset_classes())}}
    return {
        PUBLISHED[f"ced-{size}"].repository: ReferenceCed(size=size).save(folder / size, **names)
        for size in SIZES
    }


def watch(recorder: Recorder, display: str, pictures: Path | None, seconds: float) -> None:
    """Look at the screen, until a better model has tagged for a while."""
    pictured = -1
    while recorder.seconds < seconds:
        time.sleep(0.1)
        second = int(recorder.seconds)
        is_shown = any(text == SHOWN for _, text in recorder.moments)
        if not is_shown or (pictures is not None and second > pictured):
            image = ImageGrab.grab(xdisplay=display)
            if not is_shown and image.getbbox():
                recorder.note(SHOWN)
            if pictures is not None:
                image.save(pictures / f"{second:03}.png")
                pictured = second
        if len(recorder.models) > 1 and recorder.seconds > recorder.models[1][0] + AFTER_CHANGE_SECONDS:
            return


def run(case: str, folder: Path, endpoint: str, pictures: Path | None, seconds: float) -> Recorder:
    """Start the program once, and record what happens."""
    microphone = VirtualMicrophone.start(folder, 48_000)
    recorder = Recorder()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = recorder.receive
    try:
        with Mosquitto(folder) as broker, screen() as display:
            client.connect("127.0.0.1", broker.port)
            client.subscribe([("earshot/bench/+/tags", 0), ("earshot/bench/+/status", 1)])
            client.loop_start()
            own = {
                "EARSHOT_ENGINE": "auto",
                "EARSHOT_PRECISION": "auto",
                "HF_HUB_OFFLINE": "0",
                "HF_ENDPOINT": endpoint,
            }
            own |= {"XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder), "DISPLAY": display}
            sound = {
                name: value for name, value in microphone.environment.items() if os.environ.get(name) != value
            }
            words = command("--node", "bench", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", *CASES[case][1])
            microphone.play(DEMO_PATH, wait=False)
            recorder.began = time.monotonic()
            with subprocess.Popen(  # noqa: S603 - ourselves
                words,
                env=clean_environment(folder) | sound | own,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ) as program:
                reader = threading.Thread(target=recorder.read_log, args=(program.stderr,))
                reader.start()
                watch(recorder, display, pictures, seconds)
                program.terminate()
                reader.join()
            client.loop_stop()
    finally:
        microphone.stop()
    return recorder


def main() -> None:
    """Run the cases."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", action="append", choices=tuple(CASES), help="default: all")
    parser.add_argument("--megabytes-per-second", type=float, default=5.0, help="speed of the Hub")
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="longest time of a case; a tenth without a network"
    )
    parser.add_argument("--pictures", type=Path, help="folder for a picture of the screen each second")
    options = parser.parse_args()
    print(f"{machine('auto')} | load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as name, serve(random_models(Path(name) / "models")) as hub:
        hub.misbehaviour.bytes_per_second = 1e6 * options.megabytes_per_second
        for case in options.case or CASES:
            print(f"# {CASES[case][0]}")
            folder = Path(name) / case
            folder.mkdir()
            pictures = None if options.pictures is None else options.pictures / case
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
            endpoint, seconds = (
                (UNCONNECTED, options.seconds / 10) if case == "offline" else (hub.endpoint, options.seconds)
            )
            run(case, folder, endpoint, pictures, seconds).report()


if __name__ == "__main__":
    main()
