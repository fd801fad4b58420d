"""The command ``shrink-pack``."""

from pathlib import Path

from ..failures import UsageError
from ..options import takes
from .distil import folder_of_teacher, open_library


@takes("shrink-pack")
def shrink_pack(*, pack: Path, out: Path, megabytes: float, teacher: str, cache: Path | None) -> None:
    """Write the most useful clips of an audio pack as a small pack.

    Use it to train on a machine that little can be copied to.
    """
    from rich.console import Console

    from models.training.pack import open_parts
    from models.training.small_pack import write_small_pack
    from models.training.teachers import TEACHERS

    if out.exists():
        raise UsageError(f"{out} exists already: give --out a new folder")
    parts, weights = open_parts(pack), folder_of_teacher(teacher, [pack])
    _, library = open_library(parts, teacher, weights, cache or out.parent / "cache", "cpu")
    file = weights / TEACHERS[teacher].weights
    small = write_small_pack(parts, library.chances, file, out, max_bytes=round(megabytes * 2**20))
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(
        f"{out}: {small.clips} clips for training, {small.share_of_draws:.0%} of all draws, {small.bytes / 2**20:.1f} MiB"
    )
