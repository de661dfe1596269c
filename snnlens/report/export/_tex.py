"""Text, numbers and names as LaTeX: whatever a user wrote, nothing of it is a command."""

from __future__ import annotations

import re
import unicodedata

from snnlens.report.numbers import MINUS, NARROW
from snnlens.report.text import ELLIPSIS

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # after a row's \\ they would be an option of it
}  # fmt: skip
WORDS = {
    "–": r"\textendash{}", "—": r"\textemdash{}", "…": r"\ldots{}", "‘": "`", "’": "'",
    "“": "``", "”": "''", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}",
    "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ı": r"\i{}",
}  # fmt: skip
SIGNS = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "θ": r"\theta", "λ": r"\lambda", "μ": r"\mu", "µ": r"\mu", "ξ": r"\xi", "π": r"\pi",
    "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi", "ω": r"\omega",
    "Δ": r"\Delta", "Σ": r"\Sigma", "Ω": r"\Omega", "−": "-", "×": r"\times", "±": r"\pm",
    "≤": r"\le", "≥": r"\ge", "≈": r"\approx", "≠": r"\ne", "∞": r"\infty", "·": r"\cdot",
    "→": r"\rightarrow", "√": r"\surd", "∂": r"\partial", "∑": r"\sum", "∈": r"\in",
    "°": r"^\circ",
}  # fmt: skip
ACCENTS = {
    0x300: r"\`", 0x301: r"\'", 0x302: r"\^", 0x303: r"\~", 0x304: r"\=", 0x306: r"\u",
    0x307: r"\.", 0x308: r"\"", 0x30A: r"\r", 0x30B: r"\H", 0x30C: r"\v", 0x327: r"\c",
}  # fmt: skip
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWERS = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)")
_POWER = re.compile(rf"({MINUS}?[\d.]+){NARROW}×{NARROW}10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)")


def escaped(text: object, length: int | None = None) -> str:
    r"""Text that LaTeX sets as it stands, ASCII and in one line; a long one is cut.

    A character that LaTeX has no sign for without a package is shown by its number.

    >>> print(escaped("50 % of layer_1 {#2}\\input\n" + chr(0x1F600)))
    50 \% of layer\_1 \{\#2\}\textbackslash{}input U+1F600
    >>> print(escaped("sigma'(1 - V_th) ≤ α, Timothée"), escaped("abcdef", 4))
    sigma'(1 - V\_th) \ensuremath{\le} \ensuremath{\alpha}, Timoth\'{e}e abc\ldots{}
    """
    line = " ".join(str(text).split())
    if length is not None and len(line) > length:
        line = line[: length - 1] + ELLIPSIS
    parts = _POWERS.split(unicodedata.normalize("NFC", line))
    made = "".join(_superscript(p) if i % 2 else "".join(map(_character, p))
                   for i, p in enumerate(parts))  # fmt: skip
    return made.replace("--", "-{}-")  # two hyphens are no dash


def number(shown: str) -> str:
    r"""A number as `report.numbers` shows it, in math mode where it needs that.

    >>> number("−1.500\u202f×\u202f10⁻²⁶"), number("−0.98"), number("∞"), number("12")
    ('$-1.500\\times10^{-26}$', '$-0.98$', '$\\infty$', '12')
    """
    if found := _POWER.fullmatch(shown):
        power = found[2].translate(SUPERSCRIPTS)
        return rf"${found[1].replace(MINUS, '-')}\times10^{{{power}}}$"
    if "∞" in shown:
        return f"${shown.replace(MINUS, '-').replace('∞', SIGNS['∞'])}$"
    return f"${shown.replace(MINUS, '-')}$" if MINUS in shown else shown


def file_name(name: str) -> str:
    """A name for a file and a label: letters, digits and hyphens.

    >>> file_name("by_epoch"), file_name("../a<b"), file_name("§")
    ('by-epoch', 'a-b', 'table')
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60].strip("-") or "table"


def _character(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    if c in WORDS:
        return WORDS[c]
    if c in SIGNS:
        return rf"\ensuremath{{{SIGNS[c]}}}"
    if c.isascii() and c.isprintable():
        return c
    return _accented(c) or f"U+{ord(c):04X}"


def _accented(c: str) -> str:
    """A letter with one accent."""
    parts = unicodedata.normalize("NFD", c)
    known = len(parts) == 2 and parts[0].isascii() and ord(parts[1]) in ACCENTS
    return rf"{ACCENTS[ord(parts[1])]}{{{parts[0]}}}" if known else ""


def _superscript(text: str) -> str:
    return rf"\ensuremath{{^{{{text.translate(SUPERSCRIPTS)}}}}}"
