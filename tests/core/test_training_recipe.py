"""Recipes: what the presets say, what a file may say, and how it is told what can't be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.training.data import Draw
from core.training.optim import Average, learning_rate
from core.training.order import Order, Share
from core.training.presets import PAPER, PRESETS, PUBLISHED, STARTER
from core.training.recipe import DataRecipe, EmaRecipe, Recipe, ScheduleRecipe, read_recipe, to_toml, with_typed


def test_the_paper() -> None:
    """arXiv 2501.09972, "Implementation details"."""
    assert (PAPER.optimiser.kind, PAPER.optimiser.learning_rate, PAPER.optimiser.weight_decay) == ("adam", 1e-5, 0.01)
    assert (PAPER.data.batch, PAPER.data.window_seconds) == (6, 30.0)
    assert (PAPER.schedule.kind, PAPER.schedule.warmup_steps, PAPER.schedule.epochs) == ("cosine", 4000, 150)
    assert PAPER.data.null_share > 0 and PAPER.data.null_by == "item"
    assert (PAPER.model.scale, PAPER.loss.tail) == ("large", "predicted")


def test_the_published_code() -> None:
    optimiser = PUBLISHED.optimiser
    assert (optimiser.kind, optimiser.learning_rate, optimiser.betas, optimiser.eps) == (
        "dadapt",
        1.0,
        (0.9, 0.95),
        1e-4,
    )
    assert (optimiser.weight_decay, optimiser.decay_vectors, optimiser.first_d, optimiser.clip_norm) == (
        0.1,
        True,
        1e-6,
        1,
    )
    assert (PUBLISHED.data.batch, PUBLISHED.schedule.steps, PUBLISHED.schedule.warmup_steps) == (192, 1_000_000, 4000)
    assert (PUBLISHED.data.null_share, PUBLISHED.data.null_by, PUBLISHED.loss.tail) == (0.3, "batch", "dropped")
    assert (PUBLISHED.ema.decay, PUBLISHED.ema.every, PUBLISHED.compute.precision) == (0.99, 10, "fp16")
    assert learning_rate(PUBLISHED.schedule, 0, 1_000_000) == 0


def test_the_rate_rises_and_falls() -> None:
    schedule = ScheduleRecipe(warmup_steps=4, steps=10)
    rates = [learning_rate(schedule, step, 10) for step in range(10)]
    assert rates[:5] == [0, 0.25, 0.5, 0.75, 1]
    assert rates[4:] == sorted(rates[4:], reverse=True) and rates[7] == pytest.approx(0.5)
    by_clock = ScheduleRecipe(warmup_steps=4, minutes=1)
    assert learning_rate(by_clock, 100, 0, share=0.5) == pytest.approx(0.5)
    assert learning_rate(ScheduleRecipe("constant", 0, steps=10), 9, 10) == 1


def test_the_average_is_unbiased() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    average = Average(layer, EmaRecipe(0.9, every=2))
    seen = []
    for step in range(6):
        with torch.no_grad():
            layer.weight.fill_(float(step))
        average.blend(layer, step)
        seen.append(float(average.weights["weight"]))
    assert seen[1] == 1  # the first blend is a copy
    assert seen[5] == pytest.approx((1 * 0.81 + 3 * 0.9 + 5) / (0.81 + 0.9 + 1))
    with average.inside(layer):
        assert layer.weight.item() == pytest.approx(seen[5])
    assert layer.weight.item() == 5


# --- files and settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_a_recipe_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(PRESETS[name]), encoding="utf-8")
    assert read_recipe(path, PRESETS) == PRESETS[name]


@pytest.mark.parametrize("setting", ["optimiser.clip_norm=inf", "model.decoder.eps=[1.0, -inf]"])
def test_numbers_without_end_are_written_as_toml_has_them(setting: str, tmp_path: Path) -> None:
    path, recipe = tmp_path / "recipe.toml", with_typed(STARTER, [setting])
    path.write_text(to_toml(recipe), encoding="utf-8")
    assert read_recipe(path, PRESETS) == recipe


def test_a_file_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "paper"\n[data]\nbatch = 4\n[schedule]\nsteps = 9000\n[model.decoder]\nlayers = 3\n')
    recipe = read_recipe(path, PRESETS)
    assert (recipe.data.batch, recipe.schedule.steps, recipe.schedule.epochs) == (4, 9000, 0)
    assert recipe.model.decoder == {"layers": 3}
    assert recipe.optimiser == PAPER.optimiser


def test_settings_as_typed() -> None:
    recipe = with_typed(
        STARTER,
        ["data.batch=4", "compute.device=cpu", "optimiser.learning_rate=1", "schedule.steps=300",
         "run.tensorboard=true", "optimiser.betas=[0.8, 0.9]", "data.folder=C:\\films and more",
         "model.decoder.layers=2"],
    )  # fmt: skip
    assert (recipe.data.batch, recipe.compute.device, recipe.optimiser.learning_rate) == (4, "cpu", 1.0)
    assert (recipe.schedule.steps, recipe.schedule.minutes, recipe.run.tensorboard) == (300, 0, True)
    assert recipe.optimiser.betas == (0.8, 0.9)
    assert recipe.data.folder == "C:\\films and more"
    assert recipe.model.decoder == {"layers": 2}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("data.bach=4", r"data\.bach is no setting; did you mean data\.batch\?"),
        ("dat.batch=4", r"dat is no table; did you mean data\?"),
        ("batch", "'batch' is no setting; write TABLE.NAME=VALUE"),
        ("data.batch=four", r"data\.batch is 'four'; it must be a whole number"),
        ("data.batch=0", r"data\.batch is 0; it must be at least 1"),
        ("data.null_share=1.5", r"data\.null_share is 1\.5; it must be a share"),
        ("compute.precision=fp8", r"compute\.precision is 'fp8'; it must be one of fp32, bf16, fp16"),
        ("run.tensorboard=1", r"run\.tensorboard is 1; it must be true or false"),
        ("optimiser.betas=0.9", r"optimiser\.betas is 0\.9; it must be a list"),
        ("optimiser.betas=[0.9]", r"optimiser\.betas is \[0\.9\]; it must be two shares below 1"),
        ("schedule.steps=0", "a training needs just one length: none of steps, epochs, minutes is given"),
        ("schedule.steps=100", r"schedule\.warmup_steps 4000 never ends within 100 steps"),
        ("schedule.minutes=nan", r"schedule\.minutes is nan; it must be at least 0, and finite"),
        ("schedule.minutes=inf", r"schedule\.minutes is inf; it must be at least 0, and finite"),
        ("optimiser.learning_rate=inf", r"optimiser\.learning_rate is inf; it must be above 0, and finite"),
        ("optimiser.weight_decay=nan", r"optimiser\.weight_decay is nan; it must be at least 0"),
        ("optimiser.clip_norm=nan", r"optimiser\.clip_norm is nan; it must be above 0"),
        ("data.window_seconds=nan", r"data\.window_seconds is nan; it must be above 0"),
        ("model.decoder=5", r"model\.decoder is 5; it must be a table"),
        ("model.features=[1]", r"model\.features is \[1\]; it must be a table"),
        ("data.batch.x=3", r"data\.batch is .*; it must be a whole number"),
        ("model.start_from=a", ""),
    ],
)
def test_what_cant_be(setting: str, said: str) -> None:
    if not said:
        with pytest.raises(ValueError, match=r"leave model\.musicgen"):
            with_typed(PAPER, [setting, "model.clip=b"])
        return
    with pytest.raises(ValueError, match=said):
        with_typed(PAPER, [setting])


def test_a_setting_inside_of_another() -> None:
    with pytest.raises(ValueError, match=r"'data\.batch\.x=3' sets what is inside of batch, which is 4 before it"):
        with_typed(PAPER, ["data.batch=4", "data.batch.x=3"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data\n", r"can't be read as TOML .*line 1"),
        ('preset = "papr"\n', r"papr is no preset; did you mean paper\?"),
        ("data = 3\n", "data is 3; it must be a table of settings"),
        ("[schedule]\nsteps = 5\nepochs = 6\n", r"schedule\.steps and schedule\.epochs is given"),
    ],
)
def test_a_file_that_cant_be(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"recipe\.toml: .*{said}"):
        read_recipe(path, PRESETS)


def test_a_file_that_isnt_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no preset of that name \(paper, published"):
        read_recipe(tmp_path / "papier", PRESETS)


# --- order ---------------------------------------------------------------------------------------------------------


class Numbers:
    """Examples without anything in them."""

    def __len__(self) -> int:
        return 10

    def name(self, index: int) -> str:
        return str(index)

    def epoch(self, rng: np.random.Generator, size: int) -> list[list[int]]:
        order = rng.permutation(10).tolist()
        return [order[at : at + size] for at in range(0, 10 - size + 1, size)]

    def batch(self, draws: list[Draw]) -> list[int]:  # type: ignore[override]
        return [draw.index for draw in draws]


def test_order_follows_from_seed_and_step() -> None:
    recipe = DataRecipe(batch=4, null_share=0.5)
    order, again = (Order(Numbers(), recipe, seed=3) for _ in range(2))  # type: ignore[arg-type]
    assert order.steps_per_epoch == 2
    forwards = [order.draws(step) for step in range(6)]
    assert [again.draws(step) for step in (5, 0, 3)] == [forwards[step] for step in (5, 0, 3)]
    assert [draw.index for step in (0, 1) for draw in forwards[step]] != [d.index for s in (2, 3) for d in forwards[s]]
    assert len({draw.index for step in (0, 1) for draw in forwards[step]}) == 8  # nothing twice in an epoch
    assert Order(Numbers(), recipe, seed=4).draws(0) != forwards[0]  # type: ignore[arg-type]


def test_devices_share_the_batch_out() -> None:
    order = Order(Numbers(), DataRecipe(batch=8, null_share=0.0), seed=1)  # type: ignore[arg-type]
    whole = [draw.index for draw in order.draws(0)]
    parts = [Share(order, rank, 2, 2)[0] for rank in (0, 1)]
    assert [index for share in parts for part in share for index in part] == whole


@pytest.mark.parametrize("by", ["item", "batch"])
def test_pictures_are_dropped(by: str) -> None:
    recipe = DataRecipe(batch=5, null_share=0.3, null_by=by)  # type: ignore[arg-type]
    order = Order(Numbers(), recipe, seed=1)  # type: ignore[arg-type]
    blind = np.array([[draw.blind for draw in order.draws(step)] for step in range(400)])
    assert blind.mean() == pytest.approx(0.3, abs=0.06)
    assert (blind.all(axis=1) | ~blind.any(axis=1)).all() == (by == "batch")


def test_the_default_is_a_recipe() -> None:
    assert Recipe().schedule.epochs == 150
