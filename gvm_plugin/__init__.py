"""Films in, scored films out: `score_video`, `score_folder`, `spot`, `render`. Importing this imports no torch.

The modules, each importing only from those above it (tests/test_architecture.py holds the same list):

    timeline         exact time: spans, shots, hit points
    options          ScoreOptions: every default, once; presets as data
    generators       the MusicGenerator protocol; the small ToneGenerator
    models           which models there are, their licences and cards
    evaluate_weights where the weights lie that music is listened to with
    ffmpeg           the only module that starts a program
    machine          how memory and threads of the machine are used
    probe            what is in a media file; its sound in blocks
    film_source      what the analysis needs of a film, wherever it comes from
    edit_list, edit_media        an editor's timeline; the same as a film to watch, without rendering it
    wav, loudness, limiter, onsets    sound files in blocks; what one can measure and mend in them
    speech, music_detection, picture_pass, analysis    the one pass over a film
    cuesheet, cuesheet_reader    the editable text file of one film
    identity         what the films of a channel share
    character, spotting          analysis -> cues and hit points; pure
    outputs, cache, takes        where results go; content-addressed store; the takes of a sheet
    crossfade, ducking, mix, mux    takes -> one track -> mix -> delivered film
    measure          figures of a finished score
    gate, choose, judge, picking    which take of a cue is used: what is wrong with it, how well it fits
    report, report_view    the page of a folder
    delivery         finished work into its place
    score            SPINE: analyse, spot, generate, choose, assemble, mix, deliver
    moviepy_fx, segments         effects for MoviePy; numpy arrays and pydub segments in and out
    workers          processes for several films at once
    folder           many films: status, errors, resume
    evaluate         does music fit a film, and which system's fits best
    dataset, lessons    films -> what models learn from
    doctor           what this machine lacks, and the remedy
    edit_takes, edit_plan, edit_score    the score of an edit: files on frames, what stays after a re-edit, SPINE
    worker_events, worker_jobs, worker   `gvm worker`, the process behind editors
    worker_client    starts it and talks to it; standard library alone
    cli              parse, call, exit code
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gvm_plugin.folder import score_folder as score_folder
    from gvm_plugin.moviepy_fx import DuckUnder as DuckUnder
    from gvm_plugin.moviepy_fx import GVMScore as GVMScore
    from gvm_plugin.moviepy_fx import MatchLoudness as MatchLoudness
    from gvm_plugin.moviepy_fx import ShotCrossfade as ShotCrossfade
    from gvm_plugin.moviepy_fx import score_clip as score_clip
    from gvm_plugin.options import ScoreOptions as ScoreOptions
    from gvm_plugin.score import render as render
    from gvm_plugin.score import score_video as score_video
    from gvm_plugin.score import spot as spot
    from gvm_plugin.segments import from_array as from_array
    from gvm_plugin.segments import from_segment as from_segment
    from gvm_plugin.segments import to_array as to_array
    from gvm_plugin.segments import to_segment as to_segment

__version__ = "0.1.0"

__all__ = [
    "DuckUnder",
    "GVMScore",
    "MatchLoudness",
    "ScoreOptions",
    "ShotCrossfade",
    "from_array",
    "from_segment",
    "render",
    "score_clip",
    "score_folder",
    "score_video",
    "spot",
    "to_array",
    "to_segment",
]

_HOMES = {
    "DuckUnder": "gvm_plugin.moviepy_fx",
    "GVMScore": "gvm_plugin.moviepy_fx",
    "MatchLoudness": "gvm_plugin.moviepy_fx",
    "ScoreOptions": "gvm_plugin.options",
    "ShotCrossfade": "gvm_plugin.moviepy_fx",
    "from_array": "gvm_plugin.segments",
    "from_segment": "gvm_plugin.segments",
    "render": "gvm_plugin.score",
    "score_clip": "gvm_plugin.moviepy_fx",
    "score_folder": "gvm_plugin.folder",
    "score_video": "gvm_plugin.score",
    "spot": "gvm_plugin.score",
    "to_array": "gvm_plugin.segments",
    "to_segment": "gvm_plugin.segments",
}


def __getattr__(name: str) -> Any:
    """The public name, imported when first asked for, so that `import gvm_plugin` costs next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gvm_plugin' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
