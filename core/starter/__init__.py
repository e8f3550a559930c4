"""The starter model: its score codec, composer, performer, synthesiser, scenes and corpus."""
