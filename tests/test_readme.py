"""The documentation is true: links resolve, commands and files exist, the tree is complete, figures agree."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from daguan.cli.app import COMMANDS
from test_architecture import FLOORS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "data/README.md", "benchmarks/README.md", "submissions/LEADERBOARD.md")
    for path in ROOT.glob(pattern)
)
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
LISTED_AS_FOLDERS = ("configs", "tests")
LINK = re.compile(r"\[[^]]*\]\(([^)]+)\)")
COMMAND = re.compile(r"python -m daguan\s+([a-z][a-z-]*)")
BENCHMARK = re.compile(r"python -m\s+benchmarks\.([a-z_0-9]+)")
FILE = re.compile(r"(?<![\w/.-])((?:[a-z]\w*/)+\w+\.(?:yaml|md|py|sh))")
SETTING = re.compile(r"(?<![\w./])[a-z_]+\.[a-z_0-9.]+")
NEW_FILE = re.compile(r"new\s+file\s+`([^`]+)`")
ROW = re.compile(r'Row\(\s*"(daguan(?:\.\w+)+):\w+"')
FIGURE = re.compile(r"(?<![A-Za-z_])\d[\d.,:–-]*")


def anchors(page: Path) -> set[str]:
    """The names by which a link reaches the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


@EACH_PAGE
def test_links_resolve(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        if not name.startswith("http"):
            linked = (page.parent / name).resolve() if name else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


@EACH_PAGE
def test_commands_benchmarks_and_files_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    assert set(COMMAND.findall(text)) <= set(COMMANDS)
    tables = set(BENCHMARK.findall(text))
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for name in tables), tables
    for name in set(FILE.findall(text)) - set(NEW_FILE.findall(text)):
        assert any((folder / name).is_file() for folder in (ROOT, ROOT / "src/daguan")), name


def test_the_readme_lists_every_command_once_and_is_short() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    listed = re.findall(r"^daguan (\S+)", text.partition("## Commands")[2], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
    assert len(text.split()) < 1200


def test_both_readmes_have_the_same_commands_figures_and_links() -> None:
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))

    def commands(text: str) -> list[str]:
        return [line.partition("  #")[0].rstrip() for block in blocks(text) for line in block.splitlines()]

    def figures(text: str) -> Counter[str]:
        return Counter(figure.rstrip(".,:–-") for figure in FIGURE.findall(without_blocks(text)))

    def links(text: str) -> Counter[str]:
        return Counter(target for target in LINK.findall(text) if not target.startswith("README"))

    assert commands(english) == commands(chinese)
    assert "import daguan" in commands(english)
    assert figures(english) == figures(chinese)
    assert links(english) == links(chinese)
    assert english.count("\n#") == chinese.count("\n#")


def test_the_readmes_results_stand_in_the_log() -> None:
    table = (ROOT / "README.md").read_text("utf-8").partition("| test contest F1 |")[2].partition("\n\n")[0]
    log = " ".join((ROOT / "docs/log.md").read_text("utf-8").split())
    for row in table.strip().splitlines()[1:]:
        _, _, out_of_fold, _, test, _, _ = row.replace("*", "").split("|")
        assert f"{out_of_fold.split()[0]} / {test.split()[0]}" in log, row


def test_the_log_has_the_newest_entry_first_and_an_index_of_all() -> None:
    head, *entries = re.split(r"^## (?=\d)", (ROOT / "docs/log.md").read_text("utf-8"), flags=re.MULTILINE)
    titles = [entry.partition("\n")[0] for entry in entries]
    dates = [title[:10] for title in titles]
    assert re.findall(r"^- \[(.*)\]\(", head, re.MULTILINE) == titles
    assert dates == sorted(dates, reverse=True)
    for entry in entries:
        assert re.findall(r"^- \*\*(\w+)\.\*\*", entry, re.MULTILINE) == ["Question", "Command", "Result", "Decision"]


@EACH_PAGE
def test_settings_in_code_marks_exist(page: Path) -> None:
    reference = (ROOT / "docs/reference.md").read_text("utf-8")
    known = set(re.findall(r"^\| `([\w.]+)`", reference, re.MULTILINE))
    sections = {name.partition(".")[0] for name in known if "." in name}
    known |= {name.rpartition(".")[0] for name in known}
    code = " ".join(re.findall(r"`[^`]+`", without_blocks(page.read_text("utf-8"))))
    named = {name for name in SETTING.findall(code) if name.partition(".")[0] in sections}
    assert {name for name in named if not name.endswith((".py", ".txt", ".yaml", ".json", ".safetensors"))} <= known


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    changes = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert changes[:2] == ["Unreleased", version]


def tree() -> set[str]:
    """Every path that the tree names: two spaces of indent a level, three or more before a remark."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    paths = set()
    parents: list[str] = []
    for line in blocks(page.partition("## The tree")[2])[0].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, *remark = re.split(r"\s{3,}", line.strip())
        assert len(remark) == 1, line
        paths.add("".join(parents[:depth]) + name)
        if name.endswith("/"):
            parents = [*parents[:depth], name]
    return paths


def disk() -> set[str]:
    """Files that belong to the repository, tests and configurations as their folders."""
    patterns = (
        "*.md",
        "*.cff",
        "*.toml",
        "*.txt",
        "LICENSE",
        ".ci/run",
        "data/README.md",
        "submissions/LEADERBOARD.md",
    )
    patterns += ("scripts/*", "examples/*", "docs/*", "benchmarks/*", "src/daguan/**/*.py")
    paths = {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return {path for path in paths if not path.endswith("__init__.py")}


def listed_by_tables() -> set[str]:
    """Files that a row of a table names: the table lists them, so that a new part need not stand in the tree too."""
    texts = [path.read_text("utf-8") for path in ROOT.glob("src/daguan/**/*.py")]
    return {f"src/{module.replace('.', '/')}.py" for text in texts for module in ROW.findall(text)}


def test_the_tree_names_what_there_is() -> None:
    named = tree()
    folders = {path for path in named if path.endswith("/")}
    assert all((ROOT / path).is_dir() for path in folders)
    assert named - folders <= disk()
    assert disk() - listed_by_tables() <= named
    assert {f"{folder}/" for folder in LISTED_AS_FOLDERS} <= folders


def test_the_floors_are_listed_from_high_to_low() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)/`", page, re.MULTILINE) == list(reversed(FLOORS))


def test_every_configuration_states_its_cost_and_loads() -> None:
    from daguan.core.settings import load
    from daguan.pipeline.settings import Settings

    for path in (ROOT / "configs").glob("*.yaml"):
        assert "Cost:" in path.read_text("utf-8") or "For one GPU:" in path.read_text("utf-8")
        assert load(Settings, path).name == path.stem
