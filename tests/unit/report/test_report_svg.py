"""A figure from anybody stands in the page: it draws, and does nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from snnlens.report import svg

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
STYLE = Path(svg.__file__).parent / "templates" / "style.css"


def show(tmp_path: Path, body: str, root: str = 'viewBox="0 0 9 9"') -> str:
    path = tmp_path / "figure.svg"
    path.write_text(f"{HEAD}{root}>{body}</svg>", encoding="utf-8")
    return str(svg.figure(path, "a-", "the title"))


def test_the_root_has_a_role_and_a_name(tmp_path: Path) -> None:
    assert show(tmp_path, '<path d="M0 0L9 9"/>', 'width="72pt" height="36pt"') == (
        '<svg viewBox="0 0 96 48" role="img" aria-labelledby="a-title" focusable="false" '
        'width="96" height="48" style="--most:130px"><title id="a-title">the title</title>'
        '<path d="M0 0L9 9" /></svg>'
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<foreignObject><iframe xmlns='http://www.w3.org/1999/xhtml'/></foreignObject>",
        "<style>@import 'http://x.test/a.css'; body { display: none }</style>",
        "<a xlink:href='javascript:alert(1)'><path d='M0 0'/></a>",
        "<animate attributeName='href' to='javascript:alert(1)'/>",
        "<metadata>who drew it</metadata>",
        "<html xmlns='http://www.w3.org/1999/xhtml'/>",
        "<svg/>",
    ],
)
def test_elements_that_do_not_draw_are_dropped(tmp_path: Path, hostile: str) -> None:
    assert show(tmp_path, hostile) == show(tmp_path, "")


@pytest.mark.parametrize(
    "attribute",
    [
        'onload="alert(1)"',
        'class="skip"',
        'href="http://x.test/a"',
        'xlink:href="javascript:alert(1)"',
        'fill="url(http://x.test/a)"',
        'style="fill: url(data:image/svg+xml,x)"',
        'style="position: fixed; inset: 0; z-index: 99; background: red"',
        'style="fill: \\75rl(http://x.test)"',
        'style="fill: image-set(&quot;http://x.test/a&quot; 1x)"',
        'tabindex="0"',
    ],
)
def test_attributes_that_do_not_draw_are_dropped(tmp_path: Path, attribute: str) -> None:
    assert show(tmp_path, f'<path d="M0 0" {attribute}/>') == show(tmp_path, '<path d="M0 0"/>')


def test_an_image_keeps_its_own_pixels_only(tmp_path: Path) -> None:
    assert 'href="data:image/png;base64,AA=="' in show(
        tmp_path, '<image xlink:href="data:image/png;base64,AA=="/>'
    )
    for outside in ("http://x.test/a.png", "data:image/svg+xml;base64,AA==", "file:///a.png"):
        assert "href" not in show(tmp_path, f'<image xlink:href="{outside}"/>')


def test_ids_and_what_refers_to_them_get_the_prefix(tmp_path: Path) -> None:
    made = show(
        tmp_path,
        '<defs><clipPath id="p"><path d="M0 0"/></clipPath><path id="m" d="M0 0"/></defs>'
        '<g clip-path="url(#p)"><use xlink:href="#m" style="clip-path:url( &quot;#p&quot;)"/></g>',
    )
    assert set(re.findall(r'id="([^"]+)"', made)) == {"a-p", "a-m", "a-title"}
    assert '<use href="#a-m" style="clip-path:url(#a-p)" />' in made
    assert made.count("url(#a-p)") == 2


def test_the_caption_inside_a_figure_is_left_to_the_page(tmp_path: Path) -> None:
    caption = '<g id="caption"><text transform="translate(4 90)">T = 4</text></g>'
    made = show(tmp_path, f'<g><path d="M0 0"/>{caption}</g>', 'viewBox="0 0 75 99"')
    assert "T = 4" not in made
    assert 'viewBox="0 0 75 80"' in made
    assert 'width="100" height="106.667"' in made


def test_copies_of_copies_are_not_followed(tmp_path: Path) -> None:
    made = show(
        tmp_path,
        '<path id="x" d="M0 0"/><g id="y"><use href="#x"/><use href="#x"/></g>'
        '<use href="#y"/><use href="#z" id="z"/>',
    )
    assert made.count('href="#a-x"') == 2
    assert made.count("href") == 2


def test_colours_become_variables_with_the_colour_behind_them(tmp_path: Path) -> None:
    made = show(
        tmp_path, '<path style="stroke: #0072B2; fill: none"/><text fill="#262626">a</text>'
    )
    assert 'style="stroke:var(--blue,#0072b2);fill:none"' in made
    assert 'fill="var(--ink,#262626)"' in made


def test_every_colour_has_a_light_and_a_dark_value() -> None:
    light, _, dark = STYLE.read_text(encoding="utf-8").partition("prefers-color-scheme: dark")
    for colour, name in svg.COLOURS.items():
        assert f"{name}: {colour};" in light
        assert f"{name}: #" in dark


def test_texts_of_the_dark_page_and_its_lines_stand_out() -> None:
    """WCAG 2.2: 4.5 for text, 3 for what a figure is read by."""
    light, _, dark = STYLE.read_text(encoding="utf-8").partition("prefers-color-scheme: dark")
    texts = ("ink", "muted", "link", "bad", "warn", "note", "good")
    series = [n.removeprefix("--") for n in svg.COLOURS.values() if n not in {"--grid", "--paper"}]
    for theme, names in ((light, texts), (dark, (*texts, *series))):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme.partition("}")[0]))
        for name in names:
            wanted = 4.5 if name in texts else 3.0
            assert contrast(colours[name], colours["paper"]) >= wanted, name
        assert contrast(colours["bad"], colours["bad-faint"]) >= 4.5
        assert contrast(colours["muted"], colours["bad-faint"]) >= 4.5


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours, by the formula of WCAG 2.2."""

    def luminance(colour: str) -> float:
        c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_what_matplotlib_draws_is_kept(tmp_path: Path) -> None:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "o-", color="#0072B2")
    axes.bar([0.5], [0.5], hatch="//", color="#E69F00")
    axes.imshow(np.eye(2), extent=(0, 1, 0, 1))
    axes.set_title("a & b < c")
    with mpl.rc_context({"svg.hashsalt": "s", "svg.fonttype": "none"}):
        figure.savefig(tmp_path / "figure.svg", metadata={"Date": None, "Creator": None})
    drawn = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    made = str(svg.figure(tmp_path / "figure.svg", "a-", "t"))
    assert "a &amp; b &lt; c" in made
    for element in ("<path", "<use", "<image", "<text", "<clipPath", "<pattern"):
        assert made.count(element) == drawn.count(element) > 0
    assert len(re.findall(r"url\(#a-", made)) == drawn.count("url(#")
    assert not re.search(r"<\?xml|<!DOCTYPE|<metadata|<style|xlink", made)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<svg", "it is not well-formed XML"),
        ("", "it is not well-formed XML"),
        ("<html/>", "its root is not svg"),
        (f"{HEAD}/>", "it has no size"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "it defines entities"),
        (f'{HEAD} viewBox="0 0 1 1">{"<g>" * 99}{"</g>" * 99}</svg>',
         "it nests deeper than 60 elements"),
        ("x" * 1_200_000, "it has 1.2 MB, and a page takes 1 MB"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_figure(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "figure.svg").write_text(text, encoding="utf-8")
    with pytest.raises(svg.Unfit) as caught:
        svg.figure(tmp_path / "figure.svg", "a-", "t")
    assert str(caught.value) == why


def test_a_file_that_is_not_there_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(svg.Unfit, match=r"^the run has no figure\.svg$"):
        svg.figure(tmp_path / "figure.svg", "a-", "t")
    (tmp_path / "figure.svg").write_bytes(b"\xff\xfe<\x00s\x00")
    with pytest.raises(svg.Unfit, match=r"^it cannot be read as text$"):
        svg.figure(tmp_path / "figure.svg", "a-", "t")
