"""A page in Chromium without a window, driven by Playwright and judged by axe-core (scripts/test_services.sh)."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(sys.prefix) / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SERIOUS = ("serious", "critical")


def require_browser() -> None:
    """Skips the module and names what is missing, unless scripts/test_services.sh runs: there, absence is an error."""
    if "DAGUAN_SERVICES" in os.environ:
        return
    pytest.importorskip("playwright", reason="scripts/test_services.sh installs Playwright, which drives Chromium")
    if not chromium():
        pytest.skip("scripts/test_services.sh installs Chromium", allow_module_level=True)
    if not AXE.is_file():
        pytest.skip("scripts/test_services.sh installs axe-core", allow_module_level=True)


def chromium() -> str | None:
    """Returns the path of the browser, None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Opened:
    """A page in a browser.

    Attributes:
        page: of Playwright.
        requests: the addresses that the page asked for, but for itself.
        complaints: errors and warnings of its console.
    """

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Returns the serious faults of accessibility that axe-core finds, with the elements."""
        self.page.evaluate(AXE.read_text("utf-8"))  # as the page lets in no script of another origin
        found = self.page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
        nodes = ((one, node) for one in found if one["impact"] in SERIOUS for node in one["nodes"])
        return [f"{one['id']}: {' '.join(node['target'])}: {node['failureSummary']}" for one, node in nodes]


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium())
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(running: Browser, path: Path, width: int = 1440, **how: Any) -> Iterator[Opened]:
    """A file in a window of that width and 900 pixels high; how: as Playwright's `new_context`."""
    context = running.new_context(viewport={"width": width, "height": 900}, **how)
    found = Opened(context.new_page())
    address = path.as_uri()
    context.on("request", lambda one: found.requests.append(one.url) if one.url != address else None)
    found.page.on("console", lambda one: found.complaints.append(one.text) if one.type != "log" else None)
    found.page.on("pageerror", lambda one: found.complaints.append(str(one)))
    found.page.goto(address)
    try:
        yield found
    finally:
        context.close()
