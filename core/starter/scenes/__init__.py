"""Latent scenes and their pictures: what the starter's training corpus looks at.

A `LatentScene` is what a film "is" before anyone draws or scores it: cuts, activity over time, mood, colours.
`render_scene` draws one possible film of it, `energy_curve` tells a composer how intense each moment feels. The
music and the picture of a training example share the latent scene and nothing else.

    latent.py     the data, and what a composer reads from it
    sampling.py   random scenes
    textures.py   a bank of textures, drawn once per process
    render.py     scene -> frames
"""

from core.starter.scenes.latent import ACTIVITY_FPS, LatentScene, Look, SceneShot, energy_curve
from core.starter.scenes.render import render_scene
from core.starter.scenes.sampling import sample_scene, speech_spans

__all__ = [
    "ACTIVITY_FPS",
    "LatentScene",
    "Look",
    "SceneShot",
    "energy_curve",
    "render_scene",
    "sample_scene",
    "speech_spans",
]
