"""VGGish (Hershey et al., arXiv 1609.09430): sound at 16 kHz -> 128 numbers per 0.96 s; FAD began with it.

Every package that has it needs torchaudio, which there is none of beside the torch used here, so the small network
stands here. It reads the weights of torchvggish under their own names (`vggish-10086976.pth`). As where FAD is
measured in PyTorch (frechet_audio_distance, fadtk, audioldm_eval): no overlap, no PCA, no ReLU at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core.errors import ModelError

Float32 = npt.NDArray[np.float32]

RATE: Final = 16_000
FRAMES: Final = 96  # of 10 ms in an example
BANDS: Final = 64
EXAMPLE_HOP: Final = 15_360  # samples
EXAMPLE_SAMPLES: Final = 15_600  # that 96 frames look at
_WINDOW, _HOP, _FFT = 400, 160, 512  # samples
_LOWEST_HZ, _HIGHEST_HZ, _OFFSET = 125.0, 7500.0, 0.01
_BATCH: Final = 32  # examples at once

# Where torchvggish's nn.Sequential has its convolutions, and after which layers it halves both axes.
_CONVOLUTIONS: Final = (0, 3, 6, 8, 11, 13)
_POOLED_AFTER: Final = (0, 3, 8, 13)
_LINEAR: Final = (0, 2, 4)


def log_mel_examples(sound: Float32) -> Float32:
    """[n, 96, 64] log mel magnitudes of sound [N] at 16 kHz; what doesn't fill an example at the end is left out."""
    count = (len(sound) - EXAMPLE_SAMPLES) // EXAMPLE_HOP + 1
    if count < 1:
        return np.zeros((0, FRAMES, BANDS), np.float32)
    from scipy.fft import rfft

    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), _WINDOW)[::_HOP][: count * FRAMES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi / _WINDOW * np.arange(_WINDOW))
    log_mel = np.log(np.abs(rfft(frames * window, _FFT, axis=1)) @ mel_matrix() + _OFFSET)
    return np.asarray(log_mel.reshape(count, FRAMES, BANDS), np.float32)


def mel_matrix() -> npt.NDArray[np.float64]:
    """[257, 64] triangles between equal steps of HTK's mel scale, straight in mel; the constant part counts nowhere."""

    def mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(hertz / 700.0))

    bins = mel(np.linspace(0.0, RATE / 2, _FFT // 2 + 1))[:, None]
    lowest, highest = mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    edges = np.linspace(lowest, highest, BANDS + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.asarray(np.maximum(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0.0))
    triangles[0] = 0.0
    return triangles


class VGGish(nn.Module):
    """The network, as wide as its weights are."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place in _CONVOLUTIONS:
            wide, narrow = state[f"features.{place}.weight"].shape[:2]
            layers += [nn.Conv2d(narrow, wide, 3, padding=1), nn.ReLU()]
            if place in _POOLED_AFTER:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        shapes = [state[f"embeddings.{place}.weight"].shape for place in _LINEAR]
        first, second, third = (nn.Linear(inputs, outputs) for outputs, inputs in shapes)
        self.dimensions = int(shapes[-1][0])
        self.embeddings = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        self.load_state_dict(dict(state))

    def forward(self, examples: Tensor) -> Tensor:
        """[n, D] of examples [n, 96, 64]."""
        maps = self.features(examples[:, None])
        flat: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))  # channels last, as TensorFlow laid them
        return flat

    @torch.inference_mode()
    def embed(self, sound: Float32, device: torch.device | str) -> Float32:
        """[n, D] of sound [N] at 16 kHz, one row each 0.96 s; sound too short for one example is padded to it."""
        if len(sound) < EXAMPLE_SAMPLES:
            sound = np.pad(sound, (0, EXAMPLE_SAMPLES - len(sound)))
        rows = []
        span = (_BATCH - 1) * EXAMPLE_HOP + EXAMPLE_SAMPLES
        for start in range(0, len(sound) - EXAMPLE_SAMPLES + 1, _BATCH * EXAMPLE_HOP):
            examples = torch.from_numpy(log_mel_examples(sound[start : start + span])).to(device)
            rows.append(self(examples).float().cpu().numpy())
        return np.concatenate(rows)


def load_vggish(path: Path, device: torch.device | str = "cpu") -> VGGish:
    """VGGish of torchvggish's file (.pth or .safetensors), or the one in the folder `path`; ModelError otherwise."""
    file = _find(path)
    state = {name: value.float() for name, value in _read(file).items() if not name.startswith("pproc.")}
    wanted = {
        f"{part}.{place}.{kind}"
        for part, places in (("features", _CONVOLUTIONS), ("embeddings", _LINEAR))
        for place in places
        for kind in ("weight", "bias")
    }
    if set(state) != wanted:
        odd = sorted(set(state) ^ wanted)[0]
        raise ModelError(f"{file} holds no VGGish of torchvggish ({odd}); take vggish-10086976.pth")
    try:
        model = VGGish(state).requires_grad_(False).eval()
        model(torch.zeros(1, FRAMES, BANDS))
    except (RuntimeError, ValueError) as err:
        reason = " ".join(str(err).split())[:160]
        raise ModelError(f"{file} holds tensors that make no VGGish ({reason}); take vggish-10086976.pth") from err
    return model.to(device)


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(file for file in path.glob("*vggish*") if file.suffix in (".pth", ".pt", ".safetensors"))
    found = [file for file in found if "pca" not in file.name]
    if not found:
        raise ModelError(f"{path} holds no VGGish; put vggish-10086976.pth of torchvggish there")
    return found[0]


def _read(path: Path) -> dict[str, Tensor]:
    from core.published.reader import read_package

    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as err:
            raise ModelError(f"{path} is damaged or cut off ({err}); fetch it again") from err
    state = read_package(path)
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path} holds no VGGish of torchvggish; take vggish-10086976.pth")
    return state
