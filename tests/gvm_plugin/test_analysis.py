"""One pass sees what each of its parts would see alone; oddities become a sentence, not a crash."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest
from conftest import ClipFactory, sound_of
from scenedetect import ContentDetector, detect

from core.errors import MediaError
from core.frames import decode_frames
from core.vision.picture import FrameArray, PictureFeatures
from gvm_plugin.analysis import Analysis, analyse, cut_into_shots, listen
from gvm_plugin.film_source import FileSource
from gvm_plugin.timeline import Span


class Keeper:
    """An encoder that keeps the frames themselves."""

    fps = Fraction(5)
    width = 32
    height = 18

    def __init__(self) -> None:
        self.times: list[float] = []
        self.frames: list[FrameArray] = []

    def push(self, seconds: float, rgb: FrameArray) -> None:
        self.times.append(seconds)
        self.frames.append(rgb)

    def finish(self) -> PictureFeatures:
        values = np.array([frame.reshape(-1, 3)[:4] for frame in self.frames], np.float16)
        return PictureFeatures(np.array(self.times), values.reshape(-1, 4, 3))


def cuts_of(analysis: Analysis) -> list[float]:
    return [shot.span.start for shot in analysis.shots[1:]]


def reference_cuts(path: Path) -> list[float]:
    """What PySceneDetect finds with a reader of its own."""
    return [scene[0].seconds for scene in detect(str(path), ContentDetector())][1:]


def jpeg_size(jpeg: bytes, tmp_path: Path) -> tuple[int, int]:
    path = tmp_path / "thumbnail.jpg"
    path.write_bytes(jpeg)
    with av.open(str(path)) as image:
        return image.streams.video[0].width, image.streams.video[0].height


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)], ids=str)
@pytest.mark.parametrize("size", [(128, 72), (640, 360)], ids=str)
def test_cuts_are_those_pyscenedetect_finds(rate: Fraction, size: tuple[int, int], clip_factory: ClipFactory) -> None:
    path = clip_factory("film", fps=rate, size=size, cuts=(1.0, 2.0))
    analysis = analyse(path, Keeper())
    assert cuts_of(analysis) == pytest.approx(reference_cuts(path), abs=1e-3)
    assert cuts_of(analysis) == pytest.approx([1.0, 2.0], abs=float(1 / rate))
    assert all(0.3 < shot.cut_strength <= 1 for shot in analysis.shots[1:])
    assert analysis.shots[0].cut_strength == 0


def test_shots_tile_the_film_exactly(clip_factory: ClipFactory) -> None:
    analysis = analyse(clip_factory("film", cuts=(0.7, 1.9)), Keeper())
    edges = [shot.span.start for shot in analysis.shots] + [analysis.duration]
    assert edges[0] == 0
    assert [shot.span.end for shot in analysis.shots] == edges[1:]
    assert analysis.duration == pytest.approx(90 * 1001 / 30000, abs=1e-12)


def test_the_encoder_sees_what_decode_frames_gives(clip_factory: ClipFactory) -> None:
    path, keeper = clip_factory("film"), Keeper()
    analyse(path, keeper)
    wanted = list(decode_frames(path, 32, 18, Fraction(5)))
    assert keeper.times == [seconds for seconds, _ in wanted]
    assert all(np.array_equal(mine, theirs) for mine, (_, theirs) in zip(keeper.frames, wanted, strict=True))


def test_activity_is_the_mean_change_of_grey_pictures_eight_times_a_second(clip_factory: ClipFactory) -> None:
    path = clip_factory("film")
    times, greys, due = [], [], 0.0
    with av.open(str(path)) as media:
        for frame in media.decode(video=0):
            if frame.time + 1e-6 >= due:
                greys.append(frame.reformat(64, 36, "gray").to_ndarray().astype(np.float32) / 255)
                times.append(frame.time)
                due += 1 / 8
    analysis = analyse(path, Keeper())
    assert np.allclose(analysis.activity_times, times[1:])
    assert np.allclose(analysis.activity, np.abs(np.diff(greys, axis=0)).mean((1, 2)), atol=1e-5)


def test_each_shot_has_its_look_and_a_thumbnail_of_its_own(clip_factory: ClipFactory, tmp_path: Path) -> None:
    analysis = analyse(clip_factory("film", cuts=(1.0, 2.0)), Keeper())
    assert analysis.looks.shape == (3, 69)
    assert np.allclose(analysis.looks[:, 5:].sum(axis=1), 1, atol=1e-5)
    assert (analysis.looks >= 0).all() and (analysis.looks <= 1).all()
    assert np.abs(analysis.looks[0, :3] - analysis.looks[1, :3]).max() > 0.05
    for shot, (seconds, jpeg) in zip(analysis.shots, analysis.thumbnails, strict=True):
        assert shot.span.start <= seconds < shot.span.end
        assert jpeg_size(jpeg, tmp_path) == (192, 108)


def test_a_portrait_film_is_seen_upright(clip_factory: ClipFactory, tmp_path: Path) -> None:
    level = clip_factory("level")
    portrait = clips.rotated(level, tmp_path / "portrait.mp4", 90)
    keeper = Keeper()
    analysis = analyse(portrait, keeper)
    assert jpeg_size(analysis.thumbnails[0][1], tmp_path) == (108, 192)
    (_, frame), *_ = decode_frames(portrait, 32, 18, Fraction(5))
    assert np.array_equal(keeper.frames[0], frame)
    assert cuts_of(analysis) == cuts_of(analyse(level, Keeper()))


def test_variable_rate_and_a_late_start(tmp_path: Path) -> None:
    stamps = [3000 + stamp for stamp in [*range(0, 1000, 33), *range(1500, 2500, 20)]]
    analysis = analyse(clips.numbered(tmp_path / "phone.mkv", stamps, Fraction(1, 1000)), Keeper())
    assert analysis.info.variable_rate
    assert analysis.info.picture_start == 3
    assert analysis.duration == pytest.approx(2.5, abs=0.04)
    assert len(analysis.features.times) == 13


def test_odd_size(tmp_path: Path) -> None:
    path = clips.numbered(tmp_path / "film.mkv", list(range(40)), Fraction(1, 30), size=(127, 71))
    assert analyse(path, Keeper()).duration == pytest.approx(40 / 30, abs=0.01)


def test_speech_is_found_on_any_track_and_the_person_told(clip_factory: ClipFactory, tmp_path: Path) -> None:
    tone, talk = 0.01 * sound_of("tone", 3), sound_of("speechlike", 3)
    path = clips.with_sound(
        clip_factory("film"), tmp_path / "two.mkv", [(tone, "stereo", 0), (talk[:, :96_000], "stereo", 1)]
    )
    analysis = analyse(path, Keeper())
    assert sum(span.overlap(Span(1, 3)) for span in analysis.speech) > 1.5
    assert [warning for warning in analysis.warnings if "2 audio tracks" in warning]
    assert analysis.original_lufs == pytest.approx(-50, abs=10)


def test_a_silent_film_has_neither_loudness_nor_speech(clip_factory: ClipFactory) -> None:
    analysis = analyse(clip_factory("film"), Keeper())
    assert (analysis.speech, analysis.music, analysis.original_lufs, analysis.warnings) == ((), (), None, ())


def test_sound_is_measured_as_heard(clip_factory: ClipFactory) -> None:
    film = FileSource(clip_factory("film", audio="tone"))
    heard = listen(film, film.info())
    assert heard.lufs == pytest.approx(-14.7, abs=0.5)  # a sine of -14 dBFS in both channels
    assert heard.music == ()


def test_progress_goes_from_start_to_end(clip_factory: ClipFactory) -> None:
    shares: list[float] = []
    analyse(clip_factory("film", audio="tone"), Keeper(), shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] == 1


def test_kept_and_read_again_it_is_the_same(clip_factory: ClipFactory, tmp_path: Path) -> None:
    analysis = analyse(clip_factory("film", audio="speechlike"), Keeper())
    analysis.to_file(tmp_path / "a.film")
    again = Analysis.from_file(tmp_path / "a.film")
    for name in ("info", "duration", "shots", "thumbnails", "speech", "music", "original_lufs", "warnings"):
        assert getattr(again, name) == getattr(analysis, name)
    for name in ("activity_times", "activity", "looks"):
        assert np.array_equal(getattr(again, name), getattr(analysis, name))
    assert np.array_equal(again.features.values, analysis.features.values)
    assert sorted(path.name for path in tmp_path.glob("a.film*")) == ["a.film.json", "a.film.npz"]


def test_what_was_never_kept_or_by_another_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Analysis.from_file(tmp_path / "nothing")
    (tmp_path / "old.json").write_text('{"format": 0}')
    with pytest.raises(ValueError, match="another version"):
        Analysis.from_file(tmp_path / "old")


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "no index", "only sound", "no picture", "short"])
def test_what_cannot_be_scored_is_named_in_one_line(kind: str, tmp_path: Path, clip_factory: ClipFactory) -> None:
    path = clips.bad_file(kind, tmp_path, clip_factory, "bad\nname.mp4")
    with pytest.raises(MediaError, match=r"^bad\\nname\.mp4: [^\n]+$"):
        analyse(path, Keeper())


def test_a_film_cut_off_in_the_middle_is_analysed_as_far_as_it_goes(
    clip_factory: ClipFactory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    analysis = analyse(
        clips.cut_in_the_middle(clip_factory("whole", audio="tone", seconds=6), tmp_path / "film.mp4"), Keeper()
    )
    assert 1 < analysis.duration < 5
    assert any("cut off" in warning for warning in analysis.warnings)
    assert capfd.readouterr() == ("", "")


def test_damage_in_the_middle_is_a_warning(
    clip_factory: ClipFactory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = clips.damaged(clip_factory("whole", audio="tone"), tmp_path / "film.mp4")
    analysis = analyse(path, Keeper())
    assert analysis.duration == pytest.approx(3.003, abs=0.1)
    assert any("is damaged" in warning for warning in analysis.warnings)
    assert capfd.readouterr() == ("", "")


def test_shots_without_cuts() -> None:
    (shot,) = cut_into_shots([], 4.0)
    assert shot.span == Span(0, 4)


def test_importing_it_starts_nothing_heavy() -> None:
    code = "import gvm_plugin.analysis, sys; print({'torch', 'av', 'cv2', 'scenedetect', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["clip_17", "clip_23"])
def test_cuts_of_real_clips_are_those_pyscenedetect_finds(name: str, shared_media: Path) -> None:
    path = shared_media / "clips" / f"{name}.mp4"
    analysis = analyse(path, Keeper())
    assert cuts_of(analysis) == pytest.approx(reference_cuts(path), abs=1e-3)
    assert all(one.span.end == other.span.start for one, other in itertools.pairwise(analysis.shots))
