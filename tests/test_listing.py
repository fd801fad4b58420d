"""Tests of the command ``models``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from huggingface_hub import close_session, constants
from support.hub_server import Hub, point_at, serve
from typer.testing import CliRunner, Result

from earshot.commands.models import app as models_app
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.catalogue import ENSEMBLES, PUBLISHED
from models.checkpoints import Checkpoint, save_checkpoint
from models.selection.json_cache import save_choice
from models.selection.speed import SpeedEstimator
from models.selection.speed_cache import shape_key, speed_cache

ROOT = Path(__file__).parent.parent
SMALL = "someone/small"


def save_ast(folder: Path, *, strides: int = 10, rows: int = 1024, classes: int = 527) -> Path:
    """Write a small random AST in the format of the published ones."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    config = ASTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        frequency_stride=strides,
        time_stride=strides,
        max_length=rows,
        id2label={index: f"class {index}" for index in range(classes)},
        label2id={f"class {index}": index for index in range(classes)},
    )
    ASTForAudioClassification(config).save_pretrained(folder)
    ASTFeatureExtractor(max_length=rows).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Some of the published names, with small networks; one of them of another geometry than is published."""
    folder = tmp_path_factory.mktemp("repositories")
    plain = save_ast(folder / "plain")
    return {
        PUBLISHED["base-10-10"].repository: plain,
        **{PUBLISHED[name].repository: plain for name in ENSEMBLES["ensemble-s"]},
        PUBLISHED["base-16-16"].repository: plain,
        SMALL: save_ast(folder / "small", strides=16, rows=128, classes=3),
    }


@pytest.fixture
def server(repositories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a Hub; the cache is empty, and the time for a window is known for two models."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, seconds in (("ced-small", 0.12), ("ced-tiny", 0.0042)):
        entry = PUBLISHED[name]
        speed_cache().put(shape_key(entry, entry.rows, 1) + "openvino | this machine", seconds)
        speed_cache().put(shape_key(entry, entry.rows, 1) + "torch | this machine", float("inf"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve(repositories) as running:
        point_at(monkeypatch, running.endpoint)
        yield running
    close_session()


def models(*arguments: str) -> Result:
    app = typer.Typer()
    app.add_typer(models_app, name="models")
    return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)


def listed() -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(models("--json").stdout)}


def test_all_names_are_listed_without_asking_the_hub(server: Hub) -> None:
    table = models()
    assert table.exit_code == 0
    for name in ("tiny", *PUBLISHED, *ENSEMBLES):
        assert any(line.startswith(name) for line in table.stdout.splitlines())
    assert "…" not in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert server.requests == []


def test_the_figures_are_the_catalogues(server: Hub) -> None:
    rows = listed()
    assert list(rows) == ["tiny", *PUBLISHED, *ENSEMBLES]
    assert rows["tiny"]["on_this_machine"] is True
    assert rows["tiny"]["mean_average_precision"] is None
    assert rows["base-10-10"]["aliases"] == ["base"]
    assert rows["ensemble-m"]["mean_average_precision"] == 0.485
    assert rows["ensemble-m"]["megabytes"] == sum(
        PUBLISHED[part].megabytes for part in ENSEMBLES["ensemble-m"]
    )
    assert rows["speech-commands"]["window_seconds"] == 1.28
    assert not any(row["on_this_machine"] for name, row in rows.items() if name != "tiny")
    assert server.requests == []


def test_a_downloaded_model_is_listed_as_present_and_not_downloaded_again(server: Hub) -> None:
    first = models("download", "base")
    assert first.exit_code == 0, first.output
    assert "base: fetched" in first.stdout
    assert listed()["base-10-10"]["on_this_machine"] is True
    asked = len(server.requests)
    assert "base: is already on this machine" in models("download", "base").stdout
    assert len(server.requests) == asked


def test_an_ensemble_is_fetched_part_by_part(server: Hub) -> None:
    assert models("download", "base-10-10-450").exit_code == 0
    assert "1 of 3" in models().stdout
    assert models("download", "ensemble-s").exit_code == 0
    rows = listed()
    assert rows["ensemble-s"]["on_this_machine"] is True
    assert rows["ensemble-m"]["parts_on_this_machine"] == 3
    assert server.requests


def test_the_engine_of_a_model_is_listed(
    server: Hub,
) -> None:
    del server
    assert listed()["base-16-16"]["engine"] is None
    save_choice("base-16-16", "openvino bf16", 0.284)
    row = listed()["base-16-16"]
    assert (row["engine"], row["seconds_per_window_here"]) == ("openvino bf16", 0.284)
    assert row["is_measured"] is True
    table = models().stdout
    assert "base-16-16 was measured with openvino bf16." in table
    assert cells(table, "base-16-16")[-3:] == ["284", "BSD-3-Clause", "no"]


def cells(table: str, name: str) -> list[str]:
    """Return the words in the line of a model."""
    (line,) = (
        line for line in table.splitlines() if line.startswith(f"{name} ") and "was measured" not in line
    )
    return line.split()


def test_the_time_for_a_window_is_an_estimate_where_the_model_did_not_run(server: Hub) -> None:
    rows = listed()
    assert rows["ced-small"]["seconds_per_window_here"] == 0.12
    assert not any(row["is_measured"] for row in rows.values())
    rate = (0.12 / PUBLISHED["ced-small"].gigaflop + 0.0042 / PUBLISHED["ced-tiny"].gigaflop) / 2
    expected = rate * PUBLISHED["ced-base"].gigaflop
    assert rows["ced-base"]["seconds_per_window_here"] == pytest.approx(expected, abs=1e-4)
    assert rows["ensemble-s"]["seconds_per_window_here"] == pytest.approx(
        3 * rate * PUBLISHED["base-10-10"].gigaflop, abs=1e-3
    )
    table = models().stdout
    assert cells(table, "ced-small") == [
        "ced-small",
        "mAP",
        "0.496",
        "10.08",
        "87",
        "~120",
        "Apache-2.0",
        "no",
    ]
    assert cells(table, "ced-mini")[4] == "39"
    assert cells(table, "ced-tiny")[5] == "~4.2"
    assert server.requests == []


def test_a_new_machine_is_measured_once(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del server
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    measured = []

    def measure(*arguments: object) -> float:
        measured.append(arguments[1:3])
        return 0.24

    monkeypatch.setattr(SpeedEstimator, "_measure", measure)
    for _ in range(2):
        assert listed()["ced-small"]["seconds_per_window_here"] == 0.24
    assert len(measured) == 1


@pytest.mark.slow
def test_a_model_is_quantized_on_the_users_sounds(tmp_path: Path) -> None:
    sound, model = tmp_path / "own.wav", tmp_path / "small.safetensors"
    random = np.random.default_rng(0)
    soundfile.write(sound, random.normal(0, 0.1, 40_000), 16_000)
    config = AstConfig(
        width=24, depth=1, heads=2, mlp_width=24, fstride=16, tstride=16, input_tdim=100, label_dim=3
    )
    weights = AudioSpectrogramTransformer(config).state_dict()
    save_checkpoint(Checkpoint(name="small", config=config, labels=("a", "b", "c"), weights=weights), model)
    quantize = [sys.executable, "run_live.py", "models", "quantize", str(model), "--sound"]

    def run(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*quantize, str(file)], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
        )

    done = run(sound)
    assert done.returncode == 0, done.stderr
    assert "quantized on 4 windows; on the sounds that ship, scores differ by up to 0.0" in done.stdout
    soundfile.write(sound, random.normal(0, 0.1, 17_000), 16_000)
    assert "too little sound to quantize on: give recordings of 2 s or more" in run(sound).stderr
    assert "nothing is quantized: there is no file" in run(tmp_path / "none.wav").stderr


def test_any_repository_can_be_fetched(server: Hub) -> None:
    result = models("download", f"hub:{SMALL}", f"hub:{SMALL}@main")
    assert result.exit_code == 0, result.output
    assert f"hub:{SMALL}: fetched" in result.stdout
    assert f"hub:{SMALL}@main: is already" in result.stdout
    assert server.requests


def test_one_that_fails_does_not_keep_the_others(server: Hub) -> None:
    result = models("download", "base-11-11", "hub:nobody/nothing", "tiny", "base")
    assert result.exit_code == 1
    assert "there is no model 'base-11-11' to fetch: did you mean 'base-1" in result.stderr
    assert "there is no repository 'nobody/nothing'" in result.stderr
    assert "tiny: is part of Earshot" in result.stdout
    assert "base: fetched" in result.stdout
    assert server.requests


def test_a_network_other_than_the_published_one_is_refused(server: Hub) -> None:
    result = models("download", "base-16-16")
    assert result.exit_code == 1
    assert "is not 'base-16-16': its strides, rows and classes are (10, 10, 1024, 527)" in result.stderr
    assert server.requests


@pytest.mark.slow
def test_a_downloaded_model_works_offline_in_another_process(
    repositories: dict[str, Path], tmp_path: Path
) -> None:
    download = "import typer; from earshot.commands.models import app; app(['download', 'base'], standalone_mode=False)"
    hear = (
        "import numpy; from models import load_tagger; tagger = load_tagger('base', offline=True);"
        "print(tagger(numpy.zeros(16_000, 'float32')).shape)"
    )
    with serve(repositories) as server:
        environment = os.environ | {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path / "home")}
        assert "base: fetched" in _python(download, environment)
    assert _python(hear, environment).strip() == "(1, 527)"


def _python(code: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=140, check=True
    ).stdout
