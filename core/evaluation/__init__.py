"""How well music fits a film, and how music compares with other music: figures, no films and no files of ours.

config      settings of the evaluation model
look        picture features -> what the evaluation model is told of the picture, a row per position
listen      sound -> what it is told of the music, a row per position
front       both, window by window
evaluator   the evaluation model: cross-attention, temporal attention map, summaries (CMR and TA)
published   the published evaluation model's files under our names, and what it is told
fit         FitModel: a film's picture and its music -> CMR and TA with their curve
frechet     Fréchet distance of two sets of embeddings (FAD), and what small sets do to it
divergence  KL divergence of label probabilities, pair by pair (KLD)
vggish      the network that FAD was first measured with
embedders   sound -> embeddings or AudioSet labels, with weights of others
musical     measures of a piece that need no weights
duplicates  pieces that are the same music
"""
