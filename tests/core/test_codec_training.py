"""A codec learns: its loss falls, its codebooks are used, and what is saved encodes and decodes as what was trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import EncodecModel

from core.checkpoint import sha256
from core.codecs.encodec import Encodec
from core.codecs.encodec_files import build
from core.config import CodecConfig
from core.errors import DeliveryError, MediaError, ModelError
from core.training.codebooks import CodebookRecipe, LearningQuantizer, k_means, perplexity
from core.training.codec import (
    SMALL_CODEC,
    CodecRecipe,
    CodecTrainer,
    codec_info,
    load_codec,
    save_codec,
    train_codec,
)
from core.training.codec_loss import mel_distance, si_sdr, spectral_loss
from core.training.codec_sounds import Excerpts, Sound, read_sounds
from core.training.codec_start import start_from_data

TINY = CodecConfig(sample_rate=8000, codebooks=3, card=16, dimension=8, filters=4, ratios=(5, 4, 2), lstm_layers=1)
RECIPE = CodecRecipe(minutes=None, steps=120, batch=4, excerpt_seconds=0.4, learning_rate=3e-3)


def tones(count: int, seconds: float = 1.5, rate: int = 8000, seed: int = 0) -> list[Sound]:
    """Chords of decaying sines."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    sounds = []
    for _ in range(count):
        notes = rng.uniform(150, 1500, 3)[:, None]
        wave = (np.sin(2 * np.pi * notes * times) * np.exp(-((times * 2) % 1.0) * 3)).mean(axis=0)
        sounds.append(np.round(0.6 * wave * 32767).astype(np.int16))
    return sounds


@pytest.fixture(scope="module")
def trained() -> tuple[CodecTrainer, list[dict[str, float]]]:
    trainer = CodecTrainer(tones(12), TINY, RECIPE)
    rows = []
    while trainer.share < 1.0:
        rows.append(trainer.step())
    return trainer, rows


def test_the_loss_falls_and_the_codes_are_codes(trained: tuple[CodecTrainer, list[dict[str, float]]]) -> None:
    trainer, rows = trained
    assert len(rows) == 120
    error = [row["waveform"] for row in rows]
    assert np.mean(error[-5:]) < 0.8 * np.mean(error[:5])
    for loss in ("commitment", "spectral"):  # it learns to be fluent before it is quantised
        assert rows[2][loss] == 0 < rows[-1][loss]
    codes = Encodec(TINY, trainer.state()).encode(torch.from_numpy(tones(1, seed=9)[0] / 32768.0).float()[None, None])
    assert codes.shape == (1, 3, 300)
    assert set(codes.flatten().tolist()) <= set(range(16))


def test_the_report_is_about_sounds_that_it_has_not_heard(
    trained: tuple[CodecTrainer, list[dict[str, float]]],
) -> None:
    report = trained[0].report(tones(3, seed=5))
    assert report.steps == 120
    assert len(report.si_sdr_db) == len(report.mel_db) == len(report.perplexity) == 3
    assert all(0 < share <= 1 for share in report.used)
    assert all(1 <= many <= 16 for many in report.perplexity)
    assert report.perplexity[0] > 2  # the first codebook hasn't collapsed
    assert report.si_sdr_db[-1] >= report.si_sdr_db[0]  # more codebooks don't harm
    untrained = CodecTrainer(tones(2), TINY, RECIPE).report(tones(3, seed=5))
    assert report.si_sdr_db[-1] > untrained.si_sdr_db[-1] + 3


def test_what_is_saved_encodes_and_decodes_identically(tmp_path: Path) -> None:
    for index, sound in enumerate(tones(11)):
        soundfile.write(tmp_path / f"{index:02}.wav", sound, 8000)
    out, told = tmp_path / "codec", []
    recipe = dataclasses.replace(RECIPE, steps=8)
    report = train_codec(tmp_path, out, TINY, recipe, lambda share, line: told.append((share, line)))
    assert told and (out / "log.jsonl").read_text().count("\n") >= 1
    config, state = load_codec(out)
    assert config == TINY
    assert json.loads((out / "codec.json").read_text())["report"]["steps"] == report.steps == 8
    again = Encodec(config, state)
    sound = torch.from_numpy(tones(1, seed=3)[0] / 32768.0).float()[None, None]
    codes = again.encode(sound)
    theirs: EncodecModel = build(config)
    theirs.load_state_dict(state)
    with torch.inference_mode():
        expected = theirs.eval().encode(sound, bandwidth=theirs.config.target_bandwidths[0]).audio_codes[0]
        heard = theirs.decode(expected[None], [None]).audio_values
    assert torch.equal(codes, expected)
    assert torch.allclose(again.decode(codes), heard, atol=1e-5)
    info = codec_info(out)
    assert (info.sha256, info.hop, info.card) == (sha256(out / "codec.safetensors"), 40, 16)


def test_a_trained_codec_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "codec"
    for index, sound in enumerate(tones(2)):
        soundfile.write(tmp_path / f"{index}.wav", sound, 8000)
    recipe = dataclasses.replace(RECIPE, steps=1)
    save_codec(out, TINY, {name: value.detach() for name, value in build(TINY).state_dict().items()})
    train_codec(tmp_path, out, TINY, recipe)  # what was there had been stopped
    before = sha256(out / "codec.safetensors")
    with pytest.raises(DeliveryError, match=r"codec: holds a trained codec.*name another folder"):
        train_codec(tmp_path, out, TINY, dataclasses.replace(recipe, seed=5))
    assert sha256(out / "codec.safetensors") == before


@pytest.mark.parametrize("minutes", [0.0, -3.0, float("nan"), float("inf")])
def test_a_training_takes_time(minutes: float) -> None:
    with pytest.raises(ValueError, match=f"minutes is {minutes}; a codec's training takes more than 0"):
        CodecRecipe(minutes=minutes)


@pytest.mark.parametrize("samples", [0, 39])
def test_sounds_shorter_than_a_step_of_codes_arent_measured(samples: int, tmp_path: Path) -> None:
    """Of 11 sounds the first and the last are held out."""
    for index, sound in enumerate(tones(11)):
        soundfile.write(tmp_path / f"{index:02}.wav", sound, 8000)
    soundfile.write(tmp_path / "00.wav", np.zeros(samples), 8000)
    recipe = dataclasses.replace(RECIPE, steps=1)
    assert np.isfinite(train_codec(tmp_path, tmp_path / "codec", TINY, recipe).si_sdr_db).all()
    soundfile.write(tmp_path / "10.wav", np.zeros(samples), 8000)
    with pytest.raises(MediaError, match=r"is as long as a step of codes \(40 samples at 8000 Hz\)"):
        train_codec(tmp_path, tmp_path / "another", TINY, recipe)
    assert not (tmp_path / "another").exists()


@pytest.mark.parametrize("samples", [40, 200])
def test_short_sounds_are_measured(samples: int) -> None:
    report = CodecTrainer(tones(2), TINY, RECIPE).report([tones(1)[0][:samples]])
    assert np.isfinite(report.mel_db).all()


def test_a_trained_codec_is_kept_before_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index, sound in enumerate(tones(2)):
        soundfile.write(tmp_path / f"{index}.wav", sound, 8000)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CodecTrainer, "report", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_codec(tmp_path, tmp_path / "codec", TINY, dataclasses.replace(RECIPE, steps=1))
    assert load_codec(tmp_path / "codec")[0] == TINY


@pytest.mark.parametrize("content", [b"", b"PK\3\4" + bytes(300)])
def test_a_damaged_shard_of_sounds_is_named(content: bytes, tmp_path: Path) -> None:
    for number in (0, 8):
        (tmp_path / f"sound-{number:04}.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"sound-0000\.npz is not a whole file of scenes.*delete it"):
        read_sounds(tmp_path, 8000)


def test_the_same_seed_gives_the_same_codec() -> None:
    recipe = dataclasses.replace(RECIPE, steps=5)
    trainers = [CodecTrainer(tones(4), TINY, recipe) for _ in range(2)]
    rows = [[{k: v for k, v in t.step().items() if k != "seconds"} for _ in range(5)] for t in trainers]
    assert rows[0] == rows[1]


def test_codebooks_start_from_what_there_is_and_follow_it() -> None:
    random = torch.Generator().manual_seed(0)
    places = torch.tensor([[-4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    points = places.repeat(40, 1) + 0.1 * torch.randn(120, 2, generator=random)
    centres, counts = k_means(points, 3, 10, random)
    assert int(counts.sum()) == 120
    assert float(torch.cdist(places, centres).min(dim=1).values.max()) < 2.5
    quantizer = build(dataclasses.replace(TINY, card=4, dimension=2, codebooks=2)).quantizer
    learning = LearningQuantizer(quantizer, CodebookRecipe(decay=0.5), random)
    learning.start(points)
    moved = (points + torch.tensor([1.0, 1.0])).T[None]
    for _ in range(8):
        quantised, codes, commitment = learning(moved)
    assert quantised.shape == (1, 2, 120) and codes.shape == (2, 1, 120)
    assert float((quantised - moved).abs().mean()) < 0.2  # they have followed
    assert float(commitment) < 0.2


def test_the_gradient_goes_straight_through() -> None:
    random = torch.Generator().manual_seed(0)
    learning = LearningQuantizer(build(TINY).quantizer, CodebookRecipe(), random)
    learning.start(torch.randn(64, 8, generator=random))
    latent = torch.randn(1, 8, 5, generator=random, requires_grad=True)
    quantised, _, _ = learning(latent)
    quantised.sum().backward()
    assert latent.grad is not None
    assert torch.equal(latent.grad, torch.ones_like(latent))


def test_an_entry_that_nothing_chooses_is_taken_from_the_data_anew() -> None:
    random = torch.Generator().manual_seed(0)
    quantizer = build(dataclasses.replace(TINY, card=4, dimension=2, codebooks=1)).quantizer
    learning = LearningQuantizer(quantizer, CodebookRecipe(decay=0.5), random)
    learning.start(torch.randn(40, 2, generator=random))
    book = quantizer.layers[0].codebook
    book.embed[0] = book.embed_avg[0] = torch.tensor([1e4, 1e4])
    for _ in range(8):
        learning(torch.randn(1, 2, 40, generator=random))
    assert learning.revived >= 1
    assert float(book.embed.abs().max()) < 10


def test_measures_know_good_from_bad() -> None:
    sound = torch.from_numpy(tones(1)[0] / 32768.0).float()[None, None]
    noise = torch.randn(sound.shape, generator=torch.Generator().manual_seed(0))
    little, much = sound + 0.01 * noise, sound + 0.1 * noise
    assert float(si_sdr(0.5 * sound + 1e-4 * noise, sound)) > 40  # how loud it is doesn't matter
    assert float(si_sdr(little, sound)) == pytest.approx(float(si_sdr(much, sound)) + 20, abs=1.0)
    assert mel_distance(sound, sound, 8000) == 0 < mel_distance(little, sound, 8000) < mel_distance(much, sound, 8000)
    assert float(spectral_loss(little, sound, 8000)) < float(spectral_loss(much, sound, 8000))
    assert perplexity(torch.tensor([0, 1, 2, 3]), 8) == (0.5, pytest.approx(4.0))


def test_first_weights_keep_a_sounds_size() -> None:
    sound = torch.from_numpy(np.stack(tones(4)) / 32768.0).float()[:, None]
    model = build(TINY)
    with torch.no_grad():
        before = model.encoder(sound).std(dim=2).mean()
        start_from_data(model, sound)
        latent = model.encoder(sound)
        made = model.decoder(latent)
    assert float(latent.std()) == pytest.approx(1.0, abs=0.05)
    assert float(latent.std(dim=2).mean()) > 5 * float(before)
    assert float(made.std()) == pytest.approx(float(sound.std()), rel=0.05)


def test_excerpts_and_sounds(tmp_path: Path) -> None:
    excerpts = Excerpts([np.arange(100, dtype=np.int16), np.zeros(5, np.int16)], 10)
    batch = excerpts.batch(6, np.random.default_rng(0))
    assert batch.shape == (6, 1, 10)
    assert torch.allclose(batch.diff(dim=-1), torch.full((6, 1, 9), 1 / 32768))
    with pytest.raises(MediaError, match="none of the 1 sounds is as long as an excerpt"):
        Excerpts([np.zeros(5, np.int16)], 10)
    with pytest.raises(MediaError, match="at least two sound files"):
        read_sounds(tmp_path, 8000)
    for index in range(12):
        soundfile.write(tmp_path / f"{index:02}.flac", tones(1, rate=16_000)[0], 16_000)
    train, held_out = read_sounds(tmp_path, 8000)
    assert (len(train), len(held_out)) == (10, 2)
    assert len(train[0]) == 12_000  # resampled
    (tmp_path / "03.flac").write_bytes(b"no sound")
    with pytest.raises(MediaError, match=r"03\.flac can't be read as sound"):
        read_sounds(tmp_path, 8000)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no trained codec"):
        load_codec(tmp_path)
    with pytest.raises(ValueError, match="needs an end"):
        CodecRecipe(minutes=None)
    trainer = CodecTrainer(tones(2), TINY, dataclasses.replace(RECIPE, learning_rate=1e30, clip_norm=1e30))
    with pytest.raises(ModelError, match="no number at step"):
        for _ in range(5):
            trainer.step()
    assert SMALL_CODEC.sample_rate / SMALL_CODEC.hop == 50
