"""Processor time and delay from the microphone to the MQTT message, with and without the network.

    python benchmarks/path.py [--seconds 60] [--model tiny] [--starts 5]

The real program listens to a virtual microphone (PulseAudio, 48 kHz) that plays its demo, and publishes to a real
Mosquitto with the default watch list. The first run has a network of one small block, so that the processor time is that of
capture, windows, features, events and publishing; it is printed as a share of one core. The second run has the model, and a
subscriber compares the arrival of each message with the end of its window at the microphone. Finally the program is started
several times, until its first tags.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.microphone import VirtualMicrophone
from support.mosquitto import Mosquitto

from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.bench.plan import machine
from models.checkpoints import Checkpoint, save_checkpoint
from models.labels import audioset_classes
from streamer.sources import DEMO_PATH

SETTLING_SECONDS = 15.0
"""Time until windows are complete and libraries have warmed up."""


def small_network(path: Path) -> Path:
    """Write a checkpoint with a tiny network that has the input and labels of the real ones."""
    config = AstConfig(width=12, depth=1, heads=1, mlp_width=12, fstride=16, tstride=16, label_dim=527)
    labels = tuple(entry.name for entry in audioset_classes())
    weights = AudioSpectrogramTransformer(config).state_dict()
    save_checkpoint(Checkpoint(name="one block", config=config, labels=labels, weights=weights), path)
    return path


def processor_seconds(program: psutil.Process) -> tuple[float, float]:
    """Return the processor time of a program, and of its child, the microphone process."""
    own, started = (
        sum(sum(process.cpu_times()[:2]) for process in processes)
        for processes in ([program], program.children(recursive=True))
    )
    return own, started


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of one run.

    Attributes
    ----------
    core_share, capture_share : float
        Processor time divided by time, of the program and of the microphone process.
    delays : list of float
        Seconds from the end of a window at the microphone to its message at the subscriber.
    inference_seconds : float
        Inference time of a window, including features.
    """

    core_share: float
    capture_share: float
    delays: list[float]
    inference_seconds: float


def listen(model: str, seconds: float, folder: Path, microphone: VirtualMicrophone) -> Run:
    """Run the program, and measure it after it has settled."""
    delays: list[float] = []
    factors: list[float] = []

    def receive(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        arrived, content = time.time(), json.loads(message.payload)
        if message.topic.endswith("/tags"):
            delays.append(arrived - datetime.fromisoformat(content["time"]).timestamp())
        elif content["real_time_factor"] is not None:
            factors.append(content["real_time_factor"])

    with Mosquitto(folder) as broker:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_message = receive
        client.connect("127.0.0.1", broker.port)
        client.subscribe([("earshot/bench/mic/tags", 0), ("earshot/bench/health", 0)])
        client.loop_start()
        options = ["--headless", "--source", "mic", "--model", model, "--node", "bench", "--offline"]
        command = [sys.executable, "run_live.py", *options, "--mqtt", f"mqtt://127.0.0.1:{broker.port}"]
        environment = microphone.environment | {
            name: str(folder / name) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")
        }
        microphone.play(DEMO_PATH, wait=False)
        with subprocess.Popen(  # noqa: S603 - ourselves
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(SETTLING_SECONDS)
            program = psutil.Process(process.pid)
            delays.clear()
            before, began = processor_seconds(program), time.perf_counter()
            time.sleep(seconds)
            after, taken = processor_seconds(program), time.perf_counter() - began
            process.terminate()
        client.loop_stop()
        microphone.hush()
    own, capture = ((b - a) / taken for a, b in zip(before, after, strict=True))
    return Run(own, capture, delays, factors[-1])  # the hop is 1 s


def seconds_to_first_tags(model: str) -> float:
    """Return the time from the start of the program to its first line."""
    began = time.perf_counter()
    command = [sys.executable, "run_live.py", "--source", "demo", "--json", "--model", model, "--offline"]
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        next(iter(process.stdout or ()))
        taken = time.perf_counter() - began
        process.terminate()
    return taken


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each run")
    parser.add_argument("--model", default="tiny", help="name or path")
    parser.add_argument("--starts", type=int, default=5, help="number of starts")
    options = parser.parse_args()
    print(machine("cpu"))
    with tempfile.TemporaryDirectory(prefix="earshot-") as name:
        folder = Path(name)
        small = small_network(folder / "small.safetensors")
        microphone = VirtualMicrophone.start(folder, 48_000)
        try:
            rest, whole = (
                listen(str(model), options.seconds, folder, microphone) for model in (small, options.model)
            )
        finally:
            microphone.stop()
    delay = statistics.median(whole.delays)
    print("share of one core, at a hop of 1 s")
    print(f"  windows, features, events, history, publishing: {rest.core_share:.1%}")
    print(f"  microphone process: {rest.capture_share:.1%}")
    print(f"  everything with {options.model}: {whole.core_share + whole.capture_share:.1%}")
    print(
        f"end of the window at the microphone to its message: {1e3 * delay:.0f} ms, median of "
        f"{len(whole.delays)}, including inference of {1e3 * whole.inference_seconds:.0f} ms"
    )
    starts = [seconds_to_first_tags(options.model) for _ in range(options.starts)]
    print(f"start to first tags: {statistics.median(starts):.2f} s, including a hop of 1 s")


if __name__ == "__main__":
    main()
