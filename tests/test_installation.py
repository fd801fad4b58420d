"""The script that installs the system's packages."""

import subprocess
from pathlib import Path

import pytest
from support.program import ROOT
from support.system import require

_LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)"


def install(folder: Path, apt: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script as root on a system that lacks all packages, with an apt-get; return its calls too."""
    calls = folder / "calls"
    for name, body in {
        "dpkg-query": "exit 1",
        "id": "echo 0",
        "sleep": "exit 0",
        "apt-get": f'echo "$@" >> {calls}\n{apt}',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "system-packages.sh", "libportaudio2"],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, calls.read_text().splitlines()


@pytest.fixture(autouse=True)
def debian() -> None:
    require("sh")


def test_packages_are_installed_once_another_program_has_released_apt(tmp_path: Path) -> None:
    apt = f'[ $(grep -c . {tmp_path}/calls) -ge 3 ] || {{ echo "{_LOCKED}" >&2; exit 100; }}'
    done, calls = install(tmp_path, apt)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Waiting for another program that uses apt" in done.stdout
    assert [call.split()[0] for call in calls] == ["update"] * 3 + ["install"]
    assert "DPkg::Lock::Timeout=600" in calls[-1]
    assert calls[-1].endswith("libportaudio2")


def test_another_failure_of_apt_is_shown_at_once(tmp_path: Path) -> None:
    done, calls = install(tmp_path, 'echo "E: The repository is not signed" >&2; exit 100')
    assert done.returncode != 0
    assert "not signed" in done.stderr
    assert calls == ["update -qq"]


def test_a_lock_that_is_never_released_is_given_up(tmp_path: Path) -> None:
    done, calls = install(tmp_path, f'echo "{_LOCKED}" >&2; exit 100')
    assert done.returncode != 0
    assert "Could not get lock" in done.stderr
    assert len(calls) > 100
