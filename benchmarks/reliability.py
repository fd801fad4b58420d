"""Reliability under faults, which are injected while the real program runs.

    python benchmarks/reliability.py [--only NAME] [--times N] [--hours 168]

Each fault is injected several times, with real sound servers, brokers, disks and signals, and the program's accounting of
every sample must be exact all the time. Finally, a week of audio is processed in simulated time. The table is that of
docs/reliability.md; the exit code is 1 if a promise is broken.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from soak.fault import Fault
from soak.faults import FAULTS
from soak.rig import Rig


def main() -> int:
    """Inject the faults, and print the results."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=names, help="only this fault; repeatable")
    parser.add_argument(
        "--times", type=int, help="number of injections of each fault, instead of its default"
    )
    parser.add_argument("--hours", type=int, default=168, help="length of the simulated week")
    options = parser.parse_args()
    defaults = {"week": options.hours}
    table = Table("fault", "promise", "measured", "kept", "time")
    verdicts = []
    for fault in FAULTS:
        if options.only and fault.name not in options.only:
            continue
        print(f"{fault.happens} …", file=sys.stderr, flush=True)
        began = time.perf_counter()
        verdict, measured = inject(fault, options.times or defaults.get(fault.name, fault.times))
        verdicts.append(verdict)
        took = f"{time.perf_counter() - began:.0f} s"
        table.add_row(f"{fault.happens} (--only {fault.name})", fault.promise, measured, verdict, took)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    return int("no" in verdicts)


def inject(fault: Fault, times: int) -> tuple[str, str]:
    """Inject a fault; return the verdict on its promise, and the measurement."""
    with tempfile.TemporaryDirectory(prefix="earshot-") as folder:
        try:
            with Rig(Path(folder)) as rig:
                return "yes", fault.bring_about(rig, times)
        except pytest.skip.Exception as reason:
            return "not tried", str(reason)
        except (AssertionError, subprocess.TimeoutExpired) as broken:
            print(*getattr(broken, "__notes__", ()), sep="\n", file=sys.stderr)
            return "no", str(broken)


if __name__ == "__main__":
    sys.exit(main())
