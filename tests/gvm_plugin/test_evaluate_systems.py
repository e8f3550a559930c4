"""Which file belongs to which film, whatever a system adds to its name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MediaError
from gvm_plugin.evaluate import systems
from gvm_plugin.evaluate.systems import films_in, match, owner, parse_system

FILMS = [Path("clip_1.mp4"), Path("clip_2.mp4"), Path("clip_12.mp4"), Path("clip_1_long.mp4")]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("clip_1.wav", "clip_1"),
        ("clip_1.music.wav", "clip_1"),
        ("clip_1_gen.mp3", "clip_1"),
        ("clip_1 (2).flac", "clip_1"),
        ("CLIP_1-V2.M4A", "clip_1"),
        ("clip_12.wav", "clip_12"),
        ("clip_1_long.wav", "clip_1_long"),
        ("clip_1_long_gen.wav", "clip_1_long"),
        ("clip_1_longer.wav", "clip_1"),
        ("clip_123.wav", None),
        ("clip.wav", None),
        ("gen_clip_1.wav", None),
    ],
)
def test_a_file_belongs_to_the_film_it_begins_with(name: str, film: str | None) -> None:
    found = owner(Path(name), FILMS)
    assert (found.stem if found else None) == film


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text.strip(". ") == text
)


@given(names, st.sampled_from([".", "_", "-", " ", "("]), st.text("abc123._- ", max_size=8))
def test_a_film_finds_its_file_whatever_is_added(stem: str, separator: str, added: str) -> None:
    film = Path(f"{stem}.mp4")
    assert owner(Path(f"{stem}.wav"), [film]) == film
    assert owner(Path(f"{stem}{separator}{added}.wav"), [film]) == film
    assert owner(Path(f"{unicodedata.normalize('NFD', stem)}.wav"), [film]) == film
    assert owner(Path(f"{stem}x{separator}.wav"), [film]) is None


def test_of_several_files_the_nearest_wins(tmp_path: Path) -> None:
    """A scored folder holds film, music and sheet of the same name: the music is meant."""
    films = [Path("a.mp4"), Path("b.mp4"), Path("c.mp4")]
    folder = touch(tmp_path, "a.mp4", "a.music.wav", "a.cues.yaml", "b.mp3", "b.wav", "b_alt.wav", ".b.wav", "z.wav")
    found = match(films, folder)
    assert {film.stem: path.name for film, path in found.files.items()} == {"a": "a.music.wav", "b": "b.wav"}
    assert [path.name for path in found.missing] == ["c.mp4"]
    assert {film.stem: [path.name for path in paths] for film, paths in found.also.items()} == {
        "a": ["a.mp4"],
        "b": ["b.mp3", "b_alt.wav"],
    }
    assert [path.name for path in found.unused] == ["z.wav"]


def test_a_pattern_says_where_a_system_puts_its_music(tmp_path: Path) -> None:
    films = [Path("a.mp4"), Path("b[1].mp4"), Path("ab.mp4")]
    folder = touch(tmp_path, "run/a/out_3.wav", "run/b[1]/out_1.wav", "run/ab/out_9.wav", "run/a/log.txt")
    found = match(films, folder, "run/{stem}/out_*.wav")
    assert {film.stem: path.parent.name for film, path in found.files.items()} == {"a": "a", "b[1]": "b[1]", "ab": "ab"}
    with pytest.raises(ValueError, match=r"has no \{stem\}"):
        match(films, folder, "run/*.wav")


def test_a_pattern_takes_sound_unless_it_says_how_names_end(tmp_path: Path) -> None:
    """Systems leave settings beside the music, of the same name."""
    films = [Path("clip_1.mp4"), Path("clip_2.mp4")]
    names = [f"clip_{number}_gen{suffix}" for number in (1, 2) for suffix in (".json", ".mp3", ".raw")]
    folder = touch(tmp_path, *names)
    for pattern in ("{stem}_gen*", "{stem}_gen.*", "{stem}_*.*", "{stem}_gen.[jm]*"):
        found = match(films, folder, pattern)
        assert [path.name for path in found.files.values()] == ["clip_1_gen.mp3", "clip_2_gen.mp3"]
        assert found.also == {}
    found = match(films, folder, "{stem}_*.raw")
    assert [path.name for path in found.files.values()] == ["clip_1_gen.raw", "clip_2_gen.raw"]


def test_a_star_behind_the_stem_begins_no_other_films_name(tmp_path: Path) -> None:
    films = [Path("clip_1.mp4"), Path("clip_2.mp4"), Path("é.mp4")]
    folder = touch(tmp_path, "clip_15.wav", "clip_1é.wav", "clip_2_gen.wav", "x_clip_1-3.wav", "éa.wav", "É (2).wav")
    found = match(films, folder, "{stem}*")
    assert {film.stem: path.name for film, path in found.files.items()} == {
        "clip_2": "clip_2_gen.wav",
        "é": "É (2).wav",
    }
    found = match(films, folder, "*{stem}*.wav")
    assert found.files[films[0]].name == "x_clip_1-3.wav"
    assert match(films, folder, "{stem}[0-9]*").files == {films[0]: folder / "clip_15.wav"}


@given(names, st.text("abc123._- ", max_size=6), st.sampled_from([".wav", ".m4a"]))
def test_a_star_behind_the_stem_stands_for_what_may_follow_without_a_pattern(
    stem: str, added: str, suffix: str
) -> None:
    folder, film = Path("music"), Path(f"{stem}.mp4")
    path = folder / f"{stem}{added}{suffix}"
    assert systems._by_pattern(path, folder, [film], "{stem}*" + suffix) == owner(path, [film])


def test_names_that_do_not_match_are_told_with_the_remedy(tmp_path: Path) -> None:
    folder = touch(tmp_path, "result0.wav", "result1.wav")
    with pytest.raises(
        MediaError, match=r"no file there has the name of a film .*result0.wav.*clip_1.mp4.*for_\{stem\}\.wav"
    ):
        match(FILMS, folder)
    with pytest.raises(MediaError, match="it has no sound files"):
        match(FILMS, touch(tmp_path / "empty", "readme.txt"))
    with pytest.raises(MediaError, match=r"there is no such folder; check what --system says"):
        match(FILMS, tmp_path / "nowhere")
    with pytest.raises(MediaError, match="is a file, not a folder"):
        match(FILMS, folder / "result0.wav")


def test_the_films_of_a_folder(tmp_path: Path) -> None:
    folder = touch(tmp_path, "b10.mp4", "b9.mov", "notes.txt", "a.wav", ".hidden.mp4")
    assert [path.name for path in films_in(folder)] == ["b9.mov", "b10.mp4"]
    touch(folder, "B9.mp4")
    with pytest.raises(MediaError, match=r"has the same stem as .*rename one of them"):
        films_in(folder)
    with pytest.raises(MediaError, match=r"has no films; .*--videos"):
        films_in(touch(tmp_path / "sounds", "a.wav"))


def test_a_system_is_a_name_and_a_folder() -> None:
    assert parse_system("ours=out/a=b") == ("ours", Path("out/a=b"))
    for text in ("ours", "=out", "ours=", ""):
        with pytest.raises(ValueError, match="isn't NAME=FOLDER"):
            parse_system(text)
