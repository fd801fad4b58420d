"""Memory and file descriptors of the program under hostile stations and messages.

    python benchmarks/hostile.py [--seconds 20]

The real program tags the demo beside one hostile input at a time: stations that send without end or refer to themselves, and
MQTT messages of 250 MB or in great number. The first row is the program without one. The table shows the largest memory of the
program and of its FFmpeg process, the most open files of both, and the windows of the demo that were tagged or dropped.
"""

import argparse
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.decoders import decoders
from support.hostile import STATIONS
from support.mosquitto import Mosquitto, Subscriber
from support.program import Program, clean_environment
from support.sound_servers import HttpServer
from support.waiting import START_SECONDS, wait_until

HUGE_BYTES = 250_000_000
WRONG_COMMANDS = 50_000
COMMAND = "earshot/bench/demo/listen/set"


@dataclass
class Peak:
    """Largest memory in bytes and number of open files of some processes."""

    resident_bytes: int = 0
    files: int = 0

    def observe(self, process: psutil.Process) -> None:
        """Measure a process, unless it has just ended."""
        with suppress(psutil.Error, FileNotFoundError):
            self.resident_bytes = max(self.resident_bytes, process.memory_info().rss)
            self.files = max(self.files, process.num_fds())


def measure(name: str, *options: str, seconds: float, attack: Callable[[], None] = lambda: None) -> None:
    """Run the program for some seconds of an attack, and print a row of the table."""
    own, decoder = Peak(), Peak()
    with tempfile.TemporaryDirectory(prefix="earshot-") as folder:
        environment = clean_environment(Path(folder)) | {"EARSHOT_NODE": "bench"}
        with Program(
            "--headless", "--offline", "--source", "demo", *options, environment=environment
        ) as program:
            wait_until(lambda: program.newest("demo") > 0, "the first tags", START_SECONDS)
            before = len(program.taggings)
            attacker = threading.Thread(target=attack)
            attacker.start()
            process = psutil.Process(program.pid)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline or attacker.is_alive():
                own.observe(process)
                for child in decoders(process):
                    decoder.observe(child)
                time.sleep(0.02)
            tagged = sum(line["source"] == "demo" for line in program.taggings[before:])
            code = program.interrupt()
    if code != 130:
        sys.exit(f"{name}: the program ended with exit code {code}")
    print(
        f"{name:34} {own.resident_bytes / 1e6:7.0f} MB {own.files:5} files   {decoder.resident_bytes / 1e6:6.0f} MB "
        f"{decoder.files:4} files   {tagged:4} windows of the demo"
    )


@contextmanager
def flooded(payload: str, count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run a broker; yield its address, and a function that publishes payloads on the topic of a switch."""
    with (
        tempfile.TemporaryDirectory(prefix="earshot-") as folder,
        Mosquitto(Path(folder)) as broker,
        Subscriber(broker.port, "earshot/bench/status") as publisher,
    ):

        def publish() -> None:
            publisher.wait_for("earshot/bench/status", "online", timeout_seconds=START_SECONDS)
            for _ in range(count):
                publisher.publish(COMMAND, payload, qos=0)

        yield f"mqtt://127.0.0.1:{broker.port}", publish


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of each attack")
    seconds = parser.parse_args().seconds
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; {seconds:g} s each"
    )
    print(f"{'':34} {'program':>23}   {'FFmpeg process':>20}")
    measure("none", seconds=seconds)
    with HttpServer(STATIONS) as server:
        for path in STATIONS:
            measure(f"station {path}", "--source", f"radio={server.url(path)}", seconds=seconds)
    for name, payload, count in (
        (f"{WRONG_COMMANDS:,} wrong commands", "maybe", WRONG_COMMANDS),
        (f"a message of {HUGE_BYTES / 1e6:.0f} MB", "x" * HUGE_BYTES, 1),
    ):
        with flooded(payload, count) as (address, publish):
            measure(name, "--mqtt", address, seconds=seconds, attack=publish)


if __name__ == "__main__":
    main()
