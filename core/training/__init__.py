"""Training, in the order of dependency.

manifest, data, pairs, order     what is learned from: a data set's folder, batches, their exact order
recipe, presets                  a run as data
devices, optim, step, loop       one device or several; an update; SPINE of a run
checkpoints, journal, samples, diagnosis, result    what a run leaves behind
parts, preflight, start          model, tower and codec; what can't work; recipe -> run
codec, evaluator                 SPINES of what else is trained: an EnCodec, the evaluation model
lessons                          films with the music their owner likes -> what the starter learns from
"""
