"""The table of options and the help that is made from it."""

import inspect
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer
from typer.exceptions import TyperException
from typer.main import get_command
from typer.testing import CliRunner

from earshot.cli import app
from earshot.failures import describe_usage
from earshot.options import OPTIONS, options_of, takes
from streamer.settings.schema import Settings

ROOT = Path(__file__).parent.parent
PROGRAM: Any = get_command(app)
EVERYDAY = [
    "devices",
    "doctor",
    "sounds",
    "events",
    "noise",
    "tag",
    "calibrate",
    "teach",
    "replay",
    "forget",
    "web",
]
ADVANCED = {"--device", "--engine", "--precision", "--fstride", "--metrics-port", "--score-log", "--debug"}


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command with the words that call it, the program itself first."""
    yield words, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))


COMMANDS = list(commands(PROGRAM))


def table_name(words: tuple[str, ...]) -> str:
    return words[-1] if words else "live"


def rendered(*words: str, columns: int = 80) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(columns)}, prog_name="earshot")
    assert result.exit_code == 0, result.output
    return result.output


def sections(text: str) -> dict[str, list[str]]:
    """Lines of the help by the heading that they stand under."""
    found: dict[str, list[str]] = {"": []}
    heading = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"(\S[^:]*):", line):
            heading = match[1]
            found[heading] = []
        elif line.strip():
            found[heading].append(line)
    return found


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.name} of {option.commands}")
def test_the_help_of_an_option_is_one_short_line(option: Any) -> None:
    assert 0 < len(option.help) <= 50
    assert option.help.splitlines() == [option.help]
    assert not option.help.endswith((".", "…"))
    is_flag = option.type in {bool, bool | None}
    assert bool(option.metavar) != is_flag


def test_an_option_is_described_once_for_each_command() -> None:
    for words, _ in COMMANDS:
        names = [option.name for option in options_of(table_name(words))]
        assert len(set(names)) == len(names), words


def test_the_table_names_no_command_that_does_not_exist() -> None:
    known = {table_name(words) for words, _ in COMMANDS}
    assert {name for option in OPTIONS for name in option.commands.split()} <= known


def test_settings_are_called_as_on_the_command_line() -> None:
    known = {field.alias or name for name, field in Settings.model_fields.items()}
    assert {option.name for option in OPTIONS if option.setting} <= known


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=lambda value: str(value)[:40])
def test_a_function_takes_what_the_table_says(words: tuple[str, ...], command: Any) -> None:
    function = inspect.unwrap(command.callback)
    types = {option.name: option.type for option in options_of(table_name(words))}
    hints = get_type_hints(function)
    for name in inspect.signature(function).parameters:
        expected = typer.Context if name == "context" else types[name]
        assert hints[name] == expected or hints[name] is str, name  # a Literal is a str


def test_a_function_can_not_take_an_option_that_its_command_does_not_have() -> None:
    with pytest.raises(TypeError, match="devices has no option top"):

        @takes("devices")
        def devices(*, top: int) -> None: ...


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=lambda value: str(value)[:40])
def test_help_fits_80_columns_and_nothing_is_cut(words: tuple[str, ...], command: Any) -> None:
    text = rendered(*words)
    for line in text.splitlines():
        assert len(line) <= 80
        assert not line.endswith(("...", "…")) or line.startswith("Usage:")
    for parameter in command.params:
        for flag in parameter.opts:
            if flag.startswith("--"):
                assert re.search(rf"^  .*{re.escape(flag)}\b", text, re.MULTILINE), flag


def test_everyday_commands_come_first_and_rare_options_last() -> None:
    found = sections(rendered())
    assert list(found)[:6] == ["", "Commands", "Models", "Training", "Options", "Advanced"]
    assert [line.split()[0] for line in found["Commands"]] == EVERYDAY
    assert [line.split()[0] for line in found["Models"]] == ["models", "bench"]
    advanced = {line.split()[0] for line in found["Advanced"]}
    assert advanced >= ADVANCED
    assert not advanced & {line.split()[0] for line in found["Options"]}


def test_the_help_says_what_the_program_is_for() -> None:
    assert " ".join(rendered().split()).startswith(
        "Usage: earshot [OPTIONS] COMMAND [ARGS]... Earshot recognises 500 everyday sounds live (a smoke alarm,"
    )


def test_values_that_need_words_have_a_section() -> None:
    found = sections(rendered())
    assert any("#CHANNEL" in line for line in found["SOURCE"])
    assert any("EARSHOT_MQTT_PASSWORD" in line for line in found["URL"])
    assert "RECIPE" in sections(rendered("finetune"))
    assert "MODEL" not in sections(rendered("devices"))


def test_help_answers_in_well_under_a_second() -> None:
    environment = os.environ | {"COLUMNS": "80"}
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "run_live.py", "--help"],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # a busy machine does not count
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.9


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--hop soon", "--hop must be a number"),
        ("--top 1.5", "--top must be a whole number"),
        ("bench --window 99", "--window must be a number from 1 to 10.24"),
        ("bench --runs 1", "--runs must be a whole number, 2 or more"),
        ("distil --size huge", "--size must be tiny, small or base"),
        ("evaluate --data no-such-file", "--data: path 'no-such-file' does not exist"),
        ("events --csv --json", "give either --csv or --json"),
        ("tag a.wav --watch Dog", "--watch goes with --events"),
        ("tagg", "No such command 'tagg'. Did you mean 'tag'?; see --help"),
        ("tag", "Missing argument 'FILE'; see --help"),
        ("--quux", "No such option: --quux; see --help"),
    ],
)
def test_a_mistake_is_described_in_a_sentence(words: str, sentence: str) -> None:
    with pytest.raises(TyperException) as error:
        PROGRAM.main(words.split(), standalone_mode=False)
    assert describe_usage(error.value) == sentence
    assert error.value.exit_code == 2


@pytest.mark.parametrize("words", [("events",), ("doctor", "--headless"), ("models",), ("tag", "x.wav")])
def test_an_option_before_a_command_counts_as_if_it_stood_behind(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    missing = tmp_path / "none.toml"
    result = CliRunner().invoke(app, ["--config", str(missing), *words], prog_name="earshot")
    assert f"{missing} can't be read" in str(result.exception)


def test_the_option_behind_a_command_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    words = ["--config", str(first), "events", "--config", str(second)]
    assert str(second) in str(CliRunner().invoke(app, words, prog_name="earshot").exception)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--hop", "3", "events"), "'events' has no option --hop: leave it out"),
        (("--source", "mic", "web", "token"), "'web' has no option --source: leave it out"),
        (("--top", "3", "models"), "'models' has no option --top: leave it out"),
        (("--json", "doctor"), "--json stands before 'doctor': write it after the command"),
        (("--model", "tiny", "evaluate"), "--model stands before 'evaluate': write it after the command"),
    ],
)
def test_an_option_that_the_command_behind_it_lacks_is_refused(words: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(app, words, prog_name="earshot")
    assert result.exit_code == 2
    assert sentence in result.output


def test_the_doctor_takes_the_settings_of_live_but_those_of_its_output() -> None:
    live, doctor = (
        {option.name for option in options_of(command) if option.setting} for command in ("live", "doctor")
    )
    assert live - doctor == {"json", "json_events", "duration", "fast"}
