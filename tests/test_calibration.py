"""Calibration: reliability, slope and offset of the logits, thresholds, and the commands."""

import json
import math
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from matplotlib.image import imread
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.audio_pack import write_pack, write_real_life
from typer.testing import CliRunner

import models
from earshot.cli import add_commands
from earshot.failures import UsageError
from models import TrainingError
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.known_labels import HEADER
from models.labels import audioset_classes
from models.local import load_tagger, tagger_of
from models.training.agreement import SURE, Scored, score_places
from models.training.background import BACKGROUNDS, FalseAlarms, measure_background
from models.training.calibration import (
    calibrate,
    class_thresholds,
    fit_class_scaling,
    fit_scaling,
    raised,
    reliability,
    with_scaling,
)
from models.training.distil_recipe import DistilRecipe, Windows
from models.training.pack import AUDIO, INDEX, REAL_LIFE, Pack, open_parts
from models.training.student import initialise
from models.training.teachers import TEACHERS
from models.training.teachers.tagger import load_teacher_tagger

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

Floats = NDArray[np.float32]
SMALL = AstConfig(
    width=24, depth=1, heads=3, mlp_width=48, fstride=16, tstride=16, input_tdim=128, label_dim=527
)
LABELS = tuple(entry.name for entry in audioset_classes())
WINDOWS = (Windows(rows=128, share=1.0, batch=2),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRecipe(DistilRecipe):
    steady: tuple[Windows, ...] = WINDOWS
    last: tuple[Windows, ...] = WINDOWS
    rate: float = 1e-5


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Its teacher is sure of about half of the classes."""
    folder = write_pack(tmp_path_factory.mktemp("packs") / "pack")
    weights = load_file(folder / TEACHERS["yamnet"].weights)
    weights["fc.bias"] += math.log(SURE / (1 - SURE))
    save_file(weights, folder / TEACHERS["yamnet"].weights)
    return Pack(folder)


@pytest.fixture(scope="module")
def checkpoint(pack: Pack) -> Checkpoint:
    """A network that knows, more or less, how sure the teacher usually is of each class."""
    network, random = AudioSpectrogramTransformer(SMALL), torch.Generator().manual_seed(0)
    initialise(network, random)
    weights = {key: value.half() for key, value in network.state_dict().items()}
    empty = Checkpoint(name="small", config=SMALL, labels=LABELS, weights=weights)
    truth = np.concatenate(
        [place.truth for place in score_places(tagger_of(empty), pack, split="train").values()]
    )
    usual = torch.from_numpy(truth.mean(0)).logit().clamp(-3, 3)
    usual -= usual.mean()
    usual = usual / usual.std() + 0.5 * torch.randn(len(usual), generator=random)
    weights["mlp_head.1.weight"] *= 0.1
    weights["mlp_head.1.bias"][torch.from_numpy(pack.teacher_to_student)] = usual.half()
    return replace(empty, weights=weights)


def noise(seconds: float = 1.0) -> Floats:
    random = np.random.default_rng(0)
    return (0.1 * random.standard_normal(round(16_000 * seconds))).astype(np.float32)


def column(*scored: tuple[float, bool, int]) -> tuple[Floats, NDArray[np.bool_]]:
    """One class: a score, whether it holds, and how many such clips there are."""
    scores = np.concatenate([np.full(clips, score, np.float32) for score, _, clips in scored])
    holds = np.concatenate([np.full(clips, held) for _, held, clips in scored])
    return scores, holds


def several(*columns: tuple[Floats, NDArray[np.bool_]]) -> tuple[Floats, NDArray[np.bool_]]:
    """Classes side by side, the shorter ones filled with clips in which nothing is."""
    clips = max(len(scores) for scores, _ in columns)
    padded = [(0, clips - len(scores)) for scores, _ in columns]
    scores = [np.pad(scores, pad) for (scores, _), pad in zip(columns, padded, strict=True)]
    holds = [np.pad(holds, pad) for (_, holds), pad in zip(columns, padded, strict=True)]
    return np.stack(scores, 1), np.stack(holds, 1)


def pooled(places: Iterable[Scored]) -> tuple[Floats, NDArray[np.bool_]]:
    """Join the scores of several places, and the labels of which YAMNet is sure."""
    scored = list(places)
    truth = np.concatenate([place.truth for place in scored])
    return np.concatenate([place.scores for place in scored]), truth > SURE


# Reliability


def test_scores_that_are_shares_are_reliable() -> None:
    random = np.random.default_rng(0)
    scores = random.random((2000, 50), np.float32)
    measured = reliability(scores, random.random(scores.shape) < scores)
    np.testing.assert_allclose(measured.score, np.arange(10) / 10 + 0.05, atol=0.01)
    np.testing.assert_allclose(measured.share, measured.score, atol=0.02)
    assert measured.pairs.sum() == 100_000
    assert measured.error < 0.01


def test_each_bin_has_its_own_pairs() -> None:
    scores = np.array([[0.0, 0.04], [0.11, 0.13], [0.92, 1.0]], np.float32)
    holds = np.array([[False, False], [True, False], [True, False]])
    measured = reliability(scores, holds)
    assert measured.pairs.tolist() == [2, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    np.testing.assert_allclose(measured.score[[0, 1, 9]], [0.02, 0.12, 0.96], atol=1e-6)
    assert measured.share[[0, 1, 9]].tolist() == [0, 0.5, 0.5]
    assert np.isnan(measured.share[2:9]).all()
    assert measured.error == pytest.approx((0.02 + 0.38 + 0.46) / 3)


# Slope and offset


def test_the_slope_and_offset_that_made_the_truth_are_found() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(-2, 2, (4000, 20))
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    holds = random.random(logits.shape) < 1 / (1 + np.exp(-(1.7 * logits - 0.6)))
    slope, offset = fit_scaling(scores, holds)
    assert slope == pytest.approx(1.7, abs=0.06)
    assert offset == pytest.approx(-0.6, abs=0.06)


def test_scores_that_say_nothing_or_the_opposite_are_refused() -> None:
    scores, holds = several(column((0.9, False, 5), (0.1, True, 5)))
    with pytest.raises(TrainingError, match="train it longer"):
        fit_scaling(scores, holds)
    for same in (np.ones_like(holds), np.zeros_like(holds)):
        with pytest.raises(TrainingError, match="take more clips"):
            fit_scaling(scores, same)


def test_each_class_gets_the_slope_and_offset_that_made_its_truth() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(-1, 2, (8000, 3))
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    made = (1.5, -1.0), (0.7, 0.3), (1.0, 0.0)
    holds = np.stack(
        [
            random.random(len(column)) < 1 / (1 + np.exp(-(slope * column + offset)))
            for column, (slope, offset) in zip(logits.T, made, strict=True)
        ],
        1,
    )
    slopes, offsets = fit_class_scaling(scores, holds)
    assert slopes.dtype == offsets.dtype == np.float32
    assert slopes == pytest.approx([slope for slope, _ in made], abs=0.15)
    assert offsets == pytest.approx([offset for _, offset in made], abs=0.15)


def test_few_clips_move_a_class_little_and_never_turn_it_round() -> None:
    silent, once = column((0.01, False, 200)), column((0.01, False, 199), (0.1, True, 1))
    wrong = column((0.9, False, 100), (0.1, True, 100))
    slopes, offsets = fit_class_scaling(*several(silent, once, wrong))
    assert slopes[:2] == pytest.approx([1, 1], abs=0.15)
    assert offsets[:2] == pytest.approx([0, 0], abs=0.15)
    assert 0 < slopes[2] < 0.7


def test_scaling_changes_the_logits_and_nothing_else(checkpoint: Checkpoint) -> None:
    measured = replace(checkpoint, thresholds=(0.5,) * len(LABELS))
    scaled = with_scaling(measured, 1.6, -0.4)
    assert scaled.thresholds is None
    assert {key: value.dtype for key, value in scaled.weights.items()} == {
        key: value.dtype for key, value in checkpoint.weights.items()
    }
    before, after = tagger_of(checkpoint, device="cpu"), tagger_of(scaled, device="cpu")
    logits = before.logits(noise())
    np.testing.assert_allclose(after.logits(noise()), 1.6 * logits - 0.4, atol=0.01)
    np.testing.assert_array_equal(after.embed(noise()), before.embed(noise()))
    slopes, offsets = np.linspace(0.5, 2, 527, dtype=np.float32), np.linspace(-1, 1, 527, dtype=np.float32)
    of_classes = tagger_of(with_scaling(measured, slopes, offsets), device="cpu")
    np.testing.assert_allclose(of_classes.logits(noise())[0], slopes * logits[0] + offsets, atol=0.02)


# Thresholds


def test_a_threshold_is_the_lowest_score_at_which_a_class_is_right_often_enough() -> None:
    rests = [column((0.5, True, 50), (0.494, False, 50)) for _ in range(3)]
    right_from_03 = column((0.3, True, 40), (0.25, False, 40))
    right_from_07 = column((0.7, True, 40), (0.655, False, 40))
    thresholds = class_thresholds(*several(right_from_03, right_from_07, *rests))
    assert thresholds.dtype == np.float32
    assert thresholds == pytest.approx([0.26, 0.66, 0.5, 0.5, 0.5])


def test_a_rare_class_has_the_shared_threshold() -> None:
    rests = [column((0.6, True, 50), (0.594, False, 50)) for _ in range(4)]
    never, once = column((0.01, False, 5)), column((0.3, True, 1))
    often = column((0.3, True, 30))
    thresholds = class_thresholds(*several(*rests, never, once, often))
    assert thresholds[:6] == pytest.approx([0.6] * 6)
    assert thresholds[6] < 0.3


def test_the_average_may_have_labels_of_its_own() -> None:
    rests = [column((0.6, True, 50), (0.594, False, 50)) for _ in range(4)]
    scores, holds = several(*rests, column((0.01, False, 5)), column((0.8, True, 40), (0.3, False, 40)))
    likely = holds | (scores >= 0.3)
    thresholds = class_thresholds(scores, holds, average_holds=likely)
    assert thresholds[4] == pytest.approx(0.15), "rare: the average, in which all detections are right"
    assert thresholds[5] > 0.3, "frequent: its own labels"


def test_a_frequent_class_does_not_decide_alone() -> None:
    rare = [column((0.4, True, 10), (0.394, False, 10)) for _ in range(9)]
    frequent = column((0.8, False, 1000))
    thresholds = class_thresholds(*several(frequent, *rare, column((0.1, False, 1))))
    assert thresholds[0] == pytest.approx(0.9, abs=0.1)
    assert thresholds[-1] == pytest.approx(0.4)


def test_thresholds_stay_in_their_limits() -> None:
    rest = column((0.5, True, 50), (0.45, False, 50))
    thresholds = class_thresholds(
        *several(rest, rest, column((0.02, True, 80)), column((0.99, False, 80)), column((0.16, True, 99)))
    )
    assert thresholds.min() == pytest.approx(0.15)
    assert thresholds[3] == pytest.approx(0.9)


def test_backgrounds_lift_thresholds_and_never_lower_them() -> None:
    heard = [
        FalseAlarms(
            label="", score=0.0, windows=1, false_events_per_hour=0.0, highest=np.array(highest, np.float32)
        )
        for highest in ([0.1, 0.6, 0.0, 0.97], [0.46, 0.3, 0.0, 0.2])
    ]
    thresholds = raised(np.array([0.5, 0.5, 0.2, 0.9], np.float32), heard)
    assert thresholds == pytest.approx([0.66, 0.8, 0.2, 1.0])


# All together


def test_calibrated_scores_are_reliable(checkpoint: Checkpoint, pack: Pack) -> None:
    told: list[str] = []
    done = calibrate(
        checkpoint, [pack], background_seconds=10, device="cpu", progress=lambda part, *_: told.append(part)
    )
    assert list(dict.fromkeys(told)) == ["training clips", "validation clips", "backgrounds"]
    assert done.slope > 1
    before, after = tagger_of(checkpoint, device="cpu"), tagger_of(done.checkpoint, device="cpu")
    scaled = done.class_slopes * (done.slope * before.logits(noise())[0] + done.offset) + done.class_offsets
    np.testing.assert_allclose(after.logits(noise())[0], scaled, atol=0.05)  # float16 rounds
    errors = [reliability(*pooled(score_places(tagger, pack).values())).error for tagger in (before, after)]
    assert errors[1] < 0.5 * errors[0]


def test_all_classes_can_have_one_scale(checkpoint: Checkpoint, pack: Pack) -> None:
    done = calibrate(checkpoint, [pack], background_seconds=10, scales_classes=False, device="cpu")
    assert set(done.class_slopes) == {1.0}
    assert set(done.class_offsets) == {0.0}
    before, after = tagger_of(checkpoint, device="cpu"), tagger_of(done.checkpoint, device="cpu")
    scaled = done.slope * before.logits(noise())[0] + done.offset
    np.testing.assert_allclose(after.logits(noise())[0], scaled, atol=0.05)  # float16 rounds


def test_recordings_that_measure_the_names_do_not_set_the_scale_of_classes(
    checkpoint: Checkpoint, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, alarms = tmp_path / "pack", write_pack(tmp_path / "alarms")
    shutil.copytree(pack.folder, folder)
    write_real_life(folder, ("Dog|Bark", ""))
    with zipfile.ZipFile(folder / REAL_LIFE.audio) as named, zipfile.ZipFile(folder / AUDIO) as first:
        members = {name: first.read(name) for name in first.namelist()} | {
            "00003.opus": named.read("r00001.opus")
        }
    with zipfile.ZipFile(folder / AUDIO, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    weights = load_file(folder / TEACHERS["mn04"].weights)
    weights["classifier.5.bias"] = torch.linspace(-3, 3, 527).half()  # it knows half of the classes
    save_file(weights, folder / TEACHERS["mn04"].weights)
    index = alarms / INDEX
    index.write_text(index.read_text().replace("val", "train"))
    fitted: list[tuple[Floats, NDArray[np.bool_]]] = []

    def fit(scores: Floats, holds: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        fitted.append((scores, holds))
        return fit_class_scaling(scores, holds)

    monkeypatch.setattr("models.training.calibration.fit_class_scaling", fit)
    packs = [*open_parts(folder), Pack(alarms)]
    done = calibrate(
        checkpoint,
        packs,
        teacher=load_teacher_tagger("mn04", folder, device="cpu"),
        background_seconds=10,
        device="cpu",
    )
    ((scores, holds),) = fitted
    # Four validation clips of the first part, one of which is a copy of a dog, and one of the second, in two places.
    assert scores.shape == holds.shape == (2 * (3 + 1), 526)
    silence = LABELS.index("Silence")
    assert (done.class_slopes[silence], done.class_offsets[silence]) == (1, 0)
    slopes, offsets = fit_class_scaling(scores, holds)
    np.testing.assert_array_equal(np.delete(done.class_slopes, silence), slopes)
    np.testing.assert_array_equal(np.delete(done.class_offsets, silence), offsets)


def test_thresholds_are_those_of_the_scores_of_the_calibrated_model(
    checkpoint: Checkpoint, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.calibration.raised", lambda thresholds, _backgrounds: thresholds)
    done = calibrate(checkpoint, [pack], background_seconds=10, device="cpu")
    tagger = tagger_of(done.checkpoint, device="cpu")
    assert tagger.thresholds is not None
    chosen = class_thresholds(*pooled(score_places(tagger, pack).values()))
    assert chosen.max() > 0.3
    # float16 rounds, so that a few are chosen otherwise.
    assert (np.abs(tagger.thresholds[pack.teacher_to_student] - chosen) < 0.011).mean() > 0.95


def test_nothing_false_is_heard_in_the_backgrounds_that_set_the_thresholds(
    checkpoint: Checkpoint, pack: Pack
) -> None:
    done = calibrate(checkpoint, [pack], background_seconds=20, device="cpu")
    tagger = tagger_of(done.checkpoint, device="cpu")
    assert tagger.thresholds is not None
    assert tagger.thresholds.shape == (527,)
    assert 0.15 <= tagger.thresholds.min() <= done.median_threshold <= tagger.thresholds.max() <= 1
    assert 0 < done.raised <= 527
    heard = measure_background(tagger, 20, seed=1, thresholds=tagger.thresholds)
    assert heard.keys() == BACKGROUNDS.keys()
    assert [there.false_events_per_hour for there in heard.values()] == [0.0] * 5


def test_a_model_without_the_packs_classes_is_refused(checkpoint: Checkpoint, pack: Pack) -> None:
    with pytest.raises(TrainingError, match="exclude each other"):
        calibrate(replace(checkpoint, activation="softmax"), [pack])
    renamed = replace(checkpoint, labels=("Talk", *LABELS[1:]))
    with pytest.raises(TrainingError, match="other classes"):
        calibrate(renamed, [pack])


# The commands


def command(*words: object) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def notes_of(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as opened:
        notes: dict[str, Any] = json.loads(opened.metadata()[HEADER])["notes"]
    return notes


def test_the_embedded_weights_tell_nothing_of_the_machine_that_made_them() -> None:
    assert "/" not in json.dumps(notes_of(Path(models.__file__).parent / "assets" / "tiny.safetensors"))


def test_a_background_that_is_shorter_than_a_hop_is_refused(tmp_path: Path) -> None:
    app = typer.Typer()
    add_commands(app)
    words = [
        "calibrate-model",
        "--pack",
        "none",
        "--background",
        "2s",
        "--out",
        str(tmp_path / "out.safetensors"),
    ]
    with pytest.raises(UsageError, match="--background must be at least 5 s"):
        CliRunner().invoke(app, words, catch_exceptions=False, standalone_mode=False)


def test_a_folder_of_a_teacher_needs_a_teacher_that_is_in_it(pack: Pack, tmp_path: Path) -> None:
    app = typer.Typer()
    add_commands(app)
    out = str(tmp_path / "out.safetensors")
    words = ["calibrate-model", "--pack", str(pack.folder), "--out", out, "--teacher-from", str(tmp_path)]
    with pytest.raises(UsageError, match="--teacher-from goes with --teacher mn04"):
        CliRunner().invoke(app, words, catch_exceptions=False, standalone_mode=False)
    with pytest.raises(TrainingError, match=f"the teacher's weights {tmp_path}"):
        CliRunner().invoke(app, [*words, "--teacher", "mn04"], catch_exceptions=False, standalone_mode=False)


def test_a_checkpoint_is_calibrated_by_a_command(checkpoint: Checkpoint, pack: Pack, tmp_path: Path) -> None:
    save_checkpoint(checkpoint, tmp_path / "before.safetensors")
    said = command(
        *(
            "calibrate-model",
            "--pack",
            pack.folder,
            "--model",
            tmp_path / "before.safetensors",
            "--device",
            "cpu",
        ),
        *("--background", "10s", "--limit", 5, "--out", tmp_path / "after.safetensors"),
    )
    assert "slope" in said
    assert "median threshold" in said
    tagger = load_tagger(str(tmp_path / "after.safetensors"), device="cpu", engine="torch")
    assert tagger.thresholds is not None
    assert len(tagger.thresholds) == 527
    assert notes_of(tmp_path / "after.safetensors")["calibrated"] == "before.safetensors", "no folder"
    assert (
        tagger.logits(noise()).std()
        > load_tagger(str(tmp_path / "before.safetensors"), device="cpu", engine="torch")
        .logits(noise())
        .std()
    )


def test_a_distillation_ends_with_calibrated_scores(
    checkpoint: Checkpoint, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.library._NOISES", 1)
    monkeypatch.setattr("models.training.calibration.BACKGROUND_SECONDS", 10.0)
    monkeypatch.setattr("models.training.distil_recipe.DistilRecipe", ShortRecipe)
    save_checkpoint(checkpoint, tmp_path / "init.safetensors")
    words = (
        *(
            "distil",
            "--pack",
            pack.folder,
            "--out",
            tmp_path / "run",
            "--init",
            tmp_path / "init.safetensors",
        ),
        *("--teacher", "yamnet", "--steps", 2, "--device", "cpu", "--no-compile"),
    )
    file = tmp_path / "run" / "tiny.safetensors"
    command(*words)
    assert "median threshold" not in command(*words, "--finish", "--no-calibrate")
    assert load_checkpoint(str(file)).thresholds is None
    assert "median threshold" in command(*words, "--finish")
    assert load_checkpoint(str(file)).thresholds is not None


def test_a_reliability_diagram_is_drawn_by_a_command(
    checkpoint: Checkpoint, pack: Pack, tmp_path: Path
) -> None:
    save_checkpoint(checkpoint, tmp_path / "model.safetensors")
    picture = tmp_path / "reliability.png"
    command(
        *("evaluate", "--pack", pack.folder, "--model", tmp_path / "model.safetensors"),
        *("--limit", 2, "--device", "cpu", "--reliability", picture),
    )
    assert imread(picture).shape == (800, 700, 4)


def test_several_models_are_averaged_by_the_command(
    checkpoint: Checkpoint, pack: Pack, tmp_path: Path
) -> None:
    other = replace(checkpoint, weights={name: 2 * weights for name, weights in checkpoint.weights.items()})
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for given, file in zip((checkpoint, other), files, strict=True):
        save_checkpoint(given, file)
    models = [word for file in files for word in ("--model", file)]
    command(
        *("calibrate-model", "--pack", pack.folder, *models, "--device", "cpu"),
        *("--background", "10s", "--limit", 5, "--out", tmp_path / "mean.safetensors"),
    )
    name = "v.pos_embed"
    mean = load_checkpoint(str(tmp_path / "mean.safetensors"))
    torch.testing.assert_close(
        mean.weights[name].float(), 1.5 * checkpoint.weights[name].float(), atol=1e-3, rtol=0
    )
