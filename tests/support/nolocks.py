"""File system without locks, for programs that are started with this environment."""

import subprocess
from pathlib import Path

from support.system import require
from support.waiting import PATIENCE_SECONDS


def without_locks(folder: Path, build: Path) -> dict[str, str]:
    """Return the environment in which no file of a folder can be locked; compile what it takes in another folder."""
    require("cc")
    library = build / "nolocks.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("nolocks.c"), "-ldl"],
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    return {"LD_PRELOAD": str(library), "NO_LOCKS_IN": str(folder.resolve())}
