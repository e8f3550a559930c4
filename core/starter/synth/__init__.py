"""The synthesiser: notes of a performance -> 48 kHz stereo and stems. Numpy and scipy only; nothing sampled.

Modules, each importing only from those above it:

dsp          modes, shaped noise, envelopes, loudness
timbre       one period of a steady tone as wavetables
plucked      strings that are plucked
struck       pianos, bars, bells, glass
sections     sustained groups and pads, as loops
solo         single voices made note by note
percussion   models of drums, metals, shakers
kits         the drum kits as data
effects      risers, impacts, swells
instruments  every instrument by name
bank         tones rendered once, in memory and on disk
voices       notes -> sound
rooms        impulse responses and convolution
inserts      chorus, echo, side chain, bus compressor
mixdown      the mixing desk as data
render       the spine
"""

from core.starter.synth.instruments import INSTRUMENTS
from core.starter.synth.mixdown import Channel, Mixdown, palette_mixdown
from core.starter.synth.render import Rendered, render
from core.starter.synth.rooms import ROOMS

__all__ = ["INSTRUMENTS", "ROOMS", "Channel", "Mixdown", "Rendered", "palette_mixdown", "render"]
