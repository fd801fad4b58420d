"""The program in environments that lack something: a home, an encoding, open streams."""

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.program import ROOT, ChildProcess, command
from support.system import require
from support.waiting import PATIENCE_SECONDS, START_SECONDS

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")


def run(*words: str, environment: dict[str, str], redirected: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run the program from a shell, which may close streams."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *command(*words)],
        env=environment,
        capture_output=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("words", [("sounds",), ("models",), ("tag", "Ünicode…wav")])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_shows_what_it_can(
    words: tuple[str, ...], encoding: str, environment: dict[str, str]
) -> None:
    whole = run(*words, environment=environment | {"PYTHONIOENCODING": "utf-8"})
    limited = run(*words, environment=environment | {"PYTHONIOENCODING": encoding, "EARSHOT_MODEL": "tiny"})
    assert limited.returncode == whole.returncode
    for text in (limited.stdout, limited.stderr):
        assert b"unexpectedly" not in text
        text.decode(encoding)
    assert bool(limited.stdout) == bool(whole.stdout)


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [
        ("2>&-", ("sounds",), 0),
        ("2>&-", ("nosuch",), 2),
        (">&-", ("sounds",), 0),
        ("<&- >&- 2>&-", ("sounds",), 0),
        (">&- 2>&-", ("tag", "missing.wav"), 1),
    ],
)
def test_closed_streams_change_no_exit_code(
    closed: str, words: tuple[str, ...], code: int, environment: dict[str, str]
) -> None:
    assert run(*words, environment=environment, redirected=closed).returncode == code


def test_no_file_takes_the_place_of_a_closed_stream() -> None:
    code = (
        "from streamer.runtime.standard_streams import prepare\n"
        "prepare()\n"
        "with open(__import__('os').devnull) as file: raise SystemExit(file.fileno())"
    )
    for closed in ("2>&-", ">&-", "<&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code], cwd=ROOT, check=False
        )
        assert done.returncode > 2


def test_a_user_without_a_home_is_asked_to_set_one(environment: dict[str, str], tmp_path: Path) -> None:
    home = {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"}
    homeless = {name: value for name, value in environment.items() if name not in home}
    code = (
        "import pwd, sys\n"
        "def unknown(user): raise KeyError(user)\n"
        "pwd.getpwuid = unknown\n"
        "sys.argv = ['earshot', 'events']\n"
        "from earshot.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=homeless | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert (
        done.stderr == "earshot: this user has no home folder: set HOME to a folder that the user can write\n"
    )
    assert not list(tmp_path.iterdir())


def test_ctrl_c_during_the_imports_ends_the_program_without_a_traceback(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n\n\nclass Interrupting:\n    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n            os.kill(os.getpid(), signal.SIGINT)\n\n\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    ended = subprocess.run(
        command("--help"),
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.system
@pytest.mark.parametrize(
    ("key", "code", "sentence"),
    [
        (b"\x03", 130, ""),
        (b"\x04", 2, "earshot: no answer on standard input: run this in a terminal"),
    ],
    ids=["Ctrl-C", "Ctrl-D"],
)
def test_a_question_can_be_left(key: bytes, code: int, sentence: str, environment: dict[str, str]) -> None:
    require("setsid")
    outside, inside = pty.openpty()
    with ChildProcess[bytes](
        ["setsid", "--ctty", *command("web", "password")],
        env=environment,
        stdin=inside,
        stdout=inside,
        stderr=inside,
    ) as program:
        os.close(inside)
        shown = read_until(outside, b"Password: ")
        os.write(outside, key)
        assert program.wait(timeout=PATIENCE_SECONDS) == code
        shown += read_until(outside, b"\0")
        os.close(outside)
    lines = shown.decode().replace("\r", "").partition("Password: ")[2].split("\n")
    assert [line for line in lines if line.strip("^CD\b")] == ([sentence] if sentence else [])


def read_until(terminal: int, text: bytes) -> bytes:
    """Read what a program shows until a text, or its end."""
    shown = b""
    with suppress(OSError):  # it has ended
        while text not in shown and (more := os.read(terminal, 4096)):
            shown += more
    return shown
