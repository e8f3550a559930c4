"""What a codec's sound is judged by: distances between waveforms [B, C, N] and between their mel spectra."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

SCALES = (2048, 1024, 512, 256, 128)  # samples of the windows, as many mel bands as fit, at most 64
_FLOOR = 1e-3  # of a mel magnitude (a sine of amplitude 1 has about 1): what lies below counts as silence


def mel_spectrum(sound: Tensor, rate: int, window: int, bands: int = 64) -> Tensor:
    """Mel magnitudes [B * C, bands, frames] of sound [B, C, N] at `rate`, a frame every quarter of the window."""
    flat = sound.flatten(0, 1)
    shape = _hann(window)
    spectrum = torch.stft(flat, window, window // 4, window=shape, pad_mode="constant", return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1)
    magnitude = (power + 1e-9).sqrt() * (2.0 / float(shape.sum()))
    return torch.matmul(_mel_bands(rate, window, min(bands, window // 8)), magnitude)


def spectral_loss(made: Tensor, wanted: Tensor, rate: int) -> Tensor:
    """Mean over window lengths of the mel spectra's distance: of logarithms (L1) and, relative to the wanted, of
    magnitudes (L1). After the multi-scale loss of EnCodec (arXiv 2210.13438, section 3.4)."""
    total = made.new_zeros(())
    for window in SCALES:
        ours = mel_spectrum(made, rate, window)
        with torch.no_grad():
            theirs = mel_spectrum(wanted, rate, window)
        logs = ((ours + _FLOOR).log() - (theirs + _FLOOR).log()).abs().mean()
        linear = (ours - theirs).abs().mean() / (theirs.mean() + _FLOOR)
        total = total + logs + linear
    return total / len(SCALES)


def relative_error(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean over sounds [B, C, N] of their squared error as a share of their power (of silence at least -50 dB)."""
    power = wanted.square().mean(dim=(1, 2), keepdim=True).clamp(min=1e-5)
    return ((made - wanted).square() / power).mean()


@torch.no_grad()
def mel_distance(made: Tensor, wanted: Tensor, rate: int, window: int = 1024) -> float:
    """Mean absolute difference of 64-band mel levels, dB (floor -60 dB of full scale)."""
    levels = [20 * (mel_spectrum(sound, rate, window) + _FLOOR).log10() for sound in (made, wanted)]
    return float((levels[0] - levels[1]).abs().mean())


@torch.no_grad()
def si_sdr(made: Tensor, wanted: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio [B], dB, of sounds [B, C, N] (arXiv 1811.02508, equation 3)."""
    ours, theirs = made.flatten(1), wanted.flatten(1)
    scale = (ours * theirs).sum(1, keepdim=True) / theirs.square().sum(1, keepdim=True).clamp(min=1e-9)
    target = scale * theirs
    noise = ours - target
    return 10 * torch.log10(target.square().sum(1).clamp(min=1e-9) / noise.square().sum(1).clamp(min=1e-9))


@lru_cache(maxsize=16)
def _hann(window: int) -> Tensor:
    return torch.hann_window(window)


@lru_cache(maxsize=16)
def _mel_bands(rate: int, window: int, bands: int) -> Tensor:
    """Triangles [bands, window / 2 + 1] of height 1 on the mel scale (O'Shaughnessy's formula, as HTK has it)."""
    top = 2595.0 * math.log10(1.0 + rate / 2 / 700.0)
    corners = 700.0 * (10.0 ** (torch.linspace(0.0, top, bands + 2) / 2595.0) - 1.0)
    at = torch.linspace(0.0, rate / 2, window // 2 + 1)
    # Where the bins are wider than a band, its triangle is widened, so that no band is empty.
    least = rate / window
    rising = (at - corners[:-2, None]) / (corners[1:-1] - corners[:-2]).clamp(min=least)[:, None]
    falling = (corners[2:, None] - at) / (corners[2:] - corners[1:-1]).clamp(min=least)[:, None]
    return torch.minimum(rising, falling).clamp(min=0.0)
