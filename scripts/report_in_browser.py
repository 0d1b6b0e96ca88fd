"""python scripts/report_in_browser.py PAGE [LINES]: tests the page of a report in Chromium, which must be installed.

The page's lines are repeated until there are LINES, 30,000 unless given. Filters must take under 100 ms, the counts of
every track must be those of the page's JSON, and only the visible rows may be in the page.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from daguan.report.columns import packed, unpacked
from daguan.report.lines import counts
from daguan.report.page_json import page_json

MOST_MILLISECONDS, MOST_ROWS = 100, 80
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DATA = re.compile(r'(<script type="application/json" id="page-data">)(.*?)(</script>)', re.DOTALL)
PROBE = """
(async () => {
  const found = { counts: {}, milliseconds: [], rows: 0, errors: [] };
  addEventListener("error", (event) => found.errors.push(event.message));
  const summary = document.getElementById("summary"), list = document.getElementById("list");
  const { state, update } = window.daguan;
  const timed = () => { update(); found.milliseconds.push(Number(summary.dataset.milliseconds)); };
  for (let round = 0; round < 3; round++) update();
  for (const part of ["train", "test"]) {
    state.part = part;
    window.daguan.tracks.forEach((track, number) => {
      if (!number) return;
      state.track = number;
      timed();
      (found.counts[track.name] = found.counts[track.name] || {})[part] = JSON.parse(summary.dataset.counts);
    });
  }
  Object.assign(state, { part: "all", track: 1 });
  for (const kind of [0, 2, 6, 7]) { state.kinds = new Set([kind]); timed(); }
  state.kinds = new Set();
  state.types = new Set([0]); timed();
  state.types = new Set();
  Object.assign(state, { low: 100, high: 200 }); timed();
  Object.assign(state, { low: 0, high: 255 }); update();
  found.rows = list.querySelectorAll(".row").length;
  const before = state.line;
  list.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
  found.moved = state.line !== before && list.querySelectorAll('[aria-selected="true"]').length === 1;
  const token = document.querySelector(".tok");
  token.focus();
  token.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  found.stepped = document.activeElement.classList.contains("tok") && state.from === 1;
  document.getElementById("page-data").textContent = "";
  document.documentElement.dataset.found = JSON.stringify(found);
})();
"""


def repeated(data: dict[str, Any], lines: int) -> dict[str, Any]:
    """Returns the data of a page whose training lines are repeated until there are that many in all."""
    columns, train = data["lines"], data["lines"]["train"]
    times = max(1, (lines - columns["lines"] + train) // train)

    def of_lines(first: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
        """Repeats what belongs to the training lines."""
        cut = first[train]
        sizes = np.diff(first)
        lengths = np.concatenate([np.tile(sizes[:train], times), sizes[train:]])
        return [
            np.concatenate([[0], np.cumsum(lengths)]),
            *(np.concatenate([np.tile(v[:cut], times), v[cut:]]) for v in values),
        ]

    first, text = of_lines(*(unpacked(columns[name]) for name in ("first", "text")))
    folds = unpacked(columns["folds"])
    columns |= {"first": packed(first), "text": packed(text), "lines": len(first) - 1, "train": train * times}
    columns["folds"] = packed([*np.tile(folds[:train], times), *folds[train:]])
    gold = unpacked(columns["tracks"][0]["columns"]["first"])
    for track in columns["tracks"]:
        own = track["columns"]
        names = [name for name in own if name not in ("first", "fate")]
        own_first, *values = of_lines(unpacked(own["first"]), *(unpacked(own[name]) for name in names))
        if "fate" in own:
            own["fate"] = packed(of_lines(gold, unpacked(own["fate"]))[1])
        own |= {"first": packed(own_first)} | {name: packed(value) for name, value in zip(names, values, strict=True)}
    return data


def main(page: str, lines: str = "30000") -> int:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"report_in_browser: expected one of {', '.join(BROWSERS)}, got none; nothing was tested")
    text = Path(page).read_text("utf-8")
    match = DATA.search(text)
    assert match is not None, f"{page}: expected the page of a report"
    data = repeated(json.loads(match[2]), int(lines))
    text = text[: match.start(2)] + page_json(data) + text[match.end(2) :]
    text = text.replace("</body>", f"<script>{PROBE}</script></body>")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(text, "utf-8")
        command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        done = subprocess.run(
            [*command, "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=300, check=True
        )
    answer = re.search(r'<html[^>]* data-found="([^"]*)"', done.stdout)
    assert answer is not None, f"the script failed: {done.stderr[-2000:]}"
    found = json.loads(answer[1].replace("&quot;", '"').replace("&amp;", "&"))
    expected = {
        name: {
            "train": [one.train.hits, one.train.predicted, one.train.gold],
            "test": [one.test.hits, one.test.predicted, one.test.gold],
        }
        for name, one in counts(data["lines"]).items()
    }
    slowest, rows = max(found["milliseconds"]), found["rows"]
    size = len(text) / 1e6
    print(f"{data['lines']['lines']:,} lines: filters at most {slowest:.0f} ms, {rows} rows in the page; {size:.1f} MB")
    assert found["counts"] == expected, (found["counts"], expected)
    assert found["moved"], "an arrow key does not move through the lines"
    assert found["stepped"], "an arrow key does not move through the tokens"
    assert not found["errors"], found["errors"]
    assert rows <= MOST_ROWS, f"expected at most {MOST_ROWS} rows in the page, got {rows}"
    assert slowest < MOST_MILLISECONDS, f"expected filters under {MOST_MILLISECONDS} ms, got {slowest:.0f}"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
