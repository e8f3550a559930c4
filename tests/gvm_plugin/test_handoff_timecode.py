"""Timecode: exact at every rate, drop-frame as SMPTE 12M has it, there and back."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gvm_plugin.handoff.timecode import STANDARD_RATES, Rate, is_drop_frame, nearest_standard, nominal_standard

NTSC = Fraction(30000, 1001)
FAST = Fraction(60000, 1001)
RATES = [*(Rate(fps) for fps in STANDARD_RATES), Rate(NTSC, drop_frame=True), Rate(FAST, drop_frame=True)]
DAY = 24 * 3600


def counted(nominal: int, minutes: int) -> Iterator[str]:
    """Drop-frame timecode as one counts it by hand: every number in turn, but those that are dropped."""
    for minute in range(minutes):
        for second in range(60):
            for frame in range(nominal):
                if minute % 10 == 0 or second or frame >= nominal // 15:
                    yield f"{minute // 60:02d}:{minute % 60:02d}:{second:02d};{frame:02d}"


@pytest.mark.parametrize("fps", [NTSC, FAST])
def test_drop_frame_is_what_one_counts_by_hand(fps: Fraction) -> None:
    rate = Rate(fps, drop_frame=True)
    for frame, text in enumerate(counted(rate.nominal, 22)):
        assert rate.timecode(frame) == text
        assert rate.parse(text) == frame


@pytest.mark.parametrize(
    ("rate", "frame", "text"),
    [
        (Rate(NTSC, True), 1799, "00:00:59;29"),
        (Rate(NTSC, True), 1800, "00:01:00;02"),
        (Rate(NTSC, True), 17982, "00:10:00;00"),
        (Rate(NTSC, True), 107892, "01:00:00;00"),
        (Rate(FAST, True), 3600, "00:01:00;04"),
        (Rate(NTSC), 108000, "01:00:00:00"),
        (Rate(Fraction(24000, 1001)), 86400, "01:00:00:00"),
        (Rate(Fraction(25)), 90000 + 24, "01:00:00:24"),
        (Rate(Fraction(50)), 49, "00:00:00:49"),
        (Rate(Fraction(120)), 119, "00:00:00:119"),
    ],
)
def test_known_timecodes(rate: Rate, frame: int, text: str) -> None:
    assert rate.timecode(frame) == text
    assert rate.parse(text) == frame


@given(rate=st.sampled_from(RATES), share=st.floats(0, 1, exclude_max=True))
def test_seconds_to_frames_to_timecode_and_back(rate: Rate, share: float) -> None:
    day = round(DAY * rate.nominal * (Fraction(1000, 1001) if rate.drop_frame else 1) - 100)
    frame = int(share * day)
    assert rate.frame(rate.seconds(frame)) == frame == rate.frame_at(rate.seconds(frame))
    assert rate.frame_from(rate.seconds(frame)) == frame
    text = rate.timecode(frame)
    assert rate.parse(text) == frame
    assert is_drop_frame(text) == rate.drop_frame
    if rate.drop_frame:  # within two frames of the clock, an hour into it four
        clock = Fraction(sum(int(part) * 60**power for power, part in enumerate(reversed(text[:8].split(":")))))
        clock += Fraction(int(text[9:]), rate.nominal)
        assert abs(clock - rate.seconds(frame)) < Fraction(2 + 4 * frame // 107892, rate.nominal)


@given(frame=st.integers(0, 2_000_000), rate=st.sampled_from([r for r in RATES if r.nominal in (24, 25, 30, 50)]))
def test_another_implementation_says_the_same(frame: int, rate: Rate) -> None:
    fps = float(rate.fps)
    theirs = otio.opentime.to_timecode(otio.opentime.RationalTime(frame, fps), fps, drop_frame=rate.drop_frame)
    assert rate.timecode(frame) == theirs


def test_after_midnight_it_is_midnight() -> None:
    assert Rate(Fraction(25)).timecode(DAY * 25) == "00:00:00:00"
    assert Rate(NTSC, True).timecode(144 * 17982 + 1) == "00:00:00;01"


@pytest.mark.parametrize("text", ["00:01:00;00", "00:59:00;01", "24:00:00;00", "00:00:00;30", "1:2:3", "now"])
def test_what_is_no_timecode_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timecode"):
        Rate(NTSC, drop_frame=True).parse(text)


def test_drop_frame_is_for_two_rates_only() -> None:
    with pytest.raises(ValueError, match=r"29\.97 and 59\.94"):
        Rate(Fraction(25), drop_frame=True)


def test_rates_that_files_round_are_taken_for_what_is_meant() -> None:
    assert nearest_standard(Fraction(2997, 100)) == NTSC
    assert nearest_standard(Fraction(23976, 1000)) == Fraction(24000, 1001)
    assert nearest_standard(Fraction(359, 12)) == Fraction(359, 12)  # 29.92 is neither
    assert nearest_standard(Fraction(24)) == 24
    assert nearest_standard(Fraction(15)) == 15
    assert nominal_standard(Fraction(2983, 100)) == NTSC
