"""Effects for MoviePy (2.2 and later). Importing this imports MoviePy, not the model; see docs/moviepy.md.

    GVMScore        music under a video clip, from a file or composed in memory
    score_clip      the music alone, as an audio clip
    ShotCrossfade   the sound of a composed clip goes over from shot to shot
    MatchLoudness   a clip's sound at a loudness, under a true peak
    DuckUnder       music that goes down while somebody speaks

The modules, each importing only from those above it:

    sound           a clip's sound in blocks; sound on disk as a clip
    pictures        a clip as a film to analyse
    progress        our stages as one of MoviePy's bars
    scoring         SPINE: look and listen, spot, make, mix
    gvm_score, match_loudness, duck_under, shot_crossfade    one effect each
"""

from gvm_plugin.moviepy_fx.duck_under import DuckUnder
from gvm_plugin.moviepy_fx.gvm_score import GVMScore
from gvm_plugin.moviepy_fx.match_loudness import MatchLoudness
from gvm_plugin.moviepy_fx.scoring import ScoreClip, score_clip
from gvm_plugin.moviepy_fx.shot_crossfade import ShotCrossfade

__all__ = ["DuckUnder", "GVMScore", "MatchLoudness", "ScoreClip", "ShotCrossfade", "score_clip"]
