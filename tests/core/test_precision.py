"""Number formats: packed weights multiply like plain ones, fewer bits cost little, rows don't touch each other."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core import precision
from core.config import DecoderConfig, published, tiny
from core.decoder import Decoder
from core.engine import Engine, Job, Sampling
from core.errors import ModelError
from core.packed import PackedLinear, packs
from core.precision import (
    CastLinear,
    Int8Linear,
    Precision,
    best_precision,
    check,
    int8_works,
    prepare,
)
from core.windows import Window

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from decode_quality import compare, stepwise_logits

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CONFIG = DecoderConfig(dim=128, heads=2, layers=3, card=64)
HERE: list[Precision] = [
    "fp32", "fp16",
    *(["bf16"] if packs(torch.bfloat16) else []),
    *(["int8"] if int8_works() else []),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _small_decoders_are_prepared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_SMALL_WIDTH", 0)


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(0)
    return Decoder(CONFIG, 24).eval()


def make_job(seed: int, steps: int = 24) -> Job:
    rng = np.random.default_rng(seed)
    return Job(
        rng.normal(size=(6, 1, 24)).astype(np.float32), np.arange(6) / 20, np.arange(steps + 1) / 50,
        [Window(0, 0, steps)], seed,
    )  # fmt: skip


@pytest.mark.parametrize("name", HERE)
def test_fewer_bits_stay_close_to_single_precision(name: Precision, decoder: Decoder) -> None:
    random = torch.Generator().manual_seed(1)
    sequence = torch.randint(CONFIG.card, (3, 4, 20), generator=random)
    condition = torch.randn(3, 5, 24, generator=random)
    exact = stepwise_logits(decoder, sequence, condition)
    found = compare(exact, stepwise_logits(prepare(copy.deepcopy(decoder), name), sequence, condition))
    limit = {"fp32": 1e-9, "fp16": 1e-5, "bf16": 1e-3, "int8": 2e-3}[name]
    assert max(found["kl_per_codebook"]) <= limit
    assert found["top1_agreement"] >= (1.0 if name == "fp32" else 0.95)
    if name != "fp32":
        assert max(found["guided_kl_per_codebook"]) > 0, "the weights were not replaced"


@pytest.mark.parametrize("name", HERE)
def test_decoding_ends_and_repeats_in_every_format(name: Precision, decoder: Decoder) -> None:
    engine = Engine(prepare(decoder, name), Sampling(top_k=10), slots=2)
    first, second, third = engine.generate([make_job(0), make_job(1), make_job(0)])
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", ["fp32", "int8"])
def test_greedy_codes_do_not_depend_on_what_is_decoded_beside_them(name: Precision, decoder: Decoder) -> None:
    if name not in HERE:
        pytest.skip(f"{name} doesn't run on this CPU")
    engine = Engine(prepare(decoder, name), Sampling(temperature=0.0), slots=3)
    together = engine.generate([make_job(0), make_job(1, 40), make_job(2)])
    for index, codes in enumerate(together):
        (alone,) = engine.generate([make_job(index, 40 if index == 1 else 24)])
        assert np.array_equal(alone, codes)


@pytest.mark.skipif(not int8_works(), reason="no VNNI here")
def test_a_row_in_8_bits_is_the_same_whatever_stands_beside_it() -> None:
    linear = Int8Linear(torch.randn(48, 64))
    rows = torch.randn(5, 64) * torch.tensor([[1.0], [1e-3], [50.0], [0.0], [1.0]])
    together = linear(rows)
    for row, out in zip(rows, together, strict=True):
        assert torch.equal(linear(row[None])[0], out)
    assert torch.equal(together[3], torch.zeros(48)), "nothing in, nothing out"


@pytest.mark.skipif(not int8_works(), reason="no VNNI here")
def test_8_bits_are_exact_where_8_bits_suffice() -> None:
    random = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (32, 64), generator=random).float()
    rows = torch.randint(-127, 128, (4, 64), generator=random).float()
    weight[:, 0], rows[:, 0] = 127, 127  # peaks, so that the scales are 1
    assert torch.allclose(Int8Linear(weight)(rows), rows @ weight.T, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_weights_multiply_like_plain_ones(dtype: torch.dtype) -> None:
    if not packs(dtype):
        pytest.skip("this torch has no packed kernels")
    weight, x = torch.randn(96, 64), torch.randn(2, 7, 64)
    packed, plain = PackedLinear(weight, dtype)(x), CastLinear(weight, dtype)(x)
    assert packed.dtype == plain.dtype == dtype
    assert packed.shape == (2, 7, 96)
    assert torch.allclose(packed.float(), plain.float(), atol=1e-4 if dtype == torch.float32 else 0.2)


def test_without_packed_kernels_the_same_weights_are_read_plainly(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "packs", lambda dtype: False)
    plain = prepare(copy.deepcopy(decoder), "fp32")
    assert any(isinstance(module, CastLinear) for module in plain.modules())
    greedy = Sampling(temperature=0.0)
    (ours,) = Engine(plain, greedy).generate([make_job(3)])
    (exact,) = Engine(decoder, greedy).generate([make_job(3)])
    assert np.array_equal(ours, exact)


def test_the_weights_take_as_few_bytes_as_they_should(decoder: Decoder) -> None:
    if "int8" not in HERE:
        pytest.skip("no VNNI here")
    weights = sum(p.numel() for layer in decoder.layers for p in layer.parameters() if p.dim() == 2)
    prepared = prepare(decoder, "int8")
    assert sum(p.numel() for layer in prepared.layers for p in layer.parameters()) < weights / 50, "norms are left"
    assert prepared.cache_dtype == torch.bfloat16
    assert all(emb.weight.dtype == torch.bfloat16 for emb in prepared.emb)


def test_auto_takes_the_fastest_that_is_good_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_SMALL_WIDTH", 512)
    wide = published("small").decoder.dim
    assert best_precision(CPU, tiny().decoder.dim) == "fp32", "small models stay as they are"
    monkeypatch.setattr(precision, "int8_works", lambda: True)
    assert best_precision(CPU, wide) == "int8"
    monkeypatch.setattr(precision, "int8_works", lambda: False)
    monkeypatch.setattr(precision, "packs", lambda dtype: True)
    monkeypatch.setattr(precision, "_cpu_has", lambda test: True)
    assert best_precision(CPU, wide) == "bf16"
    monkeypatch.setattr(precision, "_cpu_has", lambda test: False)
    assert best_precision(CPU, wide) == "fp32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert best_precision(CUDA, wide) == "fp16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert best_precision(CUDA, wide) == "bf16"


def test_a_format_that_does_not_run_here_is_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "int8_works", lambda: False)
    with pytest.raises(ModelError, match=r"VNNI.*use bf16 or fp32"):
        check("int8", CPU)
    with pytest.raises(ModelError, match=r"is for CPUs.*use bf16 or fp16"):
        check("int8", CUDA)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(ModelError, match="no bf16: use fp16"):
        check("bf16", CUDA)


def test_small_decoders_keep_their_weights(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_SMALL_WIDTH", 512)
    before = decoder.state_dict()
    assert prepare(decoder, "fp32").state_dict().keys() == before.keys()


def test_weights_read_in_half_precision_decode_too(decoder: Decoder) -> None:
    engine = Engine(prepare(decoder.half(), "fp16"), Sampling(top_k=10))
    (codes,) = engine.generate([make_job(0)])
    assert codes.shape == (4, 24)
