"""The engine: cached equals uncached, batched equals single, prompts are obeyed, constraints hold, seeds repeat."""

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.batch import Batch
from core.config import tiny
from core.cuda_graph import StepGraphs
from core.engine import Engine, Job, Sampling
from core.errors import ModelError
from core.model import GVMGen
from core.patterns import delay
from core.windows import Window, plan_windows

CONTROL = 6
STEP = 0.5  # s


def lagged(track: np.ndarray, first: int, last: int, delay: int) -> np.ndarray:
    return np.concatenate([track[first:last], np.zeros((delay, CONTROL), np.float32)])


def make_model(published: bool) -> GVMGen:
    torch.manual_seed(0)
    if published:
        return GVMGen(tiny()).eval()
    return GVMGen(tiny(control_channels=CONTROL, position="rotary", temporal_position=True)).eval()


def make_job(steps: int, seed: int, controlled: bool, vectors: int = 1) -> Job:
    rng = np.random.default_rng(seed)
    seconds = np.arange(steps + 1) * STEP
    frames = max(1, int(seconds[-1] * 2))
    control = rng.normal(size=(steps, CONTROL)).astype(np.float32) if controlled else None
    return Job(
        rng.normal(size=(frames, vectors, 12)).astype(np.float32), np.arange(frames) / 2, seconds,
        plan_windows(seconds, 8.0, 3.0), seed, control, lagged if controlled else None,
    )  # fmt: skip


both = pytest.mark.parametrize("published", [True, False], ids=["published", "starter"])


def uncached_logits(model: GVMGen, job: Job, codes: np.ndarray, window: Window) -> torch.Tensor:
    """Teacher-forced logits [1, K, S, V] of one window whose codes are known."""
    config = model.config.decoder
    steps = slice(window.first, window.last)
    sequence = delay(torch.tensor(codes[None, :, steps]), config.delays, config.special)
    seconds = job.step_seconds[steps]
    times = torch.tensor(np.concatenate([seconds, [seconds[-1]] * config.longest_delay]), dtype=torch.float32)[None]
    seen = (job.frame_times >= seconds[0] - 1e-9) & (job.frame_times < job.step_seconds[window.last] - 1e-9)
    frames = torch.tensor(job.frame_times[seen], dtype=torch.float32)[None]
    condition = torch.tensor(job.condition[seen]).flatten(0, 1)[None]
    picture = model.decoder.picture(condition, frames, torch.ones_like(frames, dtype=torch.bool))
    control = None
    if job.control is not None:
        control = torch.tensor(lagged(job.control, window.first, window.last, config.longest_delay))[None]
    with torch.inference_mode():
        return model.decoder(sequence[..., :-1], picture, control, times)


@both
def test_greedy_decoding_with_a_cache_is_what_the_whole_sequence_gives(published: bool) -> None:
    model, job = make_model(published), make_job(40, 3, not published)
    (codes,) = Engine(model.decoder, Sampling(guidance=1.0, temperature=0.0)).generate([job])
    assert len(job.windows) > 2, "the job is meant to have prompted windows"
    for window in job.windows:
        logits = uncached_logits(model, job, codes, window)[0]
        for stream, lag in enumerate(model.config.decoder.delays):
            written = range(window.prompt, window.last - window.first)
            best = logits[stream, [t + lag for t in written]].argmax(-1).numpy()
            assert (best == codes[stream, window.first + window.prompt : window.last]).all()


@both
def test_what_a_cue_gets_does_not_depend_on_what_is_decoded_beside_it(published: bool) -> None:
    model = make_model(published)
    jobs = [make_job(steps, seed, not published) for seed, steps in enumerate((7, 40, 23, 16, 60))]
    sampling = Sampling(guidance=2.0, top_k=5)
    together = Engine(model.decoder, sampling, slots=2).generate(jobs)
    for job, codes in zip(jobs, together, strict=True):
        (alone,) = Engine(model.decoder, sampling, slots=1).generate([job])
        assert np.array_equal(alone, codes)


@both
def test_the_same_seed_repeats_and_another_does_not(published: bool) -> None:
    model, job = make_model(published), make_job(30, 1, not published)
    engine = Engine(model.decoder, Sampling(guidance=2.0, top_k=10))
    first, again, other = engine.generate([job, job, replace(job, seed=2)])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@both
def test_only_allowed_codes_are_written(published: bool) -> None:
    model, job = make_model(published), make_job(40, 5, not published)
    config = model.config.decoder
    allowed = np.random.default_rng(0).random((job.steps, config.streams, config.card)) < 0.2
    allowed[..., 0] = True
    (codes,) = Engine(model.decoder, Sampling()).generate([replace(job, allowed=allowed)])
    steps, streams = np.meshgrid(np.arange(job.steps), np.arange(config.streams), indexing="ij")
    assert allowed[steps, streams, codes.T].all()


def test_guidance_without_any_frame_gives_numbers_and_codes() -> None:
    model = make_model(False)
    job = make_job(10, 0, True)
    blind = replace(job, condition=job.condition[:0], frame_times=job.frame_times[:0])
    (codes,) = Engine(model.decoder, Sampling(guidance=2.0)).generate([blind])
    assert codes.shape == (4, 10)
    assert (codes >= 0).all()


def test_progress_ends_at_one() -> None:
    shares: list[float] = []
    Engine(make_model(True).decoder, Sampling()).generate([make_job(20, 0, False)], shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_queries_kept_apart_are_all_read() -> None:
    model, job = make_model(True), make_job(20, 4, False, vectors=3)
    greedy = Sampling(guidance=3.0, temperature=0.0)
    (codes,) = Engine(model.decoder, greedy).generate([job])
    changed = job.condition.copy()
    changed[:, 2] += 1.0
    (other,) = Engine(model.decoder, greedy).generate([replace(job, condition=changed)])
    assert not np.array_equal(codes, other)


def test_a_cue_goes_on_from_the_codes_it_is_given() -> None:
    model, job = make_model(True), make_job(30, 4, False)
    greedy = Engine(model.decoder, Sampling(guidance=3.0, temperature=0.0))
    job = replace(job, windows=[Window(0, 0, 30)])
    (codes,) = greedy.generate([job])
    (again,) = greedy.generate([replace(job, given=codes[:, :11])])
    assert np.array_equal(again, codes)
    given = (codes[:, :11] + 1) % 20
    (other,) = greedy.generate([replace(job, given=given)])
    assert np.array_equal(other[:, :11], given)


def test_a_cue_without_pictures_owes_nothing_to_the_one_before_it_in_its_slot() -> None:
    model, job = make_model(True), make_job(12, 1, False)
    blind = replace(make_job(12, 2, False), condition=job.condition[:0], frame_times=job.frame_times[:0])
    engine = Engine(model.decoder, Sampling(guidance=3.0, temperature=0.0), slots=1)
    (alone,) = engine.generate([blind])
    _, after = engine.generate([job, blind])
    assert np.array_equal(alone, after)


def test_finished_cues_come_as_they_finish() -> None:
    jobs = [make_job(steps, seed, False) for seed, steps in enumerate((60, 7, 20))]
    engine = Engine(make_model(True).decoder, Sampling(), slots=2)
    together = engine.generate(jobs)
    streamed = list(engine.stream(jobs))
    assert [index for index, _ in streamed] == [1, 2, 0]
    for index, codes in streamed:
        assert np.array_equal(codes, together[index])


@pytest.mark.parametrize("where", ["allocating", "stepping"])
def test_where_memory_runs_out_fewer_cues_go_on_and_none_is_lost(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model(True)
    jobs = [make_job(steps, seed, False) for seed, steps in enumerate((7, 40, 23, 60))]
    expected = Engine(model.decoder, Sampling(top_k=5)).generate(jobs)
    name = "__init__" if where == "allocating" else "step"
    room = {"allocating": [4], "stepping": [4, 2]}[where]
    monkeypatch.setattr(Batch, name, short_of_memory(getattr(Batch, name), where, room))
    finished = []
    with caplog.at_level(logging.WARNING):
        engine = Engine(model.decoder, Sampling(top_k=5), slots=4)
        for index, codes in engine.stream(jobs):
            finished.append(index)
            assert np.array_equal(codes, expected[index])
    assert sorted(finished) == [0, 1, 2, 3], "each cue once"
    assert [record.message for record in caplog.records] == [
        f"out of memory on cpu: going on with {slots // 2} cues at a time" for slots in room
    ]


def short_of_memory(method: Callable[..., None], where: str, room: list[int]) -> Callable[..., None]:
    """`method` of Batch, failing once for each number of slots in `room`: at once, or after 15 steps of it."""
    steps = {"left": 15}

    def fails(self: Batch, *args: object) -> None:
        slots = args[2] if where == "allocating" else self.items
        steps["left"] -= 1
        if slots in room and room.index(slots) == fails.failed and (where == "allocating" or steps["left"] < 0):  # type: ignore[attr-defined]
            fails.failed += 1  # type: ignore[attr-defined]
            steps["left"] = 15
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        method(self, *args)

    fails.failed = 0  # type: ignore[attr-defined]
    return fails


def test_no_memory_for_a_single_cue_is_one_line_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Batch, "step", no_memory)
    with pytest.raises(ModelError, match="single cue: close other programs") as said:
        Engine(make_model(True).decoder, Sampling(), slots=2).generate([make_job(5, 0, False)] * 2)
    assert "\n" not in str(said.value)


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Batch, "step", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        Engine(make_model(True).decoder, Sampling()).generate([make_job(5, 0, False)])


def test_steps_are_not_recorded_without_cuda() -> None:
    graphs, calls = StepGraphs(torch.device("cpu")), []
    for _ in range(3):
        graphs.run("step", lambda: calls.append(1))
    assert not graphs.enabled
    assert len(calls) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@both
def test_recorded_steps_write_what_plain_ones_write(published: bool) -> None:
    decoder = make_model(published).decoder.to("cuda")
    jobs = [make_job(steps, seed, not published) for seed, steps in enumerate((7, 40, 23))]
    sampling = Sampling(guidance=2.0, temperature=0.0)
    plain = Engine(decoder, sampling, slots=2, graphs=False).generate(jobs)
    recorded = Engine(decoder, sampling, slots=2, graphs=True).generate(jobs)
    for ours, theirs in zip(recorded, plain, strict=True):
        assert np.array_equal(ours, theirs)
