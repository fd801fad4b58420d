"""Delivery of events by a program that is killed at random moments while it writes and publishes them.

    python benchmarks/outbox.py [--kills 50] [--seed 0]

A program generates events as fast as it can, writes them to a history and publishes them to a real Mosquitto, and is killed
with SIGKILL again and again. The last run is not killed. The table shows the events that the program accepted, those in the
history, and those that a subscriber received.
"""

import argparse
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.mosquitto import Mosquitto
from support.outbox_driver import kill_again_and_again


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="earshot-") as folder, Mosquitto(Path(folder)) as broker:
        outcome = kill_again_and_again(
            Path(folder) / "history.sqlite3", broker.port, options.kills, random.Random(options.seed)
        )
    print(
        f"{platform.machine()}, {platform.system()} {platform.release()}; {time.perf_counter() - began:.0f} s"
    )
    for name, figure in [
        ("kills", outcome.kills),
        ("integrity checks said", ", ".join(sorted(outcome.integrity))),
        ("events that the program had taken", len(outcome.accepted)),
        ("of them not in the history", len(set(outcome.accepted) - set(outcome.stored))),
        ("events in the history", len(outcome.stored)),
        ("of them unpublished after the last run", outcome.unpublished),
        ("of them never received", len(set(outcome.stored) - set(outcome.received))),
        ("received in the history's order", outcome.received == outcome.stored),
        ("received more than once", outcome.duplicates),
    ]:
        print(f"{name:40} {figure}")


if __name__ == "__main__":
    main()
