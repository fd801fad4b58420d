"""Errors of the noise levels against the limits of the standards, and their cost.

    python benchmarks/noise.py [--seconds 60]

Prints the error of the weighting A at each third-octave centre (measured with tones), of the third octaves for tones and for band
noise, of the levels of white and pink noise because nothing above 8 kHz is measured, and the share of a core that a source takes.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.noise import BAND_LIMITS_DB, WEIGHTING_LIMITS_DB, exact_hz, in_chunks, noise, tone

from models.bench.plan import machine
from streamer.events.catalogue import Watch, resolve_sounds
from streamer.messages import SAMPLE_RATE_HZ
from streamer.noise.octaves import BAND_NAMES, CENTRES_HZ, ThirdOctaves
from streamer.noise.source import SourceNoise
from streamer.noise.weighting import AWeighting, a_weighting
from streamer.sources.memory import ArraySource


def level(samples: NDArray[np.float64]) -> float:
    """Return the RMS level of samples in dB."""
    return float(10.0 * np.log10(np.mean(np.square(samples))))


def weighting_error(nominal_hz: float) -> float:
    """Return the measured weight of a tone minus the one of the standard, in dB."""
    frequency = max(
        1, round(exact_hz(nominal_hz))
    )  # a whole number of periods in the second that is measured
    output = AWeighting().feed(tone(frequency, 1.5))[:SAMPLE_RATE_HZ]
    return level(output) - 20.0 * float(np.log10(a_weighting(frequency)))


def print_weighting() -> None:
    """Print the errors of the weighting A."""
    print("Weighting A (IEC 61672-1:2013, table 3)\n")
    print("| Hz | weight, dB | error, dB | class 1 | class 2 |\n|---|---|---|---|---|")
    for nominal, (up1, down1, up2, down2) in WEIGHTING_LIMITS_DB.items():
        weight = 20.0 * np.log10(a_weighting(exact_hz(nominal)))
        print(
            f"| {nominal:g} | {weight:.1f} | {weighting_error(nominal):+.3f} | +{up1:g}/-{down1:g} | +{up2:g}/-{down2:g} |"
        )


def print_bands(seconds: float) -> None:
    """Print the attenuation of tones and the error for band noise."""
    print("\nThird octaves: attenuation of a tone, over all bands (IEC 61260:1995, table 1)\n")
    print("| ratio to the centre | least, dB | most, dB | class 1 | class 2 |\n|---|---|---|---|---|")
    for ratio, least1, most1, least2, most2 in BAND_LIMITS_DB:
        found = []
        for band, centre in enumerate(CENTRES_HZ):
            for frequency in (centre * ratio, centre / ratio):
                if 2.0 < frequency < 7900.0:
                    power = np.mean(ThirdOctaves().feed(tone(frequency, 2.6)), axis=0)
                    found.append(-10.0 * np.log10(power[band] + 1e-30))
        print(
            f"| {ratio:g} | {min(found):.2f} | {max(found):.1f} | {least1:g} to {most1:g} | {least2:g} to {most2:g} |"
        )
    print(f"\nThird octaves: error for {seconds:g} s of noise of the band's own width\n")
    print("| band, Hz | error, dB |\n|---|---|")
    for band, name in enumerate(BAND_NAMES):
        lower, upper = CENTRES_HZ[band] * 10.0**-0.05, CENTRES_HZ[band] * 10.0**0.05
        sound = band_noise(seconds, lower, upper)
        power = np.mean(ThirdOctaves().feed(sound), axis=0)[band]
        print(f"| {name} | {10.0 * np.log10(power) - level(sound):+.2f} |")


def band_noise(seconds: float, lower_hz: float, upper_hz: float) -> NDArray[np.float64]:
    """Return white noise between two frequencies."""
    white = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE_HZ))
    frequencies = np.fft.rfftfreq(len(white), 1.0 / SAMPLE_RATE_HZ)
    inside = (frequencies >= lower_hz) & (frequencies < upper_hz)
    return np.asarray(np.fft.irfft(np.fft.rfft(white) * inside, len(white)), np.float64)


def print_missing(seconds: float) -> None:
    """Print what the conversion to 16 kHz takes from the level of broad noise."""
    print("\nLevels in dB(A) of noise at 48 kHz after the conversion to 16 kHz, against those up to 20 kHz\n")
    print("| noise from 20 Hz to 20 kHz | error, dB |\n|---|---|")
    rate = 48_000
    for name, slope in (("white", 0.0), ("pink", -1.0)):
        white = np.random.default_rng(0).standard_normal(round(seconds * rate))
        frequencies = np.fft.rfftfreq(len(white), 1.0 / rate)
        inside = (frequencies >= 20.0) & (frequencies < 20_000.0)
        shaped = np.where(inside, np.maximum(frequencies, 1.0) ** (slope / 2.0), 0.0) * np.fft.rfft(white)
        true_level = level(
            np.asarray(np.fft.irfft(shaped * a_weighting(frequencies), len(white)), np.float64)
        )
        sound = np.fft.irfft(shaped, len(white))
        scale = 0.05 / np.std(sound)
        chunks = ArraySource("noise", (scale * sound).astype(np.float32), rate).chunks()
        weighted = AWeighting().feed(np.concatenate([chunk.samples for chunk in chunks]))
        print(f"| {name} | {level(weighted) - 20.0 * np.log10(scale) - true_level:+.2f} |")


def print_cost(seconds: float) -> None:
    """Print the processor time of a source, in chunks as a microphone delivers them."""
    print(f"\nProcessor time of a source, share of one core ({machine('cpu')})\n")
    print("| chunk | levels and third octaves | loud noise alone |\n|---|---|---|")
    sound = noise(seconds)
    loud = resolve_sounds([Watch("Loud noise")], ["Speech"])
    for milliseconds in (10, 32, 100):
        chunks = list(in_chunks(sound, SAMPLE_RATE_HZ * milliseconds // 1000))
        shares = []
        for measures, sounds in ((True, ()), (False, loud)):
            meter = SourceNoise("hall", measures=measures)
            began = time.process_time()
            for chunk in chunks:
                meter.feed(chunk, sounds)
            shares.append((time.process_time() - began) / seconds)
        print(f"| {milliseconds} ms | {shares[0]:.2%} | {shares[1]:.2%} |")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the sounds  [60]")
    seconds = parser.parse_args().seconds
    print_weighting()
    print_bands(seconds)
    print_missing(seconds)
    print_cost(seconds)


if __name__ == "__main__":
    main()
