"""What one window costs, from the source's chunk to the tagging, and where the time goes.

    python benchmarks/window.py [--model tiny --model PATH] [--network base-10-10] [--device cpu] [--engine torch] [--windows 20] [--json]

Each row is one model on one device, run through the same pipeline as live listening, one window at a time at a hop of 1 s.
``--network`` times a geometry of AST's authors with random weights: speed does not depend on them. Beside it, in the same run
and taking turns window by window, runs what a user would take instead: Hugging Face's feature extractor and
`ASTForAudioClassification` of the same geometry, eager, fp32. The last column is their ratio.
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

sys.path.insert(0, str(Path(__file__).parent.parent))

from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.engines import EngineName
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.torch_engine import TorchEngine
from models.labels import audioset_classes
from models.tagger import Tagger, load_tagger
from models.transformer import AstConfig, AudioSpectrogramTransformer, Size
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from streamer.pipeline import Pipeline

HOP_SAMPLES = SAMPLE_RATE_HZ
NETWORKS: dict[str, tuple[Size, int]] = {
    "base-10-10": ("base", 10),
    "base-12-12": ("base", 12),
    "base-14-14": ("base", 14),
    "base-16-16": ("base", 16),
    "small-16-16": ("small", 16),
    "tiny-16-16": ("tiny", 16),
}


class TimedEngine:
    """An engine, adding up the time of its two halves."""

    def __init__(self, engine: TorchEngine | OpenVinoEngine) -> None:
        self._engine = engine
        self.description = engine.description
        self.features_seconds = self.forward_seconds = 0.0

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Time the filter banks, then the network; its results arrive on the CPU, so it is done."""
        began = time.perf_counter()
        rows = self._engine.features(samples)
        if rows.is_cuda:
            torch.cuda.synchronize()
        between = time.perf_counter()
        results = self._engine.forward(rows)
        self.features_seconds += between - began
        self.forward_seconds += time.perf_counter() - between
        return results


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; seconds a window, shares of the whole."""

    model: str
    engine: str
    median_seconds: float
    p95_seconds: float
    windows_per_second: float
    real_time_factor: float
    fbank_share: float
    model_share: float
    rest_share: float
    hugging_face_seconds: float
    ratio: float


def hugging_face(config: AstConfig, device: torch.device) -> Callable[[Samples], object]:
    """What a user would take instead, of the same geometry, with random weights."""
    reference = ASTForAudioClassification(
        ASTConfig(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            intermediate_size=config.mlp_width,
            frequency_stride=config.fstride,
            time_stride=config.tstride,
            max_length=config.input_tdim,
            num_mel_bins=config.input_fdim,
            num_labels=config.label_dim,
            attn_implementation="eager",
        )
    )
    reference = reference.eval().to(device)
    extractor = ASTFeatureExtractor(max_length=config.input_tdim, num_mel_bins=config.input_fdim)

    def tag(samples: Samples) -> object:
        with torch.inference_mode():
            rows = extractor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt").to(device)
            return reference(**rows).logits.sigmoid().cpu().numpy()

    return tag


def measure(tagger: Tagger, config: AstConfig, windows: int) -> Row:
    """Run chunks of a hop through the pipeline, and each window through Hugging Face's in turn."""
    if not isinstance(tagger.engine, TorchEngine | OpenVinoEngine):
        raise SystemExit("only the parts of a single model can be timed")
    timed = TimedEngine(tagger.engine)
    tagger.engine = timed
    device = torch.device("cuda" if "cuda" in timed.description else "cpu")
    other = hugging_face(config, device)
    pipeline = Pipeline("x", window_samples=tagger.window_samples, hop_samples=HOP_SAMPLES, live=True)
    generator = np.random.default_rng(0)
    fill = tagger.window_samples // HOP_SAMPLES + 1
    ours: list[float] = []
    theirs: list[float] = []
    for hop in range(fill + windows):
        samples = (0.1 * generator.standard_normal(HOP_SAMPLES)).astype(np.float32)
        chunk = AudioChunk(samples, hop * HOP_SAMPLES, time.time())
        if hop == fill:
            timed.features_seconds = timed.forward_seconds = 0.0
            ours, theirs = [], []
        began = time.perf_counter()
        for window in pipeline.feed(chunk):
            if hop < fill - 1:
                continue  # not yet a whole window
            pipeline.conclude(window, tagger(window.samples)[0])
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            other(window.samples)
            theirs.append(time.perf_counter() - began)
    total = sum(ours)
    fbank_share, model_share = timed.features_seconds / total, timed.forward_seconds / total
    return Row(
        model=tagger.name,
        engine=timed.description,
        median_seconds=statistics.median(ours),
        p95_seconds=float(np.percentile(ours, 95)),
        windows_per_second=len(ours) / total,
        real_time_factor=statistics.median(ours) * SAMPLE_RATE_HZ / HOP_SAMPLES,
        fbank_share=fbank_share,
        model_share=model_share,
        rest_share=1.0 - fbank_share - model_share,
        hugging_face_seconds=statistics.median(theirs),
        ratio=statistics.median(theirs) / statistics.median(ours),
    )


def random_checkpoint(name: str, folder: Path) -> Path:
    """A checkpoint of a published geometry, with random weights."""
    size, stride = NETWORKS[name]
    config = AstConfig.of_size(size, fstride=stride, tstride=stride)
    labels = tuple(entry.name for entry in audioset_classes())
    path = folder / f"{name} (random).safetensors"
    weights = AudioSpectrogramTransformer(config).state_dict()
    save_checkpoint(Checkpoint(name=name, config=config, labels=labels, weights=weights), path)
    return path


def machine() -> str:
    """The machine that the figures hold for."""
    cpu = next(
        (line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")),
        platform.processor(),
    )
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu}, {torch.get_num_threads()} threads{gpu}, torch {torch.__version__}, Python {platform.python_version()}"


def _cpu_lines() -> list[str]:
    info = Path("/proc/cpuinfo")
    return info.read_text().splitlines() if info.is_file() else []


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", default=[], help="name or path; repeatable")
    parser.add_argument("--network", action="append", default=[], choices=sorted(NETWORKS), help="repeatable")
    parser.add_argument(
        "--device", action="append", default=[], help="cpu, cuda or cuda:N; repeatable [all there are]"
    )
    parser.add_argument(
        "--engine", action="append", default=[], choices=get_args(EngineName), help="repeatable [auto]"
    )
    parser.add_argument("--windows", type=int, default=20, help="windows to time for each row")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    devices = options.device or (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
    if not options.model and not options.network:
        options.model, options.network = ["tiny"], ["base-16-16", "base-10-10"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        specs = [*options.model, *(str(random_checkpoint(name, Path(folder))) for name in options.network)]
        for spec, device, engine in itertools.product(specs, devices, options.engine or ["auto"]):
            tagger = load_tagger(spec, device=device, engine=engine)
            rows.append(measure(tagger, load_checkpoint(spec).config, options.windows))
    if options.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
        return
    table = Table(title=machine(), title_justify="left")
    for heading in (
        "model",
        "engine",
        "median",
        "p95",
        "windows/s",
        "RTF, 1 s hop",
        "fbank",
        "model",
        "rest",
        "HF eager",
        "ratio",
    ):
        table.add_column(heading, justify="left" if heading in {"model", "engine"} else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.model,
            row.engine,
            f"{1e3 * row.median_seconds:.1f} ms",
            f"{1e3 * row.p95_seconds:.1f} ms",
            f"{row.windows_per_second:.1f}",
            f"{row.real_time_factor:.3f}",
            f"{row.fbank_share:.1%}",
            f"{row.model_share:.1%}",
            f"{row.rest_share:.1%}",
            f"{1e3 * row.hugging_face_seconds:.1f} ms",
            f"{row.ratio:.2f}x",
        )
    Console(width=160 if not sys.stdout.isatty() else None).print(table)


if __name__ == "__main__":
    main()
