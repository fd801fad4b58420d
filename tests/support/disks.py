"""Small real disk that can be filled, made read-only and repaired."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.system import require


@dataclass
class Disk:
    """File system in memory, of half a megabyte."""

    path: Path

    def fill(self) -> None:
        """Fill the disk."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(512))

    def make_room(self) -> None:
        """Delete what fills the disk."""
        (self.path / "ballast").unlink()

    def protect(self, *, against_writing: bool = True) -> None:
        """Make the disk read-only, or writable again."""
        subprocess.run(["mount", "-o", f"remount,{'ro' if against_writing else 'rw'}", self.path], check=True)

    @property
    def files(self) -> dict[str, bytes]:
        """Files on the disk, by name."""
        return {
            str(file.relative_to(self.path)): file.read_bytes()
            for file in self.path.rglob("*")
            if file.is_file() and file.name != "ballast"
        }


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """Mount a disk at an empty folder; skip the test where that is not allowed."""
    require("mount", "umount")
    mounting = ["mount", "-t", "tmpfs", "-o", "size=512k", "earshot-test", str(folder)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("file systems can't be mounted here")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
