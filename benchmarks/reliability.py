"""Whether Earshot keeps its promises when things go wrong: they are made to, while the real program runs.

    python benchmarks/reliability.py [--only NAME] [--times N] [--hours 168]

Each fault is brought about several times, with real sound servers, brokers, disks and signals, and the program's own account of
what became of every sample must balance exactly all the time. Last, a week of sound goes through in simulated time. The table is that of docs/reliability.md; the
exit code is 1 if a promise is not held.
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
    """Bring faults about, and print what came of it."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=names, help="of the faults; repeatable")
    parser.add_argument("--times", type=int, help="how often, instead of as often as is usual for each")
    parser.add_argument("--hours", type=int, default=168, help="of the simulated week")
    options = parser.parse_args()
    usual = {"week": options.hours}
    table = Table("fault", "promise", "measured", "held", "took")
    verdicts = []
    for fault in FAULTS:
        if options.only and fault.name not in options.only:
            continue
        print(f"{fault.happens} …", file=sys.stderr, flush=True)
        began = time.perf_counter()
        verdict, measured = judged(fault, options.times or usual.get(fault.name, fault.times))
        verdicts.append(verdict)
        took = f"{time.perf_counter() - began:.0f} s"
        table.add_row(f"{fault.happens} (--only {fault.name})", fault.promise, measured, verdict, took)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    return int("no" in verdicts)


def judged(fault: Fault, times: int) -> tuple[str, str]:
    """Bring a fault about; whether its promise is held, and what was measured."""
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
