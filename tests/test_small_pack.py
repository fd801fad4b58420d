"""Small packs: clips are chosen within a size, and the result is a pack to train with."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from support.audio_pack import write_pack, write_real_life
from typer.testing import CliRunner

from earshot.cli import add_commands
from models import TrainingError
from models.training.library import load_library
from models.training.pack import open_parts
from models.training.small_pack import SmallPack, write_small_pack
from models.training.teachers import TEACHERS, load_network

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

WEIGHTS = TEACHERS["mn04"].weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_pack(tmp_path_factory.mktemp("packs") / "pack")
    write_real_life(folder)
    return folder


def fixed_bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in ("classes.csv", WEIGHTS))


def shrink(folder: Path, out: Path, room: int) -> SmallPack:
    """Write a pack with `room` bytes for clips; later clips are drawn more often."""
    parts = open_parts(folder)
    count = sum(len(part.of("train")) for part in parts)
    chances = np.arange(1.0, count + 1) ** 3
    return write_small_pack(
        parts, chances / chances.sum(), folder / WEIGHTS, out, max_bytes=fixed_bytes(folder) + room
    )


def test_the_clips_drawn_most_often_for_their_size_are_kept_within_the_size(
    folder: Path, tmp_path: Path
) -> None:
    small = shrink(folder, tmp_path / "small", 30_000)
    written = sum(file.stat().st_size for file in (tmp_path / "small").iterdir())
    assert small.bytes == written <= fixed_bytes(folder) + 30_000
    parts = open_parts(tmp_path / "small")
    kept = [part.clips[index].id for part in parts for index in part.of("train")]
    assert len(kept) == small.clips
    assert 0 < small.clips < 7
    assert "r00000" in kept  # the last one, drawn most often
    assert "00001" not in kept
    assert 0.3 < small.share_of_draws < 1


def test_clips_with_names_are_kept_and_the_sound_is_that_of_the_pack(folder: Path, tmp_path: Path) -> None:
    shrink(folder, tmp_path / "small", 30_000)
    for part, whole in zip(open_parts(tmp_path / "small"), open_parts(folder), strict=True):
        named = {clip.id: clip.names for clip in whole.clips if clip.names}
        assert {clip.id: clip.names for clip in part.clips if clip.split == "val"} == named
        clips = {clip.id: clip for clip in whole.clips}
        for clip in part.clips:
            assert part.encoded(clip) == whole.encoded(clips[clip.id])
    with (tmp_path / "small" / "index.csv").open(newline="") as file:
        assert all(row["source"] == "tones" for row in csv.DictReader(file))


def test_a_table_with_blank_lines_is_copied_with_the_right_clips(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = copy / "index.csv"
    index.write_text(index.read_text().replace("\n", "\n\n", 4))
    shrink(copy, tmp_path / "small", 60_000)
    pack = open_parts(tmp_path / "small")[0]
    assert all(pack.encoded(clip) for clip in pack.clips)


def test_a_second_part_without_a_clip_is_left_out(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_real_life(copy, names=())
    parts = open_parts(copy)
    chances = np.array([1.0] * 6 + [0.0])
    room = sum(parts[0].encoded_bytes(parts[0].clips[index]) + 400 for index in parts[0].of("train"))
    most = fixed_bytes(copy) + room + 4096
    write_small_pack(parts, chances, copy / WEIGHTS, tmp_path / "small", max_bytes=most)
    assert len(open_parts(tmp_path / "small")) == 1


def test_a_first_part_without_a_clip_is_refused(folder: Path, tmp_path: Path) -> None:
    parts = open_parts(folder)
    last = parts[1].clips[parts[1].of("train")[0]]
    named = [clip for clip in parts[1].clips if clip.names]
    room = sum(parts[1].encoded_bytes(clip) + 400 for clip in (last, *named))
    with pytest.raises(TrainingError, match=r"audio\.zip: give more --megabytes"):
        write_small_pack(
            parts,
            np.array([0.0] * 6 + [1.0]),
            folder / WEIGHTS,
            tmp_path / "small",
            max_bytes=fixed_bytes(folder) + room + 4096,
        )
    assert not (tmp_path / "small").exists()


def test_a_size_without_space_for_a_clip_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--megabytes"):
        shrink(folder, tmp_path / "small", 5_000)
    assert not (tmp_path / "small").exists()


def test_a_run_trains_with_a_small_pack(folder: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    add_commands(app)

    def invoke(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    small, cache = tmp_path / "small", tmp_path / "cache"
    output = invoke("shrink-pack", "--pack", folder, "--out", small, "--megabytes", 4, "--cache", cache)
    assert "7 clips for training, 100% of all draws" in output
    teacher = load_network(TEACHERS["mn04"].network, small / WEIGHTS, torch.device("cpu"))
    library = load_library(open_parts(small), "mn04", teacher, tmp_path / "other")
    assert len(library.chances) == 7
    again = CliRunner().invoke(app, ["shrink-pack", "--pack", str(folder), "--out", str(small)])
    assert again.exit_code != 0
