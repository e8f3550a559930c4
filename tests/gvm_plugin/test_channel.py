"""`--identity FOLDER`: films of a channel share orchestra, home key and motif; the folder's file says which."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.errors import CueSheetError
from gvm_plugin import ScoreOptions, render, score_video, spot
from gvm_plugin.cuesheet_reader import read
from gvm_plugin.generators import StarterGenerator, ToneGenerator
from gvm_plugin.identity import FILE, open_channel, read_channel, with_channel

ClipFactory = Callable[..., Path]


@pytest.fixture(scope="module")
def starter() -> StarterGenerator:
    return StarterGenerator("cpu")


def test_a_new_channel_is_written_down_and_read_again(tmp_path: Path) -> None:
    made = open_channel(tmp_path / "rides", "upbeat")
    assert made.identity.style == "upbeat"
    again = open_channel(tmp_path / "rides", "chinese")  # what is there counts
    assert again.identity == made.identity
    assert [path.name for path in (tmp_path / "rides").iterdir()] == [FILE]
    elsewhere = open_channel(tmp_path / "other" / "rides", "upbeat")  # the same name, the same channel
    assert elsewhere.identity == made.identity
    assert open_channel(tmp_path / "walks", "upbeat").identity.motif != made.identity.motif


def test_an_identity_of_a_newer_gvm_is_not_to_be_deleted(tmp_path: Path) -> None:
    open_channel(tmp_path)
    file = tmp_path / FILE
    file.write_text(file.read_text().replace("gvm_identity: 1", "gvm_identity: 2\nmeasure: 7/8"))
    with pytest.raises(CueSheetError, match=r"newer gvm.*update gvm") as caught:
        open_channel(tmp_path)
    assert str(file) in str(caught.value) and "delete" not in str(caught.value)


def test_a_channel_is_made_on_a_disk_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    expected = open_channel(tmp_path / "a" / "rides").identity
    monkeypatch.setattr("os.link", link)
    assert open_channel(tmp_path / "b" / "rides").identity == expected
    assert [path.name for path in (tmp_path / "b" / "rides").iterdir()] == [FILE]


def test_a_channel_has_the_name_of_its_folder_however_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("one/rides/day", "two/rides/day"):
        (tmp_path / place).mkdir(parents=True)
    expected = open_channel(tmp_path / "one" / "rides").identity
    monkeypatch.chdir(tmp_path / "two" / "rides" / "day")
    assert open_channel(Path("..")).identity == expected
    assert "--identity rides" in Path("..", FILE).read_text()


def test_the_style_of_the_channel_is_the_films_unless_asked_otherwise(tmp_path: Path) -> None:
    channel = ScoreOptions(identity=tmp_path / "a")
    assert with_channel(channel).style == open_channel(tmp_path / "a").identity.style
    assert with_channel(ScoreOptions(identity=tmp_path / "a", style="tension")).style == "tension"
    assert with_channel(ScoreOptions()) == ScoreOptions()


def test_two_films_of_a_channel_share_what_they_should(
    tmp_path: Path, clip_factory: ClipFactory, starter: StarterGenerator
) -> None:
    options = ScoreOptions(identity=tmp_path / "channel", style="acoustic", music_only=True)
    scores = [
        score_video(clip_factory(name, seconds=13, cuts=cuts), tmp_path / "out", options, starter)
        for name, cuts in (("one", (4.0,)), ("two", (2.0, 7.0)))
    ]
    takes = [score.sheet.provenance["cues"]["A"] for score in scores]
    assert takes[0]["palette"] == takes[1]["palette"] == read_channel(tmp_path / "channel").identity.palette
    assert all(len(take["motif"]) >= 1 for take in takes)
    assert read(scores[0].outputs.sheet).settings.identity == str((tmp_path / "channel").absolute())


def test_a_changed_motif_makes_new_music_and_the_same_one_doesnt(
    tmp_path: Path, clip_factory: ClipFactory, starter: StarterGenerator
) -> None:
    video = clip_factory("film", seconds=13)
    first = score_video(video, tmp_path / "out", ScoreOptions(identity=tmp_path / "c", music_only=True), starter)
    before = soundfile.read(first.outputs.music)[0]
    render(first.outputs.sheet, generator=starter)
    assert np.array_equal(soundfile.read(first.outputs.music)[0], before)
    file = tmp_path / "c" / FILE
    text = file.read_text()
    start = text.index("motif:")
    file.write_text(text[:start] + "motif:\n- [0, 2, 0]\n- [2, 2, 7]\n- [4, 8, 12]\n")
    render(first.outputs.sheet, generator=starter)
    assert not np.array_equal(soundfile.read(first.outputs.music)[0], before)


def test_a_sheet_whose_channel_is_gone_says_so(tmp_path: Path, clip_factory: ClipFactory) -> None:
    video = clip_factory("film", seconds=2)
    options = ScoreOptions(identity=tmp_path / "c", min_cue=1.0, max_cue=4.0)
    _, path = spot(video, tmp_path / "out", options, ToneGenerator())
    (tmp_path / "c" / FILE).unlink()
    with pytest.raises(CueSheetError, match=r"identity.yaml: is missing.*move it back"):
        render(path, generator=ToneGenerator())


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("style: ", "style: polka #", "style is 'polka'"),
        ("orchestra: ", "orchestra: nobody #", "has no orchestra 'nobody'"),
        ("key: ", "key: H #", "key is 'H'"),
        ("seed: ", "seed: -1 #", "seed is -1"),
        ("motif:", "motif:\n- [0, 1]", "write .eighth, length, semitones"),
        ("gvm_identity: 1", "gvm_identity: 0", "gvm_identity: 1"),
        ("motif:", "motif: 5", "motif is 5; write a list"),
        ("motif:", "motif: true", "motif is True; write a list"),
        ("motif:", "", "motif is None; write a list"),
        ("motif:", "other:", "unknown field 'other'"),
        ("motif:", "motif: [[0, 2, 60], [2, 2, 62], [4, 4, 60]]", "60 semitones above the tonic.*no MIDI"),
        ("motif:", "motif: [[0, 2, -30], [2, 2, -28], [4, 4, -30]]", "-24 to 35 can be played"),
        ("seed: ", "seed: 2020-13-45 #", "can't be read"),
        ("style: ", "style: !!set ", "can't be read"),
        ("seed: ", "mood: happy\nseed: ", "unknown field 'mood'"),
        ("seed: ", "seed: [", "can't be read"),
    ],
)
def test_a_broken_identity_names_file_and_remedy(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    open_channel(tmp_path)
    file = tmp_path / FILE
    before, _, after = file.read_text().partition(was)
    file.write_text(before + becomes + ("\n" if was == "motif:" else after))  # the motif comes last
    with pytest.raises(CueSheetError, match=says) as caught:
        open_channel(tmp_path)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "delete" in str(caught.value)
