from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MediaError
from gvm_plugin.outputs import check_name, distinct_names, file_names, outputs_named, outputs_of, outputs_of_sheet


def test_results_stand_beside_the_film_in_scored_unless_told_otherwise(tmp_path: Path) -> None:
    film = tmp_path / "a.b.mp4"
    assert outputs_of(film, None).film == tmp_path / "scored" / "a.b.mp4"
    assert outputs_of(film, None).music.name == "a.b.music.wav"
    assert outputs_of(film, tmp_path).sheet == tmp_path / "a.b.cues.yaml"
    assert outputs_of(film, tmp_path / "x.mov").film == tmp_path / "x.mov"
    assert outputs_of(film, tmp_path / "new").film == tmp_path / "new" / "a.b.mp4"


def test_films_with_one_stem_get_distinct_results() -> None:
    videos = [Path("a.mp4"), Path("a.mov"), Path("A.MP4"), Path("b.mp4")]
    names = distinct_names(videos)
    outputs = [outputs_named(Path("out"), video, name) for video, name in zip(videos, names, strict=True)]
    for part in ("film", "music", "sheet", "stems", "takes", "midi"):
        assert len({getattr(output, part) for output in outputs}) == 4
    assert outputs[1].film.name == "a.mov" and outputs[1].music.name == "a.mov.music.wav"
    assert outputs[3].music.name == "b.music.wav"


@given(st.lists(st.text("a _-/A", max_size=4) | st.text("é?").map("x".__mul__(60).__add__), max_size=8, unique=True))
def test_cues_that_are_called_much_alike_get_files_of_their_own(ids: list[str]) -> None:
    names = file_names(ids)
    assert list(names) == ids
    assert len({name.casefold() for name in names.values()}) == len(ids)
    assert all(name and "/" not in name and len(name) < 80 for name in names.values())


def test_a_name_that_is_the_stem_of_another_gives_way() -> None:
    videos = [Path("a.mov"), Path("a.mp4"), Path("a.mp4.mp4"), Path("a.mp4.mp4.mp4"), Path("a.music.wav.mp4")]
    outputs = [outputs_named(Path("o"), v, name) for v, name in zip(videos, distinct_names(videos), strict=True)]
    assert [output.film.name for output in outputs] == [video.name for video in videos]
    for part in ("music", "sheet", "stems"):
        assert len({getattr(output, part) for output in outputs}) == 5


def test_a_name_with_its_suffix_twice_stays() -> None:
    assert outputs_of(Path("a.mp4.mp4"), Path("o")).film == Path("o/a.mp4.mp4")


def test_another_container_takes_nobodys_place() -> None:
    videos = [Path("a.avi"), Path("a.mkv")]
    first, second = (
        outputs_named(Path("o"), video, name).in_container(".mkv")
        for video, name in zip(videos, distinct_names(videos), strict=True)
    )
    assert (first.film.name, second.film.name) == ("a.avi.mkv", "a.mkv")


@pytest.mark.parametrize("name", ["a", "a.mp4"])
def test_a_sheet_leads_back_to_its_film(name: str) -> None:
    outputs = outputs_named(Path("o"), Path("v/a.mp4"), name)
    assert outputs_of_sheet(outputs.sheet, Path("v/a.mp4")) == outputs


def test_very_long_names_are_shortened_and_stay_distinct() -> None:
    long = [outputs_named(Path("o"), Path(f"{'é' * 120}{i}.mp4"), f"{'é' * 120}{i}") for i in range(2)]
    assert long[0].film != long[1].film
    assert all(len(output.music.name.encode()) < 240 for output in long)


def test_names_that_are_no_text_are_refused() -> None:
    with pytest.raises(MediaError, match="rename"):
        check_name(outputs_of(Path("caf\udce9.mp4"), None))
