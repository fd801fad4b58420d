"""Cost of the page: delay of tags at the broker with and without browsers, and memory over time.

    python benchmarks/page.py [--seconds 60] [--browsers 20] [--minutes 0] [--model tiny]

The real program reads sound from a pipe in real time and publishes to a real Mosquitto. A subscriber compares the arrival of each
message with the end of its window. Then as many browsers follow over WebSockets, spectrograms included; one of them is frozen: it
never reads what it is sent. With --minutes, the second run goes on, and the memory of the program is printed each minute.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.mosquitto import Mosquitto
from support.system import free_port

from earshot.recordings import read_recording
from models.bench.plan import machine
from streamer.messages import SAMPLE_RATE_HZ
from streamer.sources import DEMO_PATH

SETTLING_SECONDS = 20.0
BLOCK_SECONDS = 0.1


@dataclass
class Received:
    """Messages that the subscriber and the browsers have received.

    Attributes
    ----------
    delays : list of float
        Seconds from the end of each window to its message.
    packets, bytes_read : int
        Messages of all browsers, and their size.
    """

    delays: list[float] = field(default_factory=list)
    packets: int = 0
    bytes_read: int = 0


def feed(process: "subprocess.Popen[bytes]", ending: threading.Event) -> None:
    """Write the demo to the program's input in real time, again and again."""
    samples = (np.clip(read_recording(DEMO_PATH), -1.0, 1.0) * 32_767).astype("<i2")
    block, began, place = round(BLOCK_SECONDS * SAMPLE_RATE_HZ), time.monotonic(), 0
    number = 0
    while not ending.is_set():
        number += 1
        ending.wait(max(0.0, began + number * BLOCK_SECONDS - time.monotonic()))
        part = samples[place : place + block]
        place = 0 if place + block >= len(samples) else place + block
        try:
            process.stdin.write(part.tobytes())  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        except OSError:
            return


def browse(port: int, received: Received, ending: threading.Event) -> None:
    """Follow the page as a browser does, until the end."""
    with connect(f"ws://127.0.0.1:{port}/api/v1/live", max_size=None) as connection:
        while not ending.is_set():
            try:
                packet = connection.recv(timeout=1.0)
            except TimeoutError:
                continue
            except ConnectionClosed:
                return
            received.packets += 1
            received.bytes_read += len(packet)


@contextmanager
def browsers(count: int, port: int, received: Received) -> Iterator[None]:
    """Follow with so many browsers, of which the last one is frozen."""
    ending = threading.Event()
    threads = [threading.Thread(target=browse, args=(port, received, ending)) for _ in range(count - 1)]
    with ExitStack() as stack:
        if count:
            frozen = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            frozen.sendall(
                f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ending.set()
            for thread in threads:
                thread.join()


@contextmanager
def listening(folder: Path, model: str, port: int, received: Received) -> Iterator[psutil.Process]:
    """Run the program with its page and a broker; yield its process."""

    def receive(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        ended_at = datetime.fromisoformat(json.loads(message.payload)["time"]).timestamp()
        received.delays.append(time.time() - ended_at)

    with Mosquitto(folder) as broker:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_message = receive
        client.connect("127.0.0.1", broker.port)
        client.subscribe("earshot/bench/pipe/tags")
        client.loop_start()
        options = ["--headless", "--source", "pipe=-", "--model", model, "--node", "bench", "--offline"]
        command = [sys.executable, "run_live.py", *options, "--mqtt", f"mqtt://127.0.0.1:{broker.port}"]
        names = ("XDG_DATA_HOME", "XDG_CONFIG_HOME")
        environment = {**os.environ, **{name: str(folder / name) for name in names}}
        ending = threading.Event()
        with subprocess.Popen(  # noqa: S603 - ourselves
            [*command, "--web", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            feeding = threading.Thread(target=feed, args=(process, ending))
            feeding.start()
            try:
                time.sleep(SETTLING_SECONDS)
                yield psutil.Process(process.pid)
            finally:
                process.terminate()
                ending.set()
                feeding.join()
        client.loop_stop()


def measure(seconds: float, program: psutil.Process, received: Received) -> tuple[list[float], float]:
    """Return the delays of a while in milliseconds, and the processor time as a share of one core."""
    received.delays.clear()
    before, began = sum(program.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    share = (sum(program.cpu_times()[:2]) - before) / (time.monotonic() - began)
    return sorted(1000.0 * delay for delay in received.delays), share


def soak(minutes: int, program: psutil.Process) -> None:
    """Print the memory of the program each minute."""
    for minute in range(minutes + 1):
        print(f"  after {minute:3} min: {program.memory_info().rss / 1e6:.1f} MB", flush=True)
        if minute < minutes:
            time.sleep(60.0)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement")
    parser.add_argument("--browsers", type=int, default=20, help="number of browsers, one of them frozen")
    parser.add_argument("--minutes", type=int, default=0, help="length of the soak")
    parser.add_argument("--model", default="tiny", help="name or path")
    options = parser.parse_args()
    print(machine("cpu"))
    received, port = Received(), free_port()
    with (
        tempfile.TemporaryDirectory(prefix="earshot-") as name,
        listening(Path(name), options.model, port, received) as program,
    ):
        for count in (0, options.browsers, 0):
            with browsers(count, port, received):
                time.sleep(3.0)
                delays, share = measure(options.seconds, program, received)
                late = delays[int(0.95 * (len(delays) - 1))]
                print(
                    f"{count:3} browsers: end of the window to its message {statistics.median(delays):.0f} ms at the median, "
                    f"{late:.0f} ms for 95 %, of {len(delays)}; {share:.1%} of a core",
                    flush=True,
                )
                if count and options.minutes:
                    soak(options.minutes, program)
        print(f"browsers got {received.packets} messages, {received.bytes_read / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
