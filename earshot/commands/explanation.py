"""The picture of ``tag --explain``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ..failures import UsageError
from ..recordings import read_recording

if TYPE_CHECKING:
    from streamer.messages import Tagging
    from streamer.settings.schema import Settings

_log = logging.getLogger(__name__)


def require_picture(path: Path) -> None:
    """Refuse to overwrite anything but a picture.

    Raises
    ------
    UsageError
        The file is not a PNG, or can't be written there.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        raise UsageError(f"--explain draws a PNG: give a file such as {path.stem or 'why'}.png")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--explain: there is no folder {path.parent}; create it, or give another file")
    if path.exists() and not path.read_bytes().startswith(b"\x89PNG"):
        raise UsageError(f"--explain: {path} exists and is not a PNG; give another name")


def draw(picture: Path, tagging: "Tagging", model: str, settings: "Settings") -> None:
    """Draw what led to the highest score of a recording.

    Parameters
    ----------
    picture : Path
        The PNG file.
    tagging : Tagging
        The window with that score; its source is the recording's path.
    model : str
        The model that tagged it.
    settings : Settings
        Settings with which the model was loaded.

    Raises
    ------
    ModelError
        The window is too short, or the picture can't be written.
    """
    from models.checkpoints import Geometry, load_checkpoint, member_specs
    from models.checkpoints.checkpoint import window_rows
    from models.explain import explain
    from models.frontends import SAMPLE_RATE_HZ
    from models.training.figures import draw_explanation

    (address,) = member_specs(model)
    geometry = Geometry(fstride=settings.fstride, tstride=settings.tstride, input_tdim=settings.input_tdim)
    checkpoint = load_checkpoint(address, offline=settings.offline, geometry=geometry)
    explanation = explain(
        checkpoint,
        read_recording(Path(tagging.source))[tagging.start_sample : tagging.end_sample],
        label=checkpoint.labels[int(tagging.scores[: len(checkpoint.labels)].argmax())],
        rows=window_rows(checkpoint, settings.window),
        start_seconds=tagging.start_sample / SAMPLE_RATE_HZ,
        device=settings.device,
    )
    draw_explanation(picture, explanation)
    _log.info("%s: why '%s' scores %.2f in %s", picture, explanation.label, explanation.score, tagging.source)
