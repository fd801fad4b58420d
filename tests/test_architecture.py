"""The arrows of the design: who may import whom, and which file owns which library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "streamer", "gui", "web")
"""Packages below the program; `earshot` alone joins them."""

OWNERS = {
    "typer": {"earshot"},
    "apprise": {"streamer/sinks/notify/targets.py"},
    "sounddevice": {"streamer/sources/portaudio/child.py"},
    "soxr": {"streamer/sources/conversion.py"},
    "aiomqtt": {"streamer/sinks/mqtt/wire.py"},
    "paho": {"streamer/sinks/mqtt/wire.py"},
    "amqtt": {"streamer/sinks/mqtt/embedded.py"},
    "sqlite3": {
        "streamer/sinks/history/database.py",
        "streamer/sinks/sqlite.py",
        "streamer/sinks/history/noise_log.py",
        "streamer/sinks/history/noise_table.py",
        "streamer/sinks/history/notes.py",
        "streamer/sinks/history/store.py",
        "streamer/sinks/score_log.py",
    },
    "tomlkit": {"streamer/settings/file.py"},
    "filelock": {"streamer/sinks/locks.py"},
    "pyqtgraph": {"gui"},
    "PySide6": {"gui"},
    "openvino": {"models/engines"},
    "nncf": {"models/engines/quantization.py"},
    "torch": {"models"},
    "torchaudio": {"models"},
    "torchvision": {"models/training/teachers/mn04.py"},
    "timm": {"models/ast_network.py", "models/ced_network.py"},
    "huggingface_hub": {"models/hub"},
    "httpx2": {"models/hub", "models/worker_connection.py"},
    "ray": {"models/serving.py"},
    "matplotlib": {"models/training/figures.py", "earshot/taggings.py"},
    "pandas": {"earshot/taggings.py"},
    "polars": {"earshot/taggings.py"},
    "sklearn": {
        "models/training/metrics.py",
        "models/training/calibration.py",
        "models/teaching/heads.py",
    },
    "soundfile": {
        "streamer/sinks/clips/recorder.py",
        "models/reference_audio.py",
        "models/teaching/other_sounds.py",
        "models/training/pack.py",
    },
    "av": {"streamer/sources/ffmpeg"},
    "pydantic": {"streamer/settings", "models/serving.py"},
    "starlette": {"models/serving.py", "web"},
    "uvicorn": {"web/server.py", "web/protocol.py"},
    "prometheus_client": {"streamer/sinks/metrics.py"},
}


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            found.add(f"{base}{node.module or ''}".strip("."))
    return found


FILES = sorted(path for package in (*PACKAGES, "earshot") for path in (ROOT / package).rglob("*.py"))
BELOW = [path for path in FILES if path.relative_to(ROOT).parts[0] != "earshot"]


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 20
    assert "streamer.messages" in imports(ROOT / "streamer" / "stream" / "ring_buffer.py")


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_are_a_star(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        other = name.split(".")[0]
        if other in PACKAGES and other != package:
            assert package in {"gui", "web"}
            assert name == "streamer.messages"
        assert other not in {"earshot", "run_live"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_has_its_owner(path: Path) -> None:
    here = path.relative_to(ROOT).as_posix()
    for name in imports(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or any(here == owner or here.startswith(f"{owner}/") for owner in owners), name


def test_only_these_files_start_threads() -> None:
    starters = {
        path.relative_to(ROOT).as_posix() for path in FILES if "threading.Thread(" in path.read_text()
    }
    assert starters <= {
        "streamer/runtime/threads.py",
        "streamer/runtime/children.py",
        "streamer/sources/portaudio/child.py",
        "streamer/sinks/mqtt/wire.py",
        "streamer/sources/ffmpeg/child.py",
        "earshot/model_preparation.py",
        "models/hub/api.py",
    }


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_module_is_imported(path: Path) -> None:
    modules = {test.stem for test in TESTS if test.stem.startswith("test_")} | {"conftest"}
    assert not {name.split(".")[-1] for name in imports(path)} & modules


def test_no_module_is_named_after_one_of_the_standard_library() -> None:
    stems = {path.stem for path in FILES if path.stem != "__init__"}
    assert not stems & sys.stdlib_module_names


def test_the_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "rich", "PySide6", "pydantic", "av")
    for module in ("run_live", "earshot.cli", "earshot"):
        code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == "[]", module
