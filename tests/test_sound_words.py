"""Words in the names of sounds' files tell classes of AudioSet."""

import csv
from pathlib import Path

import pytest

from models.labels import audioset_classes
from models.training.sound_words import names_in

TABLE = Path(__file__).parent.parent / "models" / "assets" / "sound_words.csv"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("dog_bark", {"Dog", "Bark"}),
        ("Animals/dog_bark", {"Animal", "Dog", "Bark"}),
        ("metal_DoorSlam2", {"Door", "Slam"}),
        ("LOUDmetal_bars", set()),
        ("rain+thunder", {"Rain", "Thunder", "Thunderstorm"}),
        ("train_passing", {"Train"}),
        ("walking_in_train_station", {"Walk, footsteps"}),
        ("wind_up_toy", set()),
        ("keyboard-cherrymx-blue-abs", {"Computer keyboard", "Typing"}),
        ("", set()),
        ("123", set()),
    ],
)
def test_the_longest_known_words_tell_the_classes(text: str, names: set[str]) -> None:
    assert names_in(text) == names


def test_the_table_has_classes_of_audioset_and_words_that_can_be_found() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = {entry.name for entry in audioset_classes()}
    for row in rows:
        names = set(filter(None, row["names"].split("|")))
        assert names <= known, row
        assert names_in(row["words"]) == names
    words = [row["words"] for row in rows]
    assert words == sorted(set(words))
