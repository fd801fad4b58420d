"""The scripts that install the system's packages and Python's."""

import os
import shutil
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


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("rpm", "sudo dnf install libglvnd-egl mosquitto portaudio\n"),
        ("pacman", "sudo pacman -S --needed libglvnd mosquitto portaudio\n"),
    ],
)
def test_other_distributions_are_told_their_own_names(tmp_path: Path, query: str, line: str) -> None:
    for program in ("sh", "awk", "sort", "id", "cat", "grep"):
        (tmp_path / program).symlink_to(Path(shutil.which(program) or program).resolve())
    (tmp_path / query).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / query).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "system-packages.sh", "libportaudio2", "libegl1", "mosquitto"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"Missing system packages; paste: {line}"


def install_python(
    folder: Path, extras: str, *, uv: str = "exit 0", torch: str = "", gpu: bool = False
) -> tuple[str, list[str]]:
    """Install into an environment without PyTorch, with a uv; return the messages and the commands that ran."""
    calls = folder / "calls"
    programs = folder / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, body in {
        "python": f'[ "$1" = -c ] && exit 1\necho "pip $*" >> {calls}',
        "uv": f'echo "uv $*" >> {calls}\n{uv}',
        "uname": "echo Linux",
        **({"nvidia-smi": "exit 0"} if gpu else {}),
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "python-packages.sh", folder / "venv", extras],
        env={"PATH": f"{programs}:/usr/bin:/bin", "TORCH": torch},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr, calls.read_text().splitlines()


NEEDS_NO_GPU = pytest.mark.skipif(
    Path("/proc/driver/nvidia/version").exists() or Path("/dev/dxg").exists(),
    reason="this machine has an NVIDIA GPU",
)


@NEEDS_NO_GPU
def test_a_machine_without_an_nvidia_gpu_gets_the_build_of_pytorch_without_cuda(tmp_path: Path) -> None:
    said, calls = install_python(tmp_path, "all")
    assert said == ""
    assert [call.split()[0] for call in calls] == ["pip", "uv", "pip"]
    assert "--torch-backend cpu -c constraints.txt torch torchvision torchaudio" in calls[1]
    assert calls[2].endswith("-c constraints.txt -e .[all]")


@NEEDS_NO_GPU
def test_the_build_with_cuda_is_installed_where_the_other_one_is_out_of_reach(tmp_path: Path) -> None:
    said, calls = install_python(tmp_path, "headless", uv="exit 1")
    assert "PyTorch's build without CUDA is not available; installing the build with CUDA" in said
    assert calls[-1].endswith("-c constraints.txt -e .[headless]")


@pytest.mark.parametrize(
    ("extras", "torch", "gpu"), [("all", "", True), ("all", "cuda", False), ("tiny", "cpu", False)]
)
def test_pip_alone_installs_the_rest(tmp_path: Path, extras: str, torch: str, gpu: bool) -> None:
    said, calls = install_python(tmp_path, extras, torch=torch, gpu=gpu)
    assert said == ""
    assert [call.split()[0] for call in calls] == ["pip"]


def test_another_build_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        install_python(tmp_path, "all", torch="gpu")
    assert caught.value.stderr == "TORCH must be cpu, cuda or auto, not gpu\n"
    assert not (tmp_path / "calls").exists()


def test_the_build_without_cuda_can_be_asked_for(tmp_path: Path) -> None:
    _, calls = install_python(tmp_path, "all", torch="cpu", gpu=True)
    assert calls[1].startswith("uv ")


def make_run(folder: Path, *choices: str) -> subprocess.CompletedProcess[str]:
    """Run `make run` in a folder where the scripts install nothing, with a Python that makes environments of shell scripts."""
    files = {
        "python-packages.sh": "echo $2 > $1/chosen\nexec $1/bin/python -m pip",
        "system-packages.sh": "exit 0",
        "python3": f"""\
[ "$1" = -c ] && exit $([ -e {folder}/old ] && echo 1 || echo 0)
echo "$*" >> {folder}/calls
[ "$3" = --clear ] && rm -rf .venv
mkdir -p .venv/bin
touch .venv/pyvenv.cfg
pip=1; [ -e {folder}/no-pip ] || pip=0
printf '#!/bin/sh\\n[ "$2" != ensurepip ] || exit 1\\n[ "$2" != pip ] || exit %s\\n' $pip > .venv/bin/python
chmod +x .venv/bin/python
exit $pip""",
    }
    shutil.copy(ROOT / "Makefile", folder)
    for name, body in files.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
    return subprocess.run(
        ["make", "run", f"PYTHON={folder}/python3", *choices],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_without_pip_is_made_again_and_one_with_pip_stays(tmp_path: Path) -> None:
    require("make")
    (tmp_path / "no-pip").touch()  # python3-venv is missing
    assert make_run(tmp_path).returncode != 0
    assert (tmp_path / ".venv" / "bin" / "python").exists()
    (tmp_path / "no-pip").unlink()
    done = make_run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / ".venv" / "mine").touch()
    (tmp_path / ".venv" / ".ready-user").unlink()
    assert make_run(tmp_path).returncode == 0
    assert (tmp_path / ".venv" / "mine").exists()
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


def test_an_old_python_is_refused_before_an_environment_is_made(tmp_path: Path) -> None:
    require("make")
    (tmp_path / "old").touch()
    done = make_run(tmp_path)
    assert done.returncode != 0
    assert "Earshot needs Python 3.11 or newer: give one, as in make run PYTHON=python3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_environment_with_an_old_python_is_named(tmp_path: Path) -> None:
    require("make")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\n[ -z "$2" ]\n')
    python.chmod(0o755)
    done = make_run(tmp_path)
    assert done.returncode != 0
    assert ".venv has a Python before 3.11:" in done.stderr


def test_an_update_keeps_what_was_chosen(tmp_path: Path) -> None:
    require("make")
    assert make_run(tmp_path, "EXTRAS=tiny").returncode == 0
    assert (tmp_path / ".venv" / ".ready-user").read_text() == "tiny\n"
    (tmp_path / ".venv" / "chosen").unlink()
    os.utime(tmp_path / ".venv" / ".ready-user", (0, 0))  # as after git pull
    assert make_run(tmp_path).returncode == 0
    assert (tmp_path / ".venv" / "chosen").read_text() == "tiny\n"


def test_what_is_in_a_folder_that_becomes_an_environment_stays(tmp_path: Path) -> None:
    require("make")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "notes.txt").touch()
    (tmp_path / "no-pip").touch()
    done = make_run(tmp_path)
    assert done.returncode != 0
    assert ".venv is not an environment with pip: move it away" in done.stderr
    (tmp_path / "no-pip").unlink()
    assert make_run(tmp_path).returncode == 0
    assert (tmp_path / ".venv" / "notes.txt").exists()


def test_an_empty_folder_becomes_an_environment(tmp_path: Path) -> None:
    require("make")
    (tmp_path / ".venv").mkdir()
    assert make_run(tmp_path).returncode == 0
