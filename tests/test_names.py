"""Share of clips for which a model's first names are those that people would give."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.audio_pack import write_pack, write_real_life

from models import TrainingError
from models.labels import audioset_classes
from models.training.agreement import agreements, score_beside
from models.training.names import loudest, names_right
from models.training.pack import REAL_LIFE, Pack
from models.training.places import FOLLOWED_BY_SILENCE

LABELS = tuple(entry.name for entry in audioset_classes())


class Fixed:
    """A model that gives each sound the same names, in order; it keeps the lengths that it was given."""

    def __init__(self, *names: str, window_samples: int = 16_000) -> None:
        self.name, self.labels, self.window_samples = "fixed", LABELS, window_samples
        self._scores = np.zeros(len(LABELS), np.float32)
        for rank, name in enumerate(names):
            self._scores[LABELS.index(name)] = 0.9 - 0.1 * rank
        self.lengths: list[int] = []

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        windows = np.atleast_2d(samples)
        self.lengths += [windows.shape[1]] * len(windows)
        return np.tile(self._scores, (len(windows), 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_pack(tmp_path_factory.mktemp("packs") / "pack")
    write_real_life(folder)
    return folder


def test_a_name_is_right_if_people_would_give_it(folder: Path) -> None:
    pack = Pack(folder, REAL_LIFE)
    assert [clip.names for clip in pack.clips] == [set(), {"Dog", "Bark"}, {"Siren"}, set()]
    found = names_right(Fixed("Bark", "Music", "Siren"), pack)
    assert (found.clips, found.first, found.of_three, found.of_five) == (2, 0.5, 1.0, 1.0)
    late = names_right(Fixed("Music", "Speech", "Cat", "Siren"), pack)
    assert (late.first, late.of_three, late.of_five) == (0.0, 0.0, 0.5)
    assert names_right(Fixed("Siren"), pack, limit=1).clips == 1


def test_long_clips_are_cropped_to_the_window_or_to_their_loudest_part(folder: Path) -> None:
    pack = Pack(folder, REAL_LIFE)
    model = Fixed("Siren", window_samples=9_000)
    names_right(model, pack)
    names_right(model, pack, seconds=0.25)
    assert model.lengths == [9_000, 9_000, 4_000, 4_000]


def test_the_loudest_part_has_the_most_energy() -> None:
    sound = np.array([0, 0.1, 0, 0.5, -0.9, 0.1, 0.2], np.float32)
    np.testing.assert_array_equal(loudest(sound, 3), sound[3:6])
    assert loudest(sound, 7) is sound


def test_a_pack_without_names_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no clip for validation .* has names"):
        names_right(Fixed(), Pack(folder))
    with pytest.raises(TrainingError, match=r"incomplete, it has no real\.zip"):
        Pack(write_pack(tmp_path / "pack"), REAL_LIFE)


def test_any_tagger_can_be_the_teacher_of_either_part(folder: Path) -> None:
    pack = Pack(folder, REAL_LIFE)
    teacher = Fixed("Siren", "Alarm", window_samples=8_000)
    scored = score_beside(Fixed("Siren", "Dog", window_samples=32_000), teacher, pack, (FOLLOWED_BY_SILENCE,))
    assert scored[FOLLOWED_BY_SILENCE].truth.shape == (3, len(LABELS))
    assert max(teacher.lengths) <= 8_000
    figures = agreements(scored, LABELS.index("Silence"))[FOLLOWED_BY_SILENCE]
    assert (figures.clips, figures.top1) == (3, 1.0)
    wrong = score_beside(Fixed("Dog"), teacher, pack, (FOLLOWED_BY_SILENCE,))
    assert agreements(wrong, None)[FOLLOWED_BY_SILENCE].top1 == 0.0
