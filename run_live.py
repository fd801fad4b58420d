#!/usr/bin/env python3
"""Earshot: listens to live sound and says what it hears.

The program: the only file that knows the models, the stream and the window, and puts them together. Heavy libraries are
imported where they are needed, so that ``--help`` answers at once.
"""

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from typer.exceptions import TyperException

import models.commands
import streamer.commands

if TYPE_CHECKING:
    from gui.actions import Actions
    from gui.data.feed import Feed
    from models.commands.bench import Plan
    from models.tagger import Tagger
    from streamer.commands.calibrate import Heard
    from streamer.doctor import CheckResult
    from streamer.events.watchlist import WatchLists
    from streamer.live.reload import Reloader
    from streamer.live.session import ChunkTap, LiveSession
    from streamer.live.switches import Switches
    from streamer.messages import Samples, Tagging
    from streamer.runtime.systemd import ServiceManager
    from streamer.settings.schema import Place, Settings
    from streamer.sinks import Sink
    from streamer.sinks.mqtt.sink import MqttSink
    from streamer.sinks.payloads import LabelSet

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_POLL_SECONDS = 0.1

_COMFORTABLE_LOAD = 0.25
"""Share of the hop that inference may take before precision is given up for speed."""

Given = ParamSpec("Given")
Result = TypeVar("Result")

_log = logging.getLogger("earshot")

app = typer.Typer(
    name="earshot",
    help="Listens to live sound and says what it hears.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models.commands.add_commands(app)
streamer.commands.add_commands(app)

ModelOption = Annotated[
    str | None,
    typer.Option(
        help="A name that the command models lists, a path, hub:OWNER/REPO or ensemble:A+B.  [auto]"
    ),
]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
EngineOption = Annotated[str | None, typer.Option(help="auto, torch or openvino.")]
PrecisionOption = Annotated[str | None, typer.Option(help="auto, fp32, bf16, fp16 or int8.")]
HopOption = Annotated[float | None, typer.Option(help="Seconds between taggings, a multiple of 0.01.  [1.0]")]
WindowOption = Annotated[float | None, typer.Option(help="Seconds looked at, 1 to 10.24.  [the model's own]")]
FstrideOption = Annotated[
    int | None, typer.Option(help="Stride along mel bins of a .pth whose name does not say it.")
]
TstrideOption = Annotated[
    int | None, typer.Option(help="Stride along rows of a .pth whose name does not say it.")
]
InputTdimOption = Annotated[
    int | None, typer.Option(help="Rows of the input of a .pth, if they are not a usual number.")
]
TopOption = Annotated[int | None, typer.Option(help="How many tags to show and send.  [5]")]
JsonOption = Annotated[
    bool | None, typer.Option("--json", help="A JSON line per tagging on standard output.")
]
WatchOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SOUND",
        help="A sound whose beginning and end to tell: one that the command sounds lists, or a label of the model; '' for none. "
        "Repeatable.  [a dozen of the home]",
    ),
]
MqttOption = Annotated[
    str | None,
    typer.Option(
        help="mqtt://[USER@]HOST[:PORT] or mqtts://…, or embedded; the password comes from EARSHOT_MQTT_PASSWORD."
    ),
]
MqttTopicOption = Annotated[str | None, typer.Option(help="Base topic.  [earshot/NODE]")]
DiscoveryOption = Annotated[
    str | None, typer.Option(help="How Home Assistant finds it: device, component or off.  [device]")
]
NodeOption = Annotated[str | None, typer.Option(help="Name of this machine in topics.  [the host's name]")]
HeadlessOption = Annotated[
    bool | None, typer.Option("--headless", help="No window: results in the terminal.")
]
MetricsPortOption = Annotated[
    int | None,
    typer.Option(metavar="PORT", help="Figures for Prometheus, on this machine only; 0 for none.  [0]"),
]
ScoreLogOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Log all scores, and no sound, for the command replay.")
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="mic, mic:NAME-OR-INDEX, mic:NAME#CHANNEL, a file, demo, rtsp://… or http://… (also with s), - for s16le 16 kHz "
        "mono PCM on standard input, or tcp://127.0.0.1:PORT or unix:/path for the same from who connects; NAME=SPEC names it, "
        "NAME alone is one of earshot.toml. Repeatable.  [mic]"
    ),
]
OfflineOption = Annotated[bool | None, typer.Option("--offline", help="Never fetch anything.")]
ConfigOption = Annotated[Path | None, typer.Option(help="The settings file, earshot.toml.")]


@app.callback(invoke_without_command=True)
def live(
    context: typer.Context,
    source: SourceOption = None,
    wait_for_sources: Annotated[
        bool | None,
        typer.Option("--wait-for-sources", help="Wait for microphones that are not there yet."),
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    hop: HopOption = None,
    window: WindowOption = None,
    fstride: FstrideOption = None,
    tstride: TstrideOption = None,
    input_tdim: InputTdimOption = None,
    top: TopOption = None,
    watch: WatchOption = None,
    clips: Annotated[
        bool | None,
        typer.Option("--clips", help="Keep the sound of what is watched for, unless speech is heard."),
    ] = None,
    mqtt: MqttOption = None,
    mqtt_topic: MqttTopicOption = None,
    discovery: DiscoveryOption = None,
    node: NodeOption = None,
    headless: HeadlessOption = None,
    kiosk: Annotated[
        bool | None, typer.Option("--kiosk", help="For a wall: the whole screen, huge tags, no pointer.")
    ] = None,
    theme: Annotated[str | None, typer.Option(help="Of the window: dark, light or auto.  [dark]")] = None,
    json: JsonOption = None,
    metrics_port: MetricsPortOption = None,
    score_log: ScoreLogOption = None,
    fast: Annotated[
        bool | None, typer.Option("--fast", help="Files as fast as possible instead of in real time.")
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of sound to listen to.  [for ever]")] = None,
    offline: OfflineOption = None,
    config: ConfigOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything; show tracebacks.")] = False,
) -> None:
    """Listen to live sound and say what it hears: on the screen, in the terminal, over MQTT.

    Without a command: live. Settings come from the command line, the environment (EARSHOT_…) and earshot.toml.
    """
    from streamer.runtime.logs import configure_logging
    from streamer.runtime.signals import hangups

    configure_logging("earshot", "streamer", "models", "gui", debug=debug)
    context.obj = _read_recording
    if context.invoked_subcommand in {"models", "evaluate", "finetune"}:
        _respect_offline(context)
    if context.invoked_subcommand is not None:
        return
    load = partial(_settings, context)
    with hangups() as hung_up:
        raise typer.Exit(_listen(load(), config, load, hung_up))


@app.command()
def tag(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Recordings.")],
    model: ModelOption = None,
    device: DeviceOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    hop: HopOption = None,
    window: WindowOption = None,
    fstride: FstrideOption = None,
    tstride: TstrideOption = None,
    input_tdim: InputTdimOption = None,
    top: TopOption = None,
    json: JsonOption = None,
    events: Annotated[
        bool, typer.Option("--events", help="When each watched sound begins and ends, instead of windows.")
    ] = False,
    watch: WatchOption = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG", help="Draw where the network looks for the highest score of a recording."
        ),
    ] = None,
    offline: OfflineOption = None,
    config: ConfigOption = None,
) -> None:
    """Tag recordings, window by window."""
    if explain is not None:
        from models.commands.explain import require_picture

        if len(files) > 1:
            raise typer.BadParameter("--explain draws one recording: give one FILE")
        require_picture(explain)
    if watch and not events:
        raise typer.BadParameter("--watch goes with --events")
    raise typer.Exit(_tag_files(files, _settings(context), events=events, picture=explain))


@app.command()
def calibrate(
    context: typer.Context,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long to listen: 90s, 30m, 1h.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A log of --score-log, instead of listening.")
    ] = None,
    lower: Annotated[
        bool, typer.Option("--lower", help="Lower thresholds too, where the room allows it.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Change the settings file.")] = False,
    source: SourceOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    hop: HopOption = None,
    window: WindowOption = None,
    watch: WatchOption = None,
    score_log: ScoreLogOption = None,
    fast: Annotated[
        bool | None, typer.Option("--fast", help="Files as fast as possible instead of in real time.")
    ] = None,
    offline: OfflineOption = None,
    config: ConfigOption = None,
) -> None:
    """Listen to a room while nothing happens, and propose thresholds that stay above it: a diff of the settings file."""
    from streamer.runtime.timing import parse_duration

    if (length is None) == (log is None):
        raise typer.BadParameter("give --for, such as --for 1h, or --log FILE")
    try:
        duration = None if length is None else parse_duration(length)
    except ValueError as error:
        raise typer.BadParameter(f"--for: {error}") from None
    if duration == 0.0:
        raise typer.BadParameter("--for: listen for longer than no time at all")
    from streamer.commands.calibrate import propose, recall

    settings = _settings(context, duration=duration)
    heard = _hear_room(settings) if log is None else recall(settings, log)
    propose(heard, config, lower=lower, apply=apply)
    raise typer.Exit(EXIT_INTERRUPTED if heard.interrupted else 0)


@app.command()
def doctor(
    context: typer.Context,
    source: SourceOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    hop: HopOption = None,
    window: WindowOption = None,
    fstride: FstrideOption = None,
    tstride: TstrideOption = None,
    input_tdim: InputTdimOption = None,
    watch: WatchOption = None,
    mqtt: MqttOption = None,
    mqtt_topic: MqttTopicOption = None,
    discovery: DiscoveryOption = None,
    node: NodeOption = None,
    headless: HeadlessOption = None,
    seconds: Annotated[
        float, typer.Option(min=1.0, max=60.0, help="How long to listen to each microphone.")
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object on standard output.")] = False,
    offline: OfflineOption = None,
    config: ConfigOption = None,
) -> None:
    """Check all that listening needs with these settings, and say what to do about what is wrong."""
    from streamer.doctor.report import write_json, write_lines
    from streamer.settings.schema import where_set

    settings = _settings(context)
    findings = _examine(settings, where_set(_given(context), config=config), seconds)
    well = (write_json if as_json else write_lines)(findings, sys.stdout)
    raise typer.Exit(0 if well else EXIT_FAILURE)


@app.command()
def bench(
    context: typer.Context,
    model: Annotated[
        list[str] | None, typer.Option(help="As for listening. Repeatable.  [tiny, and two networks]")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A geometry with random weights, on which speed does not depend: base-10-10 … Repeatable.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, torch or openvino.")] = "auto",
    precision: Annotated[
        list[str] | None,
        typer.Option(help="auto, fp32, bf16, fp16 or int8. Repeatable.  [all that there are here]"),
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Windows at once. Repeatable.  [1]")] = None,
    window: Annotated[
        list[float] | None,
        typer.Option(min=1.0, max=10.24, help="Seconds of a window. Repeatable.  [the model's own]"),
    ] = None,
    runs: Annotated[int, typer.Option(min=2, help="Batches to time.")] = 10,
    recording: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="What to tag. Repeatable.  [the demo]")
    ] = None,
    streams: Annotated[
        bool, typer.Option("--streams", help="Find how many live sources the model keeps up with.")
    ] = False,
    hop: Annotated[
        float, typer.Option(min=0.01, max=3600.0, help="With --streams: seconds between taggings.")
    ] = 1.0,
    seconds: Annotated[
        float,
        typer.Option(
            min=2.0, max=86_400.0, help="With --streams: how long to listen to each number of sources."
        ),
    ] = 20.0,
    most: Annotated[int, typer.Option(min=1, help="With --streams: the most to try.")] = 512,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object on standard output.")] = False,
) -> None:
    """Measure what a window costs on this machine, beside Hugging Face where transformers is installed."""
    from models.commands import bench as table
    from streamer.sources import DEMO_PATH

    plan = table.Plan(
        models=model or ([] if network else ["tiny"]),
        networks=network or ([] if model else table.USUAL_NETWORKS),
        device=device,
        engine=engine,  # type: ignore[arg-type] # is checked
        precisions=precision or (["auto"] if streams else []),  # type: ignore[arg-type] # is checked
        batches=batch or [1],
        windows_seconds=window or [None],
        runs=runs,
    )
    recordings = recording or [DEMO_PATH]
    if streams:
        _bench_streams(plan, hop, recordings[0], seconds=seconds, most=most, as_json=as_json)
    else:
        table.bench(plan, recordings, _read_recording, as_json=as_json)


def _bench_streams(
    plan: "Plan", hop: float, recording: Path, *, seconds: float, most: int, as_json: bool
) -> None:
    """Find how many live sources the first model of a plan keeps up with, and say so."""
    from models.commands.bench import first_tagger, machine
    from streamer.commands.capacity import capacity, print_loads, write_json
    from streamer.messages import SAMPLE_RATE_HZ
    from streamer.sources.recording import Recording

    Recording(recording.name, recording, live=True).check()
    tagger = first_tagger(plan)
    loads = capacity(
        tagger,
        window_samples=tagger.window_samples,
        hop_samples=round(hop * SAMPLE_RATE_HZ),
        recording=recording,
        seconds=seconds,
        most=most,
    )
    title = f"{tagger.name}, {tagger.engine.description}, a hop of {hop:g} s | {machine(plan.device)}"
    (write_json if as_json else print_loads)(loads, title, sys.stdout)


def _settings(context: typer.Context, **more: Any) -> "Settings":
    """Validate what the command line, the environment and the file say together."""
    from streamer.settings.schema import load_settings

    return load_settings(_given(context) | more, config=context.params["config"])


_NO_SETTINGS = {
    *("config", "debug", "files", "explain", "events"),
    *("length", "log", "lower", "apply"),
    *("seconds", "as_json"),
}
"""Options of single commands."""


def _given(context: typer.Context) -> dict[str, Any]:
    """Gather the settings on the command line."""
    return {
        name: value
        for name, value in context.params.items()
        if name not in _NO_SETTINGS and value not in (None, ())
    }


def _respect_offline(context: typer.Context) -> None:
    """Keep commands that read no settings from the network too, where the settings say so."""
    if not {"-h", "--help"} & set(sys.argv) and _settings(context).offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def _read_recording(path: Path) -> "Samples":
    """Read a whole recording as float32 (n,) at 16 kHz: what the models' commands learn from and are measured on.

    Raises
    ------
    SoundError
        It can't be read to its end.
    """
    import numpy as np

    from models.errors import SoundError
    from streamer.errors import SourceError
    from streamer.sources.recording import Recording

    try:
        chunks = Recording(str(path), str(path), live=False).chunks()
        return np.concatenate([chunk.samples for chunk in chunks])
    except SourceError as error:
        raise SoundError(str(error)) from error


def _choose_model(settings: "Settings") -> tuple[str, str]:
    """What to load, and why."""
    if settings.model != "auto":
        return settings.model, "as asked"
    from models.auto import choose

    choice = choose(
        hop_seconds=settings.usual_hop,
        sources=len(settings.source),
        window_seconds=settings.window,
        device=settings.device,
        offline=settings.offline,
    )
    return choice.model, choice.reason


def _load_tagger(settings: "Settings", model: str, why: str) -> "Tagger":
    """Load the model and say in one line which, and why."""
    tagger = _make_tagger(settings, model)
    _log.info(
        "model %s (%s), %d classes, %s", tagger.name, why, len(tagger.labels), tagger.engine.description
    )
    return tagger


def _make_tagger(settings: "Settings", model: str) -> "Tagger":
    with _uncollected():
        from models.tagger import load_tagger

        return load_tagger(
            model,
            device=settings.device,
            engine=settings.engine,
            precision=settings.precision,
            window_seconds=settings.window,
            offline=settings.offline,
            fstride=settings.fstride,
            tstride=settings.tstride,
            input_tdim=settings.input_tdim,
            enough_seconds=_COMFORTABLE_LOAD * settings.usual_hop / len(settings.source),
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage while libraries are imported, which is all there to stay: a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _label_set(tagger: "Tagger") -> "LabelSet":
    from models.labels import mid_of
    from streamer.sinks.payloads import LabelSet

    return LabelSet(labels=tagger.labels, mids=tuple(map(mid_of, tagger.labels)))


def _tag_files(
    files: "Sequence[str]", settings: "Settings", *, events: bool = False, picture: Path | None = None
) -> int:
    """Tag recordings one after the other; one that can't be read does not keep the others from being tagged."""
    from models.commands.explain import require_explainable
    from streamer.commands.tag import sink_for
    from streamer.commands.tag import tag as tag_recording
    from streamer.errors import SourceError
    from streamer.sources.recording import Recording

    recordings = []
    for file in files:
        try:
            recording = Recording(file, file, live=False)
            recording.check()
            recordings.append(recording)
        except SourceError as error:
            _complain(error)
    failed = len(files) - len(recordings)
    if not recordings:
        return EXIT_FAILURE
    model, why = _choose_model(settings)
    if picture is not None:
        require_explainable(model)
    tagger = _load_tagger(settings, model, why)
    sink, sounds = sink_for(settings, tagger, _label_set(tagger), events=events)
    for recording in recordings:
        try:
            best = tag_recording(recording, tagger, sink, sounds, hop_samples=settings.hop_samples)
        except SourceError as error:
            failed += 1
            _complain(error)
            continue
        if picture is not None and best is not None:
            _draw_explanation(picture, best, model, settings)
    return EXIT_FAILURE if failed else 0


def _draw_explanation(picture: Path, tagging: "Tagging", model: str, settings: "Settings") -> None:
    """Draw what spoke for the best tag of a recording, in the window where it scored highest."""
    from models.checkpoints import Geometry
    from models.commands.explain import draw

    explanation = draw(
        picture,
        _read_recording(Path(tagging.source))[tagging.start_sample : tagging.end_sample],
        label=int(tagging.scores.argmax()),
        start_sample=tagging.start_sample,
        model=model,
        window_seconds=settings.window,
        geometry=Geometry(fstride=settings.fstride, tstride=settings.tstride, input_tdim=settings.input_tdim),
        device=settings.device,
        offline=settings.offline,
    )
    _log.info("%s: why '%s' scores %.2f in %s", picture, explanation.label, explanation.score, tagging.source)


def _listen(
    settings: "Settings", config: Path | None, load: "Callable[[], Settings]", hung_up: Callable[[], bool]
) -> int:
    """Listen live until the sources end, the window is closed or the program is told to stop."""
    from streamer.events.watchlist import WatchLists
    from streamer.live import assembly
    from streamer.live.ending import ending
    from streamer.live.reload import Reloader, live_changes
    from streamer.runtime.signals import interruptible
    from streamer.runtime.systemd import ServiceManager
    from streamer.runtime.threads import ThreadGroup
    from streamer.sinks.health_log import HealthLog

    if not settings.windowless:
        from gui.app.display import require_display

        require_display()
    sources = assembly.open_sources(settings)
    names = [source.name for source in sources]
    broker = settings.broker()
    tagger = _load_tagger(settings, *_choose_model(settings))
    watchlists = WatchLists(settings.watched, settings.own_watched, tagger.labels, tagger.thresholds)
    make_clips = partial(assembly.make_clips, model=tagger)
    clips = make_clips(settings, settings.with_clips(names))
    label_set = _label_set(tagger)
    switches = assembly.make_switches(settings, names)
    manager = ServiceManager()
    with ExitStack() as stack:
        interrupted = stack.enter_context(interruptible())
        view = stack.enter_context(_view(settings, names, tagger, label_set))
        history = stack.enter_context(assembly.keeping_history(settings))
        log = stack.enter_context(assembly.logging_scores(settings, tagger))
        threads = stack.enter_context(ThreadGroup())
        metrics = assembly.start_metrics(threads, settings)
        mqtt = assembly.start_mqtt(
            threads,
            broker,
            settings,
            names,
            label_set=label_set,
            watchlists=watchlists,
            history=history,
            switches=switches,
        )
        session = assembly.make_session(
            settings,
            sources,
            tagger,
            sinks=(history, log, view.sink, mqtt, metrics, HealthLog(), manager),
            switches=switches,
            watchlists=watchlists,
            taps=view.taps,
            clips=clips,
            device=tagger.engine.description,
            mqtt=mqtt,
        )
        assembly.follow(watchlists, session, mqtt)
        reloader = Reloader(
            settings, load, live_changes(watchlists, session, history, (view.sink, mqtt), make_clips)
        )
        session.start(threads)
        stack.enter_context(manager.listening())
        over = ending(settings, threads)

        def going_on() -> bool:
            _tend(session, manager, reloader, hung_up)
            return not (over() or interrupted())

        listen = partial(_turn, switches, mqtt)
        actions = partial(_actions, lambda: reloader.settings, config, watchlists, session, listen, switches)
        view.show(going_on, threads.wait, actions)
    return _outcome(session, interrupted=interrupted())


def _tend(
    session: "LiveSession", manager: "ServiceManager", reloader: "Reloader", hung_up: Callable[[], bool]
) -> None:
    """Do what is due now and then while the program listens."""
    session.report_health()
    manager.beat(busy_seconds=session.busy_seconds)
    if hung_up():
        with manager.reloading():
            reloader.reload()


def _turn(switches: "Switches", mqtt: "MqttSink | None", source: str, on: bool) -> None:
    """Listen to a source, or don't, and let MQTT's switch follow."""
    switches.turn(source, on)
    if mqtt is not None:
        mqtt.listening(source, on)


def _outcome(session: "LiveSession", *, interrupted: bool) -> int:
    """Say what is to be said at the end; the exit code."""
    if session.dropped_windows:
        _log.warning(
            "%d windows were dropped because inference was late: a longer --hop or a smaller model keeps up, and --fast "
            "waits for it",
            session.dropped_windows,
        )
    if interrupted:
        return EXIT_INTERRUPTED
    if session.failure is not None:
        raise session.failure
    return 0


def _hear_room(settings: "Settings") -> "Heard":
    """Listen to a room for as long as is set."""
    from streamer.commands.calibrate import hear
    from streamer.live.assembly import open_sources

    sources = open_sources(settings)
    return hear(settings, sources, _load_tagger(settings, *_choose_model(settings)))


def _examine(settings: "Settings", places: "Sequence[Place]", seconds: float) -> "Iterator[CheckResult]":
    """Check the stream, the display and the model, whatever each of them turns out to be like."""
    from streamer.doctor.stream import check_stream

    yield from check_stream(settings, places, seconds=seconds)
    yield _check_display(settings)
    yield from _check_model(settings)


def _check_display(settings: "Settings") -> "CheckResult":
    from gui.app.display import require_display
    from gui.errors import DisplayError
    from streamer.doctor import CheckResult

    if settings.windowless:
        return CheckResult("display", "skipped", "no window is wanted")
    try:
        require_display()
    except DisplayError as error:
        return CheckResult("display", "warning", "no window can be opened", str(error))
    return CheckResult("display", "ok", "a window can be opened")


def _check_model(settings: "Settings") -> "Iterator[CheckResult]":
    """Load the model, and check it if there is one."""
    from models.errors import ModelError
    from streamer.doctor.model import check_model, lacking

    try:
        model, why = _choose_model(settings)
        tagger = _make_tagger(settings, model)
    except ModelError as error:
        yield from lacking(str(error))
        return
    yield from check_model(settings, tagger, why=why, engine=tagger.engine.description)


@dataclass(frozen=True, slots=True)
class _View:
    """Where the user looks.

    Attributes
    ----------
    sink, taps
        Receive what there is to show.
    show : callable
        Occupies main while the first function says to go on; the second one sleeps, the third says what the window offers.
    """

    sink: "Sink"
    taps: "Sequence[ChunkTap]"
    show: "Callable[[Callable[[], bool], Callable[[float], None], Callable[[], Actions]], None]"


@contextmanager
def _view(
    settings: "Settings", names: Sequence[str], tagger: "Tagger", label_set: "LabelSet"
) -> Iterator[_View]:
    """Set up the window, the live table in the terminal, or lines on standard output."""
    if not settings.windowless:
        from gui.data.feed import Feed

        feed = Feed(sources=names, labels=tagger.labels)
        yield _View(feed, [feed.add_chunk], partial(_show_window, feed, settings))
        return
    from streamer.sinks.terminal import JsonLines, LiveTable

    if settings.json_lines:
        yield _View(JsonLines(sys.stdout, label_set, settings.top), [], _wait)
        return
    with LiveTable(label_set, settings.top, sources=names) as table:
        yield _View(table, [], _wait)


def _show_window(
    feed: "Feed",
    settings: "Settings",
    going_on: Callable[[], bool],
    _sleep: Callable[[float], None],
    actions: "Callable[[], Actions]",
) -> None:
    from gui.app.run import run
    from models.fbank import log_mel

    run(feed, log_mel=log_mel, poll=going_on, kiosk=settings.kiosk, actions=actions(), theme=settings.theme)


def _actions(
    settings: "Callable[[], Settings]",
    config: Path | None,
    watchlists: "WatchLists",
    session: "LiveSession",
    listen: Callable[[str, bool], None],
    switches: "Switches",
) -> "Actions":
    """Return what the window can have done."""
    from platformdirs import user_pictures_path

    from gui.actions import Actions, AudioInput, Span, Watched
    from gui.style.theme import palette_for
    from models.labels import family_of
    from streamer.events.detector import what_would_be_told
    from streamer.live.choices import Choices
    from streamer.sources.microphone import list_devices, play

    choices = Choices(settings, config, watchlists, session)

    def watched(source: str) -> list[Watched]:
        sounds = watchlists.of(source).sounds
        return [Watched(entry.sound.name, entry.indices, entry.thresholds) for entry in sounds]

    def watch(source: str, name: str, threshold: float | None) -> None:
        watchlists.of(source).watch(name, threshold)

    def unwatch(source: str, name: str) -> None:
        watchlists.of(source).unwatch(name)

    def preview_events(source: str, taggings: "Sequence[Tagging]", name: str, threshold: float) -> list[Span]:
        events = what_would_be_told(watchlists.of(source).tried(name, threshold), taggings)
        return [(event.started_at, event.ended_at) for event in events]

    def places() -> list[AudioInput]:
        found = [
            AudioInput(
                f"mic:{device.stable_name}", f"{device.stable_name}{' *' if device.is_default else ''}"
            )
            for device in list_devices()
        ]
        return [*found, AudioInput("demo", "The demo")]

    def save(theme: str) -> str:
        changes = {} if theme == palette_for(settings().theme).name else {"theme": theme}
        return str(choices.save(changes))

    return Actions(
        watched=watched,
        watch=_or_action_error(watch),
        unwatch=_or_action_error(unwatch),
        preview_events=_or_action_error(preview_events),
        list_inputs=_or_action_error(places),
        set_input=_or_action_error(choices.choose),
        set_listening=listen,
        is_listening=switches.is_on,
        play_clip=_or_action_error(lambda clip: play(_read_recording(Path(clip)))),
        save_settings=_or_action_error(save),
        export_folder=user_pictures_path() / "Earshot",
        families={label: family_of(label) for label in watchlists.shared.labels},
    )


def _or_action_error(do: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let the window hear in its own words of what can't be done."""
    from gui.errors import ActionError
    from models.errors import SoundError
    from streamer.errors import StreamerError

    @wraps(do)
    def done(*arguments: Given.args, **named: Given.kwargs) -> Result:
        try:
            return do(*arguments, **named)
        except (StreamerError, SoundError) as error:
            raise ActionError(str(error)) from error

    return done


def _wait(
    going_on: Callable[[], bool], sleep: Callable[[float], None], _actions: "Callable[[], Actions]"
) -> None:
    while going_on():
        sleep(_POLL_SECONDS)


def _complain(error: BaseException, sentence: str | None = None) -> None:
    """Say in one sentence what is wrong; with --debug, where."""
    from streamer.text import one_sentence

    words = one_sentence(sentence or str(error))
    _log.error("earshot: %s", words, exc_info=error if _log.isEnabledFor(logging.DEBUG) else None)


def _run() -> int:
    """Run the command; its exit code."""
    from gui.errors import DisplayError
    from models.errors import ModelError
    from streamer.errors import OutputClosed, SettingsError, StreamerError

    try:
        return app(standalone_mode=False) or 0
    except OutputClosed:
        return 0
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except TyperException as error:
        _complain(error, f"{error.format_message().rstrip('.')}; --help lists what there is")
        return EXIT_USAGE
    except SettingsError as error:
        _complain(error)
        return EXIT_USAGE
    except (StreamerError, ModelError, DisplayError) as error:
        _complain(error)
    except Exception as error:  # noqa: BLE001 - a bug, which the user must hear of in a sentence too
        _complain(error, _explain(error))
    return EXIT_FAILURE


def _explain(error: Exception) -> str:
    """Say what is wrong with a file that nobody has looked at as yet, or else that this is a bug."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} can't be used ({error.strerror}): check its name, its folder and its permissions"
    return f"failed unexpectedly ({type(error).__name__}: {error}); --debug shows where"


def main() -> NoReturn:
    """Entry point of the program."""
    from streamer.runtime.threads import threads_remain

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.stdout is None:  # it was closed when the program began
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the program
    code = _run()
    if threads_remain():  # all has been written; the interpreter's end is not for those who still run
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
