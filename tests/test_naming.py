"""Names of clips, learned by the last layer of a teacher."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models import TrainingError
from models.labels import audioset_classes
from models.training.library import Library
from models.training.naming import learn_names, save_teacher
from models.training.teachers import TEACHERS, TeacherNetwork, load_network

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

LABELS = [entry.name for entry in audioset_classes()]
DOG, CAT, MUSIC, SINE = (LABELS.index(name) for name in ("Dog", "Cat", "Music", "Sine wave"))
CLIPS = 60
"""Clips of dogs, of cats and without names, in turn. A value of the embedding tells dogs, another one cats."""


@pytest.fixture(params=TEACHERS)
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def weights(tmp_path: Path, name: str) -> Path:
    """Weights of a teacher that hears music in everything."""
    torch.manual_seed(1)
    network = TEACHERS[name].network()
    with torch.no_grad():
        network.last_layer.weight.mul_(0.01)
        network.last_layer.bias.fill_(-4.0)
        network.last_layer.bias[network.classes.index(MUSIC)] = 1.0
    save_file(network.state_dict(), tmp_path / TEACHERS[name].weights)
    return tmp_path / TEACHERS[name].weights


@pytest.fixture
def teacher(weights: Path, name: str) -> TeacherNetwork:
    return load_network(TEACHERS[name].network, weights, torch.device("cpu"))


def library_for(teacher: TeacherNetwork) -> Library:
    random = torch.Generator().manual_seed(0)
    embeddings = torch.rand(CLIPS, teacher.embedding_width, generator=random)
    embeddings[0::3, 0] += 3
    embeddings[1::3, 1] += 3
    dogs, cats = (dict.fromkeys(range(first, CLIPS, 3), (index,)) for first, index in ((0, DOG), (1, CAT)))
    return Library(
        student=torch.zeros(0, 128),
        teacher=torch.zeros(0, teacher.front_end.bins),
        start=np.zeros(CLIPS, np.int64),
        length=np.zeros(CLIPS, np.int64),
        chances=np.full(CLIPS, 1 / CLIPS),
        names=dogs | cats,
        groups=dict.fromkeys(dogs | cats, frozenset({"animals"})),
        embeddings=embeddings.half(),
        measured=np.zeros(CLIPS, np.bool_),
    )


def logits_of(teacher: TeacherNetwork, library: Library) -> Tensor:
    """Logits (clips, classes) in AudioSet's order; minus infinity for classes that the teacher lacks."""
    logits = torch.full((CLIPS, len(LABELS)), -torch.inf)
    logits[:, list(teacher.classes)] = teacher.last_layer(library.embeddings.float()).detach()
    return logits


def test_a_name_becomes_the_first_class_and_other_clips_keep_theirs(teacher: TeacherNetwork) -> None:
    library = library_for(teacher)
    before = logits_of(teacher, library)
    assert (before.argmax(1) == MUSIC).all()
    learn_names(teacher, library)
    after = logits_of(teacher, library)
    assert after[0::3].argmax(1).tolist() == [DOG] * 20
    assert after[1::3].argmax(1).tolist() == [CAT] * 20
    assert after[2::3].argmax(1).tolist() == [MUSIC] * 20
    others = [index for index in teacher.classes if index not in {DOG, CAT, MUSIC}]
    torch.testing.assert_close(after[:, others].sigmoid(), before[:, others].sigmoid(), atol=0.02, rtol=0)


def test_without_names_a_teacher_stays_as_it_is(teacher: TeacherNetwork) -> None:
    library = library_for(teacher)
    before = logits_of(teacher, library)
    learn_names(teacher, replace(library, names={}, groups={}))
    assert torch.equal(logits_of(teacher, library), before)


def test_a_single_clip_raises_its_name(teacher: TeacherNetwork) -> None:
    library = library_for(teacher)
    library.measured[1:] = True
    before = logits_of(teacher, library)
    learn_names(teacher, library)
    changed = logits_of(teacher, library)[0] - before[0]
    assert changed[DOG] > 0.1
    assert changed[DOG] == changed[list(teacher.classes)].max()


def test_recordings_that_measure_a_model_teach_no_names(
    teacher: TeacherNetwork, weights: Path, name: str
) -> None:
    library = library_for(teacher)
    library.measured[:6] = True
    other = load_network(TEACHERS[name].network, weights, torch.device("cpu"))
    wrong = dict.fromkeys(range(6), (SINE,))
    learn_names(teacher, library)
    learn_names(other, replace(library, names={**library.names, **wrong}))
    assert torch.equal(other.last_layer.weight, teacher.last_layer.weight)
    assert torch.equal(other.last_layer.bias, teacher.last_layer.bias)


def test_names_that_a_teacher_has_no_class_for_are_left_out(teacher: TeacherNetwork) -> None:
    library = library_for(teacher)
    missing = sorted(set(range(len(LABELS))) - set(teacher.classes))
    names = {clip: (index, *missing) for clip, (index,) in library.names.items()}
    learn_names(teacher, replace(library, names=names))
    assert logits_of(teacher, library)[0::3].argmax(1).tolist() == [DOG] * 20


def test_a_teacher_hears_the_same_from_its_file(
    teacher: TeacherNetwork, weights: Path, name: str, tmp_path: Path
) -> None:
    learn_names(teacher, library_for(teacher))
    save_teacher(weights, teacher, tmp_path / "run" / "teacher.safetensors")
    again = load_network(
        TEACHERS[name].network, tmp_path / "run" / "teacher.safetensors", torch.device("cpu")
    )
    samples = torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    for kept, heard in zip(teacher.listen(samples), again.listen(samples), strict=True):
        torch.testing.assert_close(heard, kept)


def test_a_teacher_that_cannot_be_written_is_reported_in_one_sentence(
    teacher: TeacherNetwork, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(TrainingError, match="give another --out") as error:
        save_teacher(weights, teacher, tmp_path / "run" / "teacher.safetensors")
    assert "\n" not in str(error.value)
