"""SVG as a tree: elements with short numbers, parts that several places use, and the finished `Drawing`.

Every text enters as a tree's text or attribute, so that the serialiser escapes it. Parts are named by their content:
two drawings in one page that share a kernel share its name, whatever order they stand in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from circuitdb.errors import InputError
from circuitdb.files import whole_file

NAMESPACE = "http://www.w3.org/2000/svg"
Attribute = str | float | None

_PNG_ZOOM = 2
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, even escaped."""


def number(value: float) -> str:
    """A number with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(tag: str, /, *children: Element, **attributes: Attribute) -> Element:
    """An element. Underscores in attributes' names stand for hyphens; attributes that are None are left out."""
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.replace("_", "-"), clean(value) if isinstance(value, str) else number(value))
    made.extend(children)
    return made


def text_element(tag: str, text: str, /, **attributes: Attribute) -> Element:
    """An element that holds text."""
    made = element(tag, **attributes)
    made.text = clean(text)
    return made


def clean(text: str) -> str:
    """The text with what XML cannot hold shown as the replacement character."""
    return _NO_XML.sub("\ufffd", text)


def serialise(root: Element) -> str:
    """The element as text."""
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def named(part: Element, prefix: str) -> tuple[str, Element]:
    """A part with its name, which its content alone decides."""
    name = f"{prefix}{hashlib.sha256(serialise(part).encode()).hexdigest()[:12]}"
    part.set("id", name)
    return name, part


@dataclass(frozen=True)
class Drawing:
    """A finished drawing.

    width, height: in pixels at its natural size. title, description: what a screen reader says. content: the elements
    in order of painting; parts: what they use by name, so that a page with many drawings holds each part once.
    """

    width: float
    height: float
    title: str
    description: str
    content: tuple[Element, ...]
    parts: Mapping[str, Element]

    @property
    def svg(self) -> str:
        """The whole drawing as text."""
        return self.small(self.width)

    @property
    def body(self) -> str:
        """The drawing without its parts, for a page that holds these elsewhere."""
        return self._text(self.width, {})

    def save(self, path: str | Path) -> None:
        """Write the drawing to a file; its ending, .svg or .png, decides the form.

        Raises
        ------
        InputError
            If the ending is another.
        CircuitdbError
            If the file cannot be written.
        """
        file = Path(path)
        if file.suffix.lower() not in (".svg", ".png"):
            raise InputError(f"a drawing is saved as .svg or .png, not as {file.name!r}")
        data = self.png() if file.suffix.lower() == ".png" else self.svg.encode()
        with whole_file(file) as unfinished:
            unfinished.write_bytes(data)

    def png(self, zoom: float = _PNG_ZOOM) -> bytes:
        """The drawing as a PNG, `zoom` pixels a pixel of its natural size."""
        import resvg_py

        return bytes(resvg_py.svg_to_bytes(svg_string=self.svg, zoom=zoom, background="#ffffff"))

    def _repr_svg_(self) -> str:
        return self.svg

    def small(self, most: float) -> str:
        """The whole drawing as text, at most so many pixels wide."""
        return self._text(min(self.width, most), self.parts)

    def _text(self, width: float, parts: Mapping[str, Element]) -> str:
        inner = "".join(map(serialise, self.content))
        key = hashlib.sha256(inner.encode()).hexdigest()[:12]
        definitions = element("defs", *(parts[name] for name in sorted(parts)))
        root = element(
            "svg",
            text_element("title", self.title, id=f"t{key}"),
            text_element("desc", self.description, id=f"d{key}"),
            *([definitions] if parts else []),
            xmlns=NAMESPACE,
            width=width,
            height=self.height * width / self.width,
            viewBox=f"0 0 {number(self.width)} {number(self.height)}",
            role="img",
            aria_labelledby=f"t{key}",
            aria_describedby=f"d{key}",
            font_family="Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif",
        )
        return serialise(root).removesuffix("</svg>") + inner + "</svg>"
