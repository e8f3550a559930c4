"""Published files as data: what is read, what is refused, and that nothing in them runs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import ModelError
from core.published import reader
from core.published.names import VISUAL

EMB = {"emb.0.weight": torch.zeros(3, 2)}
PICTURES = {**EMB, f"{VISUAL}query_tokens": torch.zeros(1, 2, 2)}
CFG = "solver: gvmgen\nsample_rate: 32000\naudio: {rate: '${sample_rate}'}\n"


class Malice:
    """Pickles as a call that leaves a trace."""

    def __init__(self, function: Callable[..., Any], argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return self.call


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


def refusal(path: Path, read: Callable[[Path], Any] = reader.read_gvmgen) -> str:
    """What is said of a file; always one line that names it."""
    with pytest.raises(ModelError) as caught:
        read(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("zipped", [True, False])
def test_an_export_is_read(tmp_path: Path, zipped: bool) -> None:
    content = {"best_state": PICTURES, "xp.cfg": CFG, "exported": True}
    path = saved(tmp_path / "state_dict.bin", content, _use_new_zipfile_serialization=zipped)
    checkpoint = reader.read_gvmgen(path)
    assert set(checkpoint.state) == set(PICTURES)
    assert checkpoint.cfg["audio"]["rate"] == "${sample_rate}"


def test_training_checkpoints_give_their_best_weights(tmp_path: Path) -> None:
    sharded = {f"{VISUAL}query_tokens": torch.ones(1, 2, 2), **EMB}
    content: dict[str, Any] = {"best_state": {"model": PICTURES}, "fsdp_best_state": {}, "xp.cfg": {"solver": "gvmgen"}}
    plain = reader.read_gvmgen(saved(tmp_path / "checkpoint.th", content))
    assert plain.state[f"{VISUAL}query_tokens"].sum() == 0
    content["fsdp_best_state"] = {"model": sharded}
    assert reader.read_gvmgen(saved(tmp_path / "checkpoint.th", content)).state[f"{VISUAL}query_tokens"].sum() == 4


@pytest.mark.parametrize(
    ("function", "argument"),
    [(os.system, "touch {}"), (exec, "open({!r}, 'w').close()"), (os.mkdir, "{}"), (eval, "open({!r}, 'w').close()")],
)
@pytest.mark.parametrize("form", ["archive", "old", "bare"])
def test_a_malicious_pickle_runs_nothing(
    tmp_path: Path, function: Callable[..., Any], argument: str, form: str
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "state_dict.bin"
    malice = Malice(function, argument.format(str(trace)))
    content = {"best_state": {**PICTURES, "extra": malice}, "xp.cfg": CFG}
    if form == "bare":
        path.write_bytes(pickle.dumps({"best_state": malice}))
    else:
        saved(path, content, _use_new_zipfile_serialization=form == "archive")
    for read in (reader.read_gvmgen, reader.read_codec, reader.read_lm):
        said = refusal(path, read)
        assert "asks to run code" in said
        assert function.__name__ in said
        assert "nothing of it was run" in said
    assert not trace.exists()
    torch.load(path, weights_only=False) if form != "bare" else pickle.loads(path.read_bytes())
    assert trace.exists()  # the trap was a real one


def test_settings_that_are_code_objects_must_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module: Any = types.ModuleType("omegaconf.dictconfig")
    module.DictConfig = type("DictConfig", (dict,), {"__module__": "omegaconf.dictconfig"})
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    path = saved(tmp_path / "checkpoint.th", {"best_state": {"model": EMB}, "xp.cfg": module.DictConfig()})
    assert "a checkpoint of training" in refusal(path)
    assert "export it" in refusal(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"RIFF0000WAVEfmt ", "no checkpoint"),
        (b"\x80\x02 and then nothing that belongs there", "damaged or"),
        (b"PK\x03\x04 and then nothing that belongs there", "damaged or cut off"),
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "state_dict.bin"
    path.write_bytes(content)
    assert words in refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_file_cut_off(tmp_path: Path, zipped: bool, share: float) -> None:
    content = {"best_state": {**PICTURES, "big": torch.zeros(9999)}, "xp.cfg": CFG}
    path = saved(tmp_path / "state_dict.bin", content, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "fetch it again" in refusal(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"xp.cfg": CFG}, "settings and no weights"),
        ({"xp.cfg": CFG, "best_state": {}}, "settings and no weights"),
        ({"best_state": PICTURES}, "weights and no settings"),
        ({"best_state": PICTURES, "xp.cfg": "a: [1"}, "no YAML"),
        ({"best_state": PICTURES, "xp.cfg": "a: 2020-99-99"}, "no YAML"),
        ({"best_state": PICTURES, "xp.cfg": "[" * 5000}, "no YAML"),
        ({"best_state": PICTURES, "xp.cfg": "text"}, "can't be read"),
        ({"best_state": {**PICTURES, "epoch": 3}, "xp.cfg": CFG}, "epoch"),
        (PICTURES, "a bare state dict"),
        ({"decoder.model.decoder.layer_norm.weight": torch.zeros(2)}, "MusicGen of Hugging Face"),
        ({"best_state": EMB, "xp.cfg": CFG}, "no picture side"),
        (
            {
                "best_state": {**EMB, "condition_provider.conditioners.description.output_proj.bias": torch.zeros(2)},
                "xp.cfg": CFG,
            },
            "is a MusicGen",
        ),
        ({"best_state": {"quantizer.vq.layers.0._codebook.embed": torch.zeros(2)}, "xp.cfg": CFG}, "is a codec"),
        ({"best_state": {"fc.weight": torch.zeros(2)}, "xp.cfg": CFG}, "something else"),
        ({"pretrained": "facebook/encodec_32khz", "exported": True}, "only names a codec"),
        ({"epoch": 3}, "no published checkpoint"),
        ([torch.zeros(2)], "holds a list"),
    ],
)
def test_the_wrong_checkpoint_is_called_what_it_is(tmp_path: Path, content: Any, words: str) -> None:
    assert words in refusal(saved(tmp_path / "state_dict.bin", content))


def test_a_model_is_no_codec_and_a_name_is_elsewhere(tmp_path: Path) -> None:
    model = saved(tmp_path / "state_dict.bin", {"best_state": PICTURES, "xp.cfg": CFG})
    assert "a codec was expected" in refusal(model, reader.read_codec)
    named = saved(tmp_path / "compression_state_dict.bin", {"pretrained": "facebook/encodec_32khz", "exported": True})
    assert reader.read_codec(named) == reader.Elsewhere(named, "facebook/encodec_32khz")


def test_a_folder_is_searched(tmp_path: Path) -> None:
    assert "has no checkpoint" in refusal(tmp_path, reader.find_lm)
    assert "no-such" in refusal(tmp_path / "no-such", reader.find_lm)
    assert "gvm models pull encodec-32khz" in refusal(tmp_path, reader.find_codec)
    (tmp_path / "compression_state_dict.bin").touch()
    assert "has the codec alone" in refusal(tmp_path, reader.find_lm)
    assert reader.find_codec(tmp_path).name == "compression_state_dict.bin"
    (tmp_path / "checkpoint.th").touch()
    assert reader.find_lm(tmp_path).name == "checkpoint.th"
    (tmp_path / "state_dict.bin").touch()
    assert reader.find_lm(tmp_path).name == "state_dict.bin"
    assert reader.find_lm(tmp_path / "checkpoint.th").name == "checkpoint.th"


def test_a_file_one_may_not_read(tmp_path: Path) -> None:
    assert "can't be read" in refusal(tmp_path, reader.read_package)  # a folder where a file belongs
