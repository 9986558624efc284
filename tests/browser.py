"""A real Chromium for the tests, headless, with axe-core's accessibility rules.

`python tests/browser.py fetch` installs Debian's packages `chromium` and `chromium-driver` where they are missing and
this may be done (as root), and brings axe-core from npm into the user's cache. Tests that need the browser are skipped
where there is none and say so, or fail where CIRCUITDB_REQUIRE_BROWSER is 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

AXE = "4.14.1"
REQUIRE_VARIABLE = "CIRCUITDB_REQUIRE_BROWSER"
_PACKAGES = ("chromium", "chromium-driver")
_PROGRAMS = ("chromium", "chromedriver")


class BrowserError(Exception):
    """The browser or axe-core is not there and cannot be brought; the sentence says why."""


def axe_file() -> Path:
    """Where axe-core is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "circuitdb" / f"axe-core-{AXE}" / "node_modules" / "axe-core" / "axe.min.js"


def fetch() -> None:
    """Bring the browser and axe-core unless they are there.

    Raises
    ------
    BrowserError
        If either cannot be brought.
    """
    if _missing():
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise BrowserError(f"no browser to test with: install {' and '.join(_PACKAGES)}")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "--no-install-recommends", *_PACKAGES, "fonts-dejavu-core"]
        if subprocess.run(install, env=environment, capture_output=True, check=False).returncode != 0:
            subprocess.run(["apt-get", "update"], env=environment, capture_output=True, check=False)
            done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BrowserError(f"apt-get could not install Chromium: {done.stderr.strip()[-300:]}")
    if axe_file().exists():
        return
    if shutil.which("npm") is None:
        raise BrowserError("no accessibility rules to test with: npm is not installed")
    folder = axe_file().parents[2]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as scratch:
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", f"{scratch}/axe"]
        done = subprocess.run([*command, f"axe-core@{AXE}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BrowserError(f"npm could not fetch axe-core: {done.stderr.strip()[-300:]}")
        with contextlib.suppress(OSError):
            (Path(scratch) / "axe").rename(folder)


def _missing() -> list[str]:
    return [program for program in _PROGRAMS if shutil.which(program) is None]


class Browser:
    """A browser, and what a test asks of a page in it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, *, width: int = 1200, height: int = 900, dark: bool = False, after: str = "") -> None:
        """Load a page at a size; `after` is the part of the address behind the file's name."""
        self.driver.get("about:blank")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(page.as_uri() + after)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script, *arguments)

    def devtools(self, method: str, parameters: dict[str, Any]) -> Any:
        """One call of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(method, parameters)

    def complaints(self) -> list[str]:
        """What the console said since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address that was asked for since the page was opened, data within the page left out."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        asked = (e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent")
        return [address for address in asked if not address.startswith("data:")]

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it is shown."""
        self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe_file().read_text(encoding="utf-8")})
        found = self.driver.execute_async_script("axe.run(document).then(arguments[arguments.length - 1])")
        return [
            f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


@contextlib.contextmanager
def for_tests() -> Iterator[Browser]:
    """A browser, or a skip that says why there is none; a failure where CIRCUITDB_REQUIRE_BROWSER is 1."""
    import pytest

    try:
        if _missing() or not axe_file().exists():
            fetch()
    except BrowserError as error:
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with started() as browser:
        yield browser


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """A browser, which is there."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    chromium, driver_program = (shutil.which(program) for program in _PROGRAMS)
    options.binary_location = str(chromium)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="circuitdb-browser-", ignore_cleanup_errors=True) as scratch:
        service = Service(str(driver_program), env=os.environ | {"TMPDIR": scratch})
        driver = webdriver.Chrome(options=options, service=service)
        driver.set_script_timeout(120)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


if __name__ == "__main__":
    if sys.argv[1:] != ["fetch"]:
        sys.exit("usage: python tests/browser.py fetch")
    try:
        fetch()
    except BrowserError as error:
        sys.exit(str(error))
