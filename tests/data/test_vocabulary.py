from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguan.core.errors import CheckpointError, ConfigError
from daguan.data.vocabulary import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary, VocabularySettings
from daguan.data.vocabulary import count_to_vocabulary as count

COUNTS = Counter({"b": 5, "a": 3, "c": 3, "d": 1})
TOKEN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=4)


def test_specials_come_first_then_tokens_by_falling_count():
    vocabulary = count(COUNTS, VocabularySettings(min_count=1))
    assert vocabulary.entries == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "b", "a", "c", "d")
    assert [vocabulary.entries[id] for id in (PAD, UNK, CLS, SEP, MASK)] == list(SPECIALS)
    assert vocabulary.encode(["d", "b"]) == [8, 5]
    assert len(vocabulary) == 9


@given(st.lists(TOKEN, unique=True))
def test_every_known_token_has_its_own_id_and_the_rest_are_unknown(tokens):
    tokens = [token for token in tokens if token not in SPECIALS]
    vocabulary = Vocabulary([*SPECIALS, *tokens])
    assert [vocabulary.entries[id] for id in vocabulary.encode(tokens)] == tokens
    assert vocabulary.encode(["never seen"]) == [UNK]
    assert "never seen" not in vocabulary
    assert all(token in vocabulary for token in tokens)


@pytest.mark.parametrize(("min_count", "kept"), [(1, "bacd"), (2, "bac"), (4, "b"), (6, "")])
def test_rarer_tokens_are_unknown(min_count, kept):
    vocabulary = count(COUNTS, VocabularySettings(min_count=min_count))
    assert "".join(vocabulary.entries[len(SPECIALS) :]) == kept


@pytest.mark.parametrize(("max_size", "kept"), [(0, "bacd"), (6, "b"), (8, "bac"), (9, "bacd"), (99, "bacd")])
def test_the_commonest_are_kept(max_size, kept):
    vocabulary = count(COUNTS, VocabularySettings(min_count=1, max_size=max_size))
    assert "".join(vocabulary.entries[len(SPECIALS) :]) == kept


@pytest.mark.parametrize("special", SPECIALS)
def test_a_token_spelt_like_a_special_is_unknown(special):
    vocabulary = count(Counter({special: 100, "a": 1}), VocabularySettings(min_count=1))
    assert len(vocabulary) == len(SPECIALS) + 1
    assert vocabulary.encode([special, "a"]) == [UNK, 5]
    assert special not in vocabulary


@given(st.lists(TOKEN, unique=True))
def test_save_and_load_are_inverses(tmp_path_factory, tokens):
    folder = tmp_path_factory.mktemp("vocabulary")
    vocabulary = Vocabulary([*SPECIALS, *(token for token in tokens if token not in SPECIALS)])
    vocabulary.save(folder)
    assert Vocabulary.load(folder).entries == vocabulary.entries


GOOD = "".join(f"{entry}\n" for entry in (*SPECIALS, "1", "22")).encode()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        GOOD.replace(b"[PAD]\n", b""),
        GOOD.replace(b"[CLS]\n[SEP]", b"[SEP]\n[CLS]"),
        GOOD + b"1\n",
        GOOD[:20],
        GOOD[:-2],  # cut short inside the last token
        GOOD + b"\xff\n",
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damaged):
    (tmp_path / "vocab.txt").write_bytes(damaged)
    with pytest.raises(CheckpointError):
        Vocabulary.load(tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError) as error:
        Vocabulary.load(tmp_path)
    assert str(error.value) == f"{tmp_path}/vocab.txt: expected a vocabulary, got nothing at that path"


@pytest.mark.parametrize("settings", [{"min_count": 0}, {"max_size": -1}, {"max_size": 5}])
def test_senseless_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=f"^{next(iter(settings))}: expected"):
        VocabularySettings(**settings)
