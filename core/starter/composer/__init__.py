"""The starter model's teacher: a composer that writes code streams for what happens in a picture.

In order of dependency: brief, form, material, rhythm, tune, counter, accents, compose; check looks at the result.
"""

from core.starter.composer.brief import Brief
from core.starter.composer.check import check_score
from core.starter.composer.compose import compose

__all__ = ["Brief", "check_score", "compose"]
