"""Evaluation on labelled recordings: figures, and the command."""

import csv
import json
import logging
import math
import subprocess
import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import typer
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics
from typer.testing import CliRunner, Result

from earshot.cli import add_commands
from earshot.recordings import read_recording
from models import Tagger, TrainingError
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, save_checkpoint
from models.engines import Engine
from models.errors import SoundError
from models.local import load_tagger
from models.selection.engine_choice import make_engine
from models.training.dataset import read_dataset
from models.training.evaluate import evaluate, windows_of, write_class_table
from models.training.metrics import ranking_figures

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
LABELS = ("Cat", "Dog", "Speech", "Piano")
ROWS = 128
WINDOW = ROWS * 160


def read(path: Path) -> NDArray[np.float32]:
    """A small reader of 16 kHz files."""
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise SoundError(f"{path} can't be read: get a whole copy") from error
    assert rate == 16_000
    if not len(samples):
        raise SoundError(f"{path} is empty: name another recording")
    return np.asarray(samples, np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint whose scores of noises differ."""
    config = AstConfig(
        width=24, depth=1, heads=3, mlp_width=48, fstride=16, tstride=16, input_tdim=ROWS, label_dim=4
    )
    torch.manual_seed(0)
    network = AudioSpectrogramTransformer(config)
    weights = network.state_dict()
    torch.nn.init.normal_(weights["mlp_head.1.weight"], std=0.5)
    path = tmp_path_factory.mktemp("model") / "noses.safetensors"
    save_checkpoint(
        Checkpoint(name="noses", config=config, labels=LABELS, weights=network.state_dict()), path
    )
    return str(path)


@pytest.fixture(scope="module")
def tagger(model: str) -> Tagger:
    return load_tagger(model, device="cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noises of many lengths, some of which are longer than the window; a folder, and CSV files that list it."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    lines = ["path,label,fold"]
    for number in range(23):
        label = ("Cat", "dog", "Speech")[number % 3]
        count = int(random.choice((5000, 5100, 12_345, WINDOW, WINDOW + 1, 2 * WINDOW, 50_000)))
        tint = random.uniform(-1, 1, 5)
        sound = 0.2 * np.convolve(random.standard_normal(count), tint, "same")
        (folder / "folder" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "folder" / label / f"{number}.wav", sound, 16_000, subtype="FLOAT")
        several = f"{label}|/m/05r5c" if number % 4 == 0 else label  # Piano
        lines.append(f"folder/{label}/{number}.wav,{several},{number % 5 + 1}")
    (folder / "several.csv").write_text("\n".join(lines))
    broken = folder / "broken"
    broken.mkdir()
    (broken / "garbage.wav").write_bytes(b"RIFF no more than this")
    soundfile.write(broken / "nothing.wav", np.zeros(0), 16_000)
    soundfile.write(broken / "click.wav", np.zeros(300), 16_000)
    names = ("broken/garbage.wav", "broken/nothing.wav", "broken/click.wav", "broken/missing.wav")
    (folder / "broken.csv").write_text("\n".join([*lines, *(f"{name},Cat,1" for name in names)]))
    return folder


def command(*words: str | Path) -> Result:
    app = typer.Typer()
    add_commands(app)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("earshot.commands.evaluate.read_recording", read)
        return CliRunner().invoke(
            app, ["evaluate", "--device", "cpu", *map(str, words)], catch_exceptions=False
        )


def summary(*words: str | Path) -> dict[str, object]:
    result = command("--json", *words)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def table_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row.pop("label"): row for row in csv.DictReader(file)}


def expected_scores(tagger: Tagger, path: Path) -> NDArray[np.float32]:
    """One recording, one window after the other, without batches."""
    samples = read(path)
    last = max(0, len(samples) - WINDOW)
    begins = [*range(0, last, WINDOW), last]
    scores = [tagger(samples[begin : begin + WINDOW])[0] for begin in begins]
    return np.asarray(np.mean(scores, 0), np.float32)


# Figures


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_scikit_learns(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 9, (40, 6)) / 8  # with ties
    targets = random.random((40, 6)) < 0.3
    targets[:, 1], targets[0, 1] = False, True
    figures = ranking_figures(scores, targets)
    precisions = sklearn_metrics.average_precision_score(targets, scores, average=None)
    areas = sklearn_metrics.roc_auc_score(targets, scores, average=None)
    assert [entry.average_precision for entry in figures.per_class] == pytest.approx(precisions)
    assert [entry.auc for entry in figures.per_class] == pytest.approx(areas)
    assert figures.mean_average_precision == pytest.approx(
        sklearn_metrics.average_precision_score(targets, scores)
    )
    assert figures.mean_auc == pytest.approx(sklearn_metrics.roc_auc_score(targets, scores))
    assert [entry.positives for entry in figures.per_class] == targets.sum(0).tolist()
    assert figures.accuracy == np.mean(
        [row[place] for row, place in zip(targets, scores.argmax(1), strict=True)]
    )


def test_accuracy_precision_and_recall_of_exclusive_labels_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(5, size=60)
    scores = random.random((60, 5)) + 0.5 * np.eye(5)[truth]
    figures = ranking_figures(scores, np.eye(5, dtype=bool)[truth])
    predicted = scores.argmax(1)
    assert figures.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    precision, recall, _, support = sklearn_metrics.precision_recall_fscore_support(truth, predicted)
    assert [entry.precision for entry in figures.per_class] == pytest.approx(precision)
    assert [entry.recall for entry in figures.per_class] == pytest.approx(recall)
    assert [entry.positives for entry in figures.per_class] == support.tolist()


def test_d_prime_agrees_with_the_papers() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(200_000) % 2 == 0
    scores = random.standard_normal(200_000) + 1.5 * truth  # two normal distributions, 1.5 deviations apart
    figures = ranking_figures(np.column_stack((scores, -scores)), np.column_stack((truth, ~truth)))
    assert figures.d_prime == pytest.approx(1.5, abs=0.02)


def test_figures_that_do_not_exist_are_nan_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = ranking_figures(np.eye(3), np.zeros((3, 3), bool))
        always = ranking_figures(np.eye(2), np.ones((2, 2), bool))
        perfect = ranking_figures(np.eye(3), np.eye(3, dtype=bool))
        worst = ranking_figures(1 - np.eye(3), np.eye(3, dtype=bool))
        never_first = ranking_figures(np.array([[0.9, 0.1], [0.8, 0.2]]), np.eye(2, dtype=bool))
    assert math.isnan(nothing.mean_average_precision)
    assert nothing.accuracy == 0
    assert always.mean_average_precision == 1
    assert math.isnan(always.mean_auc)
    assert math.isnan(always.d_prime)
    assert math.isnan(always.per_class[0].precision)  # there are several labels
    assert (perfect.mean_auc, perfect.d_prime) == (1, math.inf)
    assert (worst.mean_auc, worst.d_prime) == (0, -math.inf)
    assert math.isnan(never_first.per_class[1].precision)
    assert never_first.per_class[1].recall == 0


def test_non_finite_scores_are_reported_in_one_sentence() -> None:
    with pytest.raises(TrainingError, match="not finite: ") as error:
        ranking_figures(np.array([[0.1, np.nan]]), np.array([[True, False]]))
    assert "\n" not in str(error.value)


# Scores


@pytest.mark.parametrize(
    ("count", "begins"),
    [(1, [0]), (9, [0]), (10, [0]), (11, [0, 1]), (20, [0, 10]), (25, [0, 10, 15]), (30, [0, 10, 20])],
)
def test_windows_lie_side_by_side_and_end_with_the_recording(count: int, begins: list[int]) -> None:
    samples = np.arange(count, dtype=np.float32)
    windows = windows_of(samples, 10)
    assert [window[0] for window in windows] == begins
    assert all(len(window) == min(count, 10) for window in windows)
    assert windows[-1][-1] == count - 1


def test_each_recording_is_scored_as_the_tagger_scores_it_alone(tagger: Tagger, data: Path) -> None:
    dataset = read_dataset(data / "several.csv", labels=tagger.labels)
    told: list[tuple[int, int]] = []
    evaluation = evaluate(tagger, dataset, read, batch=3, progress=lambda *done: told.append(done))
    assert evaluation.dataset == dataset
    assert evaluation.unreadable == ()
    expected = [expected_scores(tagger, example.path) for example in dataset.examples]
    np.testing.assert_allclose(evaluation.scores, expected, atol=2e-5)
    assert told[-1] == (23, 23)


def test_a_recording_with_many_parts_is_decoded_once_and_does_not_wait_with_each(
    tagger: Tagger, tmp_path: Path
) -> None:
    rate = 16_000
    names = ("long.wav", "other.wav", "third.wav")
    for seed, name in enumerate(names):
        soundfile.write(tmp_path / name, np.random.default_rng(seed).normal(0, 0.1, 20 * rate), rate)
    lines = [f"{name},{tagger.labels[0]},{second},{second + 1}" for second in range(20) for name in names]
    (tmp_path / "parts.csv").write_text("path,label,start,end\n" + "\n".join(lines))
    decoded: list[Path] = []
    alive: list[int] = []
    recordings: list[weakref.ref[Any]] = []

    class Recording(np.ndarray[Any, Any]):
        """Array that can be counted."""

    def reader(path: Path) -> NDArray[np.float32]:
        decoded.append(path)
        samples = read(path).view(Recording)
        recordings.append(weakref.ref(samples))
        return samples

    dataset = read_dataset(tmp_path / "parts.csv", labels=tagger.labels)
    found = evaluate(
        tagger,
        dataset,
        reader,
        batch=2,
        progress=lambda *_: alive.append(sum(one() is not None for one in recordings)),
    )
    assert sorted(path.name for path in decoded) == sorted(names)
    assert max(alive) <= 2
    assert found.dataset == dataset
    for example, scores in zip(dataset.examples, found.scores, strict=True):
        np.testing.assert_allclose(scores, tagger(example.cut(read(example.path)))[0], atol=2e-5)


def test_labels_of_another_model_are_refused(tagger: Tagger, data: Path) -> None:
    with pytest.raises(TrainingError, match="other labels"):
        evaluate(tagger, read_dataset(data / "several.csv"), read)


# The command


def test_the_command_measures_as_scikit_learn_does(
    model: str, tagger: Tagger, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "classes.csv"
    figures = summary("--model", model, "--data", data / "several.csv", "--csv", out)
    with (data / "several.csv").open() as file:
        rows = list(csv.DictReader(file))
    truth = np.array(
        [
            [
                label.casefold() in row["label"].casefold()
                or (label == "Piano" and "/m/05r5c" in row["label"])
                for label in LABELS
            ]
            for row in rows
        ]
    )
    scores = np.array([expected_scores(tagger, data / row["path"]) for row in rows])
    assert figures["recordings"] == 23
    assert figures["classes"] == 4
    assert figures["mean_average_precision"] == pytest.approx(
        sklearn_metrics.average_precision_score(truth, scores)
    )
    assert figures["mean_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(truth, scores))
    assert figures["accuracy"] == pytest.approx(truth[np.arange(23), scores.argmax(1)].mean())
    table = table_of(out)
    assert tuple(table) == LABELS
    for index, label in enumerate(LABELS):
        assert int(table[label]["positives"]) == truth[:, index].sum()
        assert float(table[label]["average_precision"]) == pytest.approx(
            sklearn_metrics.average_precision_score(truth[:, index], scores[:, index])
        )
        assert float(table[label]["auc"]) == pytest.approx(
            sklearn_metrics.roc_auc_score(truth[:, index], scores[:, index])
        )
        assert table[label]["recall"] == ""  # there are several labels
    assert list(tmp_path.iterdir()) == [out]


def test_without_a_terminal_each_tenth_is_a_line_on_standard_error(
    model: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "earshot"):
        command("--model", model, "--data", data / "folder")
    lines = [record.message for record in caplog.records if record.name == "earshot.progress"]
    assert lines
    assert lines[-1] == "recordings: 100 %"
    assert len(lines) == len(set(lines)) <= 11


def test_a_folder_is_measured_in_a_table_for_people(model: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "classes.csv"
    result = command("--model", model, "--data", data / "folder", "--csv", out)
    assert result.exit_code == 0
    for words in ("noses", "23", "3 of 4", "mean average precision", "d-prime", "accuracy"):
        assert words in result.stdout
    assert "could not be read" not in result.output
    table = table_of(out)
    assert 0 <= float(table["Dog"]["recall"]) <= 1
    assert table["Piano"] == {
        "positives": "0",
        "average_precision": "",
        "auc": "",
        "precision": table["Piano"]["precision"],
        "recall": "",
    }


def test_unreadable_recordings_are_listed_and_not_fatal(model: str, data: Path) -> None:
    result = command("--model", model, "--data", data / "broken.csv")
    assert result.exit_code == 0
    assert "4 of 27 recordings could not be read" in result.stdout
    lines = result.stderr.splitlines()
    for name in ("garbage.wav", "nothing.wav", "click.wav", "missing.wav"):
        assert sum(name in line for line in lines) == 1
    figures = summary("--model", model, "--data", data / "broken.csv")
    whole = summary("--model", model, "--data", data / "several.csv")
    unreadable = figures.pop("unreadable")
    assert isinstance(unreadable, list)
    assert [Path(entry["path"]).name for entry in unreadable] == [
        "garbage.wav",
        "nothing.wav",
        "click.wav",
        "missing.wav",
    ]
    assert all(entry["reason"] for entry in unreadable)
    assert figures == pytest.approx({key: value for key, value in whole.items() if key != "unreadable"})


def test_the_program_measures_recordings_of_all_rates_and_forms(model: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number, (label, rate, channels, suffix) in enumerate(
        (
            ("cat", 8000, 1, "wav"),
            ("cat", 44_100, 2, "flac"),
            ("dog", 16_000, 1, "ogg"),
            ("dog", 48_000, 2, "mp3"),
        )
    ):
        (tmp_path / label).mkdir(exist_ok=True)
        sound = 0.1 * random.standard_normal((rate, channels))
        soundfile.write(tmp_path / label / f"{number}.{suffix}", sound, rate)
    (tmp_path / "dog" / "empty.wav").touch()
    result = subprocess.run(
        [sys.executable, "run_live.py", "evaluate", "--data", tmp_path, "--model", model, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert (figures["recordings"], figures["classes"]) == (4, 2)
    assert "empty.wav" in result.stderr
    assert figures["unreadable"][0]["path"] == str(tmp_path / "dog" / "empty.wav")


def test_a_fold_a_choice_and_a_shorter_window_can_be_measured(model: str, data: Path) -> None:
    table = data / "several.csv"
    assert summary("--model", model, "--data", table, "--fold", "2")["recordings"] == 5
    assert summary("--model", model, "--data", table, "--limit", "7")["recordings"] == 7
    assert summary("--model", model, "--data", table, "--fold", "2", "--limit", "99")["recordings"] == 5
    shorter = summary("--model", model, "--data", table, "--window", "1", "--batch", "2")
    assert shorter["recordings"] == 23
    assert shorter["mean_average_precision"] != summary("--model", model, "--data", table)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--data", "{data}", "--pack", "{data}"),
        ("--pack", "{data}", "--fold", "1"),
        ("--pack", "{data}", "--csv", "x.csv"),
        ("--data", "{data}", "--csv", "{data}/missing/x.csv"),
        ("--data", "{data}/missing"),
        ("--background", "10m", "--csv", "x.csv"),
        ("--background", "10m", "--limit", "3"),
        ("--data", "{data}", "--window", "0.5"),
        ("--data", "{data}", "--limit", "0"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_loaded(data: Path, words: tuple[str, ...]) -> None:
    result = command("--model", "missing", *(word.format(data=data) for word in words))
    assert result.exit_code == 2


def test_a_list_of_recordings_is_not_overwritten_whatever_the_order_of_its_columns(
    model: str, data: Path, tmp_path: Path
) -> None:
    table = tmp_path / "list.csv"
    table.write_text(f"label,path\nDog,{data}/a.wav\n")
    assert command("--model", model, "--data", table, "--csv", table).exit_code == 2
    assert table.read_text().startswith("label,path\n")


def test_a_missing_fold_is_reported_in_one_sentence(model: str, data: Path) -> None:
    with pytest.raises(TrainingError, match="no fold 9: it has 1, 2, 3, 4, 5"):
        command("--model", model, "--data", data / "several.csv", "--fold", "9")


def test_a_label_that_the_model_lacks_is_reported_in_one_sentence(model: str, tmp_path: Path) -> None:
    (tmp_path / "dogs").mkdir()
    (tmp_path / "dogs" / "a.wav").touch()
    with pytest.raises(
        TrainingError, match="label 'dogs', which is not one of the model's 4.*'Dog'"
    ) as error:
        command("--model", model, "--data", tmp_path)
    assert "\n" not in str(error.value)


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    figures = ranking_figures(np.eye(2), np.eye(2, dtype=bool))
    out = tmp_path / "classes.csv"
    out.write_text("old")
    (tmp_path / "classes.csv.part").mkdir()
    with pytest.raises(TrainingError, match="can't be written") as error:
        write_class_table(out, ("a", "b"), figures.per_class)
    assert "\n" not in str(error.value)
    assert out.read_text() == "old"


def test_a_recording_with_an_undecodable_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.wav"  # as Python has a name in Latin-1
    soundfile.write(tmp_path / "cafe.wav", np.zeros(16_000), 16_000)
    (tmp_path / "cafe.wav").rename(path)
    assert len(read_recording(path)) == 16_000


def test_single_precision_is_measured_unless_another_is_asked_for(
    model: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def noted(*arguments: Any, **request: Any) -> Engine:
        engine = make_engine(*arguments, **request)
        ran.append(engine.description)
        return engine

    monkeypatch.setattr("models.local.make_engine", noted)
    words = ("--model", model, "--data", data / "folder")
    summary(*words)
    summary(*words, "--precision", "fp16")
    assert ran == ["openvino cpu fp32", "torch cpu fp16"]
