"""Embedders and the tagger: tiny networks with random weights, saved as their authors save them, opened for real."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from codec_fixtures import TINY, random_state
from safetensors.torch import save_file
from torch import nn

from core.codecs.encodec_files import build
from core.errors import MediaError, ModelError
from core.evaluation import vggish
from core.evaluation.embedders import EMBEDDERS, open_embedder, open_tagger

Float32 = npt.NDArray[np.float32]


def music(seconds: float, rate: int, seed: int = 0) -> Float32:
    """A few tones that come and go, with some noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * f * t) * (0.5 + 0.5 * np.sin(2 * np.pi * t / f * 90)) for f in (220, 330, 587))
    return np.asarray(0.1 * tones + 0.02 * rng.normal(size=len(t)), np.float32)


# --- VGGish ------------------------------------------------------------------------------------------------------


def torchvggish_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors with the names of torchvggish's file, for a network an eighth as wide and with a shorter end."""
    torch.manual_seed(seed)
    widths, state = [1, 8, 16, 32, 32, 64, 64], {}
    for place, (narrow, wide) in zip((0, 3, 6, 8, 11, 13), itertools.pairwise(widths), strict=True):
        layer = nn.Conv2d(narrow, wide, 3)
        state |= {f"features.{place}.weight": layer.weight.detach(), f"features.{place}.bias": layer.bias.detach()}
    for place, (inputs, outputs) in zip((0, 2, 4), ((64 * 24, 96), (96, 96), (96, 16)), strict=True):
        line = nn.Linear(inputs, outputs)
        state |= {f"embeddings.{place}.weight": line.weight.detach(), f"embeddings.{place}.bias": line.bias.detach()}
    return state


@pytest.fixture
def vggish_file(tmp_path: Path) -> Path:
    path = tmp_path / "vggish-10086976.pth"
    torch.save(torchvggish_state(), path)
    return path


def test_vggish_in_numpy_alone_gives_the_same(vggish_file: Path) -> None:
    """The whole of it written a second time: DFT as a matrix, loops for convolutions, the names of the file."""
    sound = music(2.2, 16_000)
    state = {name: value.double().numpy() for name, value in torchvggish_state().items()}
    ours = open_embedder("vggish", vggish_file).embed(sound)
    assert ours.shape == (2, 16)
    for row in range(2):
        start = row * 15_360
        frames = np.stack([sound[start + 160 * i : start + 160 * i + 400] for i in range(96)]).astype(np.float64)
        angles = -2j * np.pi / 512 * np.outer(np.arange(400), np.arange(257))
        spectrum = np.abs((frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400))) @ np.exp(angles))
        maps = np.log(spectrum @ vggish.mel_matrix() + 0.01)[None]
        for place, pooled in ((0, 1), (3, 1), (6, 0), (8, 1), (11, 0), (13, 1)):
            padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
            views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
            maps = np.einsum("chwij,ocij->ohw", views, state[f"features.{place}.weight"])
            maps = np.maximum(maps + state[f"features.{place}.bias"][:, None, None], 0)
            if pooled:
                c, h, w = maps.shape
                maps = maps.reshape(c, h // 2, 2, w // 2, 2).max((2, 4))
        vector = maps.transpose(1, 2, 0).ravel()
        for place in (0, 2, 4):
            vector = state[f"embeddings.{place}.weight"] @ vector + state[f"embeddings.{place}.bias"]
            vector = np.maximum(vector, 0) if place < 4 else vector
        np.testing.assert_allclose(ours[row], vector, atol=2e-5)


def test_the_mel_scale_of_vggish_is_that_of_transformers() -> None:
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(257, 64, 125.0, 7500.0, 16_000, mel_scale="htk", triangularize_in_mel_space=True)
    np.testing.assert_allclose(vggish.mel_matrix(), theirs, atol=1e-5)


def test_long_sound_goes_through_vggish_in_batches_with_the_same_result(vggish_file: Path) -> None:
    embedder = open_embedder("vggish", vggish_file)
    long = music(40.0, 16_000)
    rows = embedder.embed(long)
    assert len(rows) == 41
    np.testing.assert_allclose(rows[33:35], embedder.embed(long[33 * 15_360 :])[:2], atol=1e-5)
    assert embedder.embed(long[:4000]).shape == (1, 16)  # a quarter of a second, padded


@pytest.mark.parametrize("place", ["a folder", "safetensors", "with torchvggish's PCA beside"])
def test_vggish_lies_in_several_forms(tmp_path: Path, place: str) -> None:
    state, sound = torchvggish_state(), music(1.0, 16_000)
    path = tmp_path
    if place == "a folder":
        torch.save(state, tmp_path / "vggish-10086976.pth")
        torch.save({"pca_means": torch.zeros(2)}, tmp_path / "vggish_pca_params-970ea276.pth")
    elif place == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(state, path)
    else:
        path = tmp_path / "x.pth"
        torch.save(state | {"pproc.pca_matrix": torch.zeros(2, 2)}, path)
    assert np.isfinite(open_embedder("vggish", path).embed(sound)).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features.0.bias": None}, r"holds no VGGish of torchvggish \(features\.0\.bias\)"),
        ({"head.weight": torch.zeros(1)}, r"holds no VGGish of torchvggish \(head\.weight\)"),
        ({"embeddings.0.weight": torch.zeros(96, 7)}, r"make no VGGish"),
        ({"features.3.weight": torch.zeros(16, 9, 3, 3)}, r"make no VGGish"),
    ],
)
def test_weights_that_are_no_vggish(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    state = {name: value for name, value in (torchvggish_state() | change).items() if value is not None}
    torch.save(state, tmp_path / "vggish.pth")
    with pytest.raises(ModelError, match=said) as caught:
        open_embedder("vggish", tmp_path)
    assert "\n" not in str(caught.value)


# --- CLAP --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole CLAP, text tower and all, as transformers writes it."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    folder = tmp_path_factory.mktemp("clap")
    sides = {"projection_dim": 24, "num_hidden_layers": 1}
    text = {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16, **sides}
    audio = {
        "spec_size": 256, "patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1] * 4, "window_size": 8,
        "num_attention_heads": [2] * 4, "num_classes": 3, "enable_fusion": False, **sides,
    }  # fmt: skip
    torch.manual_seed(0)
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=24))
    model.save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    return folder


def test_clap_is_transformers_whole_model_window_by_window(
    clap_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import ClapFeatureExtractor, ClapModel

    embedder = open_embedder("clap", clap_folder)
    sound = music(15.5, 48_000)
    rows = embedder.embed(sound)
    assert capfd.readouterr() == ("", "")  # no report of tensors that aren't asked for
    assert (embedder.rate, rows.shape) == (48_000, (6, embedder.dimensions))
    extractor = ClapFeatureExtractor.from_pretrained(clap_folder)
    whole = ClapModel.from_pretrained(clap_folder).eval()
    for index in (0, 5):
        part = sound[index * 48_000 : index * 48_000 + 480_000]
        with torch.inference_mode():
            found: Any = whole.get_audio_features(**extractor(part, sampling_rate=48_000, return_tensors="pt"))
        theirs = getattr(found, "pooler_output", found)[0].numpy()
        np.testing.assert_allclose(rows[index], theirs / np.linalg.norm(theirs), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rows, embedder.embed(sound), atol=0)  # nothing random in it


def test_short_sound_fills_one_window_of_clap(clap_folder: Path) -> None:
    assert open_embedder("clap", clap_folder).embed(music(3.0, 48_000)).shape == (1, 24)


def test_a_clap_that_fuses_windows_is_refused(clap_folder: Path, tmp_path: Path) -> None:
    from transformers import ClapFeatureExtractor

    for file in clap_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "preprocessor_config.json").unlink()
    ClapFeatureExtractor(truncation="fusion").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"fuses windows.*take laion/larger_clap_music"):
        open_embedder("clap", tmp_path)


# --- EnCodec -----------------------------------------------------------------------------------------------------


def test_encodec_gives_the_encoders_latent(tmp_path: Path) -> None:
    state = random_state(TINY)
    save_file(state, tmp_path / "model.safetensors")
    model = build(TINY)
    model.config.save_pretrained(tmp_path)
    model.load_state_dict(state)
    embedder = open_embedder("encodec", tmp_path)
    sound = music(0.5, 32_000)[: 660 * TINY.hop]
    with torch.inference_mode():
        theirs = model.eval().encoder(torch.from_numpy(sound)[None, None])[0].T.numpy()
    assert (embedder.rate, embedder.dimensions) == (32_000, 6)
    np.testing.assert_allclose(embedder.embed(sound), theirs, atol=1e-5)


def test_a_model_without_a_codec_has_no_latent() -> None:
    import core

    starter = Path(str(core.__file__)).parent / "starter" / "weights"
    with pytest.raises(ModelError, match="without an EnCodec; take encodec-32khz"):
        open_embedder("encodec", starter)


# --- AST ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ast_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    folder = tmp_path_factory.mktemp("ast")
    torch.manual_seed(1)
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=7,
        frequency_stride=32, time_stride=32,
    )  # fmt: skip
    model = ASTForAudioClassification(config)
    model.classifier.dense.weight.data.normal_(0, 3)  # labels that differ
    model.save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its empty mel filters
        ASTFeatureExtractor().save_pretrained(folder)
    return folder


def test_ast_is_the_softmax_of_transformers_pipeline_averaged_over_windows(ast_folder: Path) -> None:
    from transformers import ASTFeatureExtractor, ASTForAudioClassification

    tagger = open_tagger("ast", ast_folder)
    sound = music(26.0, 16_000)
    rows = tagger.windows(sound)
    assert rows.shape == (3, 7)  # 10, 10, 6 s
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extractor = ASTFeatureExtractor.from_pretrained(ast_folder)
    model = ASTForAudioClassification.from_pretrained(ast_folder).eval()
    for index in range(3):
        inputs = extractor(sound[index * 160_000 : (index + 1) * 160_000], sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**inputs).logits[0].double().numpy()
        np.testing.assert_allclose(rows[index], np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
    np.testing.assert_allclose(tagger.probabilities(sound), rows.mean(0), atol=1e-7)
    assert tagger.labels[0] == "LABEL_0"
    assert len(tagger.windows(sound[: 24 * 16_000])) == 2  # a rest under half a window is left out
    assert np.ptp(rows, axis=0).max() > 1e-3


# --- what can be wrong -------------------------------------------------------------------------------------------


def test_what_there_is_not() -> None:
    with pytest.raises(ModelError, match=r"no 'vgish' to listen with; there is vggish, clap, encodec; did you mean vg"):
        open_embedder("vgish", Path("x"))
    with pytest.raises(ModelError, match="no 'passt' to listen with; there is ast"):
        open_tagger("passt", Path("x"))


@pytest.mark.parametrize("name", EMBEDDERS)
@pytest.mark.parametrize("kind", ["absent", "empty", "rubbish"])
def test_weights_that_are_not_there_or_damaged(tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "weights"
    if kind != "absent":
        folder.mkdir()
    if kind == "rubbish":
        (folder / "config.json").write_text("{}")
        for file in ("model.safetensors", "vggish.pth", "preprocessor_config.json"):
            (folder / file).write_bytes(b"rubbish" * 9)
    with pytest.raises(ModelError) as caught:
        open_embedder(name, folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_the_weights_of_another_network_are_refused(clap_folder: Path, ast_folder: Path) -> None:
    with pytest.raises(ModelError, match="of a 'clap', where audio-spectrogram-transformer was"):
        open_tagger("ast", clap_folder)
    with pytest.raises(ModelError, match="where clap was expected"):
        open_embedder("clap", ast_folder)


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros(10, np.float32), "too short"),
        (np.full(16_000, np.nan, np.float32), "no numbers"),
    ],
)
def test_sound_that_is_none(vggish_file: Path, sound: Float32, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        open_embedder("vggish", vggish_file).embed(sound)
    with pytest.raises(ValueError, match="mono"):
        open_embedder("vggish", vggish_file).embed(np.zeros((2, 16_000), np.float32))


def test_silence_has_embeddings_too(vggish_file: Path) -> None:
    assert np.isfinite(open_embedder("vggish", vggish_file).embed(np.zeros(48_000, np.float32))).all()
