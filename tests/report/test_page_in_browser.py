"""The page of a report in a real browser: its counts, keys, widths, colours, speed, and that it asks for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsers import browser, opened, require_browser
from daguan.cli.app import main
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import read_labelled
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.report.columns import unpacked
from daguan.report.kinds import CORRECT
from report_pages import HOSTILE, data_of, finished, hostile_run, lengthened

pytestmark = pytest.mark.services
require_browser()
expect = pytest.importorskip("playwright.sync_api").expect

WIDTHS = (360, 768, 1440)
LINES = 30_000
FIRST_PAINT, FILTER, MOST_ROWS = 2_000, 100, 80  # milliseconds, milliseconds, rows in the page
SECOND = "ensemble.second={family: ngram_crf, ngram_crf: {c1: 1}}"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return finished(hostile_run(tmp_path_factory.mktemp("run"), "members=[ngram_crf,second]", SECOND))


@pytest.fixture(scope="module")
def page(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert main(["report", *words, "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    with browser() as found:
        yield found


def counts_of(summary: str) -> tuple[int, ...]:
    """Right, found and gold, as the page says them."""
    found = re.search(r"([\d,]+) right of ([\d,]+) found and ([\d,]+) gold", summary)
    assert found is not None, summary
    return tuple(int(number.replace(",", "")) for number in found.groups())


def test_the_page_asks_for_nothing_and_complains_of_nothing(page: Path, running: Any) -> None:
    with opened(running, page) as one:
        one.page.mouse.wheel(0, 20_000)
        one.page.locator("#theme").click()
        assert (one.requests, one.complaints) == ([], [])


def test_the_counts_of_every_filter_are_those_of_score(
    page: Path, words: list[str], running: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["score", *words, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    with opened(running, page) as one:
        summary = one.page.locator("#summary")
        for part, name in (("train", "out_of_fold"), ("test", "test")):
            one.page.select_option("#part", part)
            for track, found in scores[name].items():
                one.page.select_option("#track", label=track)
                span = found["span"]
                assert counts_of(summary.inner_text()) == (span["hits"], span["predicted"], span["gold"])
                for label, of_type in found["by_type"]["span"].items():
                    chip = one.page.locator("#types .chip", has=one.page.get_by_text(label, exact=True))
                    chip.click()
                    expected = (of_type["hits"], of_type["predicted"], of_type["gold"])
                    assert counts_of(summary.inner_text()) == expected, (track, label)
                    chip.click()


def test_folds_kinds_and_confidences_divide_what_is_counted(page: Path, running: Any) -> None:
    """The table of kinds has the same counts."""
    with opened(running, page) as one:
        summary = one.page.locator("#summary")
        whole = counts_of(summary.inner_text())
        table = one.page.locator("table", has=one.page.get_by_role("columnheader", name="wrong type and bounds"))
        names = table.locator("thead th").all_inner_texts()
        row = table.locator("tbody tr.final td").all_inner_texts()
        of_kinds = {name: int(cell.replace(",", "")) for name, cell in zip(names[1:], row[1:], strict=True)}
        chips = one.page.locator("#kinds .chip")
        shown = {chip.locator("bdi").inner_text(): chip.locator("i").inner_text() for chip in chips.all()}
        assert shown == {name: f"{count:,}" for name, count in of_kinds.items() if count}
        folds = one.page.locator("#fold option").evaluate_all("all => all.map(one => one.value)")
        parts = []
        for fold in folds[1:]:
            one.page.select_option("#fold", fold)
            parts.append(counts_of(summary.inner_text()))
        assert tuple(map(sum, zip(*parts, strict=True))) == whole
        one.page.select_option("#fold", folds[0])
        lines = data_of(page.read_text("utf-8"))["lines"]
        columns = {name: unpacked(column) for name, column in lines["tracks"][1]["columns"].items()}
        here = slice(columns["first"][lines["train"]])
        for low, high in ((0, 60), (40, 85), (95, 100)):
            one.page.fill("#low", str(low))
            one.page.fill("#high", str(high))
            one.page.locator("#query").focus()
            sure = columns["probability"][here]
            within = (sure >= round(255 * low / 100)) & (sure <= round(255 * high / 100))
            right = int((within & (columns["kind"][here] == CORRECT)).sum())
            assert counts_of(summary.inner_text())[:2] == (right, int(within.sum()))


def test_tables_are_sorted_by_any_column(page: Path, running: Any) -> None:
    with opened(running, page) as one:
        table = one.page.locator("table.sortable").first
        head = table.locator("thead th", has_text="F1").first
        column = int(head.evaluate("node => node.cellIndex"))
        for direction, wanted in (("descending", True), ("ascending", False)):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == direction
            cells = table.locator(f"tbody td:nth-child({column + 1})").evaluate_all("all => all.map(n => n.dataset.v)")
            assert [*map(float, cells)] == sorted(map(float, cells), reverse=wanted)


def test_an_unsure_token_shows_the_best_tags_of_every_member(page: Path, running: Any) -> None:
    tracks = data_of(page.read_text("utf-8"))["lines"]["marginals"]["tracks"]
    with opened(running, page) as one:
        one.page.select_option("#part", "all")
        one.page.locator("#kinds .chip").first.click()
        token = one.page.locator(".tok.unsure").first
        token.hover()
        shown = one.page.locator("#tip").inner_text().splitlines()
        assert [line.partition(":")[0] for line in shown] == tracks
        assert all(re.search(r"[a-zO]\S* [01]\.\d\d", line) for line in shown)


def test_on_paper_all_tables_are_whole_and_the_explorer_is_not_there(page: Path, running: Any) -> None:
    with opened(running, page) as one:
        one.page.emulate_media(media="print")
        assert not one.page.locator(".explorer").is_visible()
        assert not one.page.locator("nav").is_visible()
        cut = "all => all.filter(one => getComputedStyle(one).overflowY !== 'visible').length"
        assert one.page.locator(".scroll").evaluate_all(cut) == 0


def test_every_control_is_reached_by_the_keyboard(page: Path, running: Any) -> None:
    with opened(running, page) as one:
        controls = "a[href], button:not([disabled]):not([tabindex='-1']), input, select, [tabindex='0']"
        visible = "nodes => nodes.filter(node => node.checkVisibility()).length"
        wanted = one.page.locator(controls).evaluate_all(visible)
        reached = set()
        for _ in range(wanted + 5):
            one.page.keyboard.press("Tab")
            reached.add(
                one.page.evaluate("(window.seen ||= new Map(), document.activeElement === document.body ? -1 : "
                                  "(seen.has(document.activeElement) || seen.set(document.activeElement, seen.size), "
                                  "seen.get(document.activeElement)))")
            )  # fmt: skip
        assert len(reached - {-1}) >= wanted


def test_arrows_move_through_lines_and_tokens_and_a_slash_searches(page: Path, running: Any) -> None:
    with opened(running, page) as one:
        keys = one.page.keyboard
        selected = one.page.locator('#list [aria-selected="true"]')
        one.page.locator("#list").focus()
        first = selected.get_attribute("id")
        keys.press("ArrowDown")
        assert selected.get_attribute("id") != first
        keys.press("Enter")
        before = one.page.evaluate("document.activeElement.dataset.at")
        keys.press("ArrowRight")
        assert one.page.evaluate("document.activeElement.dataset.at") == str(int(before) + 1)
        keys.press("/")
        keys.type("line=3")
        expect(one.page.locator("#summary strong")).to_have_text("1 line")
        assert one.page.locator("#detail h3").first.inner_text().startswith("train.txt 3")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(page: Path, running: Any, width: int) -> None:
    with opened(running, page, width) as one:
        assert one.page.evaluate("document.documentElement.scrollWidth") == width
        for number in range(one.page.locator("section").count()):
            assert one.page.locator("section").nth(number).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_serious_fault(page: Path, running: Any, scheme: str, width: int) -> None:
    with opened(running, page, width, color_scheme=scheme) as one:
        assert one.faults() == []


def test_tokens_that_are_html_are_shown_as_text(page: Path, running: Any) -> None:
    data = data_of(page.read_text("utf-8"))
    with opened(running, page) as one:
        one.page.select_option("#part", "all")
        for token in HOSTILE.values():
            assert token in data["tokens"]
            one.page.fill("#query", token)
            expect(one.page.locator(".tok.chosen").first).to_have_text(token)
            assert one.page.locator(".tok.chosen").count() == 1
        assert one.page.locator("main b, main script").count() == 0
        assert one.complaints == []


def test_real_text_comes_from_a_file_that_stays_here(page: Path, running: Any, tmp_path: Path) -> None:
    data = data_of(page.read_text("utf-8"))
    table = tmp_path / "vocab.tsv"
    table.write_text("".join(f"{token}\ttext of {number}\n" for number, token in enumerate(data["tokens"])), "utf-8")
    with opened(running, page) as one:
        one.page.set_input_files("#vocabulary", table)
        expect(one.page.locator(".tok").first).to_have_text(re.compile("text of "))
        assert one.requests == []


def test_labels_that_are_corrected_in_the_page_are_those_that_prepare_takes(
    page: Path, words: list[str], running: Any, tmp_path: Path
) -> None:
    """All labels of the first line are taken away; the first token of the second one becomes an entity."""
    with opened(running, page) as one:
        tokens = one.page.locator("#detail .tok")
        for line in (1, 2):
            one.page.fill("#query", f"line={line}")
            expect(one.page.locator("#detail h3").first).to_contain_text(f"train.txt {line} ")
            tokens.first.click()
            if line == 1:
                tokens.last.click(modifiers=["Shift"])
                one.page.get_by_role("button", name="it is no entity").click()
            else:
                one.page.get_by_label("type", exact=True).select_option("b")
                one.page.get_by_role("button", name="the string is").click()
        with one.page.expect_download() as download:
            one.page.locator("#export").click()
        download.value.save_as(tmp_path / "corrections.jsonl")
        assert one.complaints == []
    (folder,) = (Path(word.partition("=")[2]) for word in words if word.startswith("data.dir="))
    before = read_labelled(Contest(folder).train)
    corrected = [*words, f"data.corrections={tmp_path / 'corrections.jsonl'}"]
    assert main(["prepare", *corrected]) == 0
    after = read_labelled(Stages(load(corrected)).contest.train)
    assert after[0] == Sentence(before[0].tokens, ())
    first = Span(0, 1, "b")
    kept = [span for span in before[1].gold if span.start >= 1]
    assert after[1] == Sentence(before[1].tokens, (first, *kept))
    assert after[2:] == before[2:]


def test_thirty_thousand_lines_are_drawn_and_filtered_at_once(page: Path, running: Any, tmp_path: Path) -> None:
    """The best of a few tries: the machine may be busy."""
    path = tmp_path / "long.html"
    path.write_text(lengthened(page.read_text("utf-8"), LINES), "utf-8")
    painted = []
    for _ in range(3):
        with opened(running, path) as one:
            entry = one.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            painted.append(entry)
            if _ < 2:
                continue
            one.page.select_option("#part", "all")
            slowest = []
            for chip in one.page.locator("#types .chip, #kinds .chip").all():
                tries = []
                for _ in range(4):
                    chip.click()
                    tries.append(float(one.page.locator("#summary").get_attribute("data-milliseconds") or "nan"))
                slowest.append(min(tries))
            assert one.page.locator("#list .row").count() <= MOST_ROWS
    assert min(painted) < FIRST_PAINT
    assert max(slowest) < FILTER
