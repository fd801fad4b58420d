"""From rendered sounds to a live tagger of them, as docs/fine-tuning.md tells it: the program, real sound, a real microphone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.microphone import VirtualMicrophone
from support.program import ChildProcess
from support.system import require

from models.training.pack import Pack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
LABELS = {"Man speaking", "Piano", "Smoke alarm"}


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | offline | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("espeak-ng", "fluidsynth")
    folder = tmp_path_factory.mktemp("sounds") / "rendered"
    result = run("docs/render_sounds.py", str(folder), "--labels", "3", "--per-class", "12")
    assert result.returncode == 0, result.stderr
    return folder


def test_a_pack_of_rendered_sounds_has_alarms_with_names(tmp_path: Path) -> None:
    require("espeak-ng", "fluidsynth")
    result = run("docs/render_sounds.py", str(tmp_path / "pack"), "--pack", "--per-class", "1")
    assert result.returncode == 0, result.stderr
    pack = Pack(tmp_path / "pack")
    names = {clip.id: clip.names for clip in pack.clips if clip.names}
    assert names["smoke-alarm-000"] == {"Smoke detector, smoke alarm", "Alarm"}
    assert len(names) == 6
    assert frozenset().union(*names.values()) < set(pack.labels)
    assert len(pack.of("train")) == len(pack.clips) == 18
    assert all(pack.samples(clip).std() > 0.003 for clip in pack.clips)


@pytest.fixture(scope="module")
def model(rendered: Path) -> Path:
    out = rendered.parent / "my.safetensors"
    result = run(
        *("run_live.py", "finetune", "--data", str(rendered / "train"), "--out", str(out)),
        *("--window", "1.28", "--epochs", "6"),
    )
    assert result.returncode == 0, result.stderr
    assert f"listen with it: earshot --model {out}" in result.stdout
    return out


@pytest.mark.system
def test_the_held_out_recordings_are_named_correctly(rendered: Path, model: Path) -> None:
    table = model.with_name("classes.csv")
    result = run(
        *("run_live.py", "evaluate", "--data", str(rendered / "held-out.csv"), "--model", str(model)),
        *("--json", "--csv", str(table)),
    )
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["recordings"] == 12
    assert figures["accuracy"] > 0.8
    assert {line.split(",")[0] for line in table.read_text().splitlines()[1:]} == LABELS


@pytest.mark.system
def test_the_report_has_curves_and_confusion(model: Path) -> None:
    report = model.with_name("my-report")
    names = {file.name for file in report.iterdir()}
    assert names >= {
        "report.json",
        "history.csv",
        "curves.png",
        "classes.csv",
        "classes.png",
        "confusion.png",
    }
    assert all((report / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))


@pytest.mark.system
def test_the_microphone_is_tagged_with_them(
    rendered: Path, model: Path, virtual_microphone: VirtualMicrophone
) -> None:
    sounds = {label: next((rendered / "held-out" / label).iterdir()) for label in sorted(LABELS)}
    words = ("run_live.py", "--source", "mic", "--model", str(model), "--json", "--hop", "0.5")
    with ChildProcess(
        [sys.executable, *words],
        cwd=ROOT,
        env=virtual_microphone.environment | {"HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            first = json.loads(program.stdout.readline())
            assert {tag["label"] for tag in first["tags"]} == LABELS
            assert sum(tag["score"] for tag in first["tags"]) == pytest.approx(1, abs=0.01)
            heard = {}
            for label, sound in sounds.items():
                virtual_microphone.play(sound, wait=False)
                heard[label] = [_scores(program.stdout.readline()) for _ in range(8)]
        finally:
            program.terminate()
    for label in LABELS:
        means = {played: np.mean([scores[label] for scores in heard[played]]) for played in LABELS}
        assert max(means, key=lambda played: means[played]) == label, heard
        assert max(scores[label] for scores in heard[label]) > 0.5, heard


def _scores(line: str) -> dict[str, float]:
    return {tag["label"]: tag["score"] for tag in json.loads(line)["tags"]}
