"""Teacher as a tagger: the scores of YAMNet for the windows that a model is measured with."""

import numpy as np
import torch
from numpy.typing import NDArray

from .. import frontends
from . import teacher
from .pack import TEACHER_WEIGHTS, Pack, Samples, silent_tail


class TeacherTagger:
    """YAMNet with the interface of a `Tagger`: each window is labelled patch by patch and pooled.

    Parameters
    ----------
    pack : Pack
        Pack with the teacher's weights and the names of the classes.
    window_seconds : float
        Length of the longest window, rounded to rows of 10 ms.

    Attributes
    ----------
    name : str
        ``teacher``.
    labels : tuple of str
        Classes of the pack.
    window_samples : int
        Maximum number of samples that one call scores.

    Raises
    ------
    TrainingError
        The teacher's weights can't be read.
    """

    def __init__(self, pack: Pack, *, window_seconds: float) -> None:
        self.name = "teacher"
        self.labels = pack.labels
        self.window_samples = (
            round(window_seconds * frontends.SAMPLE_RATE_HZ / frontends.FRAME_SHIFT) * frontends.FRAME_SHIFT
        )
        self._classes = pack.teacher_to_student
        self._silence = pack.silence
        self._network = teacher.load_teacher(pack.folder / TEACHER_WEIGHTS, torch.device("cpu"))

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """Score samples float32 (batch, n) or (n,): float32 (batch, classes); 0 for classes that YAMNet doesn't have."""
        windows = np.atleast_2d(samples)
        scores = np.zeros((len(windows), len(self.labels)), np.float32)
        for row, window in zip(scores, windows, strict=True):
            labels = patch_labels(self._network, window)
            row[self._classes] = teacher.pool_all(labels, self._silence).numpy()
        return scores


def patch_labels(network: teacher.YamNet, samples: Samples) -> torch.Tensor:
    """Return the teacher's probabilities for a sound's patches: float32 (n,) -> float32 tensor (patches, 521)."""
    return network.label(teacher.patches_of(teacher.log_mel(silent_tail(samples))))[0]
