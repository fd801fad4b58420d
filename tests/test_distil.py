"""Distillation: pack, features, teacher, mixtures, training, resumption, export, evaluation."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file
from support.audio_pack import sound, write_pack
from torchaudio.transforms import MelSpectrogram
from typer.testing import CliRunner

from earshot.cli import add_commands
from models import TrainingError, frontends
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, save_checkpoint
from models.labels import audioset_classes
from models.local import load_tagger
from models.training.distil import REPORT, STATE, Distillation, Stage, parse_stages
from models.training.mixtures import Mixer
from models.training.muon import Muon, orthogonalise
from models.training.pack import (
    AUDIO,
    CLASSES,
    INDEX,
    TEACHER_LABELS,
    TEACHER_WEIGHTS,
    Features,
    Pack,
    load_features,
)
from models.training.student import Student, initialise
from models.training.teachers import load_network, yamnet

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

STAGES = "128:1:4:3e-3:1e-3:4,128:0.5:4:1e-3:0:3"
SMALL = AstConfig(
    width=24, depth=2, heads=3, mlp_width=48, fstride=16, tstride=16, input_tdim=128, label_dim=527
)
LABELS = tuple(entry.name for entry in audioset_classes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("packs") / "pack")


@pytest.fixture(scope="module", autouse=True)
def few_noises() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.training.pack._NOISES", 3)
        yield


@pytest.fixture(scope="module")
def features(folder: Path, few_noises: None) -> Features:  # noqa: ARG001 - made before
    return load_features(Pack(folder), folder / "cache")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint to start from, much smaller than tiny."""
    network = AudioSpectrogramTransformer(SMALL)
    initialise(network, torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("init") / "small.safetensors"
    save_checkpoint(Checkpoint(name="small", config=SMALL, labels=LABELS, weights=network.state_dict()), path)
    return str(path)


def distillation(
    folder: Path, features: Features, small: str, out: Path, stages: str = STAGES
) -> Distillation:
    return Distillation(
        Pack(folder), features, stages=parse_stages(stages), out=out, init=small, seed=3, device="cpu"
    )


def mixer(features: Features) -> Mixer:
    weights = torch.ones(features.clips)
    return Mixer(
        features,
        weights,
        mean=frontends.AUDIOSET_MEAN,
        std=frontends.AUDIOSET_STD,
        device=torch.device("cpu"),
    )


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
    assert pack.loudest_labels().max() == 0.5


def test_clips_come_straight_out_of_the_archive(folder: Path) -> None:
    pack = Pack(folder)
    decoded = pack.samples(pack.clips[5])
    assert decoded.dtype == np.float32
    assert abs(len(decoded) - len(sound(5))) <= 1
    assert np.corrcoef(decoded[: len(sound(5))], sound(5)[: len(decoded)])[0, 1] > 0.98


@pytest.mark.parametrize("name", [AUDIO, INDEX, CLASSES, TEACHER_LABELS, TEACHER_WEIGHTS])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).unlink()
    with pytest.raises(TrainingError, match=name) as error:
        Pack(copy)
    one_sentence(error)


@pytest.mark.parametrize("name", [AUDIO, INDEX, CLASSES, TEACHER_LABELS, TEACHER_WEIGHTS])
def test_a_broken_file_is_reported_in_one_sentence(
    folder: Path, tmp_path: Path, small: str, name: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / name).write_bytes(b"broken,\n\xff\n")
    with pytest.raises(TrainingError) as error:
        distillation(copy, load_features(Pack(copy), copy / "cache"), small, tmp_path / "out")
    one_sentence(error)


def test_a_broken_clip_is_named(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    with zipfile.ZipFile(copy / AUDIO, "w") as archive:
        archive.writestr("00000.opus", b"noise")
    with pytest.raises(TrainingError, match=r"00000\.opus") as error:
        load_features(Pack(copy), tmp_path / "cache")
    one_sentence(error)


def test_the_cache_holds_the_programs_own_features(folder: Path, features: Features) -> None:
    pack = Pack(folder)
    rows = frontends.fbank(torch.from_numpy(pack.samples(pack.clips[4])))
    start = int(features.start[4])
    torch.testing.assert_close(features.student[start : start + len(rows)].float(), rows, atol=0.02, rtol=0)
    assert len(features.start) > features.clips


def test_the_cache_is_made_once(folder: Path, features: Features) -> None:
    updates: list[int] = []
    again = load_features(Pack(folder), folder / "cache", lambda done, _of: updates.append(done))
    assert not updates
    torch.testing.assert_close(again.student, features.student)


def test_an_unwritable_cache_is_reported_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cache") as error:
        load_features(Pack(folder), tmp_path / "file" / "cache")
    one_sentence(error)


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
        load_network(yamnet.YamNet, folder / TEACHER_WEIGHTS, torch.device("cpu"), dtype=dtype).label_patches(
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


def test_windows_that_end_early_are_padded_as_the_live_program_pads(features: Features) -> None:
    windows = mixer(features)(64, 256, torch.Generator().manual_seed(0))
    padding = -frontends.AUDIOSET_MEAN / (2 * frontends.AUDIOSET_STD)
    padded = (windows.student[:, -1] == padding).all(-1)
    assert 0.3 < padded.float().mean() < 0.6
    assert windows.valid[:, 0].all()
    assert windows.valid[~padded].all()
    # nothing is asked about what the student can't see: behind the end the teacher hears silence
    assert (windows.teacher[padded][:, -1, -16:] == yamnet.SILENT_ROW).all()
    assert windows.student.isfinite().all()


def test_windows_of_ten_seconds_have_the_two_pad_rows(features: Features) -> None:
    windows = mixer(features)(4, 1024, torch.Generator().manual_seed(0))
    padding = -frontends.AUDIOSET_MEAN / (2 * frontends.AUDIOSET_STD)
    assert (windows.student[:, 1022:] == padding).all()


def test_the_same_seed_mixes_the_same_windows(features: Features) -> None:
    first, second, other = (
        mixer(features)(4, 128, torch.Generator().manual_seed(seed)).student for seed in (7, 7, 8)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def only(monkeypatch: pytest.MonkeyPatch, **shares: float) -> None:
    """Set how often things happen to a window: those that are left out, never."""
    names = ("REVERBERANT", "BAND_LIMITED", "QUIET", "REPEATED", "MASKED", "COLOURED", "NOISY", "PADDED")
    for name in names:
        monkeypatch.setattr(f"models.training.mixtures._SHARE_{name}", shares.get(name, 0.0))


def test_a_reverberant_sound_lasts_longer_and_has_the_same_energy(
    features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, REVERBERANT=1.0)
    dry = torch.zeros(16, 400, frontends.MEL_BINS)
    dry[:, 50:60] = 100.0
    wet = mixer(features)._reverberate(dry.clone(), torch.Generator().manual_seed(0))
    assert (wet[:, :50] == 0).all()
    assert (wet[:, 60:63] > 0).all()
    assert (wet[:, 61:] <= wet[:, 60:-1] * 1.0001).all()
    torch.testing.assert_close(wet.sum(1), dry.sum(1), rtol=0.02, atol=0.0)
    assert (wet[:, 65, 0] > wet[:, 65, -1]).all()  # high tones die away first


def test_a_microphone_cuts_the_band_and_is_far(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = torch.ones(32, 4, frontends.MEL_BINS)
    only(monkeypatch, BAND_LIMITED=1.0)
    narrow = mixer(features)._through_microphone(flat, torch.Generator().manual_seed(0))
    assert (narrow[:, :, 25:70] == 1).all()
    assert (narrow < 10**-1.4).any(-1).all()
    only(monkeypatch, QUIET=1.0)
    quiet = mixer(features)._through_microphone(flat, torch.Generator().manual_seed(0))
    assert (quiet == quiet[:, :1, :1]).all()
    assert 0.003 < quiet.min() < quiet.max() <= 1


def test_the_teacher_hears_the_sound_without_the_room(
    features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch)
    clean = mixer(features)(8, 256, torch.Generator().manual_seed(0))
    only(monkeypatch, REVERBERANT=1.0, BAND_LIMITED=1.0, QUIET=1.0)
    roomy = mixer(features)(8, 256, torch.Generator().manual_seed(0))
    torch.testing.assert_close(roomy.teacher, clean.teacher)
    assert (roomy.student - clean.student).abs().mean() > 0.05


def test_a_sound_is_repeated_to_the_end_after_pauses(features: Features) -> None:
    made = mixer(features)
    into = torch.zeros(400, frontends.MEL_BINS), torch.zeros(400, yamnet.MEL_BINS)
    made._add(into, 0, 0.0, 400, 0.0, pause=50)
    length = int(features.length[0])
    sounding = into[0].sum(1) > 0
    assert sounding[: length // 2].all()
    assert not sounding[length : length + 50].any()
    assert sounding[length + 50 : length + 50 + length // 2].all()
    assert sounding[350:].any()


# The student and its optimizer


def test_auxiliary_heads_start_where_least_squares_puts_them(
    folder: Path, features: Features, small: str, tmp_path: Path
) -> None:
    run = distillation(folder, features, small, tmp_path)
    before = [value.clone() for value in run._student.network.parameters()]
    batch = run._prepare(run.stages[0], 0)

    def likeness() -> float:
        with torch.no_grad():
            _, _, embeddings = run._student(batch.rows, *batch.chosen)
        close = torch.cosine_similarity(embeddings[batch.valid], batch.embeddings, dim=-1)
        return float(close.mean())

    at_random = likeness()
    run._fit_heads()
    assert likeness() > at_random + 0.3
    assert all(map(torch.equal, before, run._student.network.parameters()))


def test_a_student_that_sees_everything_is_the_network() -> None:
    network = AudioSpectrogramTransformer(SMALL)
    student = Student(network).eval()
    rows = torch.randn(2, 128, 128)
    chosen = student.choose_patches(128, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(student(rows, *chosen)[0], network.eval()(rows), atol=1e-5, rtol=1e-5)


def test_multiplied_out_attention_is_the_fused_one() -> None:
    student = Student(AudioSpectrogramTransformer(SMALL)).eval()
    rows = torch.randn(2, 128, 128)
    chosen = student.choose_patches(128, 0.5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        fused = student(rows, *chosen)
        student.use_plain_attention()
        for plain, expected in zip(student(rows, *chosen), fused, strict=True):
            torch.testing.assert_close(plain, expected, atol=1e-5, rtol=1e-5)
    assert not any(block.attn.fused_attn for block in student.network.v.blocks)


def test_dropped_patches_and_short_windows_keep_their_places() -> None:
    student = Student(AudioSpectrogramTransformer(SMALL))
    positions, kept, gather = student.choose_patches(96, 0.5, torch.Generator().manual_seed(5))
    assert len(kept) == 8 * 6 // 2
    assert (positions // 8 == kept // 6).all()  # the same mel bins
    assert ((positions % 8 - kept % 6) == (positions % 8 - kept % 6)[0]).all()  # moved together
    torch.testing.assert_close(gather.sum(1), torch.ones(yamnet.patch_count(96)))


def test_orthogonalised_matrices_turn_and_hardly_stretch() -> None:
    matrices = torch.randn(2, 30, 20, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices))
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


def test_a_few_steps_lower_the_loss(folder: Path, features: Features, small: str, tmp_path: Path) -> None:
    run = distillation(folder, features, small, tmp_path, "128:1:8:2e-2:2e-2:20")
    losses: list[float] = []
    assert run.run(on_step=lambda _progress, figures: losses.append(figures["loss"]))
    assert len(losses) == 20
    assert losses[-1] < 0.95 * losses[0]


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    folder: Path, features: Features, small: str, tmp_path: Path
) -> None:
    whole = distillation(folder, features, small, tmp_path / "whole")
    assert whole.run()
    assert whole.progress.windows == 28
    for _ in range(20):
        part = distillation(folder, features, small, tmp_path / "parts")
        if (tmp_path / "parts" / STATE).exists():
            part.restore()
        if part.run(save_every=1, minutes=0):  # one step at a time
            break
    else:
        pytest.fail("the run did not end")
    expected = whole.export(tmp_path / "whole.safetensors").weights
    for key, value in part.export(tmp_path / "parts.safetensors").weights.items():
        assert torch.equal(value, expected[key]), key


def test_the_report_is_json_lines(folder: Path, features: Features, small: str, tmp_path: Path) -> None:
    distillation(folder, features, small, tmp_path).run(save_every=2)
    lines = [json.loads(line) for line in (tmp_path / REPORT).read_text().splitlines()]
    assert [line["steps"] for line in lines] == [2, 4, 6, 7]
    assert all(line["loss"] > 0 for line in lines)


def test_an_exported_network_scores_as_the_trained_one(
    folder: Path, features: Features, small: str, tmp_path: Path
) -> None:
    run = distillation(folder, features, small, tmp_path)
    run.run()
    checkpoint = run.export(tmp_path / "trained.safetensors", {"windows": run.progress.windows})
    assert all(not key.startswith("patch_") for key in checkpoint.weights)
    tagger = load_tagger(str(tmp_path / "trained.safetensors"), device="cpu")
    assert tagger.labels == LABELS
    samples = sound(3)[: tagger.window_samples]
    network = AudioSpectrogramTransformer(SMALL).eval()
    network.load_state_dict(run.mean_weights)
    rows = frontends.input_rows(frontends.fbank(torch.from_numpy(samples)), 128)
    with torch.no_grad():
        logits = network(rows[None]).numpy()
    classes = Pack(folder).teacher_to_student
    np.testing.assert_allclose(tagger.logits(samples)[0, classes], logits[0, classes], atol=0.02)
    missing = np.setdiff1d(np.arange(len(LABELS)), classes)
    assert len(missing) == 6
    assert (tagger(samples)[0, missing] < 1e-5).all()


def test_a_new_network_is_untrained_but_sound(folder: Path, features: Features, tmp_path: Path) -> None:
    run = Distillation(
        Pack(folder), features, stages=parse_stages("96:0.5:2:1e-3:0:1"), out=tmp_path, device="cpu"
    )
    assert run.run()
    run.export(tmp_path / "tiny.safetensors")
    assert (tmp_path / "tiny.safetensors").stat().st_size < 12_000_000
    scores = load_tagger(str(tmp_path / "tiny.safetensors"), device="cpu")(sound(1))
    assert scores.shape == (1, 527)
    assert scores.max() < 0.1


def test_a_loss_of_nan_stops_the_run(folder: Path, features: Features, small: str, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = yamnet.YamNet().state_dict()
    weights["fc.bias"].fill_(float("nan"))
    save_file(weights, copy / TEACHER_WEIGHTS)
    with pytest.raises(TrainingError, match="nan") as error:
        distillation(copy, features, small, tmp_path / "out").run()
    one_sentence(error)
    assert not (tmp_path / "out" / STATE).exists()


def test_an_unwritable_disk_is_reported_in_one_sentence(
    folder: Path, features: Features, small: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="can't be") as error:
        distillation(folder, features, small, tmp_path / "file" / "out").run()
    one_sentence(error)


def test_a_broken_state_is_reported_in_one_sentence(
    folder: Path, features: Features, small: str, tmp_path: Path
) -> None:
    run = distillation(folder, features, small, tmp_path)
    with pytest.raises(TrainingError, match="nothing to resume") as error:
        run.restore()
    one_sentence(error)
    (tmp_path / STATE).write_bytes(b"PK broken")
    with pytest.raises(TrainingError, match="can't be resumed") as error:
        run.restore()
    one_sentence(error)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "128",
        "100:1:4:1e-3:0:5",
        "128:0:4:1e-3:0:5",
        "128:1:0:1e-3:0:5",
        "128:1:4:1e-3:1e-2:5",
        "128:1:4:1e-3:0:m",
    ],
)
def test_an_unknown_stage_is_refused(text: str) -> None:
    with pytest.raises(TrainingError) as error:
        parse_stages(text)
    one_sentence(error)


def test_a_stage_ends_by_steps_or_by_the_clock() -> None:
    steps, clock = parse_stages("128:1:4:1e-3:0:100, 1024:0.5:8:1e-3:1e-4:2m")
    assert clock == Stage(rows=1024, share=0.5, batch=8, first_rate=1e-3, last_rate=1e-4, minutes=2.0)
    assert steps.progress(50, 1e9) == 0.5
    assert clock.progress(10**9, 60.0) == 0.5
    assert clock.rate(10**9, 120.0) == pytest.approx(1e-4)
    assert steps.rate(0, 0.0) < 0.1 * steps.rate(45, 0.0)  # warms up


# The commands


def test_the_commands_train_resume_and_evaluate(folder: Path, small: str, tmp_path: Path) -> None:
    app = typer.Typer()
    add_commands(app)

    def run(*words: str) -> str:
        result = CliRunner().invoke(
            app, [*words, "--pack", str(folder), "--device", "cpu"], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return result.stdout

    out = str(tmp_path / "run")
    train = (
        *("distil", "--out", out, "--init", small, "--stages", STAGES),
        *("--cache", str(folder / "cache"), "--no-calibrate"),
    )
    run(*train, "--minutes", "0")
    assert json.loads((tmp_path / "run" / REPORT).read_text().splitlines()[-1])["steps"] == 1
    with pytest.raises(TrainingError, match="--resume"):
        run(*train)
    run(*train, "--resume")
    assert json.loads((tmp_path / "run" / REPORT).read_text().splitlines()[-1])["steps"] == 7
    figures = json.loads(run("evaluate", "--model", f"{out}/tiny.safetensors", "--json"))
    assert figures["clip alone"]["clips"] == 4
    assert "first class agrees" in run("evaluate", "--model", f"{out}/tiny.safetensors", "--limit", "1")
