"""A small audio pack for tests: tones, and teachers that know nothing."""

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from models.training.pack import AUDIO, INDEX, REAL_LIFE, write_classes
from models.training.teachers import TEACHERS


def sound(number: int, lowest_hz: float = 200.0) -> NDArray[np.float32]:
    random = np.random.default_rng(number)
    seconds = 0.3 + 0.25 * number
    time = np.arange(round(16_000 * seconds)) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (lowest_hz + 150 * number) * time)
    return (tone + 0.01 * random.standard_normal(len(time))).astype(np.float32)


def write_pack(folder: Path, clips: int = 10) -> Path:
    """A pack of tones, and teachers that know nothing."""
    folder.mkdir()
    with zipfile.ZipFile(folder / AUDIO, "w") as archive:
        for number in range(clips):
            member = io.BytesIO()
            soundfile.write(member, sound(number), 16_000, format="OGG", subtype="OPUS")
            archive.writestr(f"{number:05d}.opus", member.getvalue())
    with (folder / INDEX).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "source", "kind", "split"))
        kinds = ("speech", "music", "other")
        for number in range(clips):
            rows.writerow(
                (f"{number:05d}", "tones", kinds[number % 3], "val" if number % 3 == 0 else "train")
            )
    write_classes(folder)
    torch.manual_seed(1)
    for teacher in TEACHERS.values():
        weights = {key: value.half() for key, value in teacher.network().state_dict().items()}
        save_file(weights, folder / teacher.weights)
    return folder


def write_real_life(folder: Path, names: Sequence[str] = ("Dog|Bark", "Siren", "")) -> None:
    """The second part of a pack: a clip for training, and one for validation for each of some names."""
    with zipfile.ZipFile(folder / REAL_LIFE.audio, "w") as archive:
        for number in range(1 + len(names)):
            member = io.BytesIO()
            soundfile.write(member, sound(number + 1, 275.0), 16_000, format="OGG", subtype="OPUS")
            archive.writestr(f"r{number:05d}.opus", member.getvalue())
    with (folder / REAL_LIFE.index).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "kind", "split", "accept"))
        rows.writerow(("r00000", "other", "train", ""))
        for number, accepted in enumerate(names, 1):
            rows.writerow((f"r{number:05d}", "other", "val", accepted))
