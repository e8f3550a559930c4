"""Drawing codes: top-k and temperature shape the draw, the random number decides it."""

import torch

from core.sampling import choose, guide


def test_temperature_zero_takes_the_best() -> None:
    logits = torch.tensor([[[0.1, 3.0, -1.0]]])
    assert choose(logits, torch.tensor([[0.99]]), temperature=0.0).item() == 1


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2])).expand(10_000, 1, 3)
    uniform = torch.rand(10_000, 1, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(choose(logits, uniform).flatten(), minlength=3) / 10_000
    assert torch.allclose(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.02)


def test_top_k_leaves_the_unlikely_out_even_at_the_ends_of_the_draw() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, 3.0]).expand(3, 1, 4)
    drawn = choose(logits, torch.tensor([[0.0], [0.5], [0.999999]]), top_k=2)
    assert set(drawn.flatten().tolist()) <= {1, 3}


def test_forbidden_codes_are_never_drawn() -> None:
    logits = torch.tensor([float("-inf"), 0.0, float("-inf")]).expand(2, 1, 3)
    assert (choose(logits, torch.tensor([[0.0], [0.9999999]])) == 1).all()


def test_guidance_one_is_the_picture_alone_and_zero_is_none() -> None:
    seen, blind = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    assert torch.allclose(guide(seen, blind, 1.0), seen, atol=1e-6)
    assert torch.allclose(guide(seen, blind, 0.0), blind)


def test_top_p_keeps_the_likeliest_that_make_the_share_together() -> None:
    logits = torch.log(torch.tensor([0.1, 0.5, 0.25, 0.15])).expand(1001, 1, 4)
    uniform = torch.linspace(0, 0.9999, 1001)[:, None]
    assert set(choose(logits, uniform, top_p=0.4).flatten().tolist()) == {1}
    assert set(choose(logits, uniform, top_p=0.6).flatten().tolist()) == {1, 2}
    kept = choose(logits, uniform, top_p=0.8)
    assert set(kept.flatten().tolist()) == {1, 2, 3}
    assert abs((kept == 1).float().mean().item() - 0.5 / 0.9) < 0.01


def test_top_p_goes_before_top_k_as_published() -> None:
    logits = torch.log(torch.tensor([0.4, 0.3, 0.3])).expand(101, 1, 3)
    drawn = choose(logits, torch.linspace(0, 0.999, 101)[:, None], top_k=1, top_p=0.99)
    assert set(drawn.flatten().tolist()) == {0, 1, 2}
