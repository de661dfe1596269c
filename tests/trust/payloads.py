"""Texts that would run, load or break out if a page took them for more than text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.sax.saxutils import escape, quoteattr

import pandas as pd

from snnlens.recording.record import Column, Quantity, Record, Schema
from snnlens.recording.result import Claim, Finding, Result
from tests.unit.report import sample

RUN = "window.pwned=1;alert(1)"
PAYLOADS = [
    f"<script>{RUN}</script>", f"<SCRIPT SRC=//x.example/x.js></SCRIPT >{RUN}",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>", f"\ufeff<script>{RUN}</script>",
    f"%3Cscript%3E{RUN}%3C/script%3E", f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"&#60;script&#62;{RUN}", f"&#x3c;script&#x3e;{RUN}", f"\\u003cscript\\u003e{RUN}",
    f"\\x3cscript\\x3e{RUN}", f"+ADw-script+AD4-{RUN}", f"＜script＞{RUN}",
    f"<script\0>{RUN}</script>", f"<script\n>{RUN}</script\n>", f"<img src=x onerror={RUN}>",
    f"<img/src/onerror={RUN}>", f"<svg onload={RUN}>", f"<svg><script>{RUN}</script></svg>",
    f"<body onload={RUN}>", f"<details open ontoggle={RUN}>", f"<input autofocus onfocus={RUN}>",
    f"<svg><animate onbegin={RUN} attributeName=x>", f"<math><mi xlink:href=javascript:{RUN}>x",
    f"<iframe srcdoc='<script>{RUN}</script>'>", f"<object data=javascript:{RUN}>",
    f"<embed src=javascript:{RUN}>", f"<a href=javascript:{RUN}>x</a>",
    f"<form action=javascript:{RUN}><button>x", f"<base href=javascript:{RUN}//>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    "<link rel=stylesheet href=//x.example/y>", f"<style>@import'javascript:{RUN}'</style>",
    f"<div style=width:expression({RUN})>", "<div style=background:url(//x.example/y)>",
    f"<isindex type=image src=1 onerror={RUN}>", f'" onmouseover="{RUN}" x="',
    f"' onmouseover='{RUN}' x='", f'" autofocus onfocus="{RUN}', f"x onmouseover={RUN}",
    f'"><script>{RUN}</script>', f"'><svg onload={RUN}>",
    f"</td></tr></table><script>{RUN}</script>", f"</title><script>{RUN}</script>",
    f"</style><script>{RUN}</script>", f"</script><script>{RUN}</script>",
    f"</svg><script>{RUN}</script>", f"</pre></code></textarea><script>{RUN}</script>",
    f"]]><script>{RUN}</script>", f"--><script>{RUN}</script>", "<!--", "<![CDATA[", "<?php",
    "<!doctype x", f"*/{RUN}/*", f"//\n{RUN}", f"\u2028{RUN}\u2029", f"';{RUN}//", f'";{RUN}//',
    f"\\';{RUN}//", f"}}</style><b>{RUN}", "}body{display:none}",
    "@import url(//x.example/y.css);", f"javascript:{RUN}", f" java\tscript:{RUN}",
    f"\x01javascript:{RUN}", f"vbscript:{RUN}", f"data:text/html,<script>{RUN}</script>",
    "data:text/html;base64,PHNjcmlwdD4=", "{{7*7}}", "{{config}}", "{%raw%}",
    "{%for x in ().__class__.__base__.__subclasses__()%}", "${7*7}", "#{7*7}", "<%=7*7%>",
    "{0.__class__}", "%(x)s", "{}", "%s%n", "\\1\\g<0>", "&nbsp;", "&amp;lt;", "&#0;",
    "&#x110000;", "&unknown;", "&", "<", ">", '"', "'", "\u202etxt.exe", "\u200b\u2066x\u2069",
    "\x1b[2J\x1b]0;x\x07", "\x9b31m", "a\rb", "\x00", "\x7f", "=cmd|' /C calc'!A0", "+1+cmd|x",
    "@SUM(1)", "-2+3", "\t=1", "[x](javascript:alert(1))", "![x](//x.example/y.png)",
    "[x]: javascript:alert(1)", "|a|b|", "---", "<details><summary>x", "::error title=x::y",
    "%0A::set-output name=x::y", "##[error]x", "\\input{/etc/passwd}", "\\write18{touch x}",
    "\\end{document}", "^^5cinput", "$\\def\\x{}$", "'; DROP TABLE runs;--", "$(touch x)",
    "../../x", "\U0001f600 漢字 ñ", "x" * 300,
]  # fmt: skip
# What a page marks up on purpose: code between backticks, a bound that is not broken, an address.
MARKED = [
    f"`<script>{RUN}</script>`", "`` `<b>` ``", f"norm <= 1e-6<img src=x onerror={RUN}>",
    'x = 1e-6"', f'https://x.example/"onmouseover="{RUN}',
    f"https://x.example/<script>{RUN}</script>", f"http://x.example/'onclick='{RUN}",
    f"Good: <script>{RUN}</script>", "https://x.example/a?b=1&c=2",
]  # fmt: skip
Word = Callable[[str], str]
PLACES = 50  # that a text stands in, see `filled`


def harmless(text: str) -> str:
    """A text of the same length and of letters alone, its white space kept."""
    return "".join(c if c in " \t\n\r" else "x" for c in text)


def filled(texts: list[str], word: Word = str) -> Result:
    """A Result with each text in each place that a user, a model or a file can fill."""
    called = [f"{word(text)}_{i}" for i, text in enumerate(texts)]
    every = " ".join(called)
    frame = sample.table([(name, "sew-add", False) for name in called], 3)
    frame = frame.assign(why_small=[called[i % len(called)] for i in range(len(frame))])
    odd = pd.DataFrame({"network": called} | dict.fromkeys(called, called))
    made = sample.result(
        frame, facts(called), title=every, caption=every, claims=[claim(c) for c in called],
        findings=[finding(c) for c in called], notes=[f"{c} is shown" for c in called],
        extra={"odd": odd, "numbers": odd.assign(**{called[0]: range(len(called))})},
    )  # fmt: skip
    return replace(made, record=record(made.record, called))


def facts(called: list[str]) -> dict[str, object]:
    """What provenance says: under each name, of each name."""
    said = {name: name for name in called} | {"nested": {called[0]: called}}
    known = ("command", "started", "machine", "device", "data", "git_commit", "python", "snnlens")
    packages = dict.fromkeys(["torch", *called], called[0])
    return said | dict.fromkeys(known, called[0]) | {"parameters": said, "packages": packages}


def claim(name: str) -> Claim:
    return Claim(name, name, name, 0.5, name, "fails", name)


def finding(name: str) -> Finding:
    return Finding("SNL201", "error", name, name, name, name, name)


def record(of: Record, called: list[str]) -> Record:
    """Networks, sites, quantities and units that are called so."""
    sites = pd.DataFrame({"network": called, "site": called, "module": called, "role": "neuron"})
    table = sites[["network", "site"]].assign(step=0, total=1.0)
    schema = Schema(("step",), {"total": Column()},
                    {name: Quantity("value", ("total",), name) for name in called})  # fmt: skip
    some = next(iter(of.networks.values()))
    told = ("data", "neuron", "surrogate", "reset", "layout", "connect", "checkpoint", "batch")
    networks = {name: some | dict.fromkeys([*told, name], name) for name in called}
    return replace(of, sites=sites, tables={"odd": table}, schemas={"odd": schema},
                   networks=networks)  # fmt: skip


class Page(HTMLParser):
    """A page taken apart: its elements with the names of their attributes, and what may act."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[tuple[str, ...]] = Counter()
        self.styles: Counter[str] = Counter()
        self.links: set[str] = set()
        self.raw: list[str] = []  # scripts, style sheets, the policy
        self.comments: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag, *sorted(name for name, _ in attrs)] += 1
        said = dict(attrs)
        self.styles[said.get("style") or ""] += 1
        self.links |= {said[name] or "" for name in ("href", "src", "action") if name in said}
        self.raw += [said.get("content") or ""] if tag == "meta" else []
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"}:
            self.raw.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def unknown_decl(self, data: str) -> None:
        self.comments.append(data)

    handle_pi = handle_comment


# What an SVG may hold that acts, loads or hides: none of it is a drawing.
ACTS = f"""
<script>{RUN}</script><style>@import url(//x.example/y)</style>
<foreignObject><body xmlns="http://www.w3.org/1999/xhtml" onload="{RUN}"/></foreignObject>
<a href="javascript:{RUN}"><text>x</text></a><set attributeName="onload" to="{RUN}"/>
<animate attributeName="href" values="javascript:{RUN}"/><use href="//x.example/y#z"/>
<image href="javascript:{RUN}"/><image href="data:text/html,x"/><image href="data:image/svg+xml,x"/>
<rect onclick="{RUN}" style="fill:url(//x.example/y);behavior:url(x)"/>
<rect fill="url(javascript:{RUN})" filter="url(//x)"/><rect style="x:expression({RUN})"/>
<g xmlns:ev="http://www.w3.org/2001/xml-events" ev:event="load"/><handler>{RUN}</handler>
"""


def figure(texts: list[str]) -> str:
    """A figure with the texts in each place that XML can hold them in, and with all that acts."""
    kept = ["".join(c for c in text if c.isprintable()) for text in texts]
    drawn = "".join(
        f"<text id={quoteattr(t)} style={quoteattr('fill:' + t)} fill={quoteattr(t)} "
        f"d={quoteattr(t)} href={quoteattr(t)} xlink:href={quoteattr(t)}>{escape(t)}</text>"
        for t in kept
    )
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {space} viewBox="0 0 9 9" width="9pt" height="9pt">{drawn}{ACTS}</svg>'
