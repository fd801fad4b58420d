"""The pinned versions have wheels for each platform: resolved by pip, and not installed."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from support.program import ROOT
from support.system import lacking

pytestmark = pytest.mark.slow

_LINUX = {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"}
_MAC = {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin"}
_WINDOWS = {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"}


def glibc(newest: int, machine: str) -> list[str]:
    """Return the tags of wheels for a system with this glibc 2.x."""
    return [f"manylinux_2_{version}_{machine}" for version in range(newest, 16, -1)] + [
        f"manylinux2014_{machine}"
    ]


PLATFORMS = {
    "Debian 12": (_LINUX | {"platform_machine": "x86_64"}, glibc(36, "x86_64")),
    "Raspberry Pi OS 12": (_LINUX | {"platform_machine": "aarch64"}, glibc(36, "aarch64")),
    "Ubuntu 24.04 on ARM": (_LINUX | {"platform_machine": "aarch64"}, glibc(39, "aarch64")),
    "macOS 14": (
        _MAC | {"platform_machine": "arm64"},
        [f"macosx_{version}_0_arm64" for version in range(14, 10, -1)],
    ),
    "Windows": (_WINDOWS | {"platform_machine": "AMD64"}, ["win_amd64"]),
}


def requirements(extra: str) -> Iterator[Requirement]:
    """Yield what an extra needs, with the extras that it contains; the empty one is the base."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        requirement = Requirement(text)
        if requirement.name != "earshot":
            yield requirement
        for other in requirement.extras if requirement.name == "earshot" else ():
            yield from requirements(other)


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_all_packages_have_wheels(platform: str, tmp_path: Path) -> None:
    machine, tags = PLATFORMS[platform]
    environment: dict[str, Any] = {
        **default_environment(),
        **machine,
        "python_version": "3.11",
        "python_full_version": "3.11.2",
    }

    def applies(requirement: Requirement) -> bool:
        return requirement.marker is None or requirement.marker.evaluate(environment)

    wanted = [
        requirement for requirement in (*requirements(""), *requirements("all")) if applies(requirement)
    ]
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("".join(f"{pin.name}{pin.specifier}\n" for pin in pins() if applies(pin)))
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--dry-run",
                "--quiet",
                "--no-deps",
                "--ignore-installed",
            ),
            *("--only-binary=:all:", "--target", tmp_path / "nowhere", "--constraint", constraints),
            *(
                "--python-version",
                "3.11",
                "--implementation",
                "cp",
                "--abi",
                "cp311",
                "--abi",
                "abi3",
                "--abi",
                "none",
            ),
            *(word for tag in tags for word in ("--platform", tag)),
            *(f"{requirement.name}{requirement.specifier}" for requirement in wanted),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "connection" in done.stderr.lower():
        lacking("no package registry answers")
    assert done.returncode == 0, done.stderr
