"""What ``tag --explain`` draws."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import CheckpointError

if TYPE_CHECKING:
    from ..checkpoints import Geometry
    from ..explain import Explanation, Floats


def require_picture(path: Path) -> None:
    """Refuse to draw over anything but a picture.

    Raises
    ------
    BadParameter
        The file is no PNG, or can't be there.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise typer.BadParameter(f"--explain draws a PNG: give a file such as {path.stem or 'why'}.png")
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent} to draw --explain into")
    if path.exists() and not path.read_bytes().startswith(b"\x89PNG"):
        raise typer.BadParameter(f"{path} is there already and is no PNG: give --explain another name")


def require_explainable(model: str) -> None:
    """Refuse what is not one network.

    Raises
    ------
    CheckpointError
        It is an ensemble.
    """
    from ..tagger import member_specs

    if len(members := member_specs(model)) > 1:
        raise CheckpointError(
            f"--explain looks into one network, not into an ensemble: give --model {members[0]}"
        )


def draw(
    picture: Path,
    samples: "Floats",
    *,
    label: int,
    start_sample: int,
    model: str,
    window_seconds: float | None,
    geometry: "Geometry",
    device: str,
    offline: bool,
) -> "Explanation":
    """Draw what speaks for a tag of a window.

    Parameters
    ----------
    picture : Path
        The PNG file.
    samples : float32 (n,)
        The window.
    label : int
        Index of the tag among the model's classes.
    start_sample : int
        Where the window begins in its recording.
    model, window_seconds, device, offline
        As for `load_tagger`; no ensemble.
    geometry : Geometry
        Of an original file that does not say it.

    Raises
    ------
    ModelError
        The model can't be had, the window is too short, or the picture can't be written.
    """
    from ..checkpoints import load_checkpoint
    from ..explain import explain
    from ..fbank import SAMPLE_RATE_HZ
    from ..figures import draw_explanation
    from ..tagger import member_specs, window_rows

    (spec,) = member_specs(model)
    checkpoint = load_checkpoint(spec, offline=offline, geometry=geometry)
    explanation = explain(
        checkpoint,
        samples,
        label=checkpoint.labels[label],
        rows=window_rows(checkpoint, window_seconds),
        start_seconds=start_sample / SAMPLE_RATE_HZ,
        device=device,
    )
    draw_explanation(picture, explanation)
    return explanation
