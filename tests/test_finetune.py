"""Fine-tuning: recipes, batches, runs, their state, reports, and the command."""

import csv
import itertools
import json
import logging
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import typer
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, average_precision_score, confusion_matrix
from support.waiting import wait_until
from typer.testing import CliRunner

from earshot.cli import add_commands
from models import TrainingError, frontends
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.errors import SoundError
from models.local import load_tagger
from models.log_mel import log_mel
from models.training.batches import Batches, example_weights, normalisation
from models.training.dataset import SoundCache, read_dataset
from models.training.finetune import FineTuning, Progress
from models.training.learning import DivergedError
from models.training.plan import Part, plan_parts, window_seconds_for
from models.training.preparation import adjusted_recipe
from models.training.recipes import RECIPES, Recipe, recipe
from models.training.report import confusion
from models.training.student import initialise
from models.training.transfer import starting_point

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SMALL = AstConfig(
    width=24, depth=2, heads=3, mlp_width=48, fstride=16, tstride=16, input_tdim=128, label_dim=2
)
QUICK = Recipe(
    init="",
    epochs=3,
    batch=4,
    rate=3e-3,
    warm_up_steps=2,
    mixup=0.5,
    mask_bins=16,
    mask_share=0.2,
    noise=0.5,
    gain=True,
    placement=0.5,
    balanced=True,
    average_from=2,
)
PITCHES = {"high": 2500, "low": 300, "middle": 900}


def read(path: Path) -> NDArray[np.float32]:
    """A reader for what these tests write."""
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except soundfile.SoundFileError as error:
        raise SoundError(f"{path} is no sound: take it away") from error
    assert rate == 16_000
    if not len(samples):
        raise SoundError(f"{path} is empty: take it away")
    return np.asarray(samples, np.float32)


def tone(pitch_hz: float, number: int, seconds: float = 0.6) -> NDArray[np.float32]:
    random = np.random.default_rng(number)
    times = np.arange(round(16_000 * seconds)) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * pitch_hz * random.uniform(0.9, 1.1) * times)
    return (sound + 0.01 * random.standard_normal(len(times))).astype(np.float32)


def write_tones(folder: Path, count: int = 6) -> Path:
    for label, pitch in PITCHES.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            soundfile.write(
                folder / label / f"{number}.wav", tone(pitch, number, 0.5 + 0.05 * number), 16_000
            )
    return folder


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("data") / "tones")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint to start from, much smaller than tiny."""
    network = AudioSpectrogramTransformer(SMALL)
    initialise(network, torch.Generator().manual_seed(0))
    weights = network.state_dict()
    path = tmp_path_factory.mktemp("init") / "small.safetensors"
    save_checkpoint(Checkpoint(name="small", config=SMALL, labels=("a", "b"), weights=weights), path)
    return str(path)


def tuning(
    tones: Path,
    small: str,
    out: Path,
    quick: Recipe = QUICK,
    parts: tuple[Part, ...] | None = None,
    *,
    multi_label: bool = False,
    **options: Any,
) -> FineTuning:
    dataset = replace(read_dataset(tones), multi_label=multi_label)
    return FineTuning(
        starting_point(small, dataset.labels, rows=128),
        dataset,
        SoundCache(read),
        quick,
        parts or plan_parts(dataset, validation=0.3),
        state_file=out / "state",
        device="cpu",
        precision="fp32",
        **options,
    )


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(str(path)).weights


def assert_equal_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(value, other[key]), key


def one_sentence(error: pytest.ExceptionInfo[TrainingError]) -> None:
    assert "\n" not in str(error.value)


# Recipes


@pytest.mark.parametrize("name", ["esc50", "audioset", "audioset-balanced", "speech-commands"])
def test_the_published_rates_fall_as_torchs_scheduler_lets_them(name: str) -> None:
    chosen = replace(recipe(name), warm_up_steps=0)
    decay = chosen.step_decay
    assert decay is not None
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], chosen.rate)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, list(range(decay.after, 1000, decay.every)), gamma=decay.factor
    )
    for epoch in range(chosen.epochs):
        expected = optimizer.param_groups[0]["lr"]
        assert chosen.rate * chosen.share_of_rate(epoch, 0, 10) == pytest.approx(expected)
        optimizer.step()
        scheduler.step()


def test_the_published_recipes_have_the_published_settings() -> None:
    assert {name: (entry.rate, entry.batch, entry.epochs) for name, entry in RECIPES.items()} | {
        "default": None
    } == {
        "default": None,
        "esc50": (1e-5, 48, 25),
        "audioset-balanced": (5e-5, 12, 25),
        "audioset": (1e-5, 12, 5),
        "speech-commands": (2.5e-4, 128, 30),
    }


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    chosen = replace(QUICK, epochs=10, warm_up_steps=10)
    shares = [chosen.share_of_rate(epoch, step, 20) for epoch in range(10) for step in range(20)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == max(shares[8:12])
    assert all(later < sooner for sooner, later in itertools.pairwise(shares[10:]))
    assert shares[-1] < 1e-3


def test_a_small_data_set_is_gone_through_more_often() -> None:
    chosen = Recipe(init="", epochs=10, least_steps=100, batch=4, rate=1e-3, average_from=6, patience=5)
    assert chosen.for_steps(50) == chosen
    longer = chosen.for_steps(5)
    assert (longer.epochs, longer.average_from, longer.patience) == (20, 12, 10)


def test_a_patience_that_the_user_gives_is_kept_for_a_small_data_set() -> None:
    chosen = adjusted_recipe("default", epochs=None, average=None, changes={"patience": 3, "rate": None})
    assert chosen.for_steps(1).epochs > chosen.epochs
    assert chosen.for_steps(1).patience == 3


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"rate": float("nan")}, {"mixup": 1.5}, {"patience": 0}],
)
def test_an_impossible_recipe_is_reported_in_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError) as error:
        replace(QUICK, **wrong)
    one_sentence(error)


def test_an_unknown_recipe_is_reported_in_one_sentence() -> None:
    with pytest.raises(TrainingError, match="one of default, esc50"):
        recipe("esc-50")


# Plans


def test_a_window_holds_nearly_all_recordings(tones: Path) -> None:
    dataset = read_dataset(tones)
    lengths = {example.path: 16_000 for example in dataset.examples}

    def sounds(path: Path) -> NDArray[np.float32]:
        return np.zeros(lengths[path], np.float32)

    assert window_seconds_for(dataset, sounds) == 1.28
    lengths[dataset.examples[0].path] = 16_000 * 60  # one long recording does not count
    assert window_seconds_for(dataset, sounds) == 1.28
    lengths = dict.fromkeys(lengths, 16_000 * 3)
    assert window_seconds_for(dataset, sounds) == 5.12
    lengths = dict.fromkeys(lengths, 16_000 * 60)
    assert window_seconds_for(dataset, sounds) == 10.24


def test_folds_are_each_measured_once_and_all_is_learned_at_the_end(tones: Path) -> None:
    dataset = read_dataset(tones)
    *folds, last = plan_parts(dataset, folds="3")
    assert [part.name for part in folds] == ["fold 1", "fold 2", "fold 3"]
    measured = np.concatenate([part.validation for part in folds])
    assert sorted(measured.tolist()) == list(range(18))
    assert len(last.training) == 18
    assert not len(last.validation)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"folds": "all"}, "no folds"),
        ({"folds": "two"}, "'two'"),
        ({"fold": 7}, "no fold 7"),
        ({"folds": "19"}, "19"),
    ],
)
def test_missing_folds_are_reported_in_one_sentence(tones: Path, wish: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason) as error:
        plan_parts(read_dataset(tones), **wish)
    one_sentence(error)


# Batches


def test_untouched_batches_are_what_the_tagger_computes(tones: Path, small: str) -> None:
    dataset = read_dataset(tones)
    plain = Recipe(init="", epochs=1, batch=18, rate=1e-3)
    start = starting_point(small, dataset.labels)
    batches = Batches(dataset, read, plain, start, 0)
    batch = batches(0, 0)
    tagged = starting_point(small, dataset.labels).build()
    order = batches._indices(0)
    assert sorted(order.tolist()) == list(range(18))
    for row, target, index in zip(batch.rows, batch.targets, order, strict=True):
        samples = torch.from_numpy(read(dataset.examples[index].path))
        expected = frontends.input_rows(frontends.fbank(samples), 128, start.mean, start.std)
        torch.testing.assert_close(row, expected)
        assert target.argmax() == dataset.examples[index].labels[0]
    assert tagged(batch.rows).shape == batch.targets.shape


def test_a_batch_depends_on_seed_epoch_and_step_only(tones: Path, small: str) -> None:
    dataset = read_dataset(tones)
    start = starting_point(small, dataset.labels)
    one, other = (Batches(dataset, read, QUICK, start, 5) for _ in range(2))
    one(0, 0)
    assert torch.equal(one(1, 2).rows, other(1, 2).rows)
    assert not torch.equal(one(1, 2).rows, one(2, 2).rows)
    assert not torch.equal(one(1, 2).rows, Batches(dataset, read, QUICK, start, 6)(1, 2).rows)


def test_a_placed_sound_has_silence_around_and_no_padding(tones: Path, small: str) -> None:
    dataset = read_dataset(tones)
    start = starting_point(small, dataset.labels)
    batch = Batches(dataset, read, Recipe(init="", epochs=1, batch=18, rate=1e-3, placement=1.0), start, 0)(
        0, 0
    )
    log_mel = batch.rows * 2 * start.std + start.mean
    silent = torch.isclose(log_mel[:, :126], torch.tensor(np.log(frontends.FLOOR)).float(), atol=1e-3).all(-1)
    assert (silent.sum(1) > 30).all()
    assert torch.allclose(log_mel[:, 126:], torch.zeros(()), atol=1e-5)


def test_rare_classes_are_drawn_as_often(tones: Path, small: str) -> None:
    dataset = read_dataset(tones)
    few = dataset.subset([0, *range(6, 18)])  # one of 'high', six of each other
    np.testing.assert_allclose(example_weights(few), [1] + [1 / 6] * 12)
    start = starting_point(small, dataset.labels)
    batches = Batches(few, read, replace(QUICK, balanced=True), start, 0)
    drawn = np.concatenate([batches._indices(epoch) for epoch in range(300)])
    assert np.mean(drawn == 0) == pytest.approx(1 / 3, abs=0.03)


def test_normalisation_is_that_of_the_rows(tones: Path) -> None:
    dataset = read_dataset(tones)
    rows = np.concatenate([log_mel(read(example.path)) for example in dataset.examples])
    mean, std = normalisation(dataset, read, SMALL, 0)
    assert (mean, std) == pytest.approx((rows.mean(), rows.std()), rel=1e-3)


# Runs


def test_a_few_epochs_teach_what_is_easy(tones: Path, small: str, tmp_path: Path) -> None:
    everything = plan_parts(read_dataset(tones), validation=0)
    run = tuning(tones, small, tmp_path, Recipe(init="", epochs=15, batch=3, rate=1e-2), everything)
    assert run.run()
    (result,) = run.results
    assert result.validation is None
    assert result.history[-1].train_loss < 0.5 * result.history[0].train_loss
    assert run.export(tmp_path / "tones.safetensors").activation == "softmax"
    tagger = load_tagger(str(tmp_path / "tones.safetensors"), device="cpu")
    assert tagger.labels == ("high", "low", "middle")
    right = [tagger(read(example.path)).argmax() == example.labels[0] for example in run.dataset.examples]
    assert np.mean(right) > 0.8


def test_the_measured_scores_are_the_taggers(tones: Path, small: str, tmp_path: Path) -> None:
    run = tuning(tones, small, tmp_path)
    run.run()
    run.export(tmp_path / "tones.safetensors")
    tagger = load_tagger(str(tmp_path / "tones.safetensors"), device="cpu", precision="fp32")
    (result,) = run.results
    assert result.validation is not None
    held_out = run.dataset.subset(run.parts[0].validation)
    scores = np.concatenate([tagger(read(example.path)) for example in held_out.examples])
    np.testing.assert_allclose(result.validation.scores.numpy(), scores, atol=1e-5)
    truth = held_out.targets().argmax(1)
    assert result.validation.metric == pytest.approx(accuracy_score(truth, scores.argmax(1)))
    assert result.validation.loss == pytest.approx(
        -np.log(scores[np.arange(len(truth)), truth]).mean(), rel=1e-4
    )


def test_several_labels_are_learned_with_binary_cross_entropy(
    tones: Path, small: str, tmp_path: Path
) -> None:
    dataset = replace(read_dataset(tones), multi_label=True)
    parts = plan_parts(dataset, validation=0.3)
    run = FineTuning(
        starting_point(small, dataset.labels, rows=128),
        dataset,
        read,
        QUICK,
        parts,
        state_file=tmp_path / "state",
        device="cpu",
    )
    run.run()
    assert run.export(tmp_path / "tones.safetensors").activation == "sigmoid"
    validation = run.results[0].validation
    assert validation is not None
    expected = average_precision_score(validation.targets.numpy(), validation.scores.numpy())
    assert validation.metric == pytest.approx(expected)
    loss = torch.nn.functional.binary_cross_entropy(validation.scores, validation.targets)
    assert validation.loss == pytest.approx(loss.item(), rel=1e-4)


def test_the_average_is_the_mean_of_the_weights_of_epochs(tones: Path, small: str, tmp_path: Path) -> None:
    everything = plan_parts(read_dataset(tones), validation=0)
    ends: list[dict[str, torch.Tensor]] = []
    run = tuning(tones, small, tmp_path, parts=everything)
    network = run.learning._network

    def on_step(_: object) -> None:
        if run.learning.counters.step == 0:
            ends.append({key: value.clone() for key, value in network.state_dict().items()})

    run.run(on_step=on_step)
    assert run.results[0].kept == "average"
    exported = run.export(tmp_path / "tones.safetensors").weights
    for key, value in exported.items():
        torch.testing.assert_close(value, (ends[1][key] + ends[2][key]) / 2)


def test_the_same_seed_gives_the_same_weights(tones: Path, small: str, tmp_path: Path) -> None:
    exported = []
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        run = tuning(tones, small, tmp_path / name, seed=seed)
        run.run()
        exported.append(run.export(tmp_path / f"{name}.safetensors").weights)
    assert_equal_weights(exported[0], exported[1])
    assert not torch.equal(exported[0]["v.cls_token"], exported[2]["v.cls_token"])


@pytest.mark.parametrize("head_only", [False, True])
@pytest.mark.parametrize("folds", [None, "2"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    folds: str | None, head_only: bool, tones: Path, small: str, tmp_path: Path
) -> None:
    parts = plan_parts(read_dataset(tones), folds=folds)
    quick = replace(QUICK, epochs=2, batch=6, average_from=1, optimizer="muon" if folds else "adam")
    if head_only:
        quick = replace(quick.with_head_only(), epochs=2)
    whole = tuning(tones, small, tmp_path / "whole", quick, parts)
    whole.run()
    stops = 0
    while True:
        run = tuning(tones, small, tmp_path / "parts", quick, parts)
        if stops:
            run.restore()
        if run.run(minutes=0):
            break
        stops += 1
    assert stops >= 3
    assert_equal_weights(
        whole.export(tmp_path / "whole.safetensors").weights,
        run.export(tmp_path / "parts.safetensors").weights,
    )
    assert str([result.history for result in run.results]) == str(
        [result.history for result in whole.results]
    )


def test_the_head_alone_is_learned_and_all_other_weights_stay(
    tones: Path, small: str, tmp_path: Path
) -> None:
    everything = plan_parts(read_dataset(tones), validation=0)
    run = tuning(tones, small, tmp_path, QUICK.with_head_only(), everything)
    assert run.run()
    before = starting_point(small, run.dataset.labels, rows=128).weights
    after = run.export(tmp_path / "tones.safetensors").weights
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed == {"mlp_head.1.weight", "mlp_head.1.bias"}
    first, *_, last = run.results[0].history
    assert last.train_loss < 0.8 * np.log(len(PITCHES)), "less than the loss of a guess"
    assert first.rate == 0.0


def test_folds_end_with_a_network_that_learned_from_everything(
    tones: Path, small: str, tmp_path: Path
) -> None:
    run = tuning(tones, small, tmp_path, parts=plan_parts(read_dataset(tones), folds="3"))
    run.run()
    *folds, last = run.results
    assert all(result.validation is not None for result in folds)
    assert last.validation is None
    assert len(last.history) == round(float(np.median([result.epochs for result in folds])))


def test_it_stops_where_nothing_gets_better(tones: Path, small: str, tmp_path: Path) -> None:
    stuck = replace(QUICK, epochs=30, rate=1e-12, patience=2, average_from=None)
    run = tuning(tones, small, tmp_path, stuck)
    run.run()
    assert len(run.results[0].history) < 30


def test_a_diverging_training_is_reported_and_keeps_the_best_weights(
    tones: Path, small: str, tmp_path: Path
) -> None:
    good = tuning(tones, small, tmp_path)
    good.run(minutes=0)
    kept = (tmp_path / "state").read_bytes()
    bad = tuning(tones, small, tmp_path, replace(QUICK, rate=1e30))
    bad.restore()
    with pytest.raises(DivergedError, match="lower --rate than 1e.30") as error:
        bad.run()
    one_sentence(error)
    assert (tmp_path / "state").read_bytes() == kept
    again = tuning(tones, small, tmp_path)
    again.restore()
    assert again.run()


def explode(run: FineTuning, part: int, epoch: int) -> Callable[[Progress], None]:
    """A listener that blows the weights up once an epoch of a part has begun."""

    def on_step(progress: Progress) -> None:
        if (progress.part, progress.epoch) == (part, epoch):
            with torch.no_grad():
                for parameter in run.learning._network.parameters():
                    parameter.mul_(1e6)

    return on_step


@pytest.mark.parametrize(("part", "epoch"), [(1, 2), (2, 1), (3, 1)])
def test_after_divergence_the_last_measured_weights_are_written(
    part: int, epoch: int, tones: Path, small: str, tmp_path: Path
) -> None:
    parts = plan_parts(read_dataset(tones), folds="2")
    run = tuning(tones, small, tmp_path, replace(QUICK, average_from=None), parts)
    with pytest.raises(DivergedError):
        run.run(on_step=explode(run, part, epoch))
    measured = run.learning.best if epoch > 1 else run.results[-1].validation
    assert measured is not None
    assert run.export_measured(tmp_path / "tones.safetensors")
    tagger = load_tagger(str(tmp_path / "tones.safetensors"), device="cpu", precision="fp32")
    held_out = run.dataset.subset(parts[part - 1 if epoch > 1 else part - 2].validation)
    scores = np.concatenate([tagger(read(example.path)) for example in held_out.examples])
    np.testing.assert_allclose(measured.scores.numpy(), scores, atol=1e-5)


@pytest.mark.parametrize("validation", [0.0, 0.3])
def test_after_divergence_nothing_is_written_that_was_not_measured(
    validation: float, tones: Path, small: str, tmp_path: Path
) -> None:
    parts = plan_parts(read_dataset(tones), validation=validation)
    run = tuning(tones, small, tmp_path, replace(QUICK, average_from=None), parts)
    with pytest.raises(DivergedError):
        run.run(on_step=explode(run, 1, 1 if validation else 2))
    assert not run.export_measured(tmp_path / "tones.safetensors")
    assert not (tmp_path / "tones.safetensors").exists()


def test_scores_that_explode_in_validation_are_divergence(tones: Path, small: str, tmp_path: Path) -> None:
    whole = replace(
        QUICK, batch=18, rate=1e30, warm_up_steps=0
    )  # an epoch has one step: no loss is seen after it
    with pytest.raises(DivergedError, match=r"epoch 1 \(the scores.*lower --rate") as error:
        tuning(tones, small, tmp_path, whole).run()
    one_sentence(error)


def test_a_run_that_is_stopped_early_in_a_later_fold_gives_the_fold_before(
    tones: Path, small: str, tmp_path: Path
) -> None:
    parts = plan_parts(read_dataset(tones), folds="2")
    run = tuning(tones, small, tmp_path, replace(QUICK, epochs=1), parts)
    run.learning.run(lambda: True)
    run._end_part()
    run.learning.run(lambda: False)
    assert_equal_weights(run.export(tmp_path / "tones.safetensors").weights, run._weights)


def test_another_run_is_not_resumed(tones: Path, small: str, tmp_path: Path) -> None:
    tuning(tones, small, tmp_path).run(minutes=0)
    for other in (
        tuning(tones, small, tmp_path, seed=1),
        tuning(tones, small, tmp_path, replace(QUICK, batch=3)),
        tuning(tones, small, tmp_path, parts=plan_parts(read_dataset(tones), folds="2")),
        tuning(tones, small, tmp_path, multi_label=True),
        tuning(tones, small, tmp_path, replace(QUICK, loss="binary")),
    ):
        with pytest.raises(TrainingError, match="other recordings or settings") as error:
            other.restore()
        one_sentence(error)


def test_a_run_whose_recordings_were_changed_is_not_resumed(small: str, tmp_path: Path) -> None:
    copy = write_tones(tmp_path / "tones", 3)
    tuning(copy, small, tmp_path).run(minutes=0)
    soundfile.write(copy / "low" / "0.wav", tone(300, 0, 0.9), 16_000)
    with pytest.raises(TrainingError, match="other recordings or settings"):
        tuning(copy, small, tmp_path).restore()


def test_a_broken_state_is_reported_in_one_sentence(tones: Path, small: str, tmp_path: Path) -> None:
    run = tuning(tones, small, tmp_path)
    with pytest.raises(TrainingError, match="nothing to resume"):
        run.restore()
    run.run(minutes=0)
    whole = (tmp_path / "state").read_bytes()
    for broken in (b"", b"PK broken", whole[: len(whole) // 2]):
        (tmp_path / "state").write_bytes(broken)
        with pytest.raises(TrainingError, match="can't be resumed.*start over with --overwrite") as error:
            tuning(tones, small, tmp_path).restore()
        one_sentence(error)
    torch.save({"run": run._fingerprint, "results": {}, 119: 0}, tmp_path / "state")
    with pytest.raises(TrainingError, match=r"\(KeyError 'weights'\)"):
        tuning(tones, small, tmp_path).restore()


def test_a_full_disk_is_reported_in_one_sentence_and_leaves_the_old_files(
    tones: Path, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tuning(tones, small, tmp_path)
    run.run(minutes=0)
    run.export(tmp_path / "tones.safetensors")
    before = {name: (tmp_path / name).read_bytes() for name in ("state", "tones.safetensors")}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    monkeypatch.setattr("models.checkpoints.tensors.save_file", full)
    with pytest.raises(TrainingError, match="No space left on device.*free some space") as error:
        run.run()
    one_sentence(error)
    with pytest.raises(TrainingError, match="No space left on device.*free some space") as error:
        run.export(tmp_path / "tones.safetensors")
    one_sentence(error)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


# Report


def test_confusion_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.random((50, 4)).astype(np.float32), random.integers(0, 4, 50)
    targets = np.eye(4, dtype=np.float32)[truth]
    expected = confusion_matrix(truth, scores.argmax(1), normalize="true")
    np.testing.assert_allclose(confusion(scores, targets, multi_label=False), expected)
    means = [scores[truth == label].mean(0) for label in range(4)]
    np.testing.assert_allclose(confusion(scores, targets, multi_label=True), means, rtol=1e-5)


# The command


def invoke(*words: str) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, ["finetune", *words, "--device", "cpu"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def words_for(data: Path, small: str, out: Path) -> tuple[str, ...]:
    return (
        "--data",
        str(data),
        "--init",
        small,
        "--out",
        str(out),
        "--rate",
        "3e-3",
        "--batch",
        "4",
        "--epochs",
        "2",
    )


def test_the_command_trains_and_reports(small: str, tmp_path: Path) -> None:
    copy = tmp_path / "tones"
    write_tones(copy)
    (copy / "low" / "empty.wav").touch()
    out = tmp_path / "my.safetensors"
    said = invoke(*words_for(copy, small, out))
    assert "accuracy" in said
    assert f"earshot --model {out}" in said
    assert load_tagger(str(out), device="cpu").window_samples == 20_480
    folder = tmp_path / "my-report"
    assert {file.name for file in folder.iterdir()} == {
        *("report.json", "history.csv", "classes.csv", "unreadable.txt"),
        *("curves.png", "classes.png", "confusion.png"),
    }
    content = json.loads((folder / "report.json").read_text())
    assert content["metric"] == "accuracy"
    assert content["value"] == pytest.approx(content["figures"]["accuracy"])
    assert content["unreadable"] == 1
    assert content["settings"]["rate"] == 3e-3
    assert "empty.wav" in (folder / "unreadable.txt").read_text()
    with (folder / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert not out.with_name("my.safetensors.state").exists()
    with pytest.raises(TrainingError, match="--overwrite"):
        invoke(*words_for(copy, small, out))
    invoke(*words_for(copy, small, out), "--overwrite")


def test_the_command_trains_the_head_alone(tones: Path, small: str, tmp_path: Path) -> None:
    out = tmp_path / "my.safetensors"
    said = invoke("--data", str(tones), "--init", small, "--out", str(out), "--head-only", "--folds", "2")
    assert "over 2 folds" in said
    kept, start = weights_of(out), load_checkpoint(small).weights
    assert torch.equal(kept["v.cls_token"], start["v.cls_token"])
    settings = json.loads((tmp_path / "my-report" / "report.json").read_text())["settings"]
    assert settings["head_only"] is True


def test_the_command_measures_with_folds(tones: Path, small: str, tmp_path: Path) -> None:
    out = tmp_path / "my.safetensors"
    said = invoke(*words_for(tones, small, out), "--folds", "2", "--report", str(tmp_path / "told"))
    assert "over 2 folds" in said
    content = json.loads((tmp_path / "told" / "report.json").read_text())
    values = [part["value"] for part in content["parts"]]
    assert values[2] is None
    assert content["value"] == pytest.approx(np.mean(values[:2]))
    assert content["deviation"] == pytest.approx(np.std(values[:2], ddof=1))
    assert (tmp_path / "told" / "curves-fold-1.png").stat().st_size > 1000


def test_an_esc_50_shaped_folder_goes_through_its_recipe(small: str, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "meta").mkdir()
    with (tmp_path / "meta" / "esc50.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
        for target, (label, pitch) in enumerate(PITCHES.items()):
            for fold in (1, 2, 3):
                name = f"{fold}-{target}-A-{target}.wav"
                soundfile.write(tmp_path / "audio" / name, tone(pitch, 3 * target + fold, 5.0), 16_000)
                rows.writerow((name, fold, target, label, "False", target, "A"))
    out = tmp_path / "esc.safetensors"
    said = invoke(
        *(
            "--data",
            str(tmp_path / "meta" / "esc50.csv"),
            "--recipe",
            "esc50",
            "--init",
            small,
            "--out",
            str(out),
        ),
        *("--fold", "2", "--epochs", "1", "--batch", "3"),
    )
    assert "on the 3 recordings that were held out" in said
    checkpoint = load_checkpoint(str(out))
    assert (checkpoint.mean, checkpoint.std, checkpoint.config.input_tdim) == (-6.6268077, 5.358466, 512)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--fold", "4"), "no fold 4"),
        (("--recipe", "best"), "no recipe 'best'"),
        (("--rate", "1e30"), "lower --rate"),
        (("--rate", "-1"), "above 0"),
        (("--init", "tinny"), "no model 'tinny'"),
        (("--tstride", "17"), "strides must be 1 to 16"),
        (("--validation", "0.01"), "too few recordings"),
        (("--out", "/proc/my.safetensors"), "can't be written"),
        (("--out", "my.txt"), "not a model's file name"),
        (("--out", "."), "is a folder"),
        (("--out", "caf\udce9.safetensors"), "is not UTF-8"),
        (("--report", "/proc/report"), "can't be written"),
        (("--report", __file__), "is a file, and the report is a folder"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(
    words: tuple[str, ...],
    reason: str,
    tones: Path,
    small: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=reason) as error:
        invoke(*words_for(tones, small, tmp_path / "my.safetensors"), *words)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "my.safetensors").exists()


def test_a_mistake_leaves_no_folders_behind(small: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no folder or CSV file"):
        invoke(*words_for(tmp_path / "nothing", small, tmp_path / "new" / "deep" / "my.safetensors"))
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_there_is_not_deleted(tones: Path, small: str, tmp_path: Path) -> None:
    mine = tmp_path / "my.safetensors.part"
    mine.write_text("mine")
    with pytest.raises(TrainingError, match="already a file"):
        invoke(*words_for(tones, small, tmp_path / "my.safetensors"))
    assert mine.read_text() == "mine"


def test_the_report_is_not_written_over_the_data(small: str, tmp_path: Path) -> None:
    data = write_tones(tmp_path / "tones", 1)
    for folder in (data, tmp_path):
        with pytest.raises(TrainingError, match="the data is in") as error:
            invoke(*words_for(data, small, tmp_path / "my.safetensors"), "--report", str(folder))
        one_sentence(error)


def test_a_report_that_cannot_be_written_costs_no_model(tones: Path, small: str, tmp_path: Path) -> None:
    out = tmp_path / "my.safetensors"
    words = words_for(tones, small, out)
    (tmp_path / "my-report" / "curves.png.part").mkdir(parents=True)  # in the way of a figure
    with pytest.raises(TrainingError, match=r"the model is saved in .*my.safetensors, but") as error:
        invoke(*words)
    one_sentence(error)
    assert load_tagger(str(out), device="cpu").labels == ("high", "low", "middle")
    (tmp_path / "my-report" / "curves.png.part").rmdir()
    invoke(*words, "--resume")
    assert (tmp_path / "my-report" / "curves.png").exists()


def test_a_report_keeps_nothing_of_an_earlier_one(tones: Path, small: str, tmp_path: Path) -> None:
    folder = tmp_path / "my-report"
    folder.mkdir()
    for name in ("unreadable.txt", "confusion.png", "curves-fold-1.png", "notes.txt"):
        (folder / name).write_text("old")
    invoke(*words_for(tones, small, tmp_path / "my.safetensors"), "--validation", "0")
    assert {file.name for file in folder.iterdir()} == {
        *("report.json", "history.csv", "curves.png", "notes.txt"),
    }


def test_a_report_survives_names_that_are_no_utf_8(
    tones: Path, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "caf\udce9"
    write_tones(tmp_path / "cafe").rename(data)
    (data / "low" / "empty.wav").touch()
    listed = [f"{file.relative_to(data)},{file.parent.name}" for file in sorted(data.rglob("*.wav"))]
    (data / "list.csv").write_text("\n".join(["path,label", *listed]))
    out = tmp_path / "my.safetensors"

    def copied(path: Path) -> NDArray[np.float32]:  # libsndfile's own names must be UTF-8
        if path.stat().st_size == 0:
            raise SoundError(f"{path} is empty: take it away")
        return read(tones / path.relative_to(data))

    monkeypatch.setattr("earshot.commands.finetune.read_recording", copied)
    invoke(*words_for(data / "list.csv", small, out))
    content = json.loads((tmp_path / "my-report" / "report.json").read_text())
    assert content["settings"]["data"].endswith("caf\\xe9/list.csv")
    assert "empty.wav" in (tmp_path / "my-report" / "unreadable.txt").read_text()


def test_an_unreadable_fold_is_reported_in_one_sentence(small: str, tmp_path: Path) -> None:
    data = write_tones(tmp_path / "tones", 2)
    lines = [f"{label}/{number}.wav,{label},{number}" for label in PITCHES for number in (0, 1)]
    lines += [f"{label}/gone.wav,{label},2" for label in PITCHES]
    (data / "list.csv").write_text("\n".join(["path,label,fold", *lines]))
    words = words_for(data / "list.csv", small, tmp_path / "my.safetensors")
    for wish in (("--fold", "2"), ("--folds", "all")):
        with pytest.raises(TrainingError, match="none of the recordings of fold 2 can be read") as error:
            invoke(*words, *wish)
        one_sentence(error)


def test_the_program_reports_a_full_disk_in_one_sentence(tones: Path, small: str, tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    ended = subprocess.run(
        [
            *(sys.executable, str(root / "run_live.py"), "finetune", "--device", "cpu"),
            *words_for(tones, small, tmp_path / "my.safetensors"),
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "the disk may be full" in ended.stderr
    assert "enforce fail" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_terminal_each_epoch_is_a_line_on_standard_error(
    tones: Path, small: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "earshot"):
        invoke(*words_for(tones, small, tmp_path / "my.safetensors"), "--epochs", "2")
    lines = [record.message for record in caplog.records if record.name == "earshot.commands.finetune"]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert all(re.search(r": loss \d+\.\d+, best accuracy [01]\.\d+$", line) for line in lines[:1])
    assert "recordings: 100 %" in caplog.messages


def test_one_class_is_not_enough(small: str, tmp_path: Path) -> None:
    (tmp_path / "data" / "low").mkdir(parents=True)
    soundfile.write(tmp_path / "data" / "low" / "1.wav", tone(300, 1), 16_000)
    with pytest.raises(TrainingError, match="only one class"):
        invoke(*words_for(tmp_path / "data", small, tmp_path / "my.safetensors"))


_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
import test_finetune
torch.set_num_threads(1)
test_finetune.invoke(*sys.argv[1:])
"""


def test_a_killed_run_goes_on_to_the_same_weights(tones: Path, small: str, tmp_path: Path) -> None:
    longer = ("--epochs", "10", "--patience", "10")
    killed, whole = tmp_path / "killed.safetensors", tmp_path / "whole.safetensors"
    command = [
        *(sys.executable, "-c", _RUN.format(tests=str(Path(__file__).parent))),
        *words_for(tones, small, killed),
        *longer,
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    state = killed.with_name("killed.safetensors.state")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: state.exists() or process.poll() is not None, "an epoch", 120.0)
    finally:
        process.kill()
        process.wait(timeout=60)
    assert not killed.exists()
    with pytest.raises(TrainingError, match="--resume"):
        invoke(*words_for(tones, small, killed), *longer)
    invoke(*words_for(tones, small, killed), *longer, "--resume")
    invoke(*words_for(tones, small, whole), *longer)
    assert_equal_weights(weights_of(killed), weights_of(whole))
