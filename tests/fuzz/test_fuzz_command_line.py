"""The command line with any values: an exit code that is documented, and one line that says why."""

import io
import logging
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from promises import assert_one_sentence, examples, within
from typer.main import get_command

import models.tagger  # noqa: F401 - what a command loads does not count as its memory
from earshot import cli

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUSY = {"doctor", "devices"}
"""Commands that look at the machine and take seconds: they have tests of their own."""

_program = get_command(cli.app)
COMMANDS = {"": _program, **{name: it for name, it in _program.commands.items() if name not in BUSY}}  # type: ignore[attr-defined]
REQUIRED = {
    "": ["--source", "no-such-file.wav", "--headless"],
    "finetune": ["--data", "no-such-data", "--out", "new.safetensors"],
    "evaluate": ["--data", "no-such-data"],
    "distil": ["--pack", "no-such-pack", "--out", "run"],
    "shrink-pack": ["--pack", "no-such-pack", "--out", "small"],
    "calibrate-model": ["--pack", "no-such-pack", "--out", "new.safetensors"],
    "replay": ["no-such-log"],
    "tag": ["no-such-file.wav"],
    "bench": ["--recording", "no-such-file.wav"],
    "calibrate": ["--log", "no-such-log"],
}
"""Arguments with which a command fails after parsing them, before its slow work."""

values = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            "",
            ".",
            "/",
            "..",
            "-",
            "0",
            "-1",
            "1e400",
            "nan",
            "inf",
            "1e308",
            "9" * 400,
            "9" * 5000,
            "~nobody-of-that-name",
        ]
    ),
    st.sampled_from(
        [
            "\udcff",
            "x" * 5000,
            "/dev/null",
            "/dev/zero",
            "mqtt://me:secret@a",
            "1s",
            "a=b",
            "=",
            "[",
            "\x1b[2J",
        ]
    ),
)


@pytest.fixture(autouse=True, scope="module")
def nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No settings, history, display or network; what is written by accident lies in a folder of its own."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in [name for name in os.environ if name.startswith("EARSHOT_")]:
            monkeypatch.delenv(name)
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME"):
            monkeypatch.setenv(name, str(folder / name))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setenv("EARSHOT_PRECISION", "fp32")  # measures no engines
        monkeypatch.chdir(folder)
        loggers = [logging.getLogger(name) for name in ("earshot", "streamer", "models", "gui", "web")]
        levels = [logger.level for logger in loggers]
        yield
        for logger, level in zip(loggers, levels, strict=True):  # which the program sets
            logger.setLevel(level)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with some of its options, each with any value."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    options = [
        option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")
    ]
    words = [name, *REQUIRED.get(name, [])] if name else list(REQUIRED[name])
    for option in draw(st.lists(st.sampled_from(options), max_size=3)) if options else []:
        words.append(option)
        if draw(st.booleans()):
            words[-1] += "=" + draw(values)
        elif draw(st.booleans()):
            words.append(draw(values))
    return words


class Complaints(logging.Handler):
    """Keeps what the program says is wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run(words: Sequence[str]) -> tuple[int, list[str], str]:
    """Run the program in this process: its exit code, its complaints, and what it prints besides."""
    complaints, printed = Complaints(), io.StringIO()
    logging.getLogger("earshot").addHandler(complaints)
    before = sys.argv
    sys.argv = ["earshot", *words]
    try:
        with redirect_stdout(printed), redirect_stderr(printed), within(mebibytes=1024, seconds=30.0):
            code = cli.run()
    finally:
        sys.argv = before
        logging.getLogger("earshot").removeHandler(complaints)
    return code, complaints.lines, printed.getvalue()


@examples(250)
@given(command_lines())
@example(["tag", "no-such-file.wav", "--explain", "."])
@example(["tag", "no-such-file.wav", "--explain", "/"])
@example(["tag", "~nobody-of-that-name/a.wav"])
@example(["--source", "no-such-file.wav", "--headless", "--hop=1e308"])
@example(["--source", "no-such-file.wav", "--headless", "--duration=1e308"])
@example(["--source", "no-such-file.wav", "--headless", "--top=" + "9" * 5000])
@example(["--source", "mic:" + "9" * 5000, "--headless"])
@example(["events", "--since=0001-01-01"])
@example(["events", "--config=/dev/zero"])
@example(["events", "--history=~nobody-of-that-name/x"])
@example(["events", "--history=."])
@example(["calibrate", "--for=999999999w"])
@example(["replay", "/dev/null"])
@example(["replay", "9" * 400])
@example(["events", "--history", "9" * 400])
@example(["tag", "no-such-file.wav", "--explain", "9" * 400 + ".png"])
@example(["finetune", "--data", "no-such-data", "--out", "9" * 400])
@example(["models", "download", "hub:\x1b[2J"])
def test_any_command_line_ends_with_a_code_and_a_sentence(words: list[str]) -> None:
    assume("--debug" not in words)
    code, complaints, printed = run(words)
    assert code in {0, 1, 2}
    assert "Traceback" not in printed
    complaints += [line for line in printed.splitlines() if line.startswith("earshot: ")]
    assert bool(complaints) == (code != 0)  # one for each file that can't be read
    for line in complaints:
        assert_one_sentence(line.removeprefix("earshot: "))
        assert "unexpectedly" not in line


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"RIFF" + bytes(100), random.Random(0).randbytes(48_001)], ids=len
)
def test_any_bytes_in_a_pipe_end_the_program_in_order(content: bytes) -> None:
    words = ["--source", "-", "--fast", "--headless", "--json", "--model", "tiny", "--offline"]
    result = subprocess.run(
        [sys.executable, ROOT / "run_live.py", *words],
        input=content,
        capture_output=True,
        timeout=180,
        check=False,
    )
    lines = result.stderr.decode().splitlines()
    assert result.returncode == (0 if len(content) > 1000 else 1)
    assert "Traceback" not in result.stderr.decode()
    assert sum(line.startswith("earshot: ") for line in lines) == result.returncode
    assert len(result.stdout.splitlines()) == (2 if len(content) > 1000 else 0)
