"""scripts/bench_decode.py at toy size: both sides decode the same weights, and the JSON holds what it should."""

from __future__ import annotations

import json
import sys
from importlib import util
from pathlib import Path

import pytest
import torch

from core.precision import int8_works

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import bench_decode
from audiocraft_lm import build_lm, condition_tensors
from decode_sides import Audiocraft, Ours, our_decoder

needs_audiocraft = pytest.mark.skipif(
    util.find_spec("audiocraft") is None, reason="audiocraft isn't installed (`make audiocraft`)"
)


@needs_audiocraft
def test_the_last_line_is_json_with_every_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ["fp32"] + (["int8"] if int8_works() else [])
    quick = ["--quick", "--rounds", "1", "--no-memory", "--items", "3", "--threads", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["bench_decode", *quick, "--precisions", ",".join(formats)])
    threads = torch.get_num_threads()
    try:
        bench_decode.main()
    finally:
        torch.set_num_threads(threads)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {(s["side"], s["items"]) for s in found["steps"]} >= {("audiocraft", 4), ("ours fp32", 1), ("ours fp32", 3)}
    assert all(step["median_s"] > 0 for step in found["steps"])
    for name in formats:
        assert found["ratios"][name]["one_window"] > 0
        assert found["ratios"][name]["worst_kl"] < 0.01
        assert found["floor_s"][name] > 0


def test_memory_is_that_of_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = ["--quick", "--items", "1", "--device", "cpu", "--precisions", "fp32", "--memory-of", "ours"]
    monkeypatch.setattr(sys, "argv", ["bench_decode", *quick])
    arguments = bench_decode.parse()
    found = bench_decode.memory_of(arguments, bench_decode.QUICK)
    assert 0 < found["imports_gb"] <= found["peak_gb"]


def test_averages_of_a_window_are_straight_lines_between_positions() -> None:
    steps = [
        {"side": "ours x", "items": 2, "beside": "", "position": p, "median_s": 1.0 + 0.001 * p}
        for p in bench_decode.WINDOW_POSITIONS
    ]
    (found,) = bench_decode.averages(steps)
    assert found["s_per_step"] == pytest.approx(1.0 + 0.001 * bench_decode.STEPS / 2, rel=1e-3)
    assert found["windows_per_hour"] == pytest.approx(2 * 3600 / (found["s_per_step"] * 1503), rel=5e-3)


@needs_audiocraft
@torch.no_grad()
def test_both_sides_compute_the_same_from_the_same_weights() -> None:
    config = bench_decode.QUICK
    lm = build_lm(config.dim, config.heads, config.layers, config.card)
    decoder = our_decoder(config, lm.state_dict())
    sequence, condition = torch.randint(config.card, (2, 4, 9)), torch.randn(2, 3, config.dim)
    theirs = lm(sequence, conditions=[], condition_tensors=condition_tensors(condition, guidance=False))
    picture = decoder.picture(condition, torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool))
    ours = decoder(sequence, picture, None, torch.zeros(2, 9))
    assert torch.allclose(ours, theirs, atol=1e-4)


@needs_audiocraft
@torch.no_grad()
def test_a_sought_position_has_that_much_behind_it() -> None:
    config = bench_decode.QUICK
    lm = build_lm(config.dim, config.heads, config.layers, config.card)
    theirs = Audiocraft(lm, 2, config.dim)
    theirs.seek(70)
    theirs.step()
    state = lm.get_streaming_state()
    kept = [value.shape for name, value in state.items() if name.endswith("past_keys")]
    assert len(kept) >= config.layers
    assert all(71 in shape for shape in kept)
    theirs.close()
    ours = Ours(our_decoder(config), 2, codes=100)
    ours.seek(70)
    ours.step()
    assert (ours._batch._positions == 71).all()
