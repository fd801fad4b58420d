"""Teachers: mn04's network and front end, both teachers as taggers, and the table of them."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models import TrainingError
from models.labels import audioset_classes
from models.training.teachers import TEACHERS, load_network
from models.training.teachers.mn04 import WINDOW_SAMPLES, Mn04, Mn04FrontEnd, two_ways
from models.training.teachers.tagger import load_teacher_tagger
from models.training.teachers.yamnet import YamNet

CPU = torch.device("cpu")
PACK = Path(os.environ.get("EARSHOT_PACK") or Path(__file__).parents[2] / "shared" / "distil")
"""Audio pack with the published weights, which are not part of the repository."""
RATE = 16_000


def published(file: str) -> Path:
    path = PACK / file
    if not path.is_file():
        pytest.skip(
            f"there is no {path}: the published weights are not at hand; EARSHOT_PACK names their folder"
        )
    return path


def sounds(count: int, seconds: float, seed: int = 0) -> Tensor:
    """Tones in noise, each of its own pitch."""
    random = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * RATE)) / RATE
    pitches = torch.rand(count, 1, generator=random) * 3000 + 200
    noise = torch.randn(count, len(time), generator=random)
    return 0.2 * torch.sin(2 * torch.pi * pitches * time) + 0.02 * noise


@pytest.fixture(scope="module")
def original() -> Mn04:
    """mn04 with random weights and random statistics, before folding."""
    torch.manual_seed(0)
    network = Mn04()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return network.eval()


@pytest.fixture(scope="module")
def weights(original: Mn04, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of these weights, as the original ones are saved."""
    path = tmp_path_factory.mktemp("weights") / TEACHERS["mn04"].weights
    save_file({key: value for key, value in original.state_dict().items() if value.is_floating_point()}, path)
    return path


@pytest.fixture(scope="module")
def network(weights: Path) -> Mn04:
    return load_network(Mn04, weights, CPU)


# mn04 against the published code


def test_mn04_computes_what_the_published_code_computes() -> None:
    network = load_network(Mn04, published(TEACHERS["mn04"].weights), CPU)
    with np.load(published("mn04_check.npz")) as check:
        samples = torch.from_numpy(check["samples_int16_32k"] / np.float32(32767))
        expected_rows = torch.from_numpy(check["rows"]).transpose(1, 2)
        logits = torch.from_numpy(check["logits"])
    front_end = Mn04FrontEnd()
    rows = front_end.input_rows(front_end.mel_energies_32k(samples))
    torch.testing.assert_close(rows, expected_rows, atol=5e-5, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(network(rows), logits, atol=2e-5, rtol=0)
        torch.testing.assert_close(network(expected_rows), logits, atol=2e-5, rtol=0)


def test_the_published_mn04_hears_a_pure_tone_and_silence() -> None:
    tagger = load_teacher_tagger("mn04", published(TEACHERS["mn04"].weights), device="cpu")
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE * 10) / RATE).astype(np.float32)
    for samples, name in ((tone, "Sine wave"), (np.zeros_like(tone), "Silence")):
        assert tagger.labels[int(tagger(samples).argmax())] == name


# Front end


def test_sound_at_16_khz_has_the_energies_of_the_same_sound_at_32_khz() -> None:
    time = torch.arange(2 * RATE * 2, dtype=torch.float64) / (2 * RATE)
    pitches = torch.tensor([[150.0], [900.0], [3000.0], [7000.0]])
    tones = (0.1 * torch.sin(2 * torch.pi * pitches * time)).sum(0).float()
    front_end = Mn04FrontEnd()
    narrow, wide = front_end.mel_energies(tones[None, ::2]), front_end.mel_energies_32k(tones[None])
    assert narrow.shape == wide.shape == (1, 200, 128)
    inner = slice(10, -10)  # at 16 kHz, the sound begins and ends less suddenly
    torch.testing.assert_close(
        front_end.input_rows(narrow)[:, inner], front_end.input_rows(wide)[:, inner], atol=0.001, rtol=0
    )


def test_the_energies_of_two_sounds_add_up() -> None:
    random = torch.Generator().manual_seed(3)
    one, other = 0.1 * torch.randn(2, 1, 8 * RATE, generator=random)
    front_end = Mn04FrontEnd()
    together, apart = (
        front_end.mel_energies(one + other).mean(1),
        (front_end.mel_energies(one) + front_end.mel_energies(other)).mean(1),
    )
    assert float((together / apart)[:, :90].min()) > 0.8
    assert float((together / apart)[:, :90].max()) < 1.25


# Network


def test_folded_batch_normalisations_change_nothing(original: Mn04, network: Mn04) -> None:
    assert any(isinstance(module, nn.BatchNorm2d) for module in original.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    rows = torch.randn(2, 300, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = original(rows)
        assert expected.std() > 0.01
        torch.testing.assert_close(network(rows), expected, atol=1e-4, rtol=1e-4)


def test_mn04_has_a_million_parameters(original: Mn04) -> None:
    assert 0.97e6 < sum(parameter.numel() for parameter in original.parameters()) < 1.0e6


@pytest.mark.parametrize("rows", [256, 300, 1000, 1024])
def test_labels_are_probabilities_embeddings_and_features_in_time(network: Mn04, rows: int) -> None:
    energies = torch.rand(2, rows, 128, generator=torch.Generator().manual_seed(rows))
    labels = network.label(network.front_end.input_rows(energies))
    assert labels.probabilities.shape == (2, 527)
    assert ((labels.probabilities > 0) & (labels.probabilities < 1)).all()
    assert labels.embeddings.shape == (2, network.embedding_width) == (2, 512)
    assert labels.features.shape == (2, -(-rows // 32), network.feature_width)
    assert network.feature_width == 384
    alone = network.label(network.front_end.input_rows(energies[1:]))
    torch.testing.assert_close(alone.probabilities, labels.probabilities[1:], atol=1e-5, rtol=1e-5)


def test_mn04_in_half_precision_gives_nearly_the_same_labels(weights: Path, network: Mn04) -> None:
    fast = load_network(Mn04, weights, CPU, torch.bfloat16)
    rows = network.front_end.input_rows(network.front_end.mel_energies(sounds(2, 2.56)))
    precise, rough = network.label(rows), fast.label(rows)
    for exact, near in ((precise.probabilities, rough.probabilities), (precise.features, rough.features)):
        assert near.dtype == torch.float32
        torch.testing.assert_close(near, exact, atol=0.1, rtol=0.1)


# Both ways of hearing a short sound


def test_a_short_sound_is_heard_followed_by_silence_and_repeated() -> None:
    short = torch.arange(1.0, 70_001.0)[None]
    padded, repeated = two_ways(short)
    assert padded.shape == repeated.shape == (1, WINDOW_SAMPLES)
    assert torch.equal(padded[0, :70_000], short[0])
    assert not padded[0, 70_000:].any()
    assert torch.equal(repeated[0, 140_000:], short[0, :20_000])


def test_a_whole_window_is_heard_once_as_it_is() -> None:
    whole = sounds(2, 10.0)
    (window,) = two_ways(whole)
    assert torch.equal(window, whole)


def test_both_ways_count_the_same(network: Mn04) -> None:
    short = sounds(2, 3.0)
    logits, embeddings = network.listen(short)
    ways = [network.listen(way) for way in two_ways(short)]
    torch.testing.assert_close(logits, (ways[0][0] + ways[1][0]) / 2, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(embeddings, (ways[0][1] + ways[1][1]) / 2, atol=1e-5, rtol=1e-5)


# Taggers


def test_mn04_tags_like_any_model(weights: Path, network: Mn04) -> None:
    tagger = load_teacher_tagger("mn04", weights.parent, device="cpu")
    assert (tagger.name, tagger.window_samples) == ("mn04", WINDOW_SAMPLES)
    assert tagger.labels == tuple(entry.name for entry in audioset_classes())
    for samples in (sounds(2, 10.0), sounds(2, 1.0), sounds(1, 0.01)):
        scores = torch.from_numpy(tagger(samples))
        assert scores.shape == (len(samples), 527)
        torch.testing.assert_close(scores, network.listen(samples)[0].sigmoid(), atol=1e-6, rtol=0)
        assert tagger.embed(samples).shape == (len(samples), 512)
    assert tagger(sounds(1, 1.0)[0]).shape == (1, 527)
    with pytest.raises(ValueError, match="160000 samples"):
        tagger(np.zeros(WINDOW_SAMPLES + 1, np.float32))


@pytest.mark.parametrize("name", TEACHERS)
def test_every_teacher_labels_and_tags(name: str, tmp_path: Path) -> None:
    teacher = TEACHERS[name]
    torch.manual_seed(2)
    random = {
        key: value for key, value in teacher.network().state_dict().items() if value.is_floating_point()
    }
    save_file(random, tmp_path / teacher.weights)
    network = load_network(teacher.network, tmp_path / teacher.weights, CPU)
    energies = network.front_end.mel_energies(sounds(2, 2.56))
    assert energies.shape[::2] == (2, network.front_end.bins)
    labels = network.label(network.front_end.input_rows(energies))
    assert labels.probabilities.shape == (2, len(network.classes))
    assert labels.embeddings.shape == (2, network.embedding_width)
    assert labels.features.shape[::2] == (2, network.feature_width)
    tagger = load_teacher_tagger(name, tmp_path, window_seconds=2.56, device="cpu")
    assert tagger.window_samples == 40_960
    scores = tagger(sounds(2, 2.56))
    lacking = np.setdiff1d(np.arange(527), network.classes)
    assert scores.shape == (2, 527)
    assert not scores[:, lacking].any()
    assert not np.isnan(tagger.logits(sounds(2, 0.01))).any()


def test_a_window_as_yamnet_hears_it_is_what_it_labels(tmp_path: Path) -> None:
    torch.manual_seed(4)
    save_file(YamNet().state_dict(), tmp_path / TEACHERS["yamnet"].weights)
    network = load_network(YamNet, tmp_path / TEACHERS["yamnet"].weights, CPU)
    samples = sounds(1, 2.565)
    samples -= samples.mean()
    labels = network.label(network.front_end.input_rows(network.front_end.mel_energies(samples)))
    heard = network.listen(samples)[0][:, list(network.classes)].sigmoid()
    torch.testing.assert_close(heard, labels.probabilities, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", TEACHERS)
def test_weights_that_cannot_be_read_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    file = tmp_path / TEACHERS[name].weights
    for content in (None, b"not weights"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(TrainingError, match="copy the pack again") as error:
            load_teacher_tagger(name, tmp_path)
        assert "\n" not in str(error.value)
    save_file({"other": torch.zeros(1)}, file)
    with pytest.raises(TrainingError, match="copy the pack again"):
        load_teacher_tagger(name, file)
