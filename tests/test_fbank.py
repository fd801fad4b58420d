import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from support.program import ROOT
from torchaudio.compliance import kaldi
from torchaudio.functional import melscale_fbanks

from models import frontends
from models.log_mel import log_mel
from models.mel_banks import htk_bank, kaldi_bank


def reference(waveform: torch.Tensor) -> torch.Tensor:
    """The call of AST's authors."""
    rows: torch.Tensor = kaldi.fbank(
        waveform[None],
        htk_compat=True,
        sample_frequency=16_000,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    return rows


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_one_waveform_has_the_reference_numbers() -> None:
    waveform = noise(163_840)
    rows = frontends.fbank(waveform)
    assert rows.shape == (1022, 128)
    torch.testing.assert_close(rows, reference(waveform), atol=1e-5, rtol=0)


@pytest.mark.parametrize("samples", [400, 559, 560, 16_000, 163_840])
def test_a_batch_has_the_reference_numbers_of_each_waveform(samples: int) -> None:
    batch = torch.stack(
        [
            noise(samples),
            0.001 * noise(samples, seed=1),
            torch.sin(torch.arange(samples) * 0.3),
            torch.zeros(samples),
        ]
    )
    rows = frontends.fbank(batch)
    assert rows.shape == (4, frontends.row_count(samples), 128)
    for waveform, found in zip(batch, rows, strict=True):
        torch.testing.assert_close(found, reference(waveform), atol=1e-5, rtol=0)


@pytest.mark.parametrize("samples", [1, 160, 399])
def test_less_than_a_frame_gives_no_rows(samples: int) -> None:
    assert frontends.fbank(noise(2, samples)).shape == (2, 0, 128)
    assert frontends.row_count(samples) == 0


def test_rows_of_a_hop_are_those_of_the_whole_window() -> None:
    waveform = noise(163_840)
    tail = frontends.fbank(waveform[922 * 160 :])
    assert tail.shape == (100, 128)
    torch.testing.assert_close(tail, frontends.fbank(waveform)[922:], atol=1e-6, rtol=0)


def test_subtracting_the_windows_mean_changes_nothing() -> None:
    waveform = noise(16_000) + 0.25
    torch.testing.assert_close(
        frontends.fbank(waveform - waveform.mean()), frontends.fbank(waveform), atol=2e-2, rtol=0
    )


def test_missing_rows_are_zeros_before_the_normalisation() -> None:
    rows = frontends.input_rows(frontends.fbank(noise(163_840)), 1024)
    assert rows.shape == (1024, 128)
    expected = -frontends.AUDIOSET_MEAN / (2 * frontends.AUDIOSET_STD)
    torch.testing.assert_close(rows[1022:], torch.full((2, 128), expected))


def test_surplus_rows_are_cut() -> None:
    assert frontends.input_rows(frontends.fbank(noise(3, 163_840)), 512).shape == (3, 512, 128)


def test_the_displays_rows_are_those_of_the_model() -> None:
    waveform = noise(8_000)
    rows = log_mel(waveform.numpy())
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, frontends.fbank(waveform).numpy(), atol=1e-3)
    np.testing.assert_allclose(log_mel(np.zeros(560, np.float32)), frontends.fbank(torch.zeros(560)).numpy())
    assert log_mel(np.zeros(399, np.float32)).shape == (0, 128)


@pytest.mark.parametrize("bins", [40, 64, 128])
def test_filters_are_those_of_torchaudio(bins: int) -> None:
    ours = kaldi_bank(bins, fft=512, rate_hz=16_000, lowest_hz=20.0, highest_hz=8000.0)
    theirs, _ = kaldi.get_mel_banks(bins, 512, 16_000.0, 20.0, 0.0, 100.0, -500.0, 1.0)
    torch.testing.assert_close(ours[:-1].T, theirs, atol=1e-6, rtol=0)
    assert not ours[-1].any()


@pytest.mark.parametrize("bins", [40, 64])
def test_filters_on_the_htk_scale_are_those_of_torchaudio(bins: int) -> None:
    ours = htk_bank(bins, fft=512, rate_hz=16_000, lowest_hz=0.0, highest_hz=8000.0)
    torch.testing.assert_close(ours, melscale_fbanks(257, 0.0, 8000.0, bins, 16_000), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "family",
    ["AstConfig.of_size('tiny', input_tdim=128)", "CedConfig(width=192, depth=2, heads=3, mlp_width=768)"],
)
def test_networks_run_without_torchaudio(family: str) -> None:
    script = f"""
        import sys
        sys.modules["torchaudio"] = None
        import torch
        from models.ast_network import AstConfig
        from models.ced_network import CedConfig
        from models.engines.torch_engine import TorchEngine
        from models.network_spec import NetworkSpec
        spec = NetworkSpec.from_network({family}.network().eval())
        print(TorchEngine(spec, device="cpu")(torch.zeros(1, 16_000))[0].shape)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "torch.Size([1, 527])"
