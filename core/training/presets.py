"""Recipes by name. Where the paper and the published code differ, both are here; docs/training.md sets them side by side."""  # noqa: E501

from __future__ import annotations

from typing import Final

from core.training.recipe import (
    ComputeRecipe,
    DataRecipe,
    EmaRecipe,
    LossRecipe,
    ModelRecipe,
    OptimiserRecipe,
    Recipe,
    RunRecipe,
    ScheduleRecipe,
)

# arXiv 2501.09972, "Implementation details". What the paper doesn't say is MusicGen's way or ours: which share of the
# pictures is dropped (the published code's 0.3, but for each item), the betas, the clipping, the average.
PAPER: Final = Recipe(
    model=ModelRecipe(scale="large"),
    data=DataRecipe(batch=6, window_seconds=30.0, null_share=0.3, null_by="item", workers=4),
    optimiser=OptimiserRecipe("adam", 1e-5, betas=(0.9, 0.999), weight_decay=0.01, decay_vectors=True, clip_norm=1.0),
    schedule=ScheduleRecipe("cosine", warmup_steps=4000, epochs=150),
    ema=EmaRecipe(0.99, every=10),
    compute=ComputeRecipe(precision="bf16"),
    run=RunRecipe(log_every=50, evaluate_every=2000, checkpoint_every=2000, samples_every=5000, tensorboard=True),
)

# config/solver/gvmgen of the published code, updates_per_epoch 2000 over 500 epochs.
PUBLISHED: Final = Recipe(
    model=ModelRecipe(scale="large"),
    data=DataRecipe(batch=192, window_seconds=30.0, null_share=0.3, null_by="batch", workers=4),
    loss=LossRecipe("dropped"),
    optimiser=OptimiserRecipe(
        "dadapt", 1.0, betas=(0.9, 0.95), eps=1e-4, weight_decay=0.1, decay_vectors=True, clip_norm=1.0, first_d=1e-6
    ),
    schedule=ScheduleRecipe("cosine", warmup_steps=4000, steps=500 * 2000),
    ema=EmaRecipe(0.99, every=10),
    compute=ComputeRecipe(precision="fp16", parallel="fsdp"),
    run=RunRecipe(log_every=50, evaluate_every=2000, checkpoint_every=2000, samples_every=10_000, tensorboard=True),
)

STARTER: Final = Recipe(
    model=ModelRecipe(scale="starter", name="starter", licence="CC0-1.0"),
    data=DataRecipe(kind="pieces", batch=16, null_share=0.1, workers=0),
    optimiser=OptimiserRecipe("adamw", 1e-3, betas=(0.9, 0.97), weight_decay=0.05),
    schedule=ScheduleRecipe("cosine", warmup_steps=200, minutes=60.0),
    ema=EmaRecipe(0.995),
    compute=ComputeRecipe(device="auto", precision="bf16"),
    run=RunRecipe(log_every=50, evaluate_every=500, evaluate_batches=6, checkpoint_every=1000, keep_last=2),
)

# A model of a few million parameters on patch descriptors, with a small codec of one's own (gvm train codec): about
# three quarters of an hour of one core.
SMALL_WAVEFORM: Final = Recipe(
    model=ModelRecipe(scale="waveform"),
    data=DataRecipe(batch=8, window_seconds=10.0, null_share=0.1, workers=1),
    optimiser=OptimiserRecipe("adamw", 1e-3, betas=(0.9, 0.97), weight_decay=0.05),
    schedule=ScheduleRecipe("cosine", warmup_steps=100, steps=2000),
    ema=EmaRecipe(0.995),
    compute=ComputeRecipe(precision="bf16"),
    run=RunRecipe(log_every=10, evaluate_every=200, checkpoint_every=200, samples_every=500),
)

# From weights that are good already to one's own films: little, slowly.
FINETUNE: Final = Recipe(
    model=ModelRecipe(scale="starter", start_from="starter"),
    data=DataRecipe(kind="pieces", batch=16, null_share=0.1, workers=0),
    optimiser=OptimiserRecipe("adamw", 2e-4, betas=(0.9, 0.97), weight_decay=0.05),
    schedule=ScheduleRecipe("cosine", warmup_steps=50, steps=600),
    ema=EmaRecipe(0.98),
    compute=ComputeRecipe(precision="bf16"),
    run=RunRecipe(log_every=10, evaluate_every=50, checkpoint_every=100, keep_last=2),
)

PRESETS: Final[dict[str, Recipe]] = {
    "paper": PAPER,
    "published": PUBLISHED,
    "starter": STARTER,
    "small-waveform": SMALL_WAVEFORM,
    "finetune": FINETUNE,
}
