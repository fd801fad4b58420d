"""Tests of the formats of checkpoints."""

import json
import logging
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.original_ast import OriginalAst, random_original, save_original
from torch import Tensor, nn
from transformers import ASTConfig, ASTForAudioClassification

from models import CheckpointError
from models.ast_network import SIZES, AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, Geometry, load_checkpoint, mean_of, save_checkpoint
from models.frontends import fbank, input_rows
from models.labels import audioset_classes
from models.local import load_tagger
from models.training.transfer import starting_point

GEOMETRIES = [(10, 10, 128), (10, 10, 256), (12, 12, 512), (14, 14, 512), (16, 16, 1024)]


def waveform(rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    noise = np.random.default_rng(1).standard_normal(160 * rows)
    return (0.1 * noise).astype(np.float32)


def rows_of(
    samples: np.ndarray[Any, np.dtype[np.float32]], rows: int, **normalisation: float
) -> torch.Tensor:
    return input_rows(fbank(torch.from_numpy(samples[None])), rows, **normalisation)


@pytest.mark.slow
@pytest.mark.parametrize(("fstride", "tstride", "rows"), GEOMETRIES)
def test_an_original_file_scores_as_the_original_code(
    fstride: int, tstride: int, rows: int, tmp_path: Path
) -> None:
    network = random_original(fstride=fstride, tstride=tstride, input_tdim=rows, depth=2)
    path = tmp_path / f"audioset_{fstride}_{tstride}_0.4.pth"
    save_original(network, path, parallel=rows != 512)
    tagger = load_tagger(str(path), device="cpu", precision="fp32")
    samples = waveform(rows)
    with torch.inference_mode():
        expected = network(rows_of(samples, rows)).numpy()
    np.testing.assert_allclose(tagger.logits(samples), expected, atol=1e-4)
    assert tagger.labels == tuple(entry.name for entry in audioset_classes())
    assert tagger.window_samples == 160 * rows


@pytest.mark.slow
@pytest.mark.parametrize(("fstride", "tstride", "rows"), GEOMETRIES)
def test_a_folder_with_pickled_weights_scores_as_hugging_face(
    fstride: int, tstride: int, rows: int, tmp_path: Path
) -> None:
    reference = random_reference(fstride, tstride, rows)
    reference.save_pretrained(tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    samples = waveform(rows)
    with torch.inference_mode():
        expected = reference(rows_of(samples, rows)).logits.numpy()
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        tagger = load_tagger(str(path), device="cpu", precision="fp32")
        np.testing.assert_allclose(tagger.logits(samples), expected, atol=1e-4)


def test_the_names_of_a_network_in_memory_are_read_too(tmp_path: Path) -> None:
    reference = random_reference(16, 16, 128)
    reference.save_pretrained(tmp_path)
    saved = load_checkpoint(str(tmp_path)).weights
    (tmp_path / "model.safetensors").unlink()
    torch.save(reference.state_dict(), tmp_path / "pytorch_model.bin")
    weights = load_checkpoint(str(tmp_path)).weights
    assert weights.keys() == saved.keys()
    assert all(torch.equal(weights[key], saved[key]) for key in saved)


@pytest.mark.slow
@pytest.mark.parametrize(("fstride", "tstride", "rows"), GEOMETRIES)
def test_a_model_saved_in_our_own_format_still_scores_as_the_original(
    fstride: int, tstride: int, rows: int, tmp_path: Path
) -> None:
    network = random_original(fstride=fstride, tstride=tstride, input_tdim=rows, depth=2)
    save_original(network, tmp_path / f"x_{fstride}_{tstride}.pth")
    save_checkpoint(
        load_checkpoint(str(tmp_path / f"x_{fstride}_{tstride}.pth")), tmp_path / "own.safetensors"
    )
    tagger = load_tagger(str(tmp_path / "own.safetensors"), device="cpu", precision="fp32")
    samples = waveform(rows)
    with torch.inference_mode():
        expected = network(rows_of(samples, rows)).numpy()
    np.testing.assert_allclose(tagger.logits(samples), expected, atol=1e-4)


def random_reference(fstride: int, tstride: int, rows: int) -> ASTForAudioClassification:
    torch.manual_seed(0)
    width, _, heads = SIZES["tiny"]
    config = ASTConfig(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_labels=5,
        frequency_stride=fstride,
        time_stride=tstride,
        max_length=rows,
    )
    network = ASTForAudioClassification(config).eval()
    for name, parameter in network.named_parameters():
        mean = 1.0 if "layernorm" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter, mean=mean, std=0.05)
    return network


def saved(path: Path, **geometry: int) -> Path:
    save_original(random_original(depth=1, **{"label_dim": 3, **geometry}), path)
    return path


@pytest.mark.parametrize(
    ("name", "geometry"),
    [
        ("audioset_12_12_0.4467.pth", (12, 12, 1024)),
        ("test-full-f10-t16-pTrue-b12.pth", (10, 16, 512)),
        ("best_audio_model.pth", (16, 16, 256)),
        ("run_2021_05_12.pth", (14, 14, 1024)),
    ],
)
def test_the_geometry_is_found_in_the_name_or_from_the_number_of_tokens(
    name: str, geometry: tuple[int, int, int], tmp_path: Path
) -> None:
    fstride, tstride, rows = geometry
    path = saved(tmp_path / name, fstride=fstride, tstride=tstride, input_tdim=rows)
    config = load_checkpoint(str(path)).config
    assert (config.fstride, config.tstride, config.input_tdim) == geometry


def test_an_unknown_geometry_is_asked_for_and_accepted(tmp_path: Path) -> None:
    path = saved(tmp_path / "mine.pth", fstride=9, tstride=11, input_tdim=300)
    with pytest.raises(CheckpointError, match=r"338 patches .*any standard.*--fstride"):
        load_tagger(str(path))
    with pytest.raises(CheckpointError, match=r"not those of fstride 10, tstride 10"):
        load_tagger(str(path), fstride=10, tstride=10)
    tagger = load_tagger(str(path), fstride=9, tstride=11, input_tdim=300)
    assert tagger.window_samples == 48_000


def test_a_network_for_longer_sound_says_what_it_hears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random_reference(16, 16, 2000).save_pretrained(tmp_path / "long")
    with caplog.at_level(logging.INFO, "models"):
        tagger = load_tagger(str(tmp_path / "long"))
    assert tagger.window_samples == 163_840
    assert "long was trained on longer windows than 10.24 s, the longest here" in caplog.text


def test_a_geometry_stated_by_the_checkpoint_cannot_be_overridden() -> None:
    with pytest.raises(CheckpointError, match="fstride 16, not 10"):
        load_checkpoint("tiny", geometry=Geometry(fstride=10))


def test_heads_that_ast_does_not_use_are_dropped(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", input_tdim=128)
    assert any("v.head." in key for key in torch.load(path))
    assert not any("v.head" in key for key in load_checkpoint(str(path)).weights)


def test_labels_of_an_original_file_come_from_the_table_beside_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", input_tdim=128)
    assert load_checkpoint(str(path)).labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    table = tmp_path / "class_labels_indices.csv"
    table.write_text("index,mid,display_name\n1,/m/b,Bark\n0,/m/a,Ah\n2,/m/c,Creak\n")
    assert load_checkpoint(str(path)).labels == ("Ah", "Bark", "Creak")
    (tmp_path / "a.csv").write_text("index,display_name\n0,x\n1,y\n")
    with pytest.raises(CheckpointError, match="2 labels for 3 classes"):
        load_checkpoint(str(path))
    (tmp_path / "a.csv").write_text("number,name\n0,x\n")
    with pytest.raises(CheckpointError, match="needs the columns index and display_name"):
        load_checkpoint(str(path))


def test_the_state_is_found_among_what_a_training_script_saved(tmp_path: Path) -> None:
    network = random_original(depth=1, input_tdim=128, label_dim=3)
    plain = {"epoch": 5, "state_dict": network.state_dict(), "loss": 0.1}
    torch.save(plain, tmp_path / "last.pth")
    checkpoint = load_checkpoint(str(tmp_path / "last.pth"))
    assert torch.equal(checkpoint.weights["v.cls_token"], network.v.cls_token)


def test_original_weights_in_a_safetensors_file_are_read_too(tmp_path: Path) -> None:
    network = random_original(depth=1, input_tdim=128, label_dim=3)
    save_file(dict(network.state_dict()), tmp_path / "x_10_10.safetensors")
    assert load_checkpoint(str(tmp_path / "x_10_10.safetensors")).config.input_tdim == 128


def test_a_pickle_that_would_execute_something_is_refused(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"module.v.pos_embed": Malicious()}, tmp_path / "evil_10_10.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Malicious()))
    for name in ("evil_10_10.pth", "plain.pth"):
        with pytest.raises(CheckpointError, match="only weights are unpickled"):
            load_tagger(str(tmp_path / name))
    assert not (tmp_path / "executed").exists()


def test_a_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.DataParallel(OriginalAst(depth=1, input_tdim=128)), tmp_path / "whole.pth")
    with pytest.raises(CheckpointError, match=r"save only its state_dict\(\)"):
        load_tagger(str(tmp_path / "whole.pth"))


@pytest.mark.parametrize("kept", [0, 3, 200, 0.5, 0.999])
def test_a_truncated_file_is_refused(kept: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "cut_10_10.pth", input_tdim=128)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(CheckpointError, match="fetch it again"):
        load_tagger(str(path))


def test_other_content_is_refused(tmp_path: Path) -> None:
    for content in ([1, 2], {"a": 1}, {"epoch": 3, "state_dict": {}}):
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match="holds no weights"):
            load_tagger(str(tmp_path / "x.pth"))
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no AST or CED"):
        load_tagger(str(tmp_path / "x.pth"))
    torch.save({"v.pos_embed": torch.zeros(1, 5, 192)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="not the complete state dict of an AST"):
        load_tagger(str(tmp_path / "x.pth"))


def test_weights_of_hugging_face_without_their_folder_are_refused(tmp_path: Path) -> None:
    torch.save(random_reference(16, 16, 128).state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="give the folder"):
        load_tagger(str(tmp_path / "pytorch_model.bin"))


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'base-10-10'"):
        load_tagger("base-1010")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 2.56, 5.0, 10.24])
@pytest.mark.parametrize(("stride", "rows"), [(10, 128), (16, 1024)])
def test_every_checkpoint_takes_windows_of_one_to_ten_seconds(
    seconds: float, stride: int, rows: int, tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.pth", fstride=stride, tstride=stride, input_tdim=rows)
    tagger = load_tagger(str(path), device="cpu", window_seconds=seconds)
    assert tagger.window_samples == round(seconds * 16_000)
    assert np.isfinite(tagger(waveform(round(100 * seconds)))).all()


@pytest.mark.slow
def test_a_shorter_window_scores_as_the_network_with_its_positions_cut(tmp_path: Path) -> None:
    network = random_original(depth=2, fstride=16, tstride=16, input_tdim=1024, label_dim=4)
    save_original(network, tmp_path / "x_16_16.pth")
    grid = network.v.pos_embed[:, 2:].reshape(1, 8, 64, -1)
    middle = grid[:, :, 32 - 8 : 32 + 8].reshape(1, 128, -1)
    network.v.pos_embed = nn.Parameter(torch.cat((network.v.pos_embed[:, :2], middle), 1))
    samples = waveform(256)
    with torch.inference_mode():
        expected = network(rows_of(samples, 256)).numpy()
    tagger = load_tagger(str(tmp_path / "x_16_16.pth"), device="cpu", window_seconds=2.56)
    np.testing.assert_allclose(tagger.logits(samples), expected, atol=1e-4)


@pytest.mark.slow
def test_an_ensemble_averages_probabilities(tmp_path: Path) -> None:
    members = []
    for number, (stride, rows) in enumerate([(16, 1024), (12, 1024), (16, 256)]):
        network = random_original(depth=1, fstride=stride, tstride=stride, input_tdim=rows, label_dim=4)
        nn.init.normal_(network.get_parameter("mlp_head.1.weight"), std=0.5 + number)
        save_original(network, tmp_path / f"m{number}.pth")
        members.append(str(tmp_path / f"m{number}.pth"))
    with pytest.raises(CheckpointError, match="windows of 2.56 and 10.24 s: give one for all"):
        load_tagger("ensemble:" + "+".join(members), device="cpu")
    ensemble = load_tagger("ensemble:" + "+".join(members), device="cpu", window_seconds=5.12)
    samples = np.stack([waveform(512), waveform(512)[::-1]])
    alone = [load_tagger(member, device="cpu", window_seconds=5.12)(samples) for member in members]
    np.testing.assert_allclose(ensemble(samples), np.mean(alone, 0), atol=1e-6)
    scores = 1 / (1 + np.exp(-ensemble.logits(samples)))
    np.testing.assert_allclose(scores, ensemble(samples), atol=1e-6)
    assert ensemble.embed(samples).shape == (2, 3 * 192)
    assert (ensemble.name, ensemble.window_samples) == ("m0+m1+m2", 81_920)


def test_an_ensemble_of_exclusive_classes_averages_probabilities_too(tmp_path: Path) -> None:
    specs = []
    for number in range(2):
        reference = random_reference(16, 16, 128)
        nn.init.normal_(reference.get_parameter("classifier.dense.weight"), std=1.0 + number)
        reference.config.problem_type = "single_label_classification"
        reference.save_pretrained(tmp_path / str(number))
        specs.append(str(tmp_path / str(number)))
    samples = waveform(128)
    scores = load_tagger("ensemble:" + "+".join(specs), device="cpu")(samples)
    alone = [load_tagger(spec, device="cpu")(samples) for spec in specs]
    np.testing.assert_allclose(scores, np.mean(alone, 0), atol=1e-6)
    np.testing.assert_allclose(scores.sum(), 1.0, atol=1e-6)


PREFIXES = ("_orig_mod.", "model.", "net._orig_mod.", "module.model.net.", "_orig_mod.module.")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_training_loops_put_before_the_names_is_removed(prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "a_16_16.pth"
    weights = save_original(random_original(depth=1, label_dim=3, input_tdim=128), path, parallel=False)
    expected = load_checkpoint(str(path)).weights
    wrapped = {f"{prefix}{name}": value for name, value in weights.items()}
    if prefix != "_orig_mod.":
        wrapped["loss.weight"] = torch.ones(3)
    torch.save({"state_dict": wrapped, "epoch": 3}, path)
    assert load_checkpoint(str(path)).weights.keys() == expected.keys()
    load_checkpoint(str(path)).build()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_they_are_removed_from_hugging_face_s_names_too(prefix: str, tmp_path: Path) -> None:
    random_reference(16, 16, 128).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    expected = load_checkpoint(str(tmp_path)).weights
    save_file({f"{prefix}{name}": value for name, value in load_file(file).items()}, file)
    assert load_checkpoint(str(tmp_path)).weights.keys() == expected.keys()


def test_parts_that_are_compiled_have_their_names_back(tmp_path: Path) -> None:
    path = tmp_path / "a_16_16.pth"
    weights = save_original(random_original(depth=1, label_dim=3, input_tdim=128), path, parallel=False)
    torch.save({name.replace("v.", "v._orig_mod.", 1): value for name, value in weights.items()}, path)
    assert "v.blocks.0.norm1.weight" in load_checkpoint(str(path)).weights


def test_a_file_of_several_networks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    weights = save_original(random_original(depth=1, label_dim=3, input_tdim=128), path, parallel=False)
    both = {f"{copy}.{name}": value.clone() for name, value in weights.items() for copy in ("model", "ema")}
    torch.save(both, path)
    with pytest.raises(CheckpointError, match=r"holds several networks \(ema, model\): save the state_dict"):
        load_checkpoint(str(path))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("preprocessor_config.json", '{"mean": "low"}', "does not describe the features"),
        ("preprocessor_config.json", '{"sampling_rate": 8000}', "does not describe the features"),
        ("preprocessor_config.json", "[" * 100_000, "can't be read as JSON"),
        (
            "config.json",
            '{"model_type": "audio-spectrogram-transformer", "hidden_size": "x"}',
            "does not describe an AST",
        ),
        (
            "config.json",
            '{"model_type": "audio-spectrogram-transformer", "id2label": []}',
            "does not describe an AST",
        ),
    ],
)
def test_the_file_at_fault_is_named(name: str, content: str, complaint: str, tmp_path: Path) -> None:
    random_reference(16, 16, 128).save_pretrained(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=f"{re.escape(str(tmp_path / name))} {complaint}"):
        load_checkpoint(str(tmp_path))


def test_weights_without_a_head_are_named(tmp_path: Path) -> None:
    random_reference(16, 16, 128).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file({name: value for name, value in load_file(file).items() if "classifier" not in name}, file)
    with pytest.raises(CheckpointError, match="model.safetensors .*it has no classifier.dense.weight"):
        load_checkpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("problem", "activation"),
    [
        ("multi_label_classification", "sigmoid"),
        ("single_label_classification", "softmax"),
        (None, "softmax"),
    ],
)
def test_the_activation_is_that_of_transformers(problem: str | None, activation: str, tmp_path: Path) -> None:
    reference = random_reference(16, 16, 128)
    reference.config.problem_type = problem
    reference.save_pretrained(tmp_path)
    assert load_checkpoint(str(tmp_path)).activation == activation


def test_an_ensemble_of_different_tasks_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", input_tdim=1024)
    with pytest.raises(CheckpointError, match="'tiny' and 'a' have different classes"):
        load_tagger(f"ensemble:tiny+{path}")
    with pytest.raises(CheckpointError, match="is not an ensemble"):
        load_tagger("ensemble:tiny+")


def test_paths_and_names_of_any_length_are_accepted(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", input_tdim=128)
    assert load_tagger(path, device="cpu").name == "a"
    with pytest.raises(CheckpointError, match="there is no model"):
        load_tagger("x" * 5000)


def test_the_normalisation_of_the_original_recipes_is_used_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "models")
    esc50 = load_checkpoint(str(saved(tmp_path / "a.pth", input_tdim=512, label_dim=50)))
    assert (esc50.mean, esc50.std, esc50.activation) == (-6.6268077, 5.358466, "softmax")
    assert "treated as a model of ESC-50" in caplog.text


def test_a_missing_file_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "audio-spectrogram-transformer"}))
    with pytest.raises(CheckpointError, match=r"no model\.safetensors and no pytorch_model\.bin"):
        load_tagger(str(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match="are in several files: save them into one"):
        load_tagger(str(tmp_path))


@pytest.mark.parametrize("tensor", [torch.eye(3).to_sparse(), torch.empty(3, device="meta")])
def test_weights_that_are_not_dense_are_refused(tensor: Tensor, tmp_path: Path) -> None:
    torch.save({"module.v.cls_token": tensor}, tmp_path / "a_16_16.pth")
    with pytest.raises(CheckpointError, match="sparse or missing weights: save its state_dict"):
        load_checkpoint(str(tmp_path / "a_16_16.pth"))


def with_thresholds(folder: Path, thresholds: tuple[float, ...] | None) -> Path:
    """Write a checkpoint of three classes in Earshot's format."""
    checkpoint = load_checkpoint(str(saved(folder / "a_16_16.pth", input_tdim=128)))
    save_checkpoint(replace(checkpoint, thresholds=thresholds), folder / "own.safetensors")
    return folder / "own.safetensors"


def test_thresholds_are_kept_and_reach_the_tagger(tmp_path: Path) -> None:
    path = with_thresholds(tmp_path, (0.2, 0.55, 1.0))
    assert load_checkpoint(str(path)).thresholds == (0.2, 0.55, 1.0)
    thresholds = load_tagger(path, device="cpu").thresholds
    assert thresholds is not None
    assert thresholds.dtype == np.float32
    np.testing.assert_allclose(thresholds, [0.2, 0.55, 1.0])


def test_a_checkpoint_without_thresholds_gives_a_tagger_without_them(tmp_path: Path) -> None:
    path = with_thresholds(tmp_path, (0.2, 0.55, 1.0))
    assert load_tagger(tmp_path / "a_16_16.pth", device="cpu").thresholds is None
    assert load_tagger(f"ensemble:{path}+{path}", device="cpu").thresholds is None
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["earshot"])
    del header["thresholds"]  # as in a file of an older version
    save_file(load_file(path), path, metadata={"earshot": json.dumps(header)})
    assert load_tagger(path, device="cpu").thresholds is None


@pytest.mark.parametrize("thresholds", [(0.5, 0.5), (0.5, 0.5, 1.1), (0.5, 0.5, float("nan"))])
def test_invalid_thresholds_are_refused(tmp_path: Path, thresholds: tuple[float, ...]) -> None:
    checkpoint = load_checkpoint(str(saved(tmp_path / "a_16_16.pth", input_tdim=128)))
    with pytest.raises(CheckpointError, match="calibrate it again"):
        replace(checkpoint, thresholds=thresholds)


@pytest.mark.parametrize("labels", [("a", "b"), None])
def test_a_retrained_model_drops_its_thresholds(tmp_path: Path, labels: tuple[str, ...] | None) -> None:
    path = with_thresholds(tmp_path, (0.2, 0.55, 1.0))
    same = load_checkpoint(str(path)).labels
    assert starting_point(str(path), labels or same).thresholds is None


# The mean of checkpoints


def small_checkpoint(seed: int, depth: int = 1) -> Checkpoint:
    config = replace(AstConfig.of_size("tiny", fstride=16, tstride=16, label_dim=2), depth=depth)
    torch.manual_seed(seed)
    weights = AudioSpectrogramTransformer(config).state_dict()
    return Checkpoint(
        name=f"seed {seed}", config=config, labels=("a", "b"), weights=weights, thresholds=(0.5, 0.5)
    )


def test_weights_are_averaged() -> None:
    first, second = small_checkpoint(0), small_checkpoint(1)
    mean = mean_of([first, first, second])
    assert mean.thresholds is None
    for name, weights in mean.weights.items():
        torch.testing.assert_close(weights, (2 * first.weights[name] + second.weights[name]) / 3)
    assert mean_of([first]) is first
    half = replace(first, weights={name: weights.half() for name, weights in first.weights.items()})
    assert mean_of([half, half]).weights["v.norm.weight"].dtype == torch.float16


@pytest.mark.parametrize("change", [{"labels": ("a", "c")}, {"mean": 0.0}, {"activation": "softmax"}])
def test_checkpoints_of_different_kinds_are_not_averaged(change: dict[str, Any]) -> None:
    first = small_checkpoint(0)
    with pytest.raises(CheckpointError, match="can't be averaged: give models of the same network"):
        mean_of([first, replace(first, **change)])


def test_different_networks_are_not_averaged() -> None:
    with pytest.raises(CheckpointError, match="can't be averaged"):
        mean_of([small_checkpoint(0), small_checkpoint(0, depth=2)])
