"""Agreement with the teacher: places, figures, the teacher's own row, confusions, the command."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from support.audio_pack import sound, write_pack, write_real_life
from typer.testing import CliRunner

from earshot.cli import add_commands
from models import TrainingError
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, save_checkpoint
from models.labels import audioset_classes
from models.local import load_tagger
from models.training import metrics, places
from models.training.agreement import Scored, agreements, score_beside, score_places
from models.training.confusions import class_precisions, confusions
from models.training.pack import REAL_LIFE, Kind, Pack
from models.training.places import CLIP_ALONE, FOLLOWED_BY_SILENCE, PLACES
from models.training.student import initialise
from models.training.teachers import TEACHERS, yamnet
from models.training.teachers.tagger import load_teacher_tagger

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

Floats = NDArray[np.float32]

SMALL = AstConfig(
    width=24, depth=2, heads=3, mlp_width=48, fstride=16, tstride=16, input_tdim=128, label_dim=527
)
LABELS = tuple(entry.name for entry in audioset_classes())
TAUGHT = tuple(LABELS[index] for index in yamnet.YamNet.classes)
WINDOW = 163_840
SECOND = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of tones whose teacher knows nothing, but is sure of some classes."""
    folder = write_pack(tmp_path_factory.mktemp("packs") / "pack", clips=16)
    torch.manual_seed(1)
    network = yamnet.YamNet()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.constant_(parameter, -2.0 if name == "fc.bias" else 0.0)
        else:
            torch.nn.init.kaiming_normal_(parameter)
    save_file(network.state_dict(), folder / TEACHERS["yamnet"].weights)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint much smaller than tiny, with windows of 1.28 s."""
    network = AudioSpectrogramTransformer(SMALL)
    initialise(network, torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    save_checkpoint(Checkpoint(name="small", config=SMALL, labels=LABELS, weights=network.state_dict()), path)
    return str(path)


def lay(place: str, clip: Floats, *, length: int = WINDOW, seed: int = 0) -> Floats:
    return PLACES[place](clip, length, np.random.default_rng(seed))


def rms_dbfs(samples: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples))))


# Places


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("length", [2 * SECOND, WINDOW])
def test_a_window_is_full_and_random_only_through_its_seed(place: str, length: int) -> None:
    clip = sound(0)
    window = lay(place, clip, length=length)
    assert window.dtype == np.float32
    assert len(window) == (len(clip) if place == CLIP_ALONE else length)
    np.testing.assert_array_equal(window, lay(place, clip, length=length))
    by_chance = {"repeated", "in a room"}
    other = lay(place, clip, length=length, seed=1)
    assert np.array_equal(window, other) == (place not in by_chance)


@pytest.mark.parametrize("place", [place for place in PLACES if place != "in a room"])
def test_a_clip_as_long_as_the_window_is_the_window(place: str) -> None:
    clip = np.tile(sound(4), 9)[:WINDOW]
    np.testing.assert_array_equal(lay(place, clip), clip)


@pytest.mark.parametrize(
    ("place", "start"),
    [(FOLLOWED_BY_SILENCE, 0), (CLIP_ALONE, 0), ("in the middle", 71_920), ("at the end", 143_840)],
)
def test_a_clip_lies_at_its_place_and_the_rest_is_digital_silence(place: str, start: int) -> None:
    clip = np.full(20_000, 0.25, np.float32)
    (sounding,) = np.nonzero(lay(place, clip))
    assert (sounding == start + np.arange(20_000)).all()


def test_a_clip_is_repeated_up_to_the_end_with_pauses() -> None:
    window = lay("repeated", np.full(9_600, 0.25, np.float32))
    edges = np.flatnonzero(np.diff(window != 0)) + 1
    runs = np.diff(edges, prepend=0, append=WINDOW)
    sounds, pauses = runs[::2], runs[1::2]
    assert window[0] == 0.25
    assert len(sounds) >= 4
    assert (sounds[:-1] == 9_600).all()
    assert sounds[-1] <= 9_600
    assert (pauses <= 2 * SECOND).all()
    assert (pauses[: len(sounds) - 1] >= SECOND // 2).all()
    assert len(np.unique(pauses)) == len(pauses)


def test_a_rooms_microphone_hisses_in_pink_over_the_whole_window() -> None:
    window = lay("in a room", np.zeros(SECOND, np.float32))
    assert all(-66 < rms_dbfs(tenth) < -54 for tenth in np.split(window, 10))
    power = np.abs(np.fft.rfft(window)) ** 2
    octave_db = [10 * np.log10(power[hertz : 2 * hertz].sum()) for hertz in (1_024, 4_096, 16_384)]
    assert np.ptp(octave_db) < 1.0


def test_a_room_is_a_direct_sound_and_a_decay_of_one_energy() -> None:
    dry = np.zeros(2 * SECOND, np.float32)
    dry[1_000] = 1.0
    for seed in range(10):
        wet = places._reverberate(dry, np.random.default_rng(seed))
        assert np.abs(wet[:1_000]).max() < 1e-6
        energy = np.square(wet[1_000:])
        assert 0.99 < energy.sum() < 1.01
        direct_db = 10 * np.log10(energy[0] / energy[1:].sum())
        assert -3.1 < direct_db < 10.1
        blocks = energy[1 : 1 + 20 * 160].reshape(20, 160).sum(1)  # 0.2 s, the shortest decay
        db_per_second = np.polyfit(np.arange(20) / 100, 10 * np.log10(blocks), 1)[0]
        assert 0.15 < -60 / db_per_second < 1.0


def test_a_room_makes_sounds_quieter_and_never_clips_them() -> None:
    loud = np.sign(np.sin(np.arange(3 * SECOND) / 7)).astype(np.float32)
    peaks = np.array([np.abs(lay("in a room", loud, seed=seed)).max() for seed in range(20)])
    assert peaks.max() <= 1.0
    assert peaks.min() < 0.2


# Figures


def scored(scores: list[list[float]], truth: list[list[float]], kinds: tuple[Kind, ...] = ()) -> Scored:
    """Return scores for the first classes; all others are absent."""
    other: Kind = "other"
    first, second = np.zeros((2, len(scores), yamnet.CLASSES), np.float32)
    first[:, : len(scores[0])] = scores
    second[:, : len(truth[0])] = truth
    return Scored(scores=first, truth=second, kinds=kinds or (other,) * len(scores))


def test_figures_cover_only_the_clips_of_which_the_teacher_is_sure() -> None:
    found = scored(
        [[0.9, 0.1, 0.2], [0.4, 0.2, 0.1], [0.1, 0.2, 0.3], [0.9, 0.0, 0.0]],
        [[0.8, 0.0, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 0.7], [0.0, 0.2, 0.0]],
        ("speech", "music", "other", "other"),
    )
    figures = agreements({"at the end": found}, silence=None)["at the end"]
    assert (figures.clips, figures.asked) == (4, 3)
    assert figures.top1 == pytest.approx(2 / 3)
    assert (figures.top1_speech, figures.top1_music, figures.top1_other) == (1.0, 0.0, 1.0)
    assert figures.top5 == 1.0
    assert figures.score == pytest.approx((0.9 + 0.2 + 0.3) / 3)
    assert math.isnan(figures.mean_average_precision)  # no class holds in five clips


def test_a_right_class_must_be_above_0_3() -> None:
    found = scored([[0.31], [0.29], [0.9]], [[0.9], [0.9], [0.1]])
    assert agreements({"repeated": found}, silence=None)["repeated"].right_over_03 == 0.5


def test_the_same_class_is_that_of_the_clip_followed_by_silence_right_or_not() -> None:
    usual = scored([[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.0], [0.0, 0.8]])
    moved = scored([[0.1, 0.9], [0.6, 0.5]], [[0.8, 0.0], [0.0, 0.8]])
    figures = agreements({FOLLOWED_BY_SILENCE: usual, "at the end": moved}, silence=None)
    assert figures[FOLLOWED_BY_SILENCE].same == 1.0
    assert figures["at the end"].same == 0.5
    assert figures["at the end"].top1 == 0.0
    assert math.isnan(agreements({"at the end": moved}, silence=None)["at the end"].same)


def test_cross_entropy_is_that_of_probabilities() -> None:
    truth = np.zeros((2, yamnet.CLASSES), np.float32)
    even = Scored(scores=np.full_like(truth, 0.5), truth=truth, kinds=("other", "other"))
    assert agreements({"repeated": even}, None)["repeated"].cross_entropy == pytest.approx(math.log(2))
    right = agreements({"repeated": scored([[0.0]], [[0.0]])}, None)["repeated"].cross_entropy
    unsure = agreements({"repeated": scored([[0.25]], [[0.25]])}, None)["repeated"].cross_entropy
    wrong = agreements({"repeated": scored([[1.0]], [[0.25]])}, None)["repeated"].cross_entropy
    assert right == pytest.approx(0, abs=1e-6)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert unsure == pytest.approx(entropy / yamnet.CLASSES, abs=1e-6)
    assert unsure < wrong < 1


def test_silence_does_not_count() -> None:
    found = scored([[0.9, 0.4, 0.0]], [[0.9, 0.6, 0.0]])
    figures = agreements({"repeated": found}, silence=0)["repeated"]
    assert figures.top1 == 1.0
    assert figures.score == pytest.approx(0.4)
    assert found.scores[0, 0] > 0.8  # what was given stays


def test_mean_average_precision_counts_frequent_classes_only() -> None:
    scores = np.array([[0.9, 0.9, 0.1], [0.8, 0.1, 0.9], [0.1, 0.2, 0.3]])
    positive = np.array([[True, False, False], [True, True, False], [False, False, False]])
    assert metrics.mean_average_precision(scores, positive, fewest=2) == (1.0, 1)
    value, classes = metrics.mean_average_precision(scores, positive)
    assert value == pytest.approx((1 + 1 / 3) / 2)
    assert classes == 2


def test_the_wanted_class_is_looked_for_in_the_highest() -> None:
    scores = np.array([[0.1, 0.5, 0.3], [0.9, 0.5, 0.3]])
    wanted = np.array([2, 0])
    assert metrics.hits_in_top(scores, wanted, 1).tolist() == [False, True]
    assert metrics.hits_in_top(scores, wanted, 2).tolist() == [True, True]


# Scoring a pack


def test_models_are_compared_with_the_teacher(folder: Path, small: str) -> None:
    pack = Pack(folder)
    found = agreements(score_places(load_tagger(small, device="cpu"), pack), pack.silence)
    assert list(found) == [FOLLOWED_BY_SILENCE, CLIP_ALONE]
    for agreement in found.values():
        assert agreement.clips == agreement.asked == 6
        assert 0 <= agreement.top1 <= agreement.top5 <= 1
        assert 0 < agreement.score < 1


def test_the_truth_is_the_clean_clips_in_all_places(folder: Path, small: str) -> None:
    found = score_places(load_tagger(small, device="cpu"), Pack(folder), tuple(PLACES))
    assert list(found) == list(PLACES)
    usual = found[FOLLOWED_BY_SILENCE]
    assert usual.scores.shape == usual.truth.shape == (6, yamnet.CLASSES)
    for place, there in found.items():
        assert there.kinds == ("speech",) * 6
        assert np.array_equal(there.truth, usual.truth) == (place != CLIP_ALONE)
    assert np.abs(found["at the end"].scores - usual.scores).max() > 1e-4
    assert np.abs(found["in a room"].scores - usual.scores).max() > 1e-4


def test_a_clip_has_the_same_scores_whichever_others_are_scored(folder: Path, small: str) -> None:
    tagger, pack = load_tagger(small, device="cpu"), Pack(folder)
    everything = score_places(tagger, pack, ("repeated", "in a room"))["in a room"]
    told: list[tuple[int, int]] = []
    few = score_places(
        tagger, pack, ("in a room",), limit=2, progress=lambda done, of: told.append((done, of))
    )["in a room"]
    assert told == [(1, 2), (2, 2)]
    assert all(any(np.array_equal(row, other) for other in everything.scores) for row in few.scores)


def test_a_model_with_other_classes_is_refused(folder: Path, tmp_path: Path) -> None:
    config = AstConfig(width=24, depth=1, heads=3, mlp_width=48, input_tdim=128, label_dim=2)
    weights = AudioSpectrogramTransformer(config).state_dict()
    path = tmp_path / "pets.safetensors"
    save_checkpoint(Checkpoint(name="pets", config=config, labels=("cat", "dog"), weights=weights), path)
    with pytest.raises(TrainingError, match="other classes") as error:
        score_places(load_tagger(str(path), device="cpu"), Pack(folder))
    assert "\n" not in str(error.value)


# The teacher's own row


def test_the_teacher_agrees_with_itself_about_the_clip_alone(folder: Path) -> None:
    pack = Pack(folder)
    found = score_places(load_teacher_tagger("yamnet", folder, window_seconds=2.0), pack, tuple(PLACES))
    assert len(np.unique(found[CLIP_ALONE].truth.argmax(1))) > 1
    np.testing.assert_allclose(found[CLIP_ALONE].scores, found[CLIP_ALONE].truth, atol=1e-6)
    room = found["in a room"]
    assert np.abs(room.scores - room.truth).max() > 0.1


def test_the_teacher_scores_windows_one_by_one_and_0_for_what_it_lacks(folder: Path) -> None:
    tagger = load_teacher_tagger("yamnet", folder, window_seconds=1.0)
    assert (tagger.name, tagger.labels, tagger.window_samples) == ("yamnet", LABELS, SECOND)
    windows = np.stack([sound(4)[:SECOND], sound(7)[:SECOND]])
    scores = tagger(windows)
    assert scores.shape == (2, 527)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores[1:], tagger(windows[1]), atol=1e-6)
    known = np.isin(np.arange(527), yamnet.YamNet.classes)
    assert known.sum() == 521
    assert (scores[:, ~known] == 0).all()
    assert (scores[:, known] > 0).all()


# Confusions


def test_the_most_frequent_confusion_is_first(folder: Path) -> None:
    found = scored(
        [[0.9, 0.1, 0.2], [0.1, 0.5, 0.2], [0.1, 0.3, 0.2], [0.1, 0.3, 0.9], [0.1, 0.9, 0.0]],
        [[0.8, 0.0, 0.0], [0.8, 0.0, 0.0], [0.8, 0.0, 0.0], [0.0, 0.9, 0.0], [0.2, 0.0, 0.0]],
    )
    first, second = confusions(found, Pack(folder))
    assert (first.taught, first.heard, first.clips, first.of) == (TAUGHT[0], TAUGHT[1], 2, 3)
    assert (second.taught, second.heard, second.clips, second.of) == (TAUGHT[1], TAUGHT[2], 1, 1)


def test_classes_of_five_clips_are_ordered_by_their_average_precision(folder: Path) -> None:
    random = np.random.default_rng(0)
    truth = np.zeros((12, 3))
    truth[:5, 0] = truth[5:, 1] = truth[:4, 2] = 0.9
    scores = np.column_stack((random.random(12) / 9, truth[:, 1], truth[:, 2]))
    best, worst = class_precisions(scored(scores.tolist(), truth.tolist()), Pack(folder))
    assert (best.label, best.positives, best.average_precision) == (TAUGHT[1], 7, 1.0)
    assert (worst.label, worst.positives) == (TAUGHT[0], 5)
    assert worst.average_precision < 0.9
    assert class_precisions(scored([[0.1]], [[0.9]]), Pack(folder)) == []


# The command


def evaluate(*words: str) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["evaluate", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_of_all_places_fits_100_columns(folder: Path, small: str) -> None:
    table = evaluate("--pack", str(folder), "--model", small, "--places", "--confusions", "2", "--limit", "5")
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "…" not in table.replace("│ … ", "")  # nothing is cut off
    assert "the teacher hears" in table
    assert "found best and worst" in table
    (same,) = (line for line in table.splitlines() if "first class stays the same" in line)
    assert same.count("%") == len(PLACES)


def test_json_has_all_of_it(folder: Path, small: str) -> None:
    summary = json.loads(
        evaluate(
            *("--pack", str(folder), "--model", small, "--places"),
            *("--confusions", "2", "--limit", "5", "--json"),
        )
    )
    assert summary["model"] == "small"
    assert summary["window_seconds"] == 1.28
    assert {"confusions", "classes", *PLACES} < set(summary)
    assert summary[FOLLOWED_BY_SILENCE]["same"] == 1.0
    assert summary["in a room"]["clips"] == 5
    assert summary["in a room"]["top1_music"] is None
    assert set(summary["confusions"][0]) == {"taught", "heard", "clips", "of"}
    assert len(summary["classes"]) > 4
    assert all(entry["positives"] == 5 for entry in summary["classes"])


def test_names_that_are_right_are_counted_on_the_clips_that_have_names(
    folder: Path, small: str, tmp_path: Path
) -> None:
    pack = shutil.copytree(folder, tmp_path / "pack")
    words = ("--pack", str(pack), "--model", small, "--limit", "2")
    assert "names_right" not in json.loads(evaluate(*words, "--json"))
    write_real_life(pack)
    names = json.loads(evaluate(*words, "--json"))["names_right"]
    assert names["clips"] == 2
    assert 0 <= names["first"] <= names["of_three"] <= names["of_five"] <= 1
    row = next(line for line in evaluate(*words).splitlines() if "2 clips" in line)
    assert row.count("%") == 3


def test_the_names_of_clips_are_true_beside_a_teacher_if_asked_for(
    folder: Path, small: str, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder, tmp_path / "pack")
    write_real_life(copy, ("Dog|Bark", ""))
    pack, teacher = Pack(copy, REAL_LIFE), load_teacher_tagger("mn04", copy)
    places = (FOLLOWED_BY_SILENCE,)
    plain, named = (
        score_beside(load_tagger(small), teacher, pack, places, named=named)[FOLLOWED_BY_SILENCE]
        for named in (False, True)
    )
    dog = [LABELS.index("Dog"), LABELS.index("Bark")]
    assert (named.truth[0, dog] >= np.float32(0.8)).all()
    assert (plain.truth[0, dog] < 0.8).any()
    kept, lowered = (
        [LABELS.index(name) for name in names] for names in (("Animal", "Bang"), ("Music", "Rain"))
    )
    np.testing.assert_array_equal(named.truth[0, kept], plain.truth[0, kept])
    assert (named.truth[0, lowered] < plain.truth[0, lowered]).all()
    np.testing.assert_array_equal(named.truth[1:], plain.truth[1:])
    np.testing.assert_array_equal(named.scores, plain.scores)


def test_the_teacher_can_be_evaluated_itself(folder: Path) -> None:
    summary = json.loads(
        evaluate("--pack", str(folder), "--model", "teacher", "--window", "2", "--limit", "3", "--json")
    )
    assert (summary["model"], summary["window_seconds"]) == ("yamnet", 2.0)
    assert summary[CLIP_ALONE]["top1"] == 1.0
    assert summary[CLIP_ALONE]["clips"] == 3
    assert "confusions" not in summary
    assert "in a room" not in summary


def test_the_teacher_of_a_run_can_be_evaluated(folder: Path, tmp_path: Path) -> None:
    name = TEACHERS["yamnet"].weights
    weights = load_file(folder / name)
    save_file(weights | {"fc.bias": weights["fc.bias"] - 9}, tmp_path / name)
    words = ("--pack", str(folder), "--model", "teacher", "--window", "2", "--limit", "3", "--json")
    own, other = (json.loads(evaluate(*words, *more)) for more in ((), ("--teacher-from", str(tmp_path))))
    assert own[CLIP_ALONE]["cross_entropy"] < other[CLIP_ALONE]["cross_entropy"]


def test_a_folder_of_a_teacher_needs_a_teacher(folder: Path) -> None:
    app = typer.Typer()
    add_commands(app)
    words = ["evaluate", "--pack", str(folder), "--teacher-from", str(folder)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "--teacher-from goes with --model teacher" in result.output


@pytest.mark.parametrize("words", [("--places",), ("--confusions", "3"), ("--model", "teacher")])
@pytest.mark.parametrize("source", [("--data", "."), ("--background", "10s"), ()])
def test_options_for_packs_need_a_pack(words: tuple[str, ...], source: tuple[str, ...]) -> None:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, ["evaluate", *source, *words])
    assert result.exit_code == 2
    assert "go with --pack" in result.output
