"""All options of all commands, each described once: its name, commands, type, help and default.

A command's function declares the options that it reads itself; `takes` tells Typer all that the command accepts. Settings
need no parameter: `earshot.settings` collects them from the context.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import typer

Result = TypeVar("Result")

ADVANCED = "Advanced"
"""Heading of the options that few people need."""

REQUIRED = inspect.Parameter.empty
"""Default of what must be given."""

_Text: TypeAlias = str | None
_Count: TypeAlias = int | None
_Number: TypeAlias = float | None
_Flag: TypeAlias = bool | None
_Texts: TypeAlias = list[str] | None
_Counts: TypeAlias = list[int] | None
_Numbers: TypeAlias = list[float] | None
_File: TypeAlias = Path | None
_Files: TypeAlias = list[Path] | None


@dataclass(frozen=True, slots=True)
class Option:
    """An option or argument of one or more commands.

    Attributes
    ----------
    name : str
        Name of the parameter.
    commands : str
        Names of the commands that take it, separated by spaces; ``live`` is the program without a command.
    type : Any
        Type that Typer converts to.
    help : str
        At most 50 characters, with the default in brackets.
    metavar : str
        Name of the value in the help; empty for flags.
    default : Any
        Value where the option is not given.
    flag : str
        Flag as Typer declares it; made from the name if empty.
    least, most : float, optional
        Limits of a number.
    exists : bool
        True if the path must exist.
    setting, advanced, argument : bool
        True for a setting of `streamer.settings`; for an option under "Advanced"; for an argument.
    """

    name: str
    commands: str
    type: Any
    help: str
    metavar: str = ""
    default: Any = None
    flag: str = ""
    least: float | None = None
    most: float | None = None
    exists: bool = False
    setting: bool = False
    advanced: bool = False
    argument: bool = False

    @property
    def declared(self) -> str:
        """Flag as Typer declares it."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    def parameter(self) -> inspect.Parameter:
        """Return the parameter of a function that Typer makes this option from."""
        shared: dict[str, Any] = {
            "help": self.help,
            "metavar": self.metavar or None,
            "min": self.least,
            "max": self.most,
            "exists": self.exists,
            "show_default": False,
        }
        if self.argument:
            declared = typer.Argument(**shared)
        else:
            declared = typer.Option(
                self.declared, rich_help_panel=ADVANCED if self.advanced else None, **shared
            )
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=Annotated[self.type, declared],
        )


_argument = partial(Option, default=REQUIRED, argument=True)
_setting = partial(Option, setting=True)
_rare_setting = partial(Option, setting=True, advanced=True)
_rare = partial(Option, advanced=True)

_LISTENING = "live tag calibrate doctor"
_TRAINING = "finetune evaluate distil calibrate-model"

# fmt: off
OPTIONS = (
    # Arguments
    _argument("files", "tag", list[str], "Recordings, in any format", "FILE"),
    _argument("log", "replay", Path, "Log that --score-log has written", "LOG"),
    Option("taught", "replay", bool, "With the sounds and corrections taught now", default=False),
    _argument("names", "download", list[str], "Models of the list, or hub:OWNER/REPO", "NAME"),
    _argument("name", "quantize", str, "Model of the list, hub:OWNER/REPO, or a path", "NAME"),
    Option("name", "teach", _Text, "Name of the sound, such as 'Our doorbell'", "NAME", argument=True),
    Option("more", "teach", _Texts, "Further recordings or events", "CLIP", argument=True),
    Option("clips", "teach", _Texts, "Recordings of the sound, 3 or more, better 5", "CLIP"),
    Option("events", "teach", _Texts, "Events whose clips contain the sound", "ID"),
    Option("listen", "teach", bool, "Ask for the sound, and record it", default=False),
    Option("times", "teach", int, "Times to ask for it  [5]", "COUNT", 5, least=3, most=50),
    Option("no_playback", "teach", bool, "Don't play takes back", default=False),
    Option("others", "teach", _Texts, "Recording or event without it; repeatable", "FILE", flag="--not"),
    Option("keep", "teach", bool, "Keep the examples, to teach other models", default=False),
    Option("wrong", "teach", _Texts, "Events that were wrong, or: marked", "ID"),
    Option("list_all", "teach", bool, "List taught sounds and corrections", default=False, flag="--list"),
    Option("as_json", "teach", bool, "With --list: JSON list on standard output", default=False, flag="--json"),
    Option("remove", "teach", bool, "Remove the sound, or its correction", default=False),
    Option("export", "teach", _File, "File to write the sound to", "FILE"),
    Option("import_from", "teach", _File, "File of a sound to add", "FILE", flag="--import"),
    # What to listen to, and for
    Option("length", "calibrate", _Text, "Time to listen: 90s, 30m, 1h", "TIME", flag="--for"),
    Option("log", "calibrate", _File, "Log of --score-log to read instead", "FILE"),
    Option("collect", "calibrate", bool, "Keep the room's embeddings for earshot teach", default=False),
    Option("lower", "calibrate", bool, "Lower thresholds too, where it is quiet", default=False),
    Option("reference", "calibrate", _Number, "Level that a meter shows now, in dB(A)", "DB", least=20.0, most=150.0),
    Option("apply", "calibrate", bool, "Change the settings file", default=False),
    Option("since", "events noise", _Text, "Earliest: 90s, 30m, 12h, 7d, 2w ago, or a date", "TIME"),
    Option("label", "events", _Texts, "Only this sound; repeatable", "SOUND"),
    Option("source", "events noise", _Texts, "Only this source; repeatable", "NAME"),
    Option("hours", "noise", bool, "A line an hour instead of a minute", default=False),
    _setting("source", "live calibrate doctor teach", _Texts, "Audio to listen to; repeatable  [mic]", "SOURCE"),
    _setting("watch", f"{_LISTENING} replay", _Texts, "Sound to watch for; repeatable  [a dozen]", "SOUND"),
    _setting("clips", "live doctor", _Flag, "Keep the audio of events without speech"),
    _setting("noise", "live doctor", _Flag, "Measure noise levels: dB(A), Leq, L10, L90"),
    _rare_setting("noise_offset_db", "live doctor", _Number, "Level in dB(A) at 0 dBFS  [unknown]", "DB"),
    Option("events", "tag", bool, "Print when watched sounds begin and end", default=False),
    Option("sound", "quantize", list[Path], "Recording to fit to; repeatable", "FILE", REQUIRED),
    # What to learn from, and what to write
    Option("data", "finetune", Path, "Recordings to learn from", "PATH", REQUIRED),
    Option("data", "evaluate", _File, "Labelled recordings to measure on", "PATH", exists=True),
    Option("pack", "evaluate", _File, "Audio pack, to compare with YAMNet", "FOLDER"),
    Option("pack", "calibrate-model", Path, "Audio pack, with audio.zip and index.csv", "FOLDER", REQUIRED),
    Option("pack", "shrink-pack", Path, "Audio pack to choose clips from", "FOLDER", REQUIRED),
    Option("pack", "distil", list[Path], "Audio pack to learn from; repeatable", "FOLDER", REQUIRED),
    Option("background", "evaluate", _Text, "Noise of each kind: 90s, 10m, 1h", "TIME"),
    Option("common", "calibrate-model", bool, "One scale for all classes", default=False),
    Option("background", "calibrate-model", str, "Noise of each kind: 90s, 10m, 1h  [10m]", "TIME", "10m"),
    Option("out", "finetune", Path, "Model to write, such as my.safetensors", "FILE", REQUIRED),
    Option("out", "distil", Path, "Folder of the run, for state, report and model", "FOLDER", REQUIRED),
    Option("out", "shrink-pack", Path, "New folder to write", "FOLDER", REQUIRED),
    Option("megabytes", "shrink-pack", float, "Largest size of the small pack in MiB  [45]", "MIB", 45.0, least=1.0),
    Option("out", "calibrate-model", Path, "Model to write", "FILE", REQUIRED),
    # The model and its windows
    _setting("model", f"{_LISTENING} teach", _Text, "Model to use  [auto: best that keeps up]", "MODEL"),
    _rare_setting("fallback", "live doctor", _Text, "Local model for when no worker answers", "MODEL"),
    Option("model", "bench", _Texts, "Model to time; repeatable  [tiny]", "MODEL"),
    Option("model", "evaluate", str, "Model to measure, or teacher[:mn04]  [tiny]", "MODEL", "tiny"),
    Option("model", "calibrate-model", _Texts, "AudioSet model; several are averaged  [tiny]", "FILE"),
    Option("teacher", "calibrate-model", str, "Source of labels: yamnet or mn04  [yamnet]", "TEACHER", "yamnet"),
    Option("teacher_from", "calibrate-model evaluate", _File, "Folder of the teacher's weights  [the pack]", "FOLDER"),
    Option("network", "bench", _Texts, "Network with random weights; repeatable", "NETWORK"),
    _setting("hop", _LISTENING, _Number, "Time between windows  [1.0]", "SECONDS"),
    _setting("top", "live tag doctor", _Count, "Tags to show and send  [5]", "COUNT"),
    _rare_setting("window", f"{_LISTENING} teach", _Number, "Length of a window, up to 10.24  [the model's]", "SECONDS"),
    _rare_setting("fast_window", "live tag doctor", _Number, "Short window that reports events sooner  [off]", "SECONDS"),
    Option("window", "bench", _Numbers, "Length of a window; repeatable  [the model's]", "SECONDS", least=1.0, most=10.24),
    Option("window", "quantize evaluate", _Number, "Length of a window  [the model's]", "SECONDS", least=1.0, most=10.24),
    Option("window", "finetune", _Number, "Length of a window  [fits the recordings]", "SECONDS", least=1.0, most=10.24),
    _rare_setting("device", f"{_LISTENING} teach", _Text, "auto, cpu, cuda or cuda:N  [auto]", "DEVICE"),
    Option("device", f"bench {_TRAINING}", str, "auto, cpu, cuda or cuda:N  [auto]", "DEVICE", "auto"),
    _rare_setting("engine", f"{_LISTENING} teach", _Text, "auto, torch or openvino  [auto]", "ENGINE"),
    Option("engine", "bench", str, "auto, torch or openvino  [auto]", "ENGINE", "auto"),
    _rare_setting("precision", f"{_LISTENING} teach", _Text, "auto, fp32, bf16, fp16 or int8  [auto]", "PRECISION"),
    Option("precision", "bench", _Texts, "auto, fp32, bf16, fp16, int8; repeatable  [all]", "PRECISION"),
    _rare_setting("fstride", "live tag doctor evaluate", _Count, "Stride in mel bins of an original .pth", "BINS"),
    _rare_setting("tstride", "live tag doctor evaluate", _Count, "Stride in rows of an original .pth", "ROWS"),
    _rare_setting("input_tdim", "live tag doctor evaluate", _Count, "Rows of the input of an original .pth", "ROWS"),
    # Results
    _setting("mqtt", "live doctor forget", _Text, "MQTT broker to publish to", "URL"),
    _rare_setting("mqtt_topic", "live doctor forget", _Text, "Base topic  [earshot/NODE]", "TOPIC"),
    _rare_setting("discovery", "live doctor", _Text, "Home Assistant: device, component, off  [device]", "METHOD"),
    _rare_setting("node", "live doctor", _Text, "This machine's name in topics  [host name]", "NAME"),
    _setting("node", "forget", _Text, "Node to remove  [that of the settings]", "NAME"),
    Option("dry_run", "forget", bool, "Only list what would be removed", default=False),
    Option("yes", "forget", bool, "Remove it without asking", default=False),
    _setting("web", "live doctor", _Text, "Show a page in browsers at this port", "[HOST:]PORT"),
    _rare_setting("web_audio", "live doctor", _Flag, "Let the page play the sound of sources"),
    _rare_setting("web_path", "live doctor", _Text, "Path that a proxy serves the page under", "PREFIX"),
    _setting("headless", "live doctor", _Flag, "Results in the terminal, no window"),
    _setting("kiosk", "live doctor", _Flag, "Full screen for a wall: huge tags, no pointer"),
    _setting("theme", "live doctor", _Text, "Colours: dark, light or auto  [dark]", "THEME"),
    _rare_setting("remember", "live doctor", _Flag, "Keep ten minutes of sound in memory to teach"),
    _setting("json", "live tag", _Flag, "JSON on standard output, a line per window"),
    _setting("json_events", "live", _Flag, "The same with events; each line has a type"),
    Option("explain", "tag", _File, "Picture of what led to the highest score", "PNG"),
    _rare_setting("metrics_port", "live doctor", _Count, "Port on this machine for Prometheus  [0: off]", "PORT"),
    _rare_setting("score_log", "live calibrate doctor", _File, "Log all scores, for replay; no audio", "FILE"),
    _setting("history", "events noise teach", _Text, "History to read  [that of the settings]", "FILE"),
    Option("as_csv", "events noise replay", bool, "CSV for spreadsheets, times in UTC", default=False, flag="--csv"),
    Option("as_json", "events noise replay", bool, "JSON, one object a line, times in UTC", default=False, flag="--json"),
    Option("as_json", "devices sounds models", bool, "JSON list on standard output", default=False, flag="--json"),
    Option("as_json", "doctor bench evaluate", bool, "JSON object on standard output", default=False, flag="--json"),
    # Time
    _setting("duration", "live", _Number, "Time to listen  [until you stop it]", "SECONDS"),
    Option("seconds", "doctor", float, "Time per microphone, 1 to 60  [3]", "SECONDS", 3.0, least=1.0, most=60.0),
    _rare_setting("fast", "live calibrate", _Flag, "Files as fast as possible, not in real time"),
    _rare_setting("wait_for_sources", "live doctor", _Flag, "Wait for microphones that are not there yet"),
    # Bench
    Option("batch", "bench", _Counts, "Windows in a batch; repeatable  [1]", "COUNT", least=1),
    Option("runs", "bench", int, "Batches to time  [10]", "COUNT", 10, least=2),
    Option("recording", "bench", _Files, "Recording to tag; repeatable  [the demo]", "FILE"),
    Option("streams", "bench", bool, "Find how many live sources this machine takes", default=False),
    Option("hop", "bench", float, "With --streams: time between windows  [1]", "SECONDS", 1.0, least=0.01, most=3600.0),
    Option("seconds", "bench", float, "With --streams: time for each number  [20]", "SECONDS", 20.0, least=2.0, most=86_400.0),
    Option("most", "bench", int, "With --streams: largest number of sources  [512]", "COUNT", 512, least=1),
    # Evaluation
    Option("out", "evaluate", _File, "With --data: table of the classes to write", "FILE", flag="--csv"),
    Option("fold", "evaluate", _Count, "With --data: only this fold of the CSV file", "NUMBER"),
    Option("places", "evaluate", bool, "With --pack: clips in many places of a window", default=False),
    Option("confused", "evaluate", int, "With --pack: confusions to print  [0]", "COUNT", 0, flag="--confusions", least=0),
    Option("reliability", "evaluate", _File, "With --pack: reliability diagram to draw", "PNG"),
    Option("hop", "evaluate", float, "With --background: time between windows  [5]", "SECONDS", 5.0, least=0.1),
    Option("limit", "evaluate", _Count, "Largest number of recordings, at random", "COUNT", least=1),
    Option("limit", "calibrate-model", _Count, "Largest number of clips of each part  [600; all]", "COUNT", least=1),
    Option("batch", "evaluate", int, "Windows in a batch, 1 to 256  [8]", "COUNT", 8, least=1, most=256),
    # Training
    Option("init", "finetune", _Text, "Starting point  [the recipe's, or tiny]", "INIT"),
    Option("init", "distil", _Text, "tiny, or a file  [a new network]", "FILE"),
    Option("recipe", "finetune", str, "Recipe, see below  [default]", "RECIPE", "default"),
    Option("epochs", "finetune", _Count, "Passes through the data  [the recipe's]", "COUNT", least=1),
    Option("head_only", "finetune", bool, "Train the last layer alone: takes seconds", default=False),
    Option("multi_label", "finetune", bool, "Recordings may have several labels", default=False),
    Option("validation", "finetune", float, "Share to measure with, 0 to 0.9  [0.2]", "SHARE", 0.2, least=0.0, most=0.9),
    Option("fold", "finetune", _Count, "Fold of the CSV file to measure with instead", "NUMBER"),
    Option("folds", "finetune", _Text, "Folds to measure with in turn: a number, or all", "COUNT"),
    Option("size", "distil", Literal["tiny", "small", "base"], "Size of a new network  [tiny]", "SIZE", "tiny"),
    Option("minutes", "finetune", _Number, "Time to stop after; --resume goes on", "MINUTES", least=0.0),
    Option("teacher", "shrink-pack", str, "Teacher to train with: mn04 or yamnet  [mn04]", "TEACHER", "mn04"),
    Option("teacher", "distil", str, "Teacher: mn04 or yamnet  [mn04]", "TEACHER", "mn04"),
    Option("minutes", "distil", _Number, "Time to train  [until stopped; --finish: 45]", "MINUTES", least=0.0),
    Option("finish", "distil", bool, "Lower the rate to 0 and write the model", default=False),
    Option("resume", "finetune distil", bool, "Continue a run that was stopped", default=False),
    Option("overwrite", "finetune", bool, "Replace the model or the run that is there", default=False),
    Option("report", "finetune", _File, "Folder of the report  [OUT-report]", "FOLDER"),
    _rare("rate", "finetune", _Number, "Highest learning rate  [the recipe's]", "RATE"),
    _rare("rate", "distil", _Number, "Highest learning rate  [0.001]", "RATE"),
    _rare("batch", "finetune", _Count, "Windows in a step  [the recipe's]", "COUNT", least=1),
    _rare("fstride", "finetune", _Count, "Stride of patches in mel bins  [of --init]", "BINS"),
    _rare("tstride", "finetune", _Count, "Stride of patches in rows  [of --init]", "ROWS"),
    _rare("balanced", "finetune", _Flag, "Draw all classes equally often  [the recipe's]", flag="--balanced/--no-balanced"),
    _rare("mixup", "finetune", _Number, "Share of windows to mix  [the recipe's]", "SHARE"),
    _rare("average", "finetune", _Flag, "Average weights of epochs  [the recipe's]", flag="--average/--no-average"),
    _rare("patience", "finetune", _Count, "Epochs without progress  [the recipe's]", "COUNT", least=1),
    _rare("normalise", "finetune", Literal["init", "data"] | None, "Mean and deviation: init or data  [init]", "FROM"),
    _rare("precision", "evaluate", Literal["fp32", "auto", "bf16", "fp16", "int8"], "fp32, auto, bf16, fp16 or int8  [fp32]", "PRECISION", "fp32"),
    _rare("precision", "finetune", Literal["auto", "fp32", "bf16", "fp16"], "auto, fp32, bf16 or fp16  [auto]", "PRECISION", "auto"),
    _rare("seed", "finetune", int, "Seed of all random numbers  [0]", "NUMBER", 0, least=0, most=2**31 - 1),
    _rare("seed", "distil", int, "Seed of all random numbers  [0]", "NUMBER", 0, least=0),
    _rare("steps", "distil", _Count, "Steps to train, in place of --minutes", "COUNT", least=0),
    _rare("cache", "distil", _File, "Folder of the library of sounds  [OUT/cache]", "FOLDER"),
    _rare("cache", "shrink-pack", _File, "Folder of the library of sounds  [beside OUT]", "FOLDER"),
    _rare("save_every", "distil", float, "Minutes between saves  [10]", "MINUTES", 10.0, least=0.0),
    _rare("compiled", "distil", bool, "Compile the network  [yes]", default=True, flag="--compile/--no-compile"),
    _rare("calibrated", "distil", bool, "Calibrate at the end  [yes]", default=True, flag="--calibrate/--no-calibrate"),
    # The program
    _setting("offline", f"{_LISTENING} teach", _Flag, "Never download anything"),
    Option("offline", "finetune evaluate", bool, "Never download anything", default=False),
    Option("config", f"{_LISTENING} teach events noise replay forget", _File, "Settings file  [the user's earshot.toml]", "FILE"),
    Option("version", "live", bool, "Show the version", default=False),
    _rare("debug", "live", bool, "Log everything; show tracebacks", default=False),
)
# fmt: on
"""All options, in the order of the help."""


def options_of(command: str) -> list[Option]:
    """Return the options of a command."""
    return [option for option in OPTIONS if command in option.commands.split()]


def takes(command: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Turn a function into a command: Typer sees all options of the table, the function gets those that it declares.

    Raises
    ------
    TypeError
        It declares one that the command does not have.
    """
    options = {option.name: option.parameter() for option in options_of(command)}
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        names = inspect.signature(function).parameters.keys()
        if unknown := names - options.keys() - {"context"}:
            raise TypeError(f"the command {command} has no option {', '.join(sorted(unknown))}")

        @wraps(function, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
        def run(**values: Any) -> Result:
            return function(**{name: values[name] for name in names})

        vars(run)["__signature__"] = inspect.Signature([context, *options.values()])
        return run

    return decorate
