"""Pieces of SVG for pages and notebooks: all text and every attribute in them is escaped, whoever wrote it."""

from __future__ import annotations

from tunixhack._util.safe_text import for_html


def element(name: str, *inner: str, **attributes: object) -> str:
    """Return an element.

    Args:
        name: of the element.
        inner: markup that stands in it, such as other elements, or `text`'s.
        attributes: by their names; an underscore at the end is left out, and others become hyphens. One that is None
            is left out.

    >>> element("rect", x=1, fill_opacity=0.5, class_="kept")
    '<rect x="1" fill-opacity="0.5" class="kept"/>'
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{for_html(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{told}>{''.join(inner)}</{name}>" if inner else f"<{name}{told}/>"


def text(words: str, **attributes: object) -> str:
    """Return a text element.

    >>> text("<b>", x=2)
    '<text x="2">&lt;b&gt;</text>'
    """
    return element("text", for_html(words) or " ", **attributes)


def picture(width: float, height: float, title: str, *inner: str, class_: str | None = None) -> str:
    """Return a picture that is as wide as what it stands in, but no wider than it is drawn.

    Args:
        width: in units of the picture, which are pixels where there is room.
        height: likewise.
        title: what it shows, for those who cannot see it.
        inner: its elements.
        class_: by which a style sheet knows it.
    """
    return element(
        "svg",
        *inner,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=title,
        class_=class_,
        font_family="system-ui, sans-serif",
        font_size=13,
    )


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
