"""Decoding held to the published code: the same tokens, and logits within 1e-4, on the three tiny checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core import checkpoint
from core.decoder import Decoder
from core.engine import Engine, Job, Sampling
from core.patterns import delay
from core.precision import prepare
from core.windows import Window
from tests.parity import NAMES, TOLERANCE, Parity, imported, parity

GREEDY = Sampling(guidance=3.0, temperature=0.0)


@pytest.fixture(scope="module", params=NAMES)
def fixture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Parity, Decoder]:
    """A checkpoint's expected tensors and its decoder, packed as on a real model's way."""
    folder = imported(request.param, tmp_path_factory.mktemp("models"))
    model, _, _ = checkpoint.load(folder)
    return parity(request.param), model.decoder


def job(condition: Tensor, steps: int, given: Tensor | None = None) -> Job:
    """One window of `steps`, of which `given` are written, that sees all of condition [F, out]."""
    prompt = 0 if given is None else given.shape[-1]
    return Job(
        condition=condition[:, None].numpy(),
        frame_times=np.linspace(0, 0.01, len(condition)),
        step_seconds=np.arange(steps + 1) / 50,
        windows=[Window(0, prompt, steps)],
        seed=0,
        given=None if given is None else given.numpy(),
    )


def decode(decoder: Decoder, jobs: list[Job], sampling: Sampling = GREEDY, slots: int = 8) -> Tensor:
    return torch.from_numpy(np.stack(Engine(decoder, sampling, slots).generate(jobs)))


def guided_steps(decoder: Decoder, condition: Tensor, sequence: Tensor, chunks: list[int]) -> Tensor:
    """Guided logits [B, K, chunk, V] after each of the `chunks` that sequence [B, K, S] is read in."""
    batch = len(condition)
    present = torch.ones(condition.shape[:2], dtype=torch.bool)
    with torch.inference_mode():
        picture = decoder.picture(condition, torch.zeros(condition.shape[:2]), present)
        cache, rows, start, out = decoder.new_cache(2 * batch, sequence.shape[-1]), slice(0, 2 * batch), 0, []
        for chunk in chunks:
            steps = slice(start, start + chunk)
            positions = torch.arange(start, start + chunk).expand(2 * batch, chunk)
            tokens = sequence[..., steps].repeat_interleave(2, dim=0)
            logits = decoder.advance(tokens, picture, None, positions / 50.0, positions, cache, rows)
            out.append(logits[1::2] + 3.0 * (logits[0::2] - logits[1::2]))
            start += chunk
    return torch.stack(out, dim=2)


def test_teacher_forced_logits_are_the_published_ones(fixture: tuple[Parity, Decoder]) -> None:
    given, decoder = fixture
    codes, condition = given.inputs["codes"], given.expected["pooled"]
    config = decoder.config
    sequence = delay(codes, config.delays, config.special)[..., : codes.shape[-1] + 1]
    with torch.inference_mode():
        picture = decoder.picture(
            condition, torch.zeros(condition.shape[:2]), torch.ones(condition.shape[:2], dtype=torch.bool)
        )
        logits = decoder(sequence, picture, None, torch.zeros(sequence.shape[0], sequence.shape[-1]))
    steps = codes.shape[-1]
    for stream, lag in enumerate(config.delays):
        ours = logits[:, stream, lag:steps]
        theirs = given.expected["logits"][:, stream, : steps - lag]
        assert given.expected["logits_mask"][:, stream, : steps - lag].all()
        assert (ours - theirs).abs().max() <= TOLERANCE


def test_guided_logits_of_the_first_steps_are_the_published_ones(fixture: tuple[Parity, Decoder]) -> None:
    given, decoder = fixture
    expected = given.expected["gen_step_logits"]
    config, steps = decoder.config, expected.shape[2]
    sequence = delay(given.expected["gen_tokens"], config.delays, config.special)[..., :steps]
    logits = guided_steps(decoder, given.expected["pooled"], sequence, [1] * steps)
    assert (logits - expected).abs().max() <= TOLERANCE


def test_the_first_logits_after_a_prompt_are_the_published_ones(fixture: tuple[Parity, Decoder]) -> None:
    given, decoder = fixture
    prompt, config = given.inputs["prompt"], decoder.config
    sequence = delay(prompt, config.delays, config.special)[..., : prompt.shape[-1] + 1]
    logits = guided_steps(decoder, given.expected["pooled"], sequence, [sequence.shape[-1]])
    assert (logits[:, :, 0] - given.expected["cont_first_logits"]).abs().max() <= TOLERANCE


def test_reading_in_chunks_is_reading_step_by_step(fixture: tuple[Parity, Decoder]) -> None:
    given, decoder = fixture
    sequence = delay(given.expected["gen_tokens"], decoder.config.delays, decoder.config.special)[..., :24]
    stepwise = guided_steps(decoder, given.expected["pooled"], sequence, [1] * 24)
    chunked = guided_steps(decoder, given.expected["pooled"], sequence, [7, 1, 12, 4])
    assert (chunked - stepwise[:, :, [6, 7, 19, 23]]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("slots", [1, 2])
def test_greedy_tokens_with_guidance_are_the_published_ones(fixture: tuple[Parity, Decoder], slots: int) -> None:
    given, decoder = fixture
    expected = given.expected["gen_tokens"]
    jobs = [job(condition, expected.shape[-1]) for condition in given.expected["pooled"]]
    assert torch.equal(decode(decoder, jobs, slots=slots), expected)
    assert torch.equal(decode(decoder, jobs[:1], slots=slots), given.expected["gen_tokens_b1"])


def test_greedy_tokens_without_guidance_are_the_published_ones(fixture: tuple[Parity, Decoder]) -> None:
    given, decoder = fixture
    expected = given.expected["gen_tokens_cfg1"]
    jobs = [job(condition, expected.shape[-1]) for condition in given.expected["pooled"]]
    assert torch.equal(decode(decoder, jobs, Sampling(guidance=1.0, temperature=0.0)), expected)


def test_greedy_continuation_of_a_prompt_is_the_published_one(fixture: tuple[Parity, Decoder]) -> None:
    given, decoder = fixture
    expected, prompt = given.expected["cont_tokens"], given.inputs["prompt"]
    pairs = zip(given.expected["pooled"], prompt, strict=True)
    jobs = [job(condition, expected.shape[-1], codes) for condition, codes in pairs]
    assert torch.equal(decode(decoder, jobs), expected)


def test_windows_that_all_see_the_whole_film_are_the_published_long_generation(
    fixture: tuple[Parity, Decoder],
) -> None:
    """As published: 40 steps, then from step 25 on with 15 known, and from step 50 on to the end."""
    given, decoder = fixture
    expected = given.expected["long_tokens"]
    for item, condition in enumerate(given.expected["pooled"]):
        codes = decode(decoder, [job(condition, 40)])[0]
        for first, last in ((25, 65), (50, 75)):
            codes = torch.cat(
                [codes[:, :first], decode(decoder, [job(condition, last - first, codes[:, first:])])[0]], 1
            )
        assert torch.equal(codes, expected[item])


def test_packed_weights_decode_the_published_tokens_too(
    name_folder: tuple[Parity, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, folder = name_folder
    monkeypatch.setattr("core.precision._SMALL_WIDTH", 0)
    model, _, _ = checkpoint.load(folder)
    decoder = prepare(model.decoder, "fp32")
    assert decoder.joint_heads is not None
    expected = given.expected["gen_tokens"]
    jobs = [job(condition, expected.shape[-1]) for condition in given.expected["pooled"]]
    assert torch.equal(decode(decoder, jobs), expected)


@pytest.fixture(params=NAMES)
def name_folder(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Parity, Path]:
    """A checkpoint's expected tensors and the folder it was imported to."""
    return parity(request.param), imported(request.param, tmp_path)
