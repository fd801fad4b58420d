"""Render models/assets/sounds.ogg, the audio to calibrate and compare engines: minutes of voices, music, alarms and rooms.

    python docs/render_engine_sounds.py [--out models/assets/sounds.ogg]

Each window of 10.24 s has one or two of the clips of docs/render_sounds.py in the noise of a room. It needs the same programs.
"""

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import soundfile
from render_sounds import PLACES, SOUNDS, background, clips, missing_packages

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamer.messages import SAMPLE_RATE_HZ, WINDOW_SAMPLES, Samples

OUT = Path(__file__).resolve().parent.parent / "models" / "assets" / "sounds.ogg"
WINDOWS = 32


def window(takes: list[Samples], at_once: bool, random: np.random.Generator) -> Samples:
    """Mix clips into the noise of a room, one after the other or at once."""
    room = background(WINDOW_SAMPLES, PLACES["train"], random) * 10 ** (random.uniform(-70, -45) / 20)
    share = WINDOW_SAMPLES // len(takes)
    for place, take in enumerate(takes):
        first = (0 if at_once else place * share) + random.integers(share - len(take) + 1)
        room[first : first + len(take)] += take
    mixed: Samples = np.clip(room, -1, 1).astype(np.float32)
    return mixed


def main() -> None:
    """Render the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    if missing := missing_packages():
        sys.exit(f"programs are missing; install them with apt-get install {' '.join(missing)}")
    random = np.random.default_rng(0)
    takes = [[*clips(label, "train", 3, 1)] for label in SOUNDS]
    order = (takes[label][take] for take in range(3) for label in random.permutation(len(takes)))
    windows = [
        window(list(itertools.islice(order, 1 + number % 2)), number % 4 == 3, random)
        for number in range(WINDOWS)
    ]
    soundfile.write(out, np.concatenate(windows), SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
    print(f"{out}: {len(windows)} windows, {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
