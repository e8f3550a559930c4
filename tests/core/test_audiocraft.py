"""audiocraft's own language model and codec against ours on the same random weights. Skipped where it isn't installed.

`make audiocraft` installs it, and so does `make test`.
"""

from __future__ import annotations

import sys
import tomllib
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codec_fixtures import settings_of
from torch import Tensor

from core.codecs.audiocraft_loader import load_audiocraft
from core.codecs.encodec import Encodec
from core.codecs.encodec_files import convert_published
from core.config import DecoderConfig
from core.decoder import Decoder
from core.engine import Engine, Job, Sampling
from core.errors import MissingDependencyError
from core.patterns import delay
from core.published.names import to_ours
from core.windows import Window

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from audiocraft_lm import build_lm, condition_tensors, conditions

ROOT = Path(__file__).resolve().parents[2]
needs_audiocraft = pytest.mark.skipif(
    util.find_spec("audiocraft") is None, reason="audiocraft isn't installed (`make audiocraft`)"
)
DIM, HEADS, LAYERS, CARD, STREAMS, FRAMES = 48, 4, 3, 64, 4, 6
RATE = 50.0  # steps per second


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Decoder]:
    """audiocraft's model and our decoder with its weights; our condition projection hands the vectors on as they are.

    The weights are larger than at the start of a training, so that every token matters to what follows.
    """
    lm = build_lm(DIM, HEADS, LAYERS, CARD, STREAMS)
    with torch.no_grad():
        for name, parameter in lm.named_parameters():
            parameter.mul_(12 if name.startswith("emb") else 2 if "norm" not in name else 1)
            if "norm" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    decoder = Decoder(DecoderConfig(DIM, HEADS, LAYERS, STREAMS, CARD), condition_channels=DIM).eval()
    renamed = to_ours(lm.state_dict())
    assert not renamed.unknown
    assert not renamed.vision
    state = {name.removeprefix("decoder."): value for name, value in renamed.model.items()}
    state |= {"condition_proj.weight": torch.eye(DIM), "condition_proj.bias": torch.zeros(DIM)}
    decoder.load_state_dict(state)
    return lm, decoder


def condition(items: int = 1, frames: int = FRAMES) -> Tensor:
    return torch.randn(items, frames, DIM, generator=torch.Generator().manual_seed(5))


def make_job(vectors: Tensor, steps: int, windows: list[Window]) -> Job:
    """A job whose frames [F, D] are spread over its steps."""
    times = np.arange(len(vectors)) * (steps / RATE / len(vectors))
    return Job(vectors[:, None].numpy(), times, np.arange(steps + 1) / RATE, windows, seed=0)


@needs_audiocraft
def test_the_logits_are_the_same(pair: tuple[Any, Decoder]) -> None:
    lm, decoder = pair
    vectors = condition(2)
    codes = torch.randint(CARD, (2, STREAMS, 30), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        theirs = lm.compute_predictions(codes, [], condition_tensors(vectors, guidance=False))
        present = torch.ones(2, FRAMES, dtype=torch.bool)
        sequence = delay(codes, decoder.config.delays, decoder.config.special)[..., :-1]
        picture = decoder.picture(vectors, torch.zeros(2, FRAMES), present)
        ours = decoder(sequence, picture, None, torch.zeros(2, sequence.shape[-1]))
    for stream in range(STREAMS):
        valid = theirs.mask[0, stream]
        assert valid.sum() == 30 - stream
        expected = theirs.logits[:, stream, valid]
        got = ours[:, stream, stream : stream + int(valid.sum())]
        assert float(expected.std()) > 0.1
        assert float((got - expected).abs().max()) < 1e-4


@needs_audiocraft
@pytest.mark.parametrize("guidance", [3.0, 1.5])
def test_greedy_codes_with_guidance_are_identical(pair: tuple[Any, Decoder], guidance: float) -> None:
    lm, decoder = pair
    vectors, steps = condition(2), 40
    theirs = lm.generate(
        conditions=conditions(vectors), max_gen_len=steps, use_sampling=False, cfg_coef=guidance, check=True
    )
    jobs = [make_job(item, steps, [Window(0, 0, steps)]) for item in vectors]
    ours = Engine(decoder, Sampling(guidance=guidance, temperature=0.0), slots=2).generate(jobs)
    assert len(theirs.unique()) > CARD // 2, "the codes are meant to vary"
    assert torch.equal(torch.tensor(np.stack(ours)), theirs)


@needs_audiocraft
def test_a_prompted_window_goes_on_identically(pair: tuple[Any, Decoder]) -> None:
    """The engine's second window, prompted with the end of the first, is audiocraft's continuation of that prompt."""
    lm, decoder = pair
    steps, first, second = 40, Window(0, 0, 24), Window(14, 10, 40)
    job = make_job(condition(1, 8)[0], steps, [first, second])
    (ours,) = Engine(decoder, Sampling(guidance=3.0, temperature=0.0)).generate([job])
    for window in (first, second):
        seen = (job.frame_times >= window.first / RATE - 1e-9) & (job.frame_times < window.last / RATE - 1e-9)
        theirs = lm.generate(
            prompt=torch.tensor(ours[None, :, window.first : window.first + window.prompt]),
            conditions=conditions(torch.tensor(job.condition[seen]).flatten(0, 1)[None]),
            max_gen_len=window.last - window.first,
            use_sampling=False,
            cfg_coef=3.0,
        )
        assert torch.equal(torch.tensor(ours[None, :, window.first : window.last]), theirs)


@needs_audiocraft
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # audiocraft's, on making its codec
def test_their_codec_is_ours() -> None:
    """audiocraft's EnCodec with random weights, imported: same codes, same sound."""
    load_audiocraft()
    from audiocraft.models.encodec import EncodecModel
    from audiocraft.modules import SEANetDecoder, SEANetEncoder
    from audiocraft.quantization import ResidualVectorQuantizer

    torch.manual_seed(3)
    seanet = {"dimension": 6, "channels": 1, "n_filters": 2, "ratios": [4, 3, 2], "lstm": 1, "norm": "weight_norm"}
    seanet |= {"causal": False, "pad_mode": "constant", "n_residual_layers": 1, "true_skip": True}
    quantizer = ResidualVectorQuantizer(dimension=6, n_q=3, bins=16, kmeans_init=False)
    theirs = EncodecModel(
        SEANetEncoder(**seanet),
        SEANetDecoder(**seanet),
        quantizer,
        frame_rate=32000 / 24,
        sample_rate=32000,
        channels=1,
    ).eval()
    codec = Encodec(*convert_published(theirs.state_dict(), settings_of()))
    sound = torch.randn(2, 1, 24 * 33 - 5)
    with torch.inference_mode():
        codes, _ = theirs.encode(sound)
        decoded = theirs.decode(codes)
    assert torch.equal(codec.encode(sound, piece_steps=7), codes)
    assert float((codec.decode(codes, piece_steps=7) - decoded).abs().max()) < 1e-5


@needs_audiocraft
def test_it_left_torch_alone() -> None:
    """Nothing that the extra brings asks for another torch than the one that is here."""
    from packaging.requirements import Requirement

    here = metadata.version("torch").split("+")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(text) for text in project["optional-dependencies"]["audiocraft"]]
    assert {one.name for one in waiting} >= {"flashy", "julius"}
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        marker = requirement.marker
        if requirement.name == "torch":
            assert requirement.specifier.contains(here, prereleases=True), requirement
        elif requirement.name not in seen and (marker is None or marker.evaluate({"extra": "audiocraft"})):
            seen.add(requirement.name)
            waiting += [Requirement(text) for text in metadata.requires(requirement.name) or [] if "extra" not in text]
    assert not seen & {"audiocraft", "torchaudio", "xformers"}


def test_where_it_is_missing_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audiocraft", None)
    monkeypatch.setitem(sys.modules, "audiocraft.models", None)
    with pytest.raises(MissingDependencyError, match=r"make audiocraft.*--no-deps audiocraft==1\.3\.0") as caught:
        load_audiocraft()
    assert "\n" not in str(caught.value)
