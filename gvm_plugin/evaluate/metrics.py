"""The columns of a comparison: what they are called, which way is better, how they are written. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gvm_plugin.evaluate.statistics import Estimate

FAD: Final = "fad_"
KLD: Final = "kld_"


@dataclass(frozen=True)
class Metric:
    """A column. better: which way; "" where neither is. embedder: of a distance of sets, which no film has alone."""

    key: str
    title: str
    better: Literal["higher", "lower", ""]
    decimals: int
    about: str
    embedder: str = ""

    @property
    def heading(self) -> str:
        """The title with an arrow where one way is better."""
        return self.title + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]

    def write(self, value: float | None, signed: bool = False) -> str:
        """A value as this column has it; a dash for none."""
        if value is None:
            return "–"
        return f"{value:+.{self.decimals}f}" if signed else f"{value:.{self.decimals}f}"

    def write_estimate(self, estimate: Estimate | None, signed: bool = False) -> str:
        """A value with its interval: 0.41 [0.33, 0.48]."""
        if estimate is None:
            return "–"
        value = self.write(estimate.value, signed)
        if estimate.low is None or estimate.high is None:
            return value
        return f"{value} [{self.write(estimate.low, signed)}, {self.write(estimate.high, signed)}]"


FITTING: Final = (
    Metric("cmr", "CMR", "higher", 3, "cross-modal relevance: is the music's character that of the picture (-1..1)"),
    Metric("ta", "TA", "higher", 3, "temporal alignment: does it go along moment by moment (0..1)"),
    Metric("activity_energy_r", "activity–energy r", "higher", 3, "correlation of motion and music; 0 is chance"),
    Metric("cut_accent_lift", "cut accents", "higher", 2, "onset strength at cuts over that elsewhere; 1 is chance"),
    Metric("hit_error_ms", "hit error, ms", "lower", 0, "distance of strong cuts from the nearest heard onset"),
)
MUSICAL: Final = (
    Metric("tempo_stability", "tempo stability", "", 2, "how steady the beat is"),
    Metric("key_clarity", "key clarity", "", 2, "how clearly the notes belong to one key"),
    Metric("note_density", "notes a second", "", 2, "how many notes begin"),
    Metric("loudness_range_lu", "loudness range, LU", "", 1, "how far soft and loud lie apart (EBU Tech 3342)"),
    Metric("self_similarity", "self-similarity", "", 2, "how much of it comes again"),
)
RANK: Final = Metric("rank", "mean rank", "lower", 2, "of a film's own music among all of the system's, by CMR")
FIRST: Final = Metric("first", "rank-1", "higher", 2, "share of films that find their own music first")


def fad_metric(embedder: str, about: str) -> Metric:
    """The column of FAD by an embedder."""
    title = f"FAD ({embedder})"
    return Metric(f"{FAD}{embedder}", title, "lower", 2, f"Fréchet distance to the reference; {about}", embedder)


def kld_metric(tagger: str, about: str) -> Metric:
    """The column of KLD by a tagger."""
    return Metric(f"{KLD}{tagger}", f"KLD ({tagger})", "lower", 2, f"KL divergence from the reference; {about}")
