"""Formulas as MathML, which browsers draw without a script from elsewhere: a hook of mkdocs.yml."""

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.+?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(html: str, **_: Any) -> str:
    """A page whose formulas, marked by pymdownx.arithmatex, are drawn."""
    return FORMULA.sub(_drawn, html)


def _drawn(formula: re.Match[str]) -> str:
    display = "block" if formula[1] == "div" else "inline"
    return convert(unescape(formula[2]), display=display)
