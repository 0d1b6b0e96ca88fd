"""python scripts/screenshots.py [CONFIG] [key=value …]: writes docs/images from the report of a finished run.

Chromium and Playwright must be there; scripts/test_services.sh installs them.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from daguan.cli.app import main as daguan

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1280, 800


def main(words: list[str]) -> int:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "report.html"
        if code := daguan(["report", *words, "--output", str(path)]):
            return code
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium")
        for name, section, scheme in (("report", "", "light"), ("lines", "explorer", "dark")):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page.goto(path.as_uri())
            if section:
                page.locator("#kinds .chip", has_text="wrong type").first.click()
                page.evaluate("id => document.getElementById(id).scrollIntoView({ behavior: 'instant' })", section)
            page.screenshot(path=IMAGES / f"{name}.png")
            print(f"{IMAGES / name}.png: {(IMAGES / f'{name}.png').stat().st_size:,} bytes")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
