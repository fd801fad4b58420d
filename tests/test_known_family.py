"""The family of a model is known before its weights are read, and what only an AST can do is refused at once."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from huggingface_hub import close_session, constants
from support.hub_server import point_at, serve
from support.reference_ced import ReferenceCed
from support.small_ast import save_small_ast
from typer.testing import CliRunner

from earshot.cli import add_commands
from models import CheckpointError
from models.catalogue import PUBLISHED
from models.checkpoints import load_checkpoint, save_checkpoint
from models.errors import HubError
from models.known_family import known_family, require_ast_before_loading


@pytest.fixture(scope="module")
def ced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ReferenceCed(depth=1, classes=5).save(tmp_path_factory.mktemp("models") / "small-ced")


def run(*words: str) -> None:
    app = typer.Typer()
    add_commands(app)
    CliRunner().invoke(app, words, catch_exceptions=False)


def without_weights(ced: Path, folder: Path) -> Path:
    """Return a folder with the config of a CED, and with weights that can't be read."""
    folder.mkdir()
    (folder / "config.json").write_bytes((ced / "config.json").read_bytes())
    (folder / "model.safetensors").write_text("not read")
    return folder


def test_the_family_is_known_without_the_weights(ced: Path, tmp_path: Path) -> None:
    assert known_family("ced-base") == known_family(str(ced)) == "ced"
    assert known_family("base") == "ast"
    assert known_family(str(ced / "model.safetensors")) == "ced", "by the config beside it"
    save_checkpoint(load_checkpoint(str(ced)), tmp_path / "own.safetensors")
    assert known_family(str(tmp_path / "own.safetensors")) == "ced"
    save_checkpoint(load_checkpoint("tiny"), tmp_path / "tiny.safetensors")
    assert known_family(str(tmp_path / "tiny.safetensors")) == "ast"
    assert known_family(str(save_small_ast(tmp_path / "ast", PUBLISHED["base-16-16"]))) == "ast"


@pytest.mark.parametrize(
    "content", ["", "[]", '{"model_type": "cedar"}', '{"model_type": ["ced"]}', "[" * 9999]
)
def test_an_unknown_family_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "model.safetensors").write_text("x")
    for name in (
        tmp_path,
        tmp_path / "model.safetensors",
        tmp_path / "none",
        "x" * 9999,
        "a\0b",
        "~nobody/x",
    ):
        assert known_family(str(name)) is None
        require_ast_before_loading(str(name), "explained")


def test_an_explanation_of_a_ced_is_refused_before_it_is_loaded(ced: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", np.zeros(16_000), 16_000)
    folder = without_weights(ced, tmp_path / "kitchen")
    sentence = r"^'{}' can't be explained, because it is not an AST: choose one, such as tiny or base$"
    for model, name in ((str(folder), "kitchen"), ("ced-tiny", "ced-tiny")):
        with pytest.raises(CheckpointError, match=sentence.format(name)):
            run("tag", str(tmp_path / "noise.wav"), "--model", model, "--explain", str(tmp_path / "why.png"))
    assert not (tmp_path / "why.png").exists()


@pytest.mark.parametrize("model", ["kitchen", "ced-tiny"])
def test_fine_tuning_of_a_ced_is_refused_before_the_recordings_are_read(
    ced: Path, tmp_path: Path, model: str
) -> None:
    (tmp_path / "data").mkdir()
    init = str(without_weights(ced, tmp_path / model)) if model == "kitchen" else model
    options = ("--data", str(tmp_path / "data"), "--out", str(tmp_path / "my.safetensors"), "--init", init)
    with pytest.raises(CheckpointError, match=f"'{model}' can't be fine-tuned, because it is not an AST"):
        run("finetune", *options)


def test_distilling_into_a_ced_is_refused_before_the_pack_is_read(ced: Path, tmp_path: Path) -> None:
    options = ("--pack", str(tmp_path), "--out", str(tmp_path / "out"), "--init", str(ced))
    with pytest.raises(CheckpointError, match="'small-ced' can't be distilled, because it is not an AST"):
        run("distil", *options)


def test_the_weights_of_a_ced_on_the_hub_are_not_fetched(
    ced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve({"someone/ced": ced}) as server:
        point_at(monkeypatch, server.endpoint)
        with pytest.raises(
            HubError, match="holds a model of type 'ced', not 'audio-spectrogram-transformer'"
        ):
            require_ast_before_loading("hub:someone/ced", "explained")
        assert server.ranges("model.safetensors") == []
        load_checkpoint("hub:someone/ced")
        with pytest.raises(CheckpointError, match="'hub:someone/ced' can't be explained"):
            require_ast_before_loading("hub:someone/ced", "explained", offline=True)
    close_session()
