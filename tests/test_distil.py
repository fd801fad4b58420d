"""Distillation: pack, library of sounds, mixtures, training, resumption, export, the command."""

import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
import torch
import typer
from safetensors.torch import load_file, save_file
from support.audio_pack import sound, write_pack, write_real_life
from torchaudio.transforms import MelSpectrogram
from typer.testing import CliRunner

from earshot.cli import add_commands
from models import TrainingError, frontends
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.labels import audioset_classes
from models.local import load_tagger
from models.training.clip_names import groups_of, lower_other_groups
from models.training.distil import REPORT, STATE, Distillation, Length, Report, Watch, starting_point
from models.training.distil_recipe import DistilRecipe, Mixing, Windows
from models.training.library import OFFSET, Library, load_library
from models.training.mixtures import Mixer
from models.training.muon import Muon, orthogonalise
from models.training.pack import AUDIO, CLASSES, INDEX, REAL_LIFE, Clip, Pack, open_parts
from models.training.student import Patches, Student, initialise
from models.training.teachers import TEACHERS, TeacherNetwork, load_network, yamnet
from models.training.teachers.mn04 import Mn04
from models.training.warping import mel, warp_matrix

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

RECIPE = DistilRecipe(
    steady=(Windows(rows=128, share=0.5, batch=4), Windows(rows=128, share=1.0, batch=4, ending_early=0.5)),
    last=(Windows(rows=128, share=1.0, batch=4, ending_early=0.5, alone=0.25),),
    warm_up_steps=2,
)
CPU = torch.device("cpu")
SMALL = AstConfig(
    width=24, depth=2, heads=3, mlp_width=48, fstride=16, tstride=16, input_tdim=128, label_dim=527
)
LABELS = tuple(entry.name for entry in audioset_classes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_pack(tmp_path_factory.mktemp("packs") / "pack")
    write_real_life(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def few_noises() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.training.library._NOISES", 3)
        yield


def teacher_of(folder: Path, name: str = "mn04") -> TeacherNetwork:
    return load_network(TEACHERS[name].network, folder / TEACHERS[name].weights, CPU)


@pytest.fixture(scope="module")
def teacher(folder: Path) -> TeacherNetwork:
    return teacher_of(folder)


@pytest.fixture(scope="module")
def library(folder: Path, few_noises: None, teacher: TeacherNetwork) -> Library:  # noqa: ARG001 - made before
    return load_library(open_parts(folder), "mn04", teacher, folder / "cache" / "mn04")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint to start from, much smaller than tiny."""
    network = AudioSpectrogramTransformer(SMALL)
    initialise(network, torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("init") / "small.safetensors"
    save_checkpoint(Checkpoint(name="small", config=SMALL, labels=LABELS, weights=network.state_dict()), path)
    return str(path)


def distillation(
    teacher: TeacherNetwork, library: Library, small: str, out: Path, **options: Any
) -> Distillation:
    chosen: dict[str, Any] = {"recipe": RECIPE, "seed": 3, "device": "cpu"} | options
    return Distillation(starting_point(small, "tiny", 0), teacher, library, out=out, **chosen)


def mixer(library: Library, **settings: Any) -> Mixer:
    """A mixer that changes nothing, except where it is asked to."""
    names = ("noisy", "reverberant", "repeated", "colour_db", "changed", "filtered_db")
    mixing = Mixing(**dict.fromkeys(names, 0.0) | settings)
    return Mixer(library, Mn04.front_end, mixing, mean=frontends.AUDIOSET_MEAN, std=frontends.AUDIOSET_STD)


def one_sentence(error: pytest.ExceptionInfo[TrainingError]) -> str:
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


# The pack


def test_a_pack_describes_its_content(folder: Path) -> None:
    pack = Pack(folder)
    assert len(pack.clips) == 10
    assert pack.of("val") == [0, 3, 6, 9]
    assert pack.labels == LABELS
    assert pack.silence == yamnet.YamNet.silence
    assert pack.teacher_to_student[pack.silence] == LABELS.index("Silence")


def test_clips_come_straight_out_of_the_archive(folder: Path) -> None:
    pack = Pack(folder)
    decoded = pack.samples(pack.clips[5])
    assert decoded.dtype == np.float32
    assert abs(len(decoded) - len(sound(5))) <= 1
    assert np.corrcoef(decoded[: len(sound(5))], sound(5)[: len(decoded)])[0, 1] > 0.98


@pytest.mark.parametrize("name", [AUDIO, INDEX, CLASSES])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).unlink()
    with pytest.raises(TrainingError, match=name) as error:
        Pack(copy)
    one_sentence(error)


@pytest.mark.parametrize("name", [AUDIO, INDEX, CLASSES])
def test_a_broken_file_is_reported_in_one_sentence(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).write_bytes(b"broken,\n\xff\n")
    with pytest.raises(TrainingError) as error:
        load_library(open_parts(copy), "mn04", Mn04(), tmp_path / "cache")
    one_sentence(error)


def test_a_broken_clip_is_named(folder: Path, tmp_path: Path, teacher: TeacherNetwork) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    with zipfile.ZipFile(copy / AUDIO, "w") as archive:
        archive.writestr("00001.opus", b"noise")
    with pytest.raises(TrainingError, match=r"00001\.opus") as error:
        load_library(open_parts(copy), "mn04", teacher, tmp_path / "cache")
    one_sentence(error)


# The library of sounds


@pytest.mark.parametrize("name", list(TEACHERS))
def test_the_library_holds_what_student_and_teacher_hear_of_the_training_clips_of_all_packs(
    folder: Path, tmp_path: Path, name: str
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    parts = [part for pack in (folder, other) for part in open_parts(pack)]
    network = teacher_of(folder, name)
    library = load_library(parts, name, network, tmp_path / "cache")
    assert len(library.chances) == 2 * (6 + 1)
    assert library.chances.sum() == pytest.approx(1.0)
    assert len(library.start) == len(library.length) == len(library.chances) + 3
    pack = Pack(folder)
    samples = torch.from_numpy(pack.samples(pack.clips[4]))  # the third for training
    for stored, energies in (
        (library.student, frontends.fbank(samples).exp()),
        (library.teacher, network.front_end.mel_energies(samples[None])[0]),
    ):
        rows = stored[library.start[2] : library.start[2] + library.length[2]].float()
        torch.testing.assert_close(rows, (energies + OFFSET).log()[: len(rows)], atol=0.02, rtol=0)


def test_the_library_is_made_once(folder: Path, library: Library, teacher: TeacherNetwork) -> None:
    updates: list[int] = []
    cache = folder / "cache" / "mn04"
    again = load_library(open_parts(folder), "mn04", teacher, cache, lambda done, _of: updates.append(done))
    assert not updates
    torch.testing.assert_close(again.student, library.student)
    assert not any(file.suffix in {".pt", ".pkl"} for file in cache.iterdir())


def test_a_library_of_other_clips_is_made_again(
    folder: Path, tmp_path: Path, teacher: TeacherNetwork
) -> None:
    parts = open_parts(folder)
    assert len(load_library(parts[:1], "mn04", teacher, tmp_path).chances) == 6
    assert len(load_library(parts, "mn04", teacher, tmp_path).chances) == 7


def test_a_library_is_made_again_for_another_order_and_for_other_weights_of_the_same_size(
    folder: Path, tmp_path: Path
) -> None:
    copy, cache = shutil.copytree(folder, tmp_path / "copy"), tmp_path / "made"
    before = load_library(open_parts(copy), "mn04", teacher_of(copy), cache)
    head, *rows = (copy / "index.csv").read_text().splitlines()
    (copy / "index.csv").write_text("\n".join([head, *rows[::-1]]))
    swapped = load_library(open_parts(copy), "mn04", teacher_of(copy), cache)
    assert swapped.length[:6].tolist() == before.length[:6].tolist()[::-1]
    weights = load_file(copy / TEACHERS["mn04"].weights)
    save_file({key: value * 1.5 for key, value in weights.items()}, copy / TEACHERS["mn04"].weights)
    other = load_library(open_parts(copy), "mn04", teacher_of(copy), cache)
    assert not torch.equal(other.embeddings, swapped.embeddings)


def test_a_run_keeps_its_library_while_another_one_is_made_in_the_same_folder(
    folder: Path, tmp_path: Path, teacher: TeacherNetwork
) -> None:
    parts = open_parts(folder)
    opened = load_library(parts, "mn04", teacher, tmp_path)
    before = opened.student.clone()
    load_library(parts[1:], "mn04", teacher, tmp_path)
    assert torch.equal(opened.student, before)


def with_names(folder: Path, copy: Path, names: str) -> Path:
    """A copy of the pack in which the first clip for training of real life has names."""
    shutil.copytree(folder, copy)
    index = copy / REAL_LIFE.index
    index.write_text(index.read_text().replace("other,train,", f"other,train,{names}"))
    return copy


def test_names_of_clips_for_training_are_learned_by_the_teacher_alone(
    folder: Path, tmp_path: Path, teacher: TeacherNetwork, small: str
) -> None:
    named = with_names(folder, tmp_path / "named", "Siren | Alarm|")
    library = load_library(open_parts(named), "mn04", teacher, tmp_path / "cache")
    assert library.names == {6: (LABELS.index("Alarm"), LABELS.index("Siren"))}
    only = replace(library, chances=np.eye(7)[6])
    windows = Windows(rows=128, share=1.0, batch=8, alone=0.5)
    labels, expected = (
        distillation(teacher, sounds, small, tmp_path)
        .learner._labeller.make(windows, np.random.default_rng(0))
        .labels.probabilities
        for sounds in (only, replace(only, names={}, groups={}))
    )
    assert torch.equal(labels, expected)


def test_a_recording_that_measures_a_model_is_not_learned(
    folder: Path, tmp_path: Path, teacher: TeacherNetwork
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    with zipfile.ZipFile(copy / REAL_LIFE.audio) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["r00000.opus"] = members["r00001.opus"]  # for validation, with names
    with zipfile.ZipFile(copy / REAL_LIFE.audio, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    library = load_library(open_parts(copy), "mn04", teacher, tmp_path / "cache")
    assert library.chances[6] == 0
    assert library.chances[:6].all()
    assert library.chances.sum() == pytest.approx(1.0)
    with pytest.raises(TrainingError, match="give another --pack") as error:
        load_library(open_parts(copy)[1:], "mn04", teacher, tmp_path / "alone")
    one_sentence(error)


def test_a_clip_has_the_names_that_its_class_or_else_its_path_mentions(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    head, *rows = (copy / "index.csv").read_text().splitlines()
    paths = ["dogs.zip/animals/doorSlam1.ogg", "a/dog_bark.wav", "dog", "", "dogs.zip/Footsteps/01.ogg"]
    classes = ["", "cough", "untitled", "", ""]
    named = [f"{row},{path},{name}" for row, path, name in zip(rows, paths, classes, strict=False)]
    (copy / "index.csv").write_text("\n".join([f"{head},path,class", *named, *rows[len(named) :]]))
    likely = [clip.likely for clip in Pack(copy).clips]
    assert likely[:5] == [{"Door", "Slam"}, {"Cough"}, set(), set(), {"Walk, footsteps"}]
    assert not any(likely[5:])


@pytest.mark.parametrize(("plausible", "names"), [(521, ["Dog", "Bark"]), (1, [])])
def test_names_that_a_files_name_tells_count_if_the_teacher_finds_them_plausible(
    folder: Path,
    tmp_path: Path,
    teacher: TeacherNetwork,
    monkeypatch: pytest.MonkeyPatch,
    plausible: int,
    names: list[str],
) -> None:
    monkeypatch.setattr("models.training.clip_names._PLAUSIBLE", plausible)
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = copy / REAL_LIFE.index
    text = (
        index.read_text().replace("accept", "accept,class").replace("other,train,", "other,train,,dog_bark2")
    )
    index.write_text(text)
    library = load_library(open_parts(copy), "mn04", teacher, folder / "cache" / "mn04")
    assert [LABELS[i] for there in library.names.values() for i in there] == names
    plain = load_library(open_parts(folder), "mn04", teacher, folder / "cache" / "mn04")
    assert (library.chances[6] > plain.chances[6]) == bool(names)


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ({"Dog"}, {"animals"}),
        ({"Piano", "Rain"}, {"music", "nature"}),
        ({"Scratch"}, {"animals", "nature", "things"}),
        (set(), set()),
    ],
)
def test_names_allow_groups_of_sounds(names: set[str], allowed: set[str]) -> None:
    clip = Clip(id="a", kind="other", split="train")
    assert groups_of(replace(clip, names=frozenset(names))) == allowed
    assert groups_of(replace(clip, likely=frozenset(names))) == allowed


def test_other_groups_are_less_likely() -> None:
    names = ("Speech", "Music", "Silence", "Animal", "Wind", "Door", "Bang")
    classes = [LABELS.index(name) for name in names]
    probabilities = torch.full((3, len(names)), 0.5)
    lower_other_groups(probabilities, {0: {"animals"}, 2: {"music", "nature"}}, classes)
    low = 1 / 6
    expected = [
        [low, low, low, 0.5, low, low, 0.5],
        [0.5] * 7,
        [low, 0.5, low, low, 0.5, low, 0.5],
    ]
    torch.testing.assert_close(probabilities, torch.tensor(expected))


@pytest.mark.parametrize(("line", "clip"), [("other,train,", "r00000"), ("other,val,", "r00003")])
def test_a_name_that_is_no_class_is_refused(folder: Path, tmp_path: Path, line: str, clip: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = copy / REAL_LIFE.index
    index.write_text(index.read_text().replace(f"{clip},{line}", f"{clip},{line}Sirene"))
    with pytest.raises(TrainingError, match=f"'Sirene'.* {clip} .*real.csv.*correct it") as error:
        open_parts(copy)
    one_sentence(error)


def test_an_unwritable_cache_is_reported_in_one_sentence(
    folder: Path, tmp_path: Path, teacher: TeacherNetwork
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="--cache") as error:
        load_library(open_parts(folder), "mn04", teacher, tmp_path / "file" / "cache")
    one_sentence(error)


def test_a_pack_without_training_clips_is_refused(
    folder: Path, tmp_path: Path, teacher: TeacherNetwork
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    index = copy / REAL_LIFE.index
    index.write_text(index.read_text().replace("train", "val"))
    with pytest.raises(TrainingError, match="no clips for training"):
        load_library([Pack(copy, REAL_LIFE)], "mn04", teacher, tmp_path / "cache")


# The teacher


def test_the_teachers_features_are_those_of_torchaudio() -> None:
    samples = torch.from_numpy(sound(8))
    mel = MelSpectrogram(
        16_000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        f_min=125.0,
        f_max=7500.0,
        n_mels=64,
        power=1.0,
        center=False,
    )
    # torchaudio centres its 400 samples in 512
    padded = torch.nn.functional.pad(samples, (56, 56))
    expected = (mel(padded).T + 1e-3).log()
    torch.testing.assert_close(yamnet.log_mel(samples), expected, atol=1e-4, rtol=1e-4)


def test_patches_cover_the_rows_and_end_in_silence() -> None:
    rows = torch.arange(150.0)[:, None].expand(-1, 64)
    patches = yamnet.patches_of(rows)
    assert patches.shape == (yamnet.patch_count(150), 96, 64) == (3, 96, 64)
    assert torch.equal(patches[1, :, 0], torch.arange(48.0, 144.0))
    assert torch.equal(patches[2, :54, 5], torch.arange(96.0, 150.0))
    assert (patches[2, 54:] == yamnet.SILENT_ROW).all()


def test_the_teacher_labels_each_patch_alone() -> None:
    network = yamnet.YamNet().eval()
    patches = torch.randn(3, 96, 64)
    probabilities, embeddings = network.label_patches(patches)
    assert probabilities.shape == (3, yamnet.CLASSES)
    assert embeddings.shape == (3, yamnet.EMBEDDING_WIDTH)
    torch.testing.assert_close(
        network.label_patches(patches[1:2])[0], probabilities[1:2], atol=1e-5, rtol=1e-5
    )


def test_a_teacher_in_half_precision_gives_nearly_the_same_labels(folder: Path) -> None:
    patches = torch.randn(4, 96, 64)
    exact, fast = (
        load_network(yamnet.YamNet, folder / TEACHERS["yamnet"].weights, CPU, dtype=dtype).label_patches(
            patches
        )
        for dtype in (torch.float32, torch.bfloat16)
    )
    for precise, rough in zip(exact, fast, strict=True):
        assert rough.dtype == torch.float32
        torch.testing.assert_close(rough, precise, atol=0.03, rtol=0.03)


def test_a_sound_counts_wherever_it_is_but_not_behind_the_end() -> None:
    probabilities = torch.tensor([[[0.8, 0.0], [0.6, 1.0], [0.1, 0.5]], [[0.8, 0.2], [1.0, 0.9], [1.0, 0.9]]])
    valid = torch.tensor([[True, True, True], [True, False, False]])
    pooled = yamnet.pool(probabilities, valid, silence=1)
    torch.testing.assert_close(pooled, torch.tensor([[0.7, 0.5], [0.8, 0.2]]))


# Mixtures


def test_the_energies_of_a_windows_sounds_add_up(library: Library) -> None:
    made = mixer(library, sounds=(1.0,), first_gain_db=(0.0, 0.0))
    mixture = made.mix(32, 400, np.random.default_rng(0))
    student, theirs = mixture.student, mixture.teacher
    assert student.shape == (32, 400, frontends.MEL_BINS)
    stored = library.student.float().exp() - OFFSET
    expected = [
        stored[start : start + length].sum()
        for start, length in zip(library.start, library.length, strict=True)
    ]
    for window in student:
        assert min(abs(float(window.sum() / total) - 1) for total in expected) < 1e-3
    louder = mixer(library, sounds=(1.0,), first_gain_db=(10.0, 10.0))
    more = louder.mix(32, 400, np.random.default_rng(0))
    torch.testing.assert_close(more.student, 10 * student)
    torch.testing.assert_close(more.teacher, 10 * theirs)


def test_the_same_seed_mixes_the_same_windows(library: Library) -> None:
    made = Mixer(library, Mn04.front_end, Mixing(), mean=0.0, std=0.5)
    first, second, other = (
        made.heard(made.mix(4, 128, random).student, random)
        for random in map(np.random.default_rng, (7, 7, 8))
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_windows_without_clips_to_fill_them_hear_noise(library: Library) -> None:
    quiet, noisy = (
        mixer(library, noisy=share).mix(32, 1024, np.random.default_rng(0)).student for share in (0.0, 1.0)
    )
    assert (quiet.amin((1, 2)) == 0).all()
    assert (noisy.sum(2)[:, 10:1000] > 0).all()


def test_short_sounds_are_repeated(library: Library) -> None:
    once, often = (
        mixer(library, sounds=(1.0,), repeated=share).mix(64, 1000, np.random.default_rng(0)).student
        for share in (0.0, 1.0)
    )
    sounding = [(energies.sum(2) > 1e-4).float().sum() for energies in (once, often)]
    assert sounding[1] > 1.5 * sounding[0]


@pytest.mark.parametrize("name", TEACHERS)
@pytest.mark.parametrize("speed", [0.7, 0.9, 1.25])
def test_warped_energies_are_those_of_the_sound_at_that_speed(name: str, speed: float) -> None:
    random = np.random.default_rng(0)
    hertz = np.fft.rfftfreq(160_000, 1 / 16_000)
    humps = 1 + sum(20 * np.exp(-((((hertz / centre) - 1) / 0.1) ** 2)) for centre in (600, 1_300, 2_800))
    dry = np.fft.irfft(np.fft.rfft(random.standard_normal(160_000)) * humps).astype(np.float32)
    fast = soxr.resample(dry, 16_000 * speed, 16_000).astype(np.float32)
    front_end = TEACHERS[name].network.front_end
    sounds = torch.from_numpy(dry), torch.from_numpy(fast)
    for (stored, expected), band_hz in (
        ([frontends.fbank(x).exp().mean(0) for x in sounds], (20.0, 8_000.0)),
        ([front_end.mel_energies(x[None])[0].mean(0) for x in sounds], front_end.band_hz),
    ):
        warped = stored @ warp_matrix(len(stored), band_hz, speed)
        highest = int((expected > 1e-3 * expected.max()).nonzero().max())
        known = slice(len(stored) // 8, round(0.85 * highest))  # not the edges
        decibels, unchanged = (10 * (x / expected).log10()[known] for x in (warped, stored))
        assert decibels.median().abs() < 4
        assert decibels.std() < 0.4 * unchanged.std()
        assert (warped[round(1.1 * highest) :] < 0.1 * warped.max()).all()


def test_clips_play_faster_and_slower(library: Library) -> None:
    for pace in (0.7, 1.4):
        made = mixer(library, factors=(pace,), changed=1.0, first_gain_db=(0.0, 0.0))
        ends = made.alone(32, 1000, np.random.default_rng(0)).ends
        possible = {max(1, int(length / pace)) for length in library.length[:7]}
        assert set(ends) <= possible
        made.mix(32, 64, np.random.default_rng(0))  # cropped


def test_pitch_and_pace_of_clips_change_apart(library: Library) -> None:
    made = mixer(library, factors=(0.8, 1.25), changed=0.5, sounds=(1.0,))
    parts = list(made._place(400, 200, np.random.default_rng(0)))
    counts = Counter((part.pitch, part.pace) for part in parts)
    assert counts.keys() == {(pitch, pace) for pitch in range(3) for pace in (0.8, 1.0, 1.25)}
    assert counts[0, 1.0] == pytest.approx(100, abs=30)
    assert counts[1, 1.25] == pytest.approx(25, abs=15)


def test_noise_keeps_its_pitch_and_pace(library: Library) -> None:
    made = mixer(library, factors=(0.8,), changed=1.0, noisy=1.0)
    parts = list(made._place(8, 200, np.random.default_rng(0)))
    noises = [part for part in parts if part.first >= library.start[len(library.chances)]]
    assert len(noises) == 8
    assert {(part.pitch, part.pace) for part in noises} == {(0, 1.0)}


def test_teacher_and_student_hear_the_same_filter(library: Library) -> None:
    plain, filtered = (
        mixer(library, filtered_db=most, sounds=(1.0,)).alone(8, 200, np.random.default_rng(0))
        for most in (0.0, 12.0)
    )
    gains = [
        (getattr(filtered, role).sum(1) / getattr(plain, role).sum(1)).log10() * 10
        for role in ("student", "teacher", "repeated")
    ]
    assert gains[0].abs().max() <= 12.01
    assert gains[0].std() > 2
    heard = gains[2].isfinite()
    torch.testing.assert_close(gains[1][heard], gains[2][heard], atol=1e-3, rtol=0)
    # the bin of the teacher's, which reach up to 15 kHz, at the frequency of the student's bin 100
    lowest, highest = mel(torch.tensor([20.0, 8_000.0])).tolist()
    place = lowest + (highest - lowest) * 101 / 129
    same = round(place / float(mel(torch.tensor(15_000.0))) * 129) - 1
    torch.testing.assert_close(gains[0][:, 100], gains[1][:, same], atol=1.0, rtol=0)


def test_a_clip_alone_starts_the_window_and_repeats_for_the_teacher(library: Library) -> None:
    made = mixer(library, first_gain_db=(0.0, 0.0)).alone(16, 100, np.random.default_rng(0))
    assert min(made.ends) < 100 == max(made.ends)  # some are cropped
    for once, repeated, end in zip(made.teacher, made.repeated, made.ends, strict=True):
        assert (once[:end].sum(1) > 0).all()
        assert (once[end:] == 0).all()
        torch.testing.assert_close(repeated, once[:end].repeat(-(-100 // end), 1)[:100])
    for energies, end in zip(made.student, made.ends, strict=True):
        assert (energies[end:] == 0).all()


def test_a_long_clip_alone_starts_at_its_beginning(library: Library) -> None:
    long = int(library.length[:7].argmax())
    made = mixer(replace(library, chances=np.eye(7)[long]), first_gain_db=(0.0, 0.0))
    alone = made.alone(8, 100, np.random.default_rng(0)).teacher
    torch.testing.assert_close(alone, alone[:1].expand_as(alone))


def test_the_student_hears_the_sound_as_its_front_end_makes_it(library: Library) -> None:
    energies = torch.rand(4, 32, 128)
    heard = mixer(library).heard(energies, np.random.default_rng(0))
    expected = (energies.clamp_min(frontends.FLOOR).log() - frontends.AUDIOSET_MEAN) / (
        2 * frontends.AUDIOSET_STD
    )
    torch.testing.assert_close(heard, expected)
    coloured = mixer(library, colour_db=5.0).heard(energies, np.random.default_rng(0)) - heard
    assert coloured.std(1).max() < 1e-5  # the same at all times
    assert coloured.std(2).min() > 0.01


def test_a_reverberant_sound_lasts_longer_and_has_the_same_energy(library: Library) -> None:
    dry = torch.zeros(4, 300, 128)
    dry[:, 50:60] = 100.0
    wet = mixer(library)._reverberate(dry.clone(), np.random.default_rng(0))
    same = [torch.equal(*pair) for pair in zip(wet, dry, strict=True)]
    assert sum(same) == 2
    later = wet[[not window for window in same]]
    assert (later[:, :50] == 0).all()
    assert (later[:, 60:63] > 0).all()
    assert (later[:, 61:] <= later[:, 60:-1] * 1.0001 + 1e-5).all()
    torch.testing.assert_close(wet.sum(1), dry.sum(1), rtol=0.02, atol=0.0)


def test_windows_of_all_kinds_are_reverberant(library: Library) -> None:
    dry = torch.zeros(8, 300, 128)
    dry[:, 50:60] = 100.0
    made, random = mixer(library), np.random.default_rng(0)
    changed = [(made._reverberate(dry.clone(), random) != dry).flatten(1).any(1) for _ in range(20)]
    assert {int(one.sum()) for one in changed} == {4}
    assert torch.stack(changed).float().mean(0).aminmax().min > 0.2


# The student and its optimizer


def chosen(student: Student, rows: int, share: float) -> Patches:
    return student.choose_patches(rows, share, np.random.default_rng(5))


def test_a_student_that_sees_everything_is_the_network() -> None:
    network = AudioSpectrogramTransformer(SMALL)
    student = Student(network, Mn04).eval()
    rows = torch.randn(2, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(
            student(rows, chosen(student, 128, 1.0))[0], network.eval()(rows), atol=1e-5, rtol=1e-5
        )


def test_multiplied_out_attention_is_the_fused_one() -> None:
    student = Student(AudioSpectrogramTransformer(SMALL), Mn04).eval()
    rows, patches = torch.randn(2, 128, 128), chosen(student, 128, 0.5)
    with torch.no_grad():
        fused = student(rows, patches)
        student.use_plain_attention()
        for plain, expected in zip(student(rows, patches), fused, strict=True):
            torch.testing.assert_close(plain, expected, atol=1e-5, rtol=1e-5)
    assert not any(block.attn.fused_attn for block in student.network.v.blocks)


@pytest.mark.parametrize("teacher", TEACHERS.values())
def test_dropped_patches_and_short_windows_keep_their_places(teacher: Any) -> None:
    student = Student(AudioSpectrogramTransformer(SMALL), teacher.network)
    patches = chosen(student, 96, 0.5)
    assert len(patches.kept) == 8 * 6 // 2
    assert (patches.positions // 8 == patches.kept // 6).all()  # the same mel bins
    shift = patches.positions % 8 - patches.kept % 6
    assert (shift == shift[0]).all()  # moved together
    rows = torch.zeros(1, 96, 64 if teacher.network is yamnet.YamNet else 128)
    steps = teacher.network().eval().label(rows).features.shape[1]
    assert len(patches.gather) == steps
    torch.testing.assert_close(patches.gather.sum(1)[patches.seen], torch.ones(len(patches.seen)))


def test_orthogonalised_matrices_turn_and_hardly_stretch() -> None:
    matrices = torch.randn(2, 30, 20, generator=torch.Generator().manual_seed(0))
    for precision in (torch.float32, torch.bfloat16):
        values = torch.linalg.svdvals(orthogonalise(matrices, precision))
        assert (values > 0.3).all()
        assert (values < 1.3).all()


def test_muon_is_torchs_muon() -> None:
    start = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    optimizers = (
        Muon([ours], lr=1e-2, weight_decay=0.1),
        torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for step in range(3):
        gradient = torch.randn(24, 16, generator=torch.Generator().manual_seed(step + 1))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.03 * moved  # theirs rounds to bfloat16


# Training


def test_a_few_steps_bring_the_student_nearer_to_the_teacher(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    reports: list[Report] = []
    run = distillation(teacher, library, small, tmp_path, recipe=replace(RECIPE, rate=1e-2))
    for _ in range(3):
        run.train(Length(steps=10), Watch(on_report=reports.append))
    first, _, last = reports
    assert last.divergence < 0.9 * first.divergence
    assert last.embedding < 0.95 * first.embedding
    assert last.features < 0.95 * first.features


def test_a_clip_alone_is_labelled_both_ways_and_padded(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    learner = distillation(teacher, library, small, tmp_path).learner
    windows = Windows(rows=128, share=1.0, batch=8, alone=0.5)
    batch = learner._labeller.make(windows, np.random.default_rng(1))
    random = np.random.default_rng(1)
    learner._labeller._mixer.mix(4, 128, random)
    clips = learner._labeller._mixer.alone(4, 128, random)
    once, repeated = (teacher.label(teacher.front_end.input_rows(x)) for x in (clips.teacher, clips.repeated))
    mean = (once.probabilities.logit() + repeated.probabilities.logit()) / 2
    torch.testing.assert_close(batch.labels.probabilities[4:], mean.sigmoid(), atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(batch.labels.embeddings[4:], (once.embeddings + repeated.embeddings) / 2)
    for rows, end in zip(batch.rows[4:], clips.ends, strict=True):
        assert (rows[end:] == learner._labeller._mixer.padding).all()
    assert min(clips.ends) < 128
    assert list(batch.ends) == [128] * 4 + list(clips.ends)


def weights_after(run: Distillation, path: Path) -> dict[str, torch.Tensor]:
    assert run.finish(Length(steps=3), Watch())
    return run.export(path).weights


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    whole = distillation(teacher, library, small, tmp_path / "whole")
    whole.train(Length(steps=6), Watch())
    part = distillation(teacher, library, small, tmp_path / "parts")
    part.train(Length(steps=1), Watch())
    for _ in range(5):
        part = distillation(teacher, library, small, tmp_path / "parts")
        part.restore()
        part.train(Length(steps=1), Watch())
    assert part.learner.windows == whole.learner.windows == 24
    expected = weights_after(whole, tmp_path / "whole.safetensors")
    for key, value in weights_after(part, tmp_path / "parts.safetensors").items():
        assert torch.equal(value, expected[key]), key


def as_the_script_saved(run: Distillation) -> dict[str, Any]:
    """The state with the weights in another order, and without what was not saved then."""
    state = run.learner.state()

    def by_norm(name: str) -> tuple[str, bool]:
        block = ".".join(name.split(".")[:3])
        return (block, ".norm" not in name) if name.startswith("v.blocks.") else ("", False)

    old = list(state["net"])
    new = sorted(old, key=by_norm)
    matrices = [name for name in old if name.startswith("v.blocks.") and state["net"][name].ndim == 2]
    others = [name for name in old if name not in matrices]
    heads = [f"heads.{name}" for name in state["heads"]]
    for key, names in (("muon", matrices), ("adam", [*others, *heads])):
        order = [name for name in new if name in names] + [name for name in names if name in heads]
        moments = state[key]["state"]
        state[key] = {
            "state": {order.index(name): moments[number] for number, name in enumerate(names)},
            "param_groups": [{"lr": 1e-3, "params": list(range(len(names)))}],
        }
    net = {name: state["net"][name] for name in new}
    assert list(net) != old
    return {key: value for key, value in state.items() if key != "seed"} | {"net": net, "minutes": 262.04}


def test_a_state_with_the_weights_in_another_order_is_taken_over(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    run = distillation(teacher, library, small, tmp_path / "old")
    run.train(Length(steps=4), Watch())
    (tmp_path / "new").mkdir()
    torch.save(as_the_script_saved(run), tmp_path / "new" / STATE)
    other = distillation(teacher, library, small, tmp_path / "new")
    other.restore()
    assert (other.learner.steps, other.learner.windows) == (4, 16)
    run.train(Length(steps=2), Watch())
    other.train(Length(steps=2), Watch())
    for key, value in run.learner.mean_weights.items():
        assert torch.equal(other.learner.mean_weights[key], value), key


def test_finishing_leaves_the_saved_state_alone(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    run = distillation(teacher, library, small, tmp_path)
    run.train(Length(steps=2), Watch())
    before = (tmp_path / STATE).read_bytes()
    assert run.finish(Length(steps=2), Watch())
    assert (tmp_path / STATE).read_bytes() == before
    assert not run.finish(Length(steps=2), Watch(stop=lambda: True))


def test_a_run_that_is_stopped_is_saved_and_not_measured(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path, folder: Path
) -> None:
    named = Pack(folder, REAL_LIFE)
    run = distillation(teacher, library, small, tmp_path, named=named)
    reports: list[Report] = []
    stops = iter((False, True))
    run.train(Length(), Watch(on_report=reports.append, stop=lambda: next(stops)))
    assert [report.names for report in reports] == [None]
    again = distillation(teacher, library, small, tmp_path, named=named)
    again.restore()
    assert again.learner.steps == 1
    again.train(Length(steps=1), Watch(on_report=reports.append))
    assert reports[1].names is not None


def test_the_rate_is_steady_then_falls_to_nothing() -> None:
    recipe, length = DistilRecipe(), Length(minutes=10)
    assert recipe.rate_at(0, 1e-3, 1e-3, 0.0) == pytest.approx(1e-3 / recipe.warm_up_steps)
    assert recipe.rate_at(10**4, 1e-3, 1e-3, 0.7) == pytest.approx(1e-3)
    assert recipe.rate_at(10**4, 3e-4, 0.0, length.progress(10.0, 5)) == 0.0
    assert Length().progress(1e9, 10**9) == 0.0
    assert Length(steps=7).halves() == (Length(steps=3), Length(steps=4))


def test_the_report_is_json_lines_with_names_right(
    folder: Path, teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    run = distillation(teacher, library, small, tmp_path, named=Pack(folder, REAL_LIFE))
    run.train(Length(steps=2), Watch(save_minutes=0.0))
    run.finish(Length(steps=2), Watch())
    lines = [json.loads(line) for line in (tmp_path / REPORT).read_text().splitlines()]
    assert [line["part"] for line in lines] == ["steady", "steady", "falling", "last"]
    assert [line["windows"] for line in lines] == [4, 8, 12, 16]
    assert all(line["windows_per_second"] > 0 for line in lines)
    assert all(line["names"]["clips"] == 2 for line in lines)


def test_a_run_that_is_killed_while_it_is_measured_has_been_saved(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    run = distillation(teacher, library, small, tmp_path)
    monkeypatch.setattr(run, "names_right", killed)
    with pytest.raises(KeyboardInterrupt):
        run.train(Length(steps=3), Watch())
    again = distillation(teacher, library, small, tmp_path)
    again.restore()
    assert again.learner.steps == 3


def test_an_exported_network_scores_as_the_trained_one(folder: Path, small: str, tmp_path: Path) -> None:
    teacher = teacher_of(folder, "yamnet")
    library = load_library(open_parts(folder), "yamnet", teacher, tmp_path / "cache")
    run = distillation(teacher, library, small, tmp_path)
    run.train(Length(steps=2), Watch())
    checkpoint = run.export(tmp_path / "trained.safetensors", run.notes())
    tagger = load_tagger(str(tmp_path / "trained.safetensors"), device="cpu")
    assert tagger.labels == LABELS
    samples = sound(3)[: tagger.window_samples]
    network = AudioSpectrogramTransformer(SMALL).eval()
    network.load_state_dict(run.learner.mean_weights)
    rows = frontends.input_rows(frontends.fbank(torch.from_numpy(samples)), 128)
    with torch.no_grad():
        logits = network(rows[None]).numpy()
    classes = np.array(teacher.classes)
    np.testing.assert_allclose(tagger.logits(samples)[0, classes], logits[0, classes], atol=0.02)
    missing = np.setdiff1d(np.arange(len(LABELS)), classes)
    assert len(missing) == 6
    assert (tagger(samples)[0, missing] < 1e-5).all()
    assert set(checkpoint.weights) == set(network.state_dict())


def test_a_new_network_is_untrained_but_sound(
    teacher: TeacherNetwork, library: Library, tmp_path: Path
) -> None:
    tiny = (Windows(rows=96, share=0.5, batch=2),)
    run = Distillation(
        starting_point(None, "tiny", 0),
        teacher,
        library,
        out=tmp_path,
        recipe=DistilRecipe(steady=tiny, last=tiny),
        device="cpu",
    )
    run.train(Length(steps=1), Watch())
    run.export(tmp_path / "tiny.safetensors")
    assert (tmp_path / "tiny.safetensors").stat().st_size < 12_000_000
    scores = load_tagger(str(tmp_path / "tiny.safetensors"), device="cpu")(sound(1))
    assert scores.shape == (1, 527)
    assert scores.max() < 0.1


def test_windows_longer_than_the_network_are_refused(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="takes 128 rows, but windows have 1024") as error:
        distillation(teacher, library, small, tmp_path, recipe=DistilRecipe())
    one_sentence(error)


def test_figures_that_are_not_finite_stop_the_run_and_save_nothing(
    folder: Path, library: Library, small: str, tmp_path: Path
) -> None:
    weights = load_file(folder / TEACHERS["mn04"].weights)
    weights["classifier.5.bias"].fill_(float("nan"))
    save_file(weights, tmp_path / "nan.safetensors")
    broken = load_network(Mn04, tmp_path / "nan.safetensors", CPU)
    with pytest.raises(TrainingError, match="nan") as error:
        distillation(broken, library, small, tmp_path / "out").train(Length(steps=1), Watch())
    one_sentence(error)
    assert not (tmp_path / "out" / STATE).exists()


def test_an_unwritable_disk_is_reported_in_one_sentence(
    teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="can't be") as error:
        distillation(teacher, library, small, tmp_path / "file" / "out").train(Length(steps=1), Watch())
    one_sentence(error)


def test_a_broken_state_and_that_of_another_teacher_are_reported_in_one_sentence(
    folder: Path, teacher: TeacherNetwork, library: Library, small: str, tmp_path: Path
) -> None:
    run = distillation(teacher, library, small, tmp_path)
    with pytest.raises(TrainingError, match="nothing to resume") as error:
        run.restore()
    one_sentence(error)
    (tmp_path / STATE).write_bytes(b"PK broken")
    with pytest.raises(TrainingError, match="can't be resumed") as error:
        run.restore()
    one_sentence(error)
    run.save()
    with pytest.raises(TrainingError, match="can't be resumed") as error:
        distillation(teacher_of(folder, "yamnet"), library, small, tmp_path).restore()
    one_sentence(error)


# The command


def invoke(folder: Path, *words: str) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(
        app, [*words, "--pack", str(folder), "--device", "cpu"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.distil_recipe.DistilRecipe", lambda: RECIPE)


@pytest.mark.usefixtures("library", "short_recipe")  # the library is in the cache then
def test_the_command_trains_resumes_and_finishes(folder: Path, small: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train = (
        *("distil", "--out", str(run), "--init", small, "--steps", "2"),
        *("--cache", str(folder / "cache"), "--no-calibrate", "--no-compile"),
    )
    assert "--finish makes the model" in invoke(folder, *train)
    with pytest.raises(TrainingError, match="--resume"):
        invoke(folder, *train)
    invoke(folder, *train, "--resume")
    assert json.loads((run / REPORT).read_text().splitlines()[-1])["windows"] == 16
    assert not (run / "tiny.safetensors").exists()
    assert "names right first" in invoke(folder, *train, "--finish")
    assert load_checkpoint(str(run / "tiny.safetensors")).labels == LABELS
    figures = json.loads(
        invoke(folder, "evaluate", "--model", str(run / "tiny.safetensors"), "--json").splitlines()[-1]
    )
    assert figures["clip alone"]["clips"] == 4


@pytest.mark.usefixtures("library", "short_recipe")  # the library is in the cache then
def test_the_rate_of_a_run_is_an_option(folder: Path, small: str, tmp_path: Path) -> None:
    train = ("distil", "--init", small, "--steps", "2", "--cache", str(folder / "cache"), "--no-compile")

    def weights(*options: str) -> torch.Tensor:
        out = tmp_path / "-".join(("run", *options))
        invoke(folder, *train, "--out", str(out), *options)
        net: dict[str, torch.Tensor] = torch.load(out / STATE, weights_only=True)["net"]
        return net["v.pos_embed"]

    usual = weights()
    assert torch.equal(weights("--rate", "1e-3"), usual)
    before = load_checkpoint(small).weights["v.pos_embed"]
    assert (weights("--rate", "1e-5") - before).norm() < 0.1 * (usual - before).norm()


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_a_rate_that_is_none_is_refused_before_the_library_is_made(
    folder: Path, tmp_path: Path, rate: str
) -> None:
    with pytest.raises(TrainingError, match=r"must be above 0.*--rate") as error:
        invoke(folder, "distil", "--out", str(tmp_path / "run"), "--rate", rate)
    one_sentence(error)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_into_a_pack(folder: Path) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(TrainingError, match="is a pack, whose teacher the run would replace: give --out"):
        invoke(folder, "distil", "--out", str(folder), "--steps", "1")
    assert sorted(folder.iterdir()) == before


def test_a_run_keeps_the_teacher_that_learned_the_names(
    folder: Path, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.distil_recipe.DistilRecipe", lambda: RECIPE)
    named = with_names(folder, tmp_path / "named", "Siren")
    run, weights = tmp_path / "run", TEACHERS["mn04"].weights
    train = ("distil", "--out", str(run), "--init", small, "--steps", "1", "--no-calibrate", "--no-compile")
    invoke(named, *train)
    before, after = load_file(named / weights), load_file(run / weights)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert {"classifier.5.bias"} <= changed <= {"classifier.5.weight", "classifier.5.bias"}
    kept = (run / weights).read_bytes()
    monkeypatch.setattr("models.training.naming.learn_names", lambda *_: pytest.fail("learned once more"))
    heard = list[TeacherNetwork]()
    begin = Distillation.__init__

    def remember(
        run: Distillation, start: Checkpoint, teacher: TeacherNetwork, *more: Any, **options: Any
    ) -> None:
        heard.append(teacher)
        begin(run, start, teacher, *more, **options)

    monkeypatch.setattr(Distillation, "__init__", remember)
    invoke(named, *train, "--resume")
    torch.testing.assert_close(heard[0].last_layer.bias, after["classifier.5.bias"].float())
    assert (run / weights).read_bytes() == kept


@pytest.mark.usefixtures("library", "short_recipe")  # the library is in the cache then
def test_a_run_that_is_stopped_before_its_first_step_says_that_nothing_is_saved(
    folder: Path, small: str, tmp_path: Path
) -> None:
    train = ("distil", "--init", small, "--steps", "0", "--cache", str(folder / "cache"), "--no-compile")
    with pytest.raises(TrainingError, match="nothing is saved") as error:
        invoke(folder, *train, "--out", str(tmp_path / "run"))
    one_sentence(error)


@pytest.mark.usefixtures("library", "short_recipe")  # the library is in the cache then
def test_without_clips_for_validation_a_run_does_not_finish_only_to_fail_at_the_calibration(
    folder: Path, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    for name in ("index.csv", REAL_LIFE.index):
        lines = (copy / name).read_text().splitlines(keepends=True)
        (copy / name).write_text("".join(line for line in lines if ",val" not in line))
    run = tmp_path / "run"
    train = ("distil", "--out", str(run), "--init", small, "--steps", "1", "--no-compile")
    invoke(copy, *train)
    monkeypatch.setattr(Distillation, "finish", lambda *_: pytest.fail("trained before it was refused"))
    with pytest.raises(TrainingError, match=r"no clips for validation.*--no-calibrate") as error:
        invoke(copy, *train, "--finish")
    one_sentence(error)


@pytest.mark.parametrize("going_on", ["--resume", "--finish"])
def test_a_run_that_is_not_there_is_refused_before_the_library_is_made(
    folder: Path, tmp_path: Path, going_on: str
) -> None:
    with pytest.raises(TrainingError, match="there is no run in") as error:
        invoke(folder, "distil", "--out", str(tmp_path / "run"), going_on)
    one_sentence(error)
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / TEACHERS["mn04"].weights).unlink()
    with pytest.raises(TrainingError, match=r"has no teacher_mn04\.safetensors.*--teacher") as error:
        invoke(copy, "distil", "--out", str(tmp_path / "run"))
    one_sentence(error)
