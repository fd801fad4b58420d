"""Noise levels: weighting and third octaves against the standards, and levels by the minute."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pytest
from support.noise import (
    A_WEIGHTING_DB,
    BAND_LIMITS_DB,
    WEIGHTING_LIMITS_DB,
    exact_hz,
    in_chunks,
    noise,
    tone,
)

from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, NoiseLevels, Samples
from streamer.noise.blocks import Values
from streamer.noise.frames import FrameMeter
from streamer.noise.minutes import MINUTE_SAMPLES
from streamer.noise.octaves import BAND_NAMES, CENTRES_HZ, ThirdOctaves
from streamer.noise.source import SourceNoise
from streamer.noise.weighting import HALF_SAMPLES, AWeighting, FastWeighting, a_filter, a_weighting


def weighted(samples: Samples) -> Values:
    weighting = AWeighting()
    return np.concatenate([weighting.feed(samples), weighting.finish()])


def level(samples: Values) -> float:
    return float(10.0 * np.log10(np.mean(np.square(samples))))


def levels(
    chunks: Sequence[AudioChunk], *, offset_db: float | None = None, finish: bool = True
) -> list[NoiseLevels]:
    meter = SourceNoise("hall", measures=True, offset_db=offset_db)
    found = [message for chunk in chunks for message in meter.feed(chunk, ())]
    found += meter.finish() if finish else []
    return [message for message in found if isinstance(message, NoiseLevels)]


class TestWeighting:
    @pytest.mark.parametrize("nominal_hz", A_WEIGHTING_DB)
    def test_the_curve_is_that_of_the_standard(self, nominal_hz: float) -> None:
        weight_db = 20.0 * np.log10(a_weighting(exact_hz(nominal_hz)))
        assert weight_db == pytest.approx(A_WEIGHTING_DB[nominal_hz], abs=0.06)

    @pytest.mark.parametrize("nominal_hz", WEIGHTING_LIMITS_DB)
    def test_a_tone_is_weighted_within_a_tenth_of_the_limits_of_class_1(self, nominal_hz: float) -> None:
        frequency = exact_hz(nominal_hz)
        periods = max(1, round(frequency))  # a whole number of them in the second that is measured
        output = weighted(tone(periods, 1.2, level_dbfs=-10.0))[:SAMPLE_RATE_HZ]
        error = level(output) + 10.0 - 20.0 * np.log10(a_weighting(periods))
        up, down, *_ = WEIGHTING_LIMITS_DB[nominal_hz]
        assert -down / 10.0 < error < up / 10.0

    def test_nothing_moves_in_time(self) -> None:
        click = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
        click[20_000] = 1.0
        assert int(np.argmax(np.abs(weighted(click)))) + HALF_SAMPLES == 20_000
        np.testing.assert_allclose(a_filter(), a_filter()[::-1], atol=1e-12)

    def test_it_equals_a_convolution_at_any_block_size(self) -> None:
        samples = noise(2.0)
        expected = np.convolve(samples.astype(np.float64), a_filter(), "valid")
        np.testing.assert_allclose(weighted(samples), expected, atol=1e-10)
        weighting = AWeighting()
        parts = [weighting.feed(chunk.samples) for chunk in in_chunks(samples, np.array([1, 777, 5000, 160]))]
        np.testing.assert_array_equal(np.concatenate([*parts, weighting.finish()]), weighted(samples))

    def test_white_noise_has_the_level_of_the_curve(self) -> None:
        frequencies = np.linspace(0.0, SAMPLE_RATE_HZ / 2, 20_001)
        expected = -20.0 + 10.0 * np.log10(np.mean(np.square(a_weighting(frequencies))))
        assert level(weighted(noise(60.0))) == pytest.approx(expected, abs=0.05)

    def test_the_time_weighting_is_the_recursion(self) -> None:
        scipy_signal = pytest.importorskip("scipy.signal")
        power = np.square(noise(3.0).astype(np.float64))
        decay = np.exp(-1.0 / (0.125 * SAMPLE_RATE_HZ))
        expected = scipy_signal.lfilter([1.0 - decay], [1.0, -decay], power)
        fast = FastWeighting()
        parts = [fast.feed(part) for part in np.array_split(power, [3, 1000, 30_000])]
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-9)

    def test_a_tone_that_stops_falls_by_34_7_db_a_second(self) -> None:
        fast = FastWeighting()
        fast.feed(np.ones(2 * SAMPLE_RATE_HZ))
        after = fast.feed(np.zeros(SAMPLE_RATE_HZ))
        assert 10.0 * np.log10(after[-1]) == pytest.approx(-34.7, abs=0.1)

    def test_a_tone_burst_of_200_ms_reads_1_db_below_the_tone(self) -> None:
        fast = FastWeighting()
        burst = np.ones(SAMPLE_RATE_HZ // 5)
        assert 10.0 * np.log10(fast.feed(burst).max()) == pytest.approx(-1.0, abs=0.1)  # IEC 61672-1, table 4


class TestThirdOctaves:
    @staticmethod
    def bands(samples: Samples) -> Values:
        return np.asarray(10.0 * np.log10(np.mean(ThirdOctaves().feed(samples), axis=0) + 1e-30))

    def test_the_bands_have_the_centres_of_the_standard(self) -> None:
        assert [exact_hz(float(name)) for name in BAND_NAMES] == pytest.approx(list(CENTRES_HZ))

    @pytest.mark.parametrize("limits", BAND_LIMITS_DB, ids=lambda limits: f"{limits[0]:g}")
    def test_a_tone_is_attenuated_as_class_1_demands(self, limits: tuple[float, ...]) -> None:
        ratio, least, most, *_ = limits
        for band, centre in enumerate(CENTRES_HZ):
            for frequency in (centre * ratio, centre / ratio):
                if 2.0 < frequency < 7900.0:
                    attenuation = -self.bands(tone(frequency, 2.6))[band]
                    assert least - 0.005 <= attenuation <= most, (
                        f"{BAND_NAMES[band]} Hz at {frequency:.1f} Hz"
                    )

    def test_white_noise_fills_each_band_by_its_width(self) -> None:
        widths = CENTRES_HZ * (10.0**0.05 - 10.0**-0.05)
        expected = -20.0 + 10.0 * np.log10(widths / (SAMPLE_RATE_HZ / 2))
        error = self.bands(noise(120.0)) - expected
        assert np.abs(error[6:]).max() < 0.2  # from 100 Hz; the lowest bands have few independent values
        assert np.abs(error).max() < 0.6

    def test_all_parts_of_the_sound_count_the_same(self) -> None:
        click = np.zeros(6 * SAMPLE_RATE_HZ, np.float32)
        sums = []
        for position in (40_000, 44_096, 45_000, 48_192):
            click[:] = 0.0
            click[position] = 1.0
            sums.append(np.sum(ThirdOctaves().feed(click)))
        assert np.ptp(10.0 * np.log10(sums)) < 0.01

    def test_blocks_of_any_size_give_the_same(self) -> None:
        octaves = ThirdOctaves()
        samples = noise(4.0)
        parts = [
            power
            for chunk in in_chunks(samples, np.array([3, 4000, 999]))
            for power in octaves.feed(chunk.samples)
        ]
        np.testing.assert_array_equal(parts, ThirdOctaves().feed(samples))


class TestMinutes:
    def test_a_steady_tone_has_one_level(self) -> None:
        (minute,) = levels(list(in_chunks(tone(1000.0, 61.5, level_dbfs=-30.0))))[:1]
        figures = (minute.leq_db, minute.lmax_db, minute.l10_db, minute.l90_db, minute.hour_leq_db)
        assert figures == pytest.approx((-30.0,) * 5, abs=0.1)
        assert minute.bands_db[BAND_NAMES.index("1000")] == pytest.approx(-30.0, abs=0.05)
        assert minute.seconds == pytest.approx(60.0, abs=0.2)
        assert minute.unit == "dBFS(A)"

    def test_the_offset_turns_the_levels_into_db_a(self) -> None:
        relative, absolute = (
            levels(list(in_chunks(noise(10.0))), offset_db=offset)[0] for offset in (None, 94.0)
        )
        assert absolute.leq_db == pytest.approx(relative.leq_db + 94.0)
        assert absolute.bands_db == pytest.approx([band + 94.0 for band in relative.bands_db])
        assert (relative.unit, absolute.unit) == ("dBFS(A)", "dB(A)")

    def test_percentiles_and_leq_of_two_levels(self) -> None:
        loud, quiet = tone(1000.0, 15.0, level_dbfs=-20.0), tone(1000.0, 45.0, level_dbfs=-50.0)
        minute = levels(list(in_chunks(np.concatenate([quiet, loud, quiet[:32_000]]))))[0]
        assert minute.l10_db == pytest.approx(-20.0, abs=0.2)
        assert minute.l90_db == pytest.approx(-50.0, abs=0.2)
        assert minute.leq_db == pytest.approx(-20.0 + 10.0 * np.log10(0.25), abs=0.1)

    def test_the_bands_add_up_to_leq_if_they_are_weighted(self) -> None:
        minute = levels(list(in_chunks(noise(60.0))))[0]
        weights = 20.0 * np.log10(a_weighting(CENTRES_HZ))
        inside = 10.0 * np.log10(np.sum(10.0 ** ((np.array(minute.bands_db) + weights) / 10.0)))
        frequencies = np.linspace(CENTRES_HZ[-1] * 10.0**0.05, SAMPLE_RATE_HZ / 2, 1000)
        above = -20.0 + 10.0 * np.log10(
            np.mean(np.square(a_weighting(frequencies))) * (8000.0 - frequencies[0]) / 8000.0
        )
        total = 10.0 * np.log10(10.0 ** (inside / 10.0) + 10.0 ** (above / 10.0))
        assert minute.leq_db == pytest.approx(total, abs=0.1)

    @pytest.mark.parametrize("sizes", [160, 1600, 48_000, np.array([1, 5000, 333, 20_000])], ids=str)
    def test_streaming_equals_the_whole_at_once(self, sizes: int) -> None:
        samples = noise(150.0) * np.repeat([0.1, 1.0, 0.3], 50 * SAMPLE_RATE_HZ).astype(np.float32)
        whole = levels([AudioChunk(samples, 0, 1000.0)])
        streamed = levels(list(in_chunks(samples, sizes, began_at=1000.0)))
        assert len(whole) == 3
        for one, other in zip(streamed, whole, strict=True):
            np.testing.assert_allclose(flat(one), flat(other), rtol=1e-12)

    def test_a_gap_is_not_silence(self) -> None:
        samples = tone(1000.0, 20.0, level_dbfs=-30.0)
        after = in_chunks(samples, start_sample=MINUTE_SAMPLES // 2)
        (minute,) = levels([*in_chunks(samples), *after])
        figures = (minute.leq_db, minute.l10_db, minute.l90_db, minute.bands_db[16])
        assert figures == pytest.approx((-30.0,) * 4, abs=0.1)
        assert minute.seconds == pytest.approx(40.0, abs=0.5)

    def test_a_constant_offset_of_the_samples_makes_no_noise_at_a_gap(self) -> None:
        samples = tone(1000.0, 20.0, level_dbfs=-60.0) + np.float32(0.1)
        (minute,) = levels([*in_chunks(samples), *in_chunks(samples, start_sample=500_000)])
        assert minute.lmax_db == pytest.approx(-60.0, abs=0.3)

    def test_a_minute_without_sound_has_no_figures(self) -> None:
        samples = noise(30.0)
        found = levels([*in_chunks(samples), *in_chunks(samples, start_sample=4 * MINUTE_SAMPLES)])
        assert [round(minute.started_at / 60.0) for minute in found] == [0, 4]

    def test_a_minute_comes_a_second_after_its_end(self) -> None:
        samples = noise(62.0)
        chunks = list(in_chunks(samples))
        assert not levels(chunks[:600], finish=False)
        assert len(levels(chunks, finish=False)) == 1

    def test_the_hour_adds_up_its_minutes_and_forgets_older_ones(self) -> None:
        meter = SourceNoise("hall", measures=True)
        second = noise(2.0, level_dbfs=-20.0)
        found: list[NoiseLevels] = []
        for minute in range(70):  # two seconds of sound in each minute
            samples = second if minute >= 5 else second * np.float32(10.0)
            chunk = AudioChunk(samples, minute * MINUTE_SAMPLES, 60.0 * minute)
            found += [message for message in meter.feed(chunk, ()) if isinstance(message, NoiseLevels)]
        assert found[4].hour_leq_db == pytest.approx(found[4].leq_db, abs=0.1)
        assert found[10].hour_leq_db == pytest.approx(found[4].leq_db - 3.4, abs=0.3)  # 5 loud minutes of 11
        assert found[66].hour_leq_db == pytest.approx(found[66].leq_db, abs=0.1)
        assert found[66].hour_seconds == pytest.approx(60 * found[66].seconds, rel=0.01)

    def test_memory_does_not_grow_with_time(self) -> None:
        meter, sound = SourceNoise("hall", measures=True), noise(2.0)
        sizes = []
        tracemalloc.start()
        try:
            for minute in range(200):  # two seconds of sound in each
                meter.feed(AudioChunk(sound, minute * MINUTE_SAMPLES, 60.0 * minute), ())
                if minute in {80, 199}:
                    sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert sizes[1] < 1.2 * sizes[0]

    def test_digital_silence_has_the_lowest_level(self) -> None:
        (minute,) = levels(list(in_chunks(np.zeros(5 * SAMPLE_RATE_HZ, np.float32))))
        assert minute.leq_db == -120.0
        assert minute.l90_db == pytest.approx(-120.0, abs=0.1)

    def test_a_blink_of_sound_has_no_figures(self) -> None:
        assert not levels(list(in_chunks(noise(0.9))))
        assert not levels([])

    def test_frames_lie_on_the_grid_of_the_stream(self) -> None:
        meter = FrameMeter(has_bands=False)
        heard = meter.feed(AudioChunk(noise(3.0), 12_345, 0.0))
        assert heard.frames[0].first == -(-(12_345 + HALF_SAMPLES) // 800)
        assert not heard.spectra


def flat(minute: NoiseLevels) -> list[float]:
    _source, *numbers = astuple(minute)
    bands = numbers.pop(8)
    return [*numbers, *bands]
