"""A reader of LaTeX, as far as an export writes it: a second way to its texts and numbers."""

from __future__ import annotations

import re

COMMANDS = {  # every command that a table, a caption or the document has
    "addlinespace", "arraybackslash", "begin", "begingroup", "bibliography", "bibliographystyle",
    "bottomrule", "caption", "centering", "clearpage", "cmidrule", "documentclass", "emph", "end",
    "endfirsthead", "endfoot", "endgroup", "endhead", "endlastfoot", "footnotesize",
    "includegraphics", "input", "label", "linewidth", "midrule", "multicolumn", "nocite",
    "raggedright", "setlength", "tabcolsep", "toprule", "usepackage",
}  # fmt: skip
SIGNS = {  # of `escaped`: commands that set one sign
    "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar",
    "char", "ensuremath", "ldots", "textendash", "textemdash", "ss", "ae", "AE", "o", "O", "l",
    "L", "oe", "OE", "i", "times", "infty", "le", "ge", "sigma", "alpha", "rightarrow", "circ",
    "u", "r", "H", "v", "c", "theta", "xi", "pm", "approx", "cdot", "surd",
}  # fmt: skip
BACK = {  # a second way to the text: what each sequence sets
    r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~",
    r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"{\char34}": '"',
    "{[}": "[", "{]}": "]", "{*}": "*", r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&",
    r"\#": "#", r"\%": "%", r"\_": "_", "-{}": "-", r"\ldots{}": "…",
}  # fmt: skip
_BACK = re.compile("|".join(map(re.escape, sorted(BACK, key=len, reverse=True))))


def read(text: str) -> str:
    """What LaTeX sets of an escaped text."""
    return _BACK.sub(lambda found: BACK[found[0]], text)


def balanced(text: str) -> bool:
    """Whether every brace that is one closes."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0


def sound(text: str) -> None:
    """What every .tex file keeps: ASCII, balanced, known commands, environments that close."""
    code = "\n".join(re.sub(r"(?<!\\)%.*", "", line) for line in text.splitlines())
    assert text.isascii()
    assert balanced(code)
    assert set(re.findall(r"\\([A-Za-z]+)", code)) <= COMMANDS | SIGNS
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", code):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    bare = re.sub(r"\\[^A-Za-z]|\\[A-Za-z]+", "", code)
    assert not set(bare) & {"#", "~", '"', "<", "|"}
    assert "_" not in bare
    assert len(re.findall(r"(?:10|\{)\^", bare)) == bare.count("^")


def rows(text: str) -> list[list[str]]:
    """The cells of a table's body."""
    body = text.rpartition(r"\midrule" if "{longtable}" not in text else r"\endlastfoot")[2]
    body = body.partition(r"\bottomrule" if "{longtable}" not in text else r"\end{longtable}")[0]
    lines = [line.removesuffix(r" \\") for line in body.splitlines() if line.endswith(r"\\")]
    return [re.split(r"(?<!\\) & ", line) for line in lines if "multicolumn" not in line]


def value(cell: str) -> float:
    """The number in a cell."""
    plain = cell.strip("$").replace(r"\infty", "inf")
    mantissa, _, power = plain.partition(r"\times10^")
    return float(mantissa) * 10.0 ** int(power.strip("{}") or 0) if power else float(mantissa)
