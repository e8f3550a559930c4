"""The GVMGen model and everything that turns picture into music. Knows tensors; never mixes or muxes.

Modules, each importing only from those above it (but for `starter`: its vocabulary comes before everything, its
corpus after `training.data`):

errors      the GVMError tree
shapes      shape letters; sample, frame and code rates; state dicts compared
config      frozen dataclasses of the model, presets
frames      video file -> frames by presentation time stamp (PyAV, numpy; no torch)
packed      linear maps with packed weights, for CPUs
vision      frozen vision encoders: patch descriptors (starter), CLIP's and ViViT's towers
kv_cache    static key/value cache
layers      attention, feed-forward, norms
features    feature transformation: music queries over each frame's patches
patterns    delay pattern as two pure functions
decoder     temporal cross-attention decoder
sampling    guidance, top-k, temperature
cuda_graph  a step recorded once and replayed on a GPU
batch       the decoding batch: everything a step reads and writes
precision   number formats of the decoder's weights
codecs      waveform codecs: EnCodec
starter     the score codec: vocabulary, composer, performer, synthesiser, latent scenes, corpus
model       GVMGen: the whole, for training
memory      free memory of a device
checkpoint  safetensors in and out
published   checkpoints of GVMGen and MusicGen, brought in
windows     cue -> overlapping windows
engine      prefill and decode loop: features -> codes
pipeline    the spine of the starter: picture span -> music
waveform    the spine of models that write sound: picture span -> codes -> EnCodec's waveform
loudness    BS.1770 of sound in blocks
onsets      onset strength of sound in blocks
training    data, recipes, loop, checkpoints; codec and evaluator; lessons for fine-tuning
evaluation  how good music is: for its picture, beside other music, by itself
"""
