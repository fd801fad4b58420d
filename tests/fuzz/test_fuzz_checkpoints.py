"""Checkpoints of any content: our own, folders of Hugging Face, files of the original code."""

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from promises import MEBIBYTE, a_file, a_folder, examples, json_values, kept, mutated, numbers, within
from safetensors.torch import save as as_safetensors
from support.reference_ced import ReferenceCed
from transformers import ASTConfig, ASTForAudioClassification

from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import load_checkpoint
from models.errors import CheckpointError
from models.known_labels import HEADER
from models.local import load_tagger

pytestmark = pytest.mark.slow

CONFIG = AstConfig(
    width=8, depth=2, heads=2, mlp_width=16, fstride=16, tstride=16, input_tdim=128, label_dim=3
)
OURS = {
    "config": asdict(CONFIG),
    "labels": ["a", "b", "c"],
    "mean": -4.0,
    "std": 4.5,
    "activation": "sigmoid",
    "thresholds": [0.5, 0.5, 0.5],
}
"""The header of a small network in our own format."""

WEIGHTS = AudioSpectrogramTransformer(CONFIG).state_dict()


@lru_cache(maxsize=1)
def folder() -> dict[str, bytes]:
    """The files of a small network that Hugging Face has saved."""
    config = ASTConfig(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        frequency_stride=16,
        time_stride=16,
        max_length=128,
        num_labels=3,
    )
    with tempfile.TemporaryDirectory() as place:
        ASTForAudioClassification(config).save_pretrained(place)
        files = {path.name: path.read_bytes() for path in Path(place).iterdir()}
    extractor = {"sampling_rate": 16_000, "do_normalize": True, "mean": -4.0, "std": 4.5}
    return files | {"preprocessor_config.json": json.dumps(extractor).encode()}


def own_file(header: object = OURS, weights: Mapping[str, torch.Tensor] = WEIGHTS) -> bytes:
    content: bytes = as_safetensors(dict(weights), {HEADER: json.dumps(header)})
    return content


def original(weights: object = WEIGHTS, *, zipped: bool = True) -> bytes:
    """Return the bytes that `torch.save` writes, today or before PyTorch 1.6."""
    buffer = io.BytesIO()
    torch.save(weights, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


FORMATS = {
    "safetensors": (own_file(), "it.safetensors"),
    "zip": (original(), "audioset_16_16.pth"),
    "pickle": (original(zipped=False), "audioset_16_16.pth"),
}
"""A file of each format: a new one has its own here."""


def scores_of(files: Mapping[str, bytes], name: str = "") -> object:
    """Load a folder, or a file of it, and listen; None if it was refused in a sentence."""
    with a_folder() as place, within(mebibytes=512, seconds=20):
        for file, content in files.items():
            (place / file).write_bytes(content)
        return kept(lambda: listened(place / name))


def listened(path: Path) -> bool:
    tagger = load_tagger(path, device="cpu", engine="torch", precision="fp32", offline=True)
    scores = tagger(np.zeros(1600, np.float32))
    assert scores.shape == (1, len(tagger.labels))
    assert not ((scores < 0) | (scores > 1)).any()  # weights of any size may give what is no number
    assert all(isinstance(label, str) for label in tagger.labels)
    return True


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_mutated_here_is_a_checkpoint_at_first(kind: str) -> None:
    content, name = FORMATS[kind]
    assert scores_of({name: content}, name)
    assert scores_of(folder())


@examples(60)
@given(st.data())
@pytest.mark.parametrize("kind", FORMATS)
def test_a_mutated_checkpoint_is_loaded_or_refused_in_a_sentence(kind: str, data: st.DataObject) -> None:
    content, name = FORMATS[kind]
    scores_of({name: data.draw(mutated(content))}, name)


@examples(100)
@given(st.binary(max_size=100), st.sampled_from(["a.safetensors", "a.pth", "a_10_10.pth", "a"]))
@example(struct.pack("<Q", 2**60) + b"{}", "a.safetensors")
@example(struct.pack("<Q", 2**63) + b"{}", "a")
@example(struct.pack("<Q", 5000) + b"[" * 5000, "a.safetensors")
@example(b"\x80\x02", "a.pth")
@example(b"\x80\x02" + b"(" * 50, "a.pth")
def test_any_bytes_are_a_checkpoint_or_refused_in_a_sentence(content: bytes, name: str) -> None:
    scores_of({name: content}, name)


def described(entries: Mapping[str, Any]) -> bytes:
    """A safetensors file whose header may claim anything."""
    header = json.dumps(dict(entries)).encode()
    return struct.pack("<Q", len(header)) + header + bytes(64)


shapes = st.lists(st.one_of(st.integers(-1, 4), st.sampled_from([2**31, 2**60])), max_size=4)


@examples(100)
@given(
    st.dictionaries(
        st.sampled_from([*list(WEIGHTS)[:3], "__metadata__", "x"]),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(
                    ["F32", "F64", "F16", "BF16", "F8_E5M2", "F4", "C64", "BOOL", "I64", "?"]
                ),
                "shape": shapes | st.just([2**64, 1]),
                "data_offsets": st.lists(st.sampled_from([0, 4, 64, 2**60]), min_size=2, max_size=2),
            }
        ),
        max_size=3,
    )
)
@example({"v.pos_embed": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}})
@example({"v.pos_embed": {"dtype": "F32", "shape": [0, 2**60], "data_offsets": [0, 0]}})
def test_tensors_of_any_claimed_shape_are_refused_in_a_sentence(entries: dict[str, Any]) -> None:
    assert scores_of({"a.safetensors": described(entries)}, "a.safetensors") is None


absurd = st.one_of(json_values, numbers, st.sampled_from([1, 2, 8, 16, 128, "8", 8.0, True, 10**6, 10**9]))


@examples(150)
@given(
    st.dictionaries(st.sampled_from(sorted(OURS)), json_values, max_size=2),
    st.dictionaries(st.sampled_from(sorted(asdict(CONFIG))), absurd, max_size=2),
)
@example({}, {"width": 10**9})
@example({}, {"depth": 10**6})
@example({}, {"depth": 10**9})
@example({}, {"mlp_width": 10**15})
@example({}, {"input_tdim": 10**12})
@example({}, {"input_tdim": 10**400})
@example({}, {"input_tdim": 129})
@example({}, {"input_fdim": 64, "input_tdim": 256})
@example({}, {"width": 8.0})
@example({}, {"depth": "2"})
@example({}, {"norm_eps": "x"})
@example({}, {"norm_eps": float("nan")})
@example({"config": []}, {})
@example({"mean": float("nan")}, {})
@example({"mean": 10**400}, {})
@example({"std": float("inf")}, {})
@example({"labels": {"a": 1, "b": 2, "c": 3}}, {})
@example({"labels": 3}, {})
@example({"thresholds": [10**400] * 3}, {})
def test_any_header_of_ours_is_taken_or_refused_in_a_sentence(
    header: dict[str, Any], config: dict[str, Any]
) -> None:
    content = own_file(OURS | {"config": asdict(CONFIG) | config} | header)
    scores_of({"a.safetensors": content}, "a.safetensors")


@pytest.mark.parametrize("header", [5, [], "x", None])
def test_a_header_of_ours_that_is_no_table_is_refused_in_a_sentence(header: object) -> None:
    assert scores_of({"a.safetensors": own_file(header)}, "a.safetensors") is None


OPTIONS = [
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "frequency_stride"),
    *("time_stride", "num_mel_bins", "max_length", "patch_size", "qkv_bias", "layer_norm_eps", "id2label"),
    *("model_type", "hidden_act", "problem_type"),
]


@examples(150)
@given(
    st.dictionaries(st.sampled_from(OPTIONS), absurd, max_size=3),
    st.dictionaries(st.sampled_from(["sampling_rate", "mean", "std", "do_normalize"]), absurd, max_size=2),
)
@example({"hidden_size": 10**9}, {})
@example({"num_hidden_layers": 10**6}, {})
@example({"num_attention_heads": 0}, {})
@example({"max_length": float("inf")}, {})
@example({"id2label": [1]}, {})
@example({"id2label": {str(n): "x" * 1000 for n in range(3)}}, {})
@example({"layer_norm_eps": -1.0}, {})
@example({}, {"std": float("nan")})
@example({}, {"mean": float("inf")})
def test_any_folder_is_taken_or_refused_in_a_sentence(
    options: dict[str, Any], extractor: dict[str, Any]
) -> None:
    files = dict(folder())
    for name, changes in (("config.json", options), ("preprocessor_config.json", extractor)):
        files[name] = json.dumps(json.loads(files[name]) | changes).encode()
    scores_of(files)


CED_OPTIONS = [
    *(
        "embed_dim",
        "depth",
        "num_heads",
        "mlp_ratio",
        "n_mels",
        "n_fft",
        "win_size",
        "hop_size",
        "f_min",
        "f_max",
    ),
    *("center", "target_length", "patch_size", "patch_stride", "pooling", "qkv_bias", "id2label", "name"),
    *("outputdim", "model_type", "problem_type"),
]
CED_FEATURES = ["sampling_rate", "feature_size", "n_fft", "win_size", "hop_size", "f_min", "f_max", "center"]


@lru_cache(maxsize=1)
def ced_folder() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as place:
        ReferenceCed(depth=1, classes=5).save(Path(place))
        return {path.name: path.read_bytes() for path in Path(place).iterdir()}


def test_the_ced_that_is_changed_here_is_taken_at_first() -> None:
    assert scores_of(ced_folder())


@examples(150)
@given(
    st.dictionaries(st.sampled_from(CED_OPTIONS), absurd, max_size=3),
    st.dictionaries(st.sampled_from(CED_FEATURES), absurd, max_size=2),
)
@example({"embed_dim": 10**9}, {})
@example({"depth": 10**6}, {})
@example({"num_heads": 0}, {})
@example({"mlp_ratio": float("nan")}, {})
@example({"mlp_ratio": 1e300}, {})
@example({"target_length": 10**9}, {})
@example({"n_mels": 10**9}, {"feature_size": 10**9})
@example({"patch_size": 0}, {})
@example({"f_min": float("nan")}, {})
@example({"f_max": -1}, {"f_max": float("inf")})
@example({"name": ["ced-tiny"]}, {})
@example({}, {"n_fft": 2})
@example({}, {"win_size": 1})
def test_any_ced_is_taken_or_refused_in_a_sentence(
    options: dict[str, Any], extractor: dict[str, Any]
) -> None:
    files = dict(ced_folder())
    for name, changes in (("config.json", options), ("preprocessor_config.json", extractor)):
        files[name] = json.dumps(json.loads(files[name]) | changes).encode()
    scores_of(files)


@pytest.mark.parametrize("content", [b"[" * 10_000, b"{" + b" " * 20 * MEBIBYTE, b"\xff", b"[]", b"1" * 5000])
def test_a_folder_with_an_invalid_description_is_refused_in_a_sentence(content: bytes) -> None:
    assert scores_of(folder() | {"config.json": content}) is None


@examples(60)
@given(
    st.dictionaries(
        st.sampled_from(sorted(WEIGHTS)),
        shapes.filter(lambda shape: -1 not in shape and max(shape, default=0) < 5),
        min_size=1,
        max_size=3,
    )
)
def test_weights_of_any_shape_are_refused_in_a_sentence(changes: dict[str, list[int]]) -> None:
    weights = WEIGHTS | {name: torch.zeros(shape) for name, shape in changes.items()}
    scores_of({"a.safetensors": own_file(weights=weights)}, "a.safetensors")
    scores_of({"a.pth": original(weights)}, "a.pth")
    there = dict(folder())
    files = there | {
        "model.safetensors": as_safetensors(
            {
                "classifier.dense.weight": torch.zeros(3),
                "audio_spectrogram_transformer.x": next(iter(weights.values())),
            }
        )
    }
    assert scores_of(files) is None


@pytest.mark.parametrize("zipped", [True, False])
def test_a_number_that_claims_to_be_a_large_tensor_is_refused(zipped: bool) -> None:
    huge = torch.zeros(1).expand(2**31)
    weights = WEIGHTS | {"v.pos_embed": huge.view(1, -1, 8)}
    content = original(weights, zipped=zipped)
    with a_file(content, "_16_16.pth") as path, pytest.raises(CheckpointError, match="larger weights than"):
        load_checkpoint(str(path))


def test_a_packed_checkpoint_is_not_unpacked_beyond_its_size() -> None:
    weights = WEIGHTS | {"x": torch.zeros(32 * MEBIBYTE)}
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(original(weights))) as whole,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for entry in whole.infolist():
            small.writestr(entry.filename, whole.read(entry))
    assert len(packed.getvalue()) < MEBIBYTE
    with (
        a_file(packed.getvalue(), "_16_16.pth") as path,
        pytest.raises(CheckpointError, match="is compressed"),
    ):
        load_checkpoint(str(path))
