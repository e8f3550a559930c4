"""Waveform codecs: codes [B, K, T] <-> sound [B, C, N]. Imports nothing by itself."""
