"""The command ``shrink-pack``."""

from pathlib import Path

from ..failures import UsageError
from ..options import takes
from ..progress import bar


@takes("shrink-pack")
def shrink_pack(*, pack: Path, out: Path, megabytes: float, teacher: str, cache: Path | None) -> None:
    """Write the most useful clips of an audio pack as a small pack.

    Use it to train on a machine that little can be copied to.
    """
    import torch
    from rich.console import Console

    from models.training.library import load_library
    from models.training.pack import open_parts
    from models.training.precision import labelling_precision
    from models.training.small_pack import write_small_pack
    from models.training.teachers import TEACHERS, load_network

    from .distil import folder_of_teacher

    if out.exists():
        raise UsageError(f"{out} exists already: give --out a new folder")
    parts = open_parts(pack)
    weights = folder_of_teacher(teacher, [pack]) / TEACHERS[teacher].weights
    device = torch.device("cpu")
    network = load_network(TEACHERS[teacher].network, weights, device, labelling_precision(device))
    with bar("library of sounds") as progress:
        library = load_library(parts, teacher, network, (cache or out.parent / "cache") / teacher, progress)
    small = write_small_pack(parts, library.chances, weights, out, max_bytes=round(megabytes * 2**20))
    Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(
        f"{out}: {small.clips} clips for training, {small.share_of_draws:.0%} of all draws, {small.bytes / 2**20:.1f} MiB"
    )
