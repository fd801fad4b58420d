"""Many microphones on workers: how many windows they score in time, and what a number of microphones needs.

python benchmarks/fleet.py load http://HEAD:8000 [--streams 16] [--hop 1.0] [--seconds 30] [--local]
python benchmarks/fleet.py plan --windows-per-second 20 [--microphones 1000] [--hop 1.0] [--price 0.10]

`load` is an open loop: each stream has a phase and a sound of its own, its windows are due whether the workers keep up or not, and the latency
counts from the moment at which a window was due. It speaks for nodes with 16 connections each. With `--local`, where head and workers run on
this machine too, it also prints the processor time of each of their parts. sleeping_workers.py has workers that cost nothing themselves.
"""

import argparse
import math
import os
import re
import resource
import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.reference_audio import reference_windows
from models.remote import load_remote
from models.score_protocol import SCORE_PATH, encode_window, token_of
from models.worker_connection import WorkerConnection

_LONGEST_ANSWER_SECONDS = 2.0
_STREAMS_OF_A_NODE = 16
_BUSY_SHARE = 0.7
"""Share of a worker's measured speed that may be used, so that waiting windows stay few."""
_PARTS = {
    "workers": r"^ray::ServeReplica",
    "entry (HAProxy)": r"^\S*/haproxy ",
    "Serve's proxy and controller": r"^ray::(Serve|Proxy|HAProxy)",
    "the rest of Ray": r"^ray::|^\S*/(raylet|gcs_server) |/ray/",
}
"""Parts of head and workers, with the command lines of their processes; the first match counts."""
_SPARE_WORKERS = 1
"""Workers that may be away at once."""


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    load = commands.add_parser("load", help="send windows to workers")
    load.add_argument("address")
    load.add_argument("--streams", type=int, default=16)
    load.add_argument("--hop", type=float, default=1.0, help="seconds between the windows of a stream")
    load.add_argument("--seconds", type=float, default=30.0)
    load.add_argument("--local", action="store_true", help="also measure head and workers, on this machine")
    plan = commands.add_parser("plan", help="compute bandwidth, workers and money")
    plan.add_argument("--windows-per-second", type=float, required=True, help="of one worker; earshot bench")
    plan.add_argument("--microphones", type=int, default=1000)
    plan.add_argument("--hop", type=float, default=1.0)
    plan.add_argument("--window", type=float, default=10.24)
    plan.add_argument("--price", type=float, default=0.0, help="of a worker, for an hour")
    options = parser.parse_args()
    (_load if options.command == "load" else _plan)(options)


def _load(options: argparse.Namespace) -> None:
    """Send each window when it is due, and print what came of them."""
    tagger = load_remote(options.address)
    bodies = _sounds(tagger.window_samples, options.streams)
    nodes = max(1, math.ceil(options.streams / _STREAMS_OF_A_NODE))
    token = token_of(os.environ)
    connections = [WorkerConnection(options.address, token) for _ in range(nodes)]
    deadline = min(options.hop, _LONGEST_ANSWER_SECONDS)
    outcomes: list[Future[tuple[float, str]]] = []
    rng = np.random.default_rng(0)
    phases = rng.uniform(0.0, options.hop, options.streams)
    per_stream = int(options.seconds / options.hop)
    schedule = sorted(
        (phase + number * options.hop, stream)
        for stream, phase in enumerate(phases)
        for number in range(per_stream)
    )
    with ThreadPoolExecutor(_STREAMS_OF_A_NODE * nodes) as threads:
        used, began = _processor_seconds(), time.monotonic()
        parts = _seconds_of_parts() if options.local else {}
        for due, stream in schedule:
            time.sleep(max(0.0, began + due - time.monotonic()))
            connection = connections[stream % nodes]
            outcomes.append(threads.submit(_send, connection, bodies[stream], began + due, deadline))
        results = [outcome.result() for outcome in outcomes]
        took = time.monotonic() - began
        cores = (_processor_seconds() - used) / took
        spent = _spent(parts, _seconds_of_parts()) if options.local else {}
    _report(options, results, took, cores, [connection.traffic.retries for connection in connections])
    for part, seconds in spent.items():
        print(f"  {1e3 * seconds / len(results):6.2f} ms a window: {part}")
    for connection in connections:
        connection.close()
    tagger.close()


def _send(connection: WorkerConnection, body: bytes, due: float, deadline: float) -> tuple[float, str]:
    """Send a window; return its latency, counted from the moment at which it was due, and why there is no answer."""
    left = due + deadline - time.monotonic()
    if left <= 0.0:
        return math.nan, "the generator was late"
    (answer,) = connection.post(SCORE_PATH, [body], left)
    return time.monotonic() - due, answer.problem


def _report(
    options: argparse.Namespace,
    results: list[tuple[float, str]],
    took: float,
    cores: float,
    retries: list[int],
) -> None:
    latencies = np.array([latency for latency, problem in results if not problem])
    problems = Counter(problem.partition(":")[0] for _, problem in results if problem)
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99)) if len(latencies) else (math.nan,) * 3
    print(f"{options.streams} streams, a window every {options.hop:g} s | {os.cpu_count()} cores")
    print("windows  per second  dropped  repeated    p50     p95     p99   processor time of the generator")
    print(
        f"{len(results):7} {len(latencies) / took:11.1f} {len(results) - len(latencies):8} {sum(retries):9} "
        f"{1e3 * p50:4.0f} ms {1e3 * p95:4.0f} ms {1e3 * p99:4.0f} ms {cores:7.2f} cores, {1e3 * cores * took / len(results):.2f} ms a window"
    )
    for problem, count in problems.most_common():
        print(f"  {count} windows: {problem}")


def _plan(options: argparse.Namespace) -> None:
    """Print what a number of microphones needs, with the formulas."""
    windows = options.microphones / options.hop
    window_bytes = 4 + 2 * round(options.window * 16_000)
    workers = math.ceil(windows / (_BUSY_SHARE * options.windows_per_second)) + _SPARE_WORKERS
    print(f"windows per second   microphones / hop                            {windows:,.0f}")
    print(
        f"bandwidth            windows per second x {window_bytes:,} bytes x 8     {windows * window_bytes * 8e-6:,.0f} Mbit/s"
    )
    print(
        f"workers              windows per second / ({_BUSY_SHARE:g} x {options.windows_per_second:g}) + {_SPARE_WORKERS}"
        f"              {workers:,}"
    )
    if options.price:
        print(
            f"money                workers x {options.price:g} x 730 hours              {workers * options.price * 730:,.0f} a month"
        )


def _sounds(samples: int, streams: int) -> list[bytes]:
    """Return a window for each stream: one of the bundled sounds, each shifted and at a level of its own."""
    windows = reference_windows(samples).numpy()
    rng = np.random.default_rng(1)
    return [
        encode_window(
            np.roll(windows[stream % len(windows)], int(rng.integers(samples)))
            * np.float32(rng.uniform(0.1, 1.0))
        )
        for stream in range(streams)
    ]


def _seconds_of_parts() -> dict[tuple[str, int], float]:
    """Return the processor time of each of Ray's processes on this machine, by part and process."""
    import psutil

    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline())
            part = next((part for part, form in _PARTS.items() if re.search(form, line)), None)
            if part is not None:
                times = process.cpu_times()
                found[part, process.pid] = times.user + times.system
    return found


def _spent(before: dict[tuple[str, int], float], after: dict[tuple[str, int], float]) -> dict[str, float]:
    """Return the processor time that each part has used meanwhile."""
    spent = dict.fromkeys(_PARTS, 0.0)
    for key, seconds in after.items():
        spent[key[0]] += seconds - before.get(key, 0.0)
    return spent


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
