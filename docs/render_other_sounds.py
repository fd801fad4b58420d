"""Make the other sounds of teaching: short recordings in the public domain as negatives for taught sounds.

    python docs/render_other_sounds.py FOLDER [--clips]

FOLDER has the recordings, `real.zip`, and their table, `real.csv`. Writes the embeddings of the model `tiny`, which other models compute at their
first use: those of the sounds that Earshot contains, then those of the recordings that `other_sounds_of_tiny.csv` lists, whose licences ask for more
than a name in a list. With --clips, first chooses the recordings of `models/teaching/assets/other_sounds.zip` anew, and writes them with their list.
"""

import argparse
import csv
import io
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "models" / "teaching" / "assets"
sys.path.insert(0, str(ROOT))

from earshot.progress import bar
from models.local import load_tagger
from models.teaching import other_sounds

CLIPS, CLIPS_OF_A_SOURCE, CUT_CLIPS_OF_A_SOURCE = 400, 110, 12
LONGEST_SECONDS = 3.0
LEFT_OUT = {"dynamic-surroundings", "doggy-daycare", "cough-cc0"}
"""Sources kept for benchmarks/teaching.py, as are footsteps and cicadas."""


def is_free(licence: str) -> bool:
    """Return True for CC0 and the public domain, without another licence beside it."""
    text = licence.lower()
    begins = text.startswith(("cc0", "cc-0", "creative commons 0", "public"))
    return begins and not any(word in text for word in ("/", "+", "stated"))


def chosen(table: Path) -> list[dict[str, str]]:
    """Return one clip of each free recording, short ones first, with limits for each source."""
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    np.random.default_rng(0).shuffle(rows)
    rows.sort(key=lambda row: float(row["seconds"]) > LONGEST_SECONDS)
    found: dict[str, dict[str, str]] = {}
    whole, cut = Counter[str](), Counter[str]()
    for row in rows:
        is_test = row["source"] in LEFT_OUT or "plmove" in row["class"] or row["class"] == "cicada"
        if is_test or not is_free(row["licence"]) or float(row["seconds"]) < 0.2:
            continue
        is_long = float(row["seconds"]) > LONGEST_SECONDS
        counts, most = (cut, CUT_CLIPS_OF_A_SOURCE) if is_long else (whole, CLIPS_OF_A_SOURCE)
        key = row["id"] if is_long else row["source"] + row["path"]
        if counts[row["source"]] < most and key not in found:
            counts[row["source"]] += 1
            found[key] = row
    return list(found.values())[:CLIPS]


def write_clips(folder: Path) -> None:
    """Write the recordings that Earshot contains, and their list."""
    rows = chosen(folder / "real.csv")
    with (
        zipfile.ZipFile(folder / "real.zip") as source,
        zipfile.ZipFile(ASSETS / "other_sounds.zip", "w", zipfile.ZIP_STORED) as target,
        (ASSETS / "other_sounds.csv").open("w", encoding="utf-8", newline="") as sources,
    ):
        listing = csv.writer(sources, lineterminator="\n")
        listing.writerow(("clip", "repository", "commit", "path", "licence"))
        for number, row in enumerate(rows):
            content = source.read(f"{row['id']}.opus")
            if float(row["seconds"]) > LONGEST_SECONDS:
                sound, rate = soundfile.read(io.BytesIO(content), dtype="float32")
                output = io.BytesIO()
                soundfile.write(
                    output, sound[: round(LONGEST_SECONDS * rate)], rate, format="OGG", subtype="OPUS"
                )
                content = output.getvalue()
            target.writestr(zipfile.ZipInfo(f"{number:03}.opus"), content)
            listing.writerow((f"{number:03}", row["repo"], row["commit"], row["path"], row["licence"]))
    print(len(rows), "clips of", dict(Counter(row["source"] for row in rows)))


def further_clips(folder: Path) -> Iterator[str]:
    """Yield the names of the clips that are listed for `tiny`: a recording that is listed twice gives its first two clips."""
    clips: dict[tuple[str, str], list[str]] = {}
    with (folder / "real.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            clips.setdefault((row["repo"], row["path"]), []).append(f"{row['id']}.opus")
    used = Counter[tuple[str, str]]()
    with (ASSETS / "other_sounds_of_tiny.csv").open(encoding="utf-8") as listing:
        for row in csv.DictReader(listing):
            key = (row["repository"], row["path"])
            yield clips[key][used[key] % len(clips[key])]
            used[key] += 1


def write_embeddings(folder: Path) -> None:
    """Write the embeddings of `tiny`, in place of those of an earlier one."""
    tiny = load_tagger("tiny", device="cpu", engine="torch")
    with zipfile.ZipFile(folder / "real.zip") as pack:
        sounds = [
            soundfile.read(io.BytesIO(pack.read(clip)), dtype="float32")[0] for clip in further_clips(folder)
        ]
    with bar("other sounds") as update:
        found = other_sounds.embed_general_sounds(tiny, update)
        found += other_sounds.embed_all(tiny, other_sounds.in_windows(sounds, tiny.window_samples), update)
    for old in ASSETS.glob("*.npz"):
        old.unlink()
    other_sounds.save(other_sounds.bundled_file(tiny), found)
    print(len(found.names), "windows for", tiny.name)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", action="store_true")
    options = parser.parse_args()
    if options.clips:
        write_clips(options.folder)
    write_embeddings(options.folder)


if __name__ == "__main__":
    main()
