"""Random changes of training examples."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training.augment import add_noise, mask_rows, mix_up, place, random_gain


def tones(batch: int, count: int = 16_000) -> Tensor:
    time = torch.arange(count) / 16_000
    return 0.2 * torch.sin(2 * math.pi * (200 + 100 * torch.arange(batch))[:, None] * time)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


CHANGES: list[Callable[[np.random.Generator], Tensor]] = [
    lambda random: torch.from_numpy(place(np.ones(100, np.float32), 1000, random)),
    lambda random: random_gain(tones(4), random),
    lambda random: add_noise(tones(4), random),
    lambda random: torch.cat(mix_up(tones(8), torch.eye(8), random), 1),
    lambda random: mask_rows(torch.ones(4, 100, 128), random),
]


@pytest.mark.parametrize("change", CHANGES, ids=["place", "gain", "noise", "mix-up", "mask"])
def test_the_seed_decides_everything(change: Callable[[np.random.Generator], Tensor]) -> None:
    first, again, other = (change(seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_short_sound_lies_anywhere_in_silence() -> None:
    random = seeded()
    sound = random.uniform(0.1, 1, 100).astype(np.float32)
    begins = set()
    for _ in range(200):
        window = place(sound, 110, random)
        begin = int(np.flatnonzero(window)[0])
        begins.add(begin)
        expected = np.zeros(110, np.float32)
        expected[begin : begin + 100] = sound
        np.testing.assert_array_equal(window, expected)
    assert begins == set(range(11))


def test_of_a_long_sound_any_part_is_taken() -> None:
    random = seeded()
    sound = np.arange(105, dtype=np.float32)
    begins = set()
    for _ in range(100):
        window = place(sound, 100, random)
        begins.add(int(window[0]))
        np.testing.assert_array_equal(window, np.arange(window[0], window[0] + 100))
    assert begins == set(range(6))


def test_a_placed_sound_is_a_copy() -> None:
    sound = np.ones(100, np.float32)
    for length in (90, 100, 110):
        place(sound, length, seeded())[:] = 0
    assert (sound == 1).all()


def test_the_gain_keeps_to_its_limits_and_below_full_scale() -> None:
    sounds = tones(200)
    gains = 20 * (random_gain(sounds, seeded(), (-12, 6)).abs().amax(1) / sounds.abs().amax(1)).log10()
    assert gains.min() < -10
    assert gains.max() > 4
    assert ((gains > -12.01) & (gains < 6.01)).all()
    for level in (4.9, 10.0):  # just below full scale, and beyond it already
        loud = random_gain(level * sounds, seeded(), (0.0, 20.0)).abs().amax(1)
        assert (loud < torch.maximum(level * sounds.abs().amax(1), torch.tensor(1.0)) + 1e-5).all()
    assert random_gain(torch.zeros(2, 10), seeded()).abs().max() == 0


def ratios_db(sounds: Tensor, noisy: Tensor) -> Tensor:
    signal = torch.stack([sound[sound != 0].square().mean() for sound in sounds])
    return 10 * (signal / (noisy - sounds).square().mean(1)).log10()


def test_the_noise_lies_below_the_signal_by_the_ratio() -> None:
    sounds = tones(100)
    sounds[:, 4000:] = 0  # the silence around a sound does not count
    ratios = ratios_db(sounds, add_noise(sounds, seeded(), (5.0, 40.0)))
    assert ((ratios > 4.9) & (ratios < 40.1)).all()
    assert ratios.min() < 8
    assert ratios.max() > 37
    torch.testing.assert_close(
        ratios_db(sounds, add_noise(sounds, seeded(), (20.0, 20.0))),
        torch.full((100,), 20.0),
        atol=0.01,
        rtol=0,
    )


def test_noise_covers_the_whole_window_but_none_that_is_silent() -> None:
    sounds = tones(3)
    sounds[0, 100:], sounds[1] = 0, 0
    noisy = add_noise(sounds, seeded(), (0.0, 0.0))
    assert (noisy[0, 100:] != 0).float().mean() > 0.99
    assert (noisy[1] == 0).all()
    assert torch.equal(add_noise(sounds, seeded(), probability=0.0), sounds)
    some = add_noise(tones(200), seeded(), probability=0.3)
    assert 0.2 < (some != tones(200)).any(1).float().mean() < 0.4


def slope_db_per_octave(noise: NDArray[np.float32]) -> float:
    pieces = noise.reshape(-1, 1000) * np.hanning(1000)
    power = np.square(np.abs(np.fft.rfft(pieces))).mean(0)[7:440]  # 112 to 7,024 Hz
    return float(np.polyfit(np.log2(np.arange(7, 440)), 10 * np.log10(power), 1)[0])


def test_noise_is_white_or_pink() -> None:
    sounds = tones(40)
    noise = (add_noise(sounds, seeded(), (0.0, 0.0)) - sounds).numpy()
    slopes = np.array([slope_db_per_octave(one) for one in noise])
    white, pink = np.abs(slopes) < 0.5, np.abs(slopes + 3.01) < 0.5
    assert (white | pink).all()
    assert 10 < pink.sum() < 30


def test_mixed_sounds_have_mixed_labels() -> None:
    random = seeded()
    targets = torch.eye(50)
    sounds = random.standard_normal((50, 300)).astype(np.float32)
    mixed, labels = mix_up(torch.from_numpy(sounds), targets, random)
    torch.testing.assert_close(labels.sum(1), torch.ones(50))
    torch.testing.assert_close(mixed, labels @ torch.from_numpy(sounds), atol=1e-5, rtol=1e-5)
    own = labels.diagonal()
    assert (own[own < 1] < 0.95).all()  # Beta(10, 10) hardly leaves 0.1 to 0.9
    assert own.median() < 0.65
    sounds_again, targets_again = mix_up(torch.from_numpy(sounds), targets, random, probability=0.0)
    assert torch.equal(sounds_again, torch.from_numpy(sounds))
    assert torch.equal(targets_again, targets)


def test_the_weights_of_a_mixture_are_beta_distributed() -> None:
    _, labels = mix_up(torch.zeros(20_000, 1), torch.eye(2).repeat(10_000, 1), seeded(), alpha=10.0)
    weights = labels.amin(1)[labels.amin(1) > 0]  # of mixtures of both classes
    expected = np.minimum(beta := seeded(1).beta(10, 10, 100_000), 1 - beta)
    assert float(weights.mean()) == pytest.approx(expected.mean(), abs=0.005)
    assert float(weights.std()) == pytest.approx(expected.std(), abs=0.005)


def test_a_band_and_a_stretch_of_each_window_are_masked() -> None:
    rows = torch.full((300, 100, 128), -7.0)
    masked = mask_rows(rows, seeded(), bins=48, share=0.2)
    assert set(masked.flatten().tolist()) == {-7.0, 0.0}
    in_bins, in_rows = (masked == 0).all(1), (masked == 0).all(2)  # (300, 128), (300, 100)
    assert torch.equal(masked == 0, in_bins[:, None, :] | in_rows[:, :, None])
    for stretches, longest in ((in_bins, 48), (in_rows, 20)):
        widths = stretches.sum(1)
        assert [int(widths.min()), int(widths.max())] == [0, longest]
        assert float(widths.float().mean()) == pytest.approx(longest / 2, rel=0.15)
        edges = stretches.int().diff(dim=1).abs().sum(1)
        assert edges.max() <= 2  # in one piece
        assert stretches.float().mean(0).min() > 0  # anywhere
    assert len({tuple(mask) for mask in in_bins.tolist()}) > 200  # another one in each window


def test_nothing_is_masked_when_masking_is_off() -> None:
    rows = torch.randn(4, 20, 16)
    assert torch.equal(mask_rows(rows, seeded(), bins=0, share=0.0), rows)
    assert mask_rows(rows, seeded(), bins=48, share=1.0).shape == rows.shape
