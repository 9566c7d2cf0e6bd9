"""Colours are judged by CIELAB, as seen in full colour, in grey and with each colour blindness."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from glocal_exp.report.style import SMALLEST_FONT, SPARE, STYLES, method_order, method_styles

PAPER = ["none", "local", "window_mean", "glocal", "global", "global_restart"]
METHODS = Path(__file__).parents[2] / "configs" / "method"
# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour, blindness="none"):
    """CIELAB (D65) of a colour as someone with this blindness sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(BLINDNESS[blindness]) @ linear, 0, 1)
    xyz = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        @ seen
        / [0.9505, 1.0, 1.089]
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_measure_itself():
    np.testing.assert_allclose(lab("white"), [100, 0, 0], atol=0.1)
    np.testing.assert_allclose(lab("red"), [53.2, 80.1, 67.2], atol=0.3)


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_methods_differ_for_every_eye(blindness):
    """A difference of 2.3 is just noticeable; 20 is plain, also for lines of half a point."""
    for one, other in itertools.combinations(PAPER, 2):
        distance = np.linalg.norm(
            lab(STYLES[one].colour, blindness) - lab(STYLES[other].colour, blindness)
        )
        assert distance > 20, (one, other)


def test_methods_differ_in_grey():
    """By lightness, 7 of 100 at least, and by line and marker whatever the lightness."""
    for one, other in itertools.combinations(PAPER, 2):
        lightness = abs(lab(STYLES[one].colour)[0] - lab(STYLES[other].colour)[0])
        assert lightness >= 6.5, (one, other)
    for one, other in itertools.combinations(STYLES.values(), 2):
        assert one.line != other.line
        assert one.marker != other.marker
        assert one.colour != other.colour


def test_every_line_stands_out_from_white():
    for style in STYLES.values():
        assert lab(style.colour)[0] < 75


def test_every_method_of_the_command_line_is_drawn_apart():
    """Without a line in STYLES, too: by line and marker."""
    names = {file.stem for file in METHODS.glob("*.yaml")}
    styles = method_styles(names)
    assert len({(str(one.line), one.marker) for one in styles.values()}) == len(names)


def test_unknown_methods_get_styles_of_their_own():
    methods = ["zebra", "glocal", "aardvark", "none"]
    assert method_order(methods) == ["none", "glocal", "aardvark", "zebra"]
    styles = method_styles(methods)
    assert styles["glocal"] is STYLES["glocal"]
    assert styles["aardvark"].line != styles["zebra"].line
    known = {(style.line, style.marker) for style in STYLES.values()}
    assert not known & {(line, marker) for _, line, marker in SPARE}


def test_print_size():
    assert SMALLEST_FONT >= 7
