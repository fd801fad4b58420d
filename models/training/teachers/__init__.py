"""Teachers: published taggers of AudioSet that label the sounds for training, and that models are measured beside.

To add one, write its file with a front end and a network, and a row in `TEACHERS`. The weights are not part of Earshot: they lie in the audio pack.
"""

from dataclasses import dataclass

from .base import Labels, TeacherFrontEnd, TeacherNetwork, load_network
from .mn04 import Mn04
from .yamnet import YamNet

__all__ = ["TEACHERS", "Labels", "Teacher", "TeacherFrontEnd", "TeacherNetwork", "load_network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A published tagger of AudioSet.

    Attributes
    ----------
    title, licence : str
        Name for people, and licence of the weights.
    network : type of TeacherNetwork
        Class of the network, with its front end.
    weights : str
        File of the weights in an audio pack.
    mean_average_precision : float
        Its published mAP on AudioSet.
    """

    title: str
    licence: str
    network: type[TeacherNetwork]
    weights: str
    mean_average_precision: float


TEACHERS = {
    "yamnet": Teacher(
        title="YAMNet",
        licence="Apache-2.0",
        network=YamNet,
        weights="teacher_yamnet_fp16.safetensors",
        mean_average_precision=0.306,
    ),
    "mn04": Teacher(
        title="EfficientAT mn04",
        licence="MIT",
        network=Mn04,
        weights="teacher_mn04.safetensors",
        mean_average_precision=0.432,
    ),
}
"""All teachers by name."""
