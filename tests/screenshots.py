"""Pictures of report pages for the README, made with the browser of the tests.

`python -m tests.screenshots demo.html docs/images/demo_report.png` photographs a page from its top, 1000 pixels wide
and 1100 high unless `--width` and `--height` say otherwise, at the place that `--at` names (`#section-2`), `--dark` if
so asked, and keeps the file small by a palette of 256 colours.
"""

from __future__ import annotations

import argparse
import base64
import io
import time
from pathlib import Path

from PIL import Image

from tests.browser import BrowserError, fetch, started

_COLOURS = 256
_SETTLED = 0.5
"""Seconds until drawings have been made and painted."""


def photograph(page: Path, picture: Path, *, width: int, height: int, at: str, dark: bool) -> None:
    """Write a picture of a page as it is shown."""
    with started() as browser:
        browser.devtools("Emulation.setScrollbarsHidden", {"hidden": True})
        browser.open(page.resolve(), width=width, height=height, dark=dark, after=at)
        time.sleep(_SETTLED)
        png = base64.b64decode(browser.devtools("Page.captureScreenshot", {"format": "png"})["data"])
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


def main() -> None:
    """Photograph the page that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--height", type=int, default=1100)
    parser.add_argument("--at", default="", metavar="#PART")
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    try:
        fetch()
    except BrowserError as error:
        parser.error(str(error))
    photograph(given.page, given.picture, width=given.width, height=given.height, at=given.at, dark=given.dark)


if __name__ == "__main__":
    main()
