"""The CED family: scores and features of a reference built from torchaudio and timm, at any length."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.original_ast import random_original, save_original
from support.reference_ced import WIDTHS, ReferenceCed
from torch import Tensor

from models import CheckpointError
from models.catalogue import MODEL_TYPES, PUBLISHED
from models.ced_network import CedConfig, log_mel
from models.checkpoints import load_checkpoint, save_checkpoint
from models.checkpoints.pretrained import FORMATS
from models.engines.graph_engine import GraphEngine
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.torch_engine import TorchEngine
from models.explain import explain
from models.labels import audioset_classes
from models.local import load_tagger, tagger_of
from models.tagger import Tagger
from models.training.calibration import with_scaling
from models.training.transfer import starting_point

FULL = 161_280
LENGTHS = (16_000, 80_000, FULL)
AUDIOSET = [entry.name for entry in audioset_classes()]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tone(hertz: float, samples: int) -> Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(samples) / 16_000)


def exact(folder: Path, **options: Any) -> Tagger:
    return load_tagger(folder, device="cpu", engine="torch", precision="fp32", offline=True, **options)


@pytest.fixture(scope="module")
def reference() -> ReferenceCed:
    return ReferenceCed(depth=2)


@pytest.fixture(scope="module")
def folder(reference: ReferenceCed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reference.save(tmp_path_factory.mktemp("ced") / "small-ced")


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Tagger:
    return exact(folder)


@pytest.mark.parametrize("samples", LENGTHS)
@pytest.mark.parametrize("size", WIDTHS)
def test_scores_are_those_of_the_reference(size: str, samples: int, tmp_path: Path) -> None:
    network = ReferenceCed(size=size, depth=2, classes=20)
    sound = noise(2, samples)
    expected = network(sound)
    ours = exact(network.save(tmp_path))
    np.testing.assert_allclose(ours(sound), expected.sigmoid(), atol=1e-5)
    np.testing.assert_allclose(ours.logits(sound), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", WIDTHS)
def test_the_published_sizes_score_as_the_reference(size: str, tmp_path: Path) -> None:
    network = ReferenceCed(size=size)
    ours = exact(network.save(tmp_path))
    for samples in LENGTHS:
        sound = noise(1, samples)
        np.testing.assert_allclose(ours(sound), network(sound).sigmoid(), atol=1e-5)


SOUNDS = {
    "noise": noise(1, FULL),
    "faint noise": 1e-4 * noise(1, FULL),
    "silence": torch.zeros(1, 16_000),
    "low tone": tone(50.0, 80_000)[None],
    "high tone": tone(7_900.0, 80_000)[None],
    "one click": torch.nn.functional.pad(torch.ones(1, 1), (8_000, 7_999)),
    "loud beside quiet": torch.stack((tone(440.0, FULL), 1e-6 * noise(FULL), torch.zeros(FULL))),
}


@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS)
def test_features_are_those_of_torchaudio(sound: Tensor, reference: ReferenceCed) -> None:
    ours = log_mel(sound, CedConfig.of_size("tiny"))
    torch.testing.assert_close(ours, reference.features(sound).transpose(1, 2), atol=1e-3, rtol=0)


def test_a_quiet_window_scores_alike_beside_a_loud_one(tagger: Tagger) -> None:
    quiet, loud = 1e-6 * noise(FULL), tone(440.0, FULL)
    beside, alone = tagger.logits(torch.stack((quiet, loud)))[0], tagger.logits(quiet)[0]
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_logits_are_those_before_the_sigmoid(tagger: Tagger, reference: ReferenceCed) -> None:
    sound = noise(1, 80_000)
    logits = tagger.logits(sound)
    assert logits.min() < -0.1
    np.testing.assert_allclose(tagger(sound), 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert tagger.embed(sound).shape == (1, reference.width)


@pytest.mark.parametrize("samples", [1, 300, 1_600, 2_399, 2_400, 16_001, 80_123, FULL - 1])
def test_a_sound_of_any_length_is_scored(tagger: Tagger, reference: ReferenceCed, samples: int) -> None:
    sound = noise(1, samples)
    padded = torch.nn.functional.pad(sound, (0, max(0, 2_400 - samples)))
    np.testing.assert_allclose(tagger(sound), reference(padded).sigmoid(), atol=1e-5)


def test_a_shorter_sound_has_fewer_patches(tagger: Tagger) -> None:
    assert isinstance(tagger.engine, TorchEngine)
    rows = [tagger.engine.features(noise(1, samples)).shape[1] for samples in (16_000, 80_000, FULL)]
    assert rows == [96, 496, 1_008]


def test_openvino_gives_the_scores_of_pytorch(folder: Path, tagger: Tagger) -> None:
    fast = load_tagger(folder, device="cpu", engine="openvino", precision="fp32", offline=True)
    for samples in (*LENGTHS, 1_600):
        for windows in (1, 3):
            sound = noise(windows, samples)
            np.testing.assert_allclose(fast.logits(sound), tagger.logits(sound), atol=1e-4)
            np.testing.assert_allclose(fast.embed(sound), tagger.embed(sound), atol=1e-4)


def test_one_conversion_serves_every_window(folder: Path, tagger: Tagger) -> None:
    short = load_tagger(
        folder, device="cpu", engine="openvino", precision="fp32", window_seconds=3.0, offline=True
    )
    assert short.window_samples == 48_000
    sound = noise(2, 48_000)
    np.testing.assert_allclose(short.logits(sound), tagger.logits(sound), atol=1e-4)
    specs = [load_checkpoint(str(folder)).network_spec(rows) for rows in (300, 1_008)]
    assert specs[0].fingerprint == specs[1].fingerprint
    assert short.fingerprint != tagger.fingerprint == specs[0].fingerprint, (
        "what was taught holds for one length"
    )


def test_a_graph_gives_the_scores_of_pytorch(folder: Path) -> None:
    spec = load_checkpoint(str(folder)).network_spec()
    eager = TorchEngine(spec, device="cpu")

    def capture(run: Any) -> Any:
        run()
        return run

    graph = GraphEngine(eager, window_samples=spec.window_samples, capture=capture)
    for samples in (FULL, 80_000):
        assert torch.equal(graph(noise(2, samples))[0], eager(noise(2, samples))[0])


def test_half_precision_keeps_the_scores(folder: Path, tagger: Tagger) -> None:
    half = load_tagger(folder, device="cpu", engine="torch", precision="bf16", offline=True)
    sound = noise(1, FULL)
    np.testing.assert_allclose(half(sound), tagger(sound), atol=0.05)


@pytest.mark.slow
def test_int8_is_near_single_precision(folder: Path, tagger: Tagger) -> None:
    pytest.importorskip("nncf")
    spec = load_checkpoint(str(folder)).network_spec()
    quantized = OpenVinoEngine(spec, precision="int8", keep=False)
    for samples in (FULL, 80_000):
        scores = quantized(noise(1, samples))[0].sigmoid()
        np.testing.assert_allclose(scores, tagger(noise(1, samples)), atol=0.1)


@pytest.mark.parametrize("seconds", [1.0, 5.0, 10.08])
def test_the_window_is_one_to_ten_seconds(folder: Path, seconds: float) -> None:
    tagger = exact(folder, window_seconds=seconds)
    assert tagger.window_samples == round(16_000 * seconds)
    assert tagger(noise(1, tagger.window_samples)).shape == (1, 527)


def test_a_longer_window_is_refused_with_the_longest(folder: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"'small-ced' can't take windows of 10\.24 s: give a window of 1 to 10\.08 s"
    ):
        exact(folder, window_seconds=10.24)


def test_a_ced_saved_in_our_own_format_scores_the_same(folder: Path, tagger: Tagger, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_checkpoint(load_checkpoint(str(folder)), path)
    sound = noise(1, 80_000)
    assert np.array_equal(exact(path)(sound), tagger(sound))


def test_a_ced_is_averaged_with_an_ast(folder: Path, tagger: Tagger, tmp_path: Path) -> None:
    names = [f"sound {index}" for index in range(527)]
    table = "index,mid,display_name\n" + "".join(f"{i},/m/{i},{name}\n" for i, name in enumerate(names))
    (tmp_path / "class_labels_indices.csv").write_text(table)
    ast = tmp_path / "audioset_16_16.pth"
    save_original(random_original(depth=1, fstride=16, tstride=16), ast)
    both = load_tagger(
        f"ensemble:{ast}+{folder}", device="cpu", engine="torch", precision="fp32", offline=True
    )
    assert both.window_samples == FULL
    sound = noise(2, FULL)
    np.testing.assert_allclose(both(sound), (tagger(sound) + exact(ast)(sound)) / 2, atol=1e-5)


def test_a_file_of_weights_is_read_with_the_config_beside_it(folder: Path, tagger: Tagger) -> None:
    sound = noise(1, 16_000)
    assert np.array_equal(exact(folder / "model.safetensors")(sound), tagger(sound))


@pytest.mark.parametrize("width", WIDTHS)
def test_missing_keys_have_the_values_of_the_published_models(width: str, tmp_path: Path) -> None:
    network = ReferenceCed(size=width, depth=2, classes=20)
    keys = [key for key in network.config() if key not in {"model_type", "name", "depth", "id2label"}]
    ours = exact(network.save(tmp_path, **dict.fromkeys(keys)))
    sound = noise(1, 16_000)
    np.testing.assert_allclose(ours(sound), network(sound).sigmoid(), atol=1e-5)


@pytest.mark.parametrize(
    "names", [None, AUDIOSET, [name.partition(",")[0] for name in AUDIOSET]], ids=["none", "full", "cut"]
)
def test_the_classes_of_audioset_have_their_full_names(
    reference: ReferenceCed, names: list[str] | None, tmp_path: Path
) -> None:
    table = names and {str(index): name for index, name in enumerate(names)}
    assert list(load_checkpoint(str(reference.save(tmp_path, id2label=table))).labels) == AUDIOSET


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"embed_dim": "wide"}, "config.json does not describe a CED"),
        ({"embed_dim": 3 * 10**9}, "does not hold the weights of a CedForAudioClassification"),
        ({"embed_dim": -3}, "width, depth, heads"),
        ({"num_heads": 7}, "must be a multiple of the heads"),
        ({"depth": 0}, "must be at least 1"),
        ({"depth": 10**6}, "describes a larger network than its weights"),
        ({"depth": 3}, "larger network than its weights|do not match their configuration"),
        ({"mlp_ratio": float("inf")}, "does not describe a CED"),
        ({"mlp_ratio": 2.0}, "do not match their configuration"),
        ({"qkv_bias": False}, "do not match their configuration"),
        ({"patch_size": 0}, "its patch_size is 0"),
        ({"patch_size": [16, 16]}, "does not describe a CED"),
        ({"patch_stride": 10}, "patches must not overlap"),
        ({"target_length": 2000}, r"time_pos_embed is \(1, 192, 1, 63\), and its config asks for"),
        ({"target_length": 8}, "input must be at least 16x16"),
        ({"n_mels": 60}, "has 64 mel bins, not 60"),
        ({"n_fft": 10**9}, "at most 4096 points"),
        ({"win_size": 1024}, "at most as many samples as its Fourier transform"),
        ({"f_min": 9000}, "mel bins must be within 0 and 8000 Hz"),
        ({"hop_size": 320}, "its hop_size is 320, and only 160 is supported"),
        ({"center": False}, "its center is False"),
        ({"pooling": "token"}, "its pooling is 'token'"),
        ({"id2label": ["a"]}, "does not describe a CED"),
        (
            {"model_type": "cedar"},
            "of type 'cedar', which needs code that comes with it and is never run, not",
        ),
        ({"model_type": "cedar", "auto_map": None}, "of type 'cedar', not an AST.* or a Ced"),
        ({"model_type": ["ced"]}, "choose another one"),
    ],
)
def test_an_absurd_config_is_refused_in_one_sentence(
    reference: ReferenceCed, changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=complaint) as refusal:
        load_checkpoint(str(reference.save(tmp_path, **changes))).build()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "shape", "complaint"),
    [
        ("encoder.init_bn.running_var", None, "it has no encoder.init_bn.running_var"),
        ("encoder.time_pos_embed", None, "it has no encoder.time_pos_embed"),
        ("outputlayer.1.weight", None, "it has no outputlayer.1.weight"),
        ("encoder.freq_pos_embed", (1, 192, 4, 63), "the shape of encoder.freq_pos_embed"),
        ("encoder.init_bn.weight", (1,), "the shape of encoder.init_bn.weight"),
        ("encoder.blocks.1.attn.qkv.weight", (600, 192), "do not match their configuration"),
        ("encoder.norm.bias", None, "do not match their configuration"),
    ],
)
def test_wrong_weights_are_refused_in_one_sentence(
    reference: ReferenceCed, name: str, shape: tuple[int, ...] | None, complaint: str, tmp_path: Path
) -> None:
    file = reference.save(tmp_path) / "model.safetensors"
    weights = {key: value for key, value in load_file(file).items() if key != name}
    save_file(weights if shape is None else weights | {name: torch.ones(shape)}, file)
    with pytest.raises(CheckpointError, match=complaint):
        load_checkpoint(str(tmp_path)).build()


def test_impossible_statistics_are_refused(reference: ReferenceCed, tmp_path: Path) -> None:
    file = reference.save(tmp_path) / "model.safetensors"
    weights = load_file(file)
    save_file(weights | {"encoder.init_bn.running_var": -torch.ones(64)}, file)
    with pytest.raises(CheckpointError, match="not finite"):
        load_checkpoint(str(tmp_path)).build()


@pytest.mark.parametrize(
    ("extractor", "complaint"),
    [
        ({"sampling_rate": 32_000}, "computed at 32000 Hz, not at 16 kHz"),
        ({"feature_size": 128}, "has 128 mel bins, not 64"),
        ({"hop_size": 200}, "its hop_size is 200"),
        ({"n_fft": "many"}, "does not describe a CED"),
    ],
)
def test_other_features_are_refused(
    reference: ReferenceCed, extractor: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    (reference.save(tmp_path) / "preprocessor_config.json").write_text(json.dumps(extractor))
    with pytest.raises(CheckpointError, match=complaint):
        load_checkpoint(str(tmp_path))


def test_scores_can_be_calibrated(folder: Path, tagger: Tagger) -> None:
    scaled = tagger_of(with_scaling(load_checkpoint(str(folder)), slope=2.0, offset=-1.0), device="cpu")
    sound = noise(1, 80_000)
    np.testing.assert_allclose(scaled.logits(sound), 2.0 * tagger.logits(sound) - 1.0, atol=1e-4)


def test_what_only_an_ast_can_do_is_refused(folder: Path) -> None:
    checkpoint = load_checkpoint(str(folder))
    with pytest.raises(CheckpointError, match="'small-ced' can't be explained, because it is not an AST"):
        explain(checkpoint, noise(16_000).numpy())
    with pytest.raises(CheckpointError, match="'small-ced' can't be fine-tuned, because it is not an AST"):
        starting_point(str(folder), ("a", "b"))


def test_the_catalogue_has_the_published_sizes() -> None:
    assert set(MODEL_TYPES) == set(FORMATS)
    for size in WIDTHS:
        entry, config = PUBLISHED[f"ced-{size}"], CedConfig.of_size(size)
        assert (entry.width, entry.depth, entry.bins, entry.rows) == (
            *(config.width, config.depth, config.input_fdim),
            config.input_tdim,
        )
        assert entry.gigaflop == pytest.approx(config.gigaflop())
