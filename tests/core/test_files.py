import errno
import hashlib

import pytest
from safetensors import SafetensorError

from daguan.core.errors import WriteError
from daguan.core.files import read_json, sha256_of_file, sha256_of_json, write_atomic, write_json, write_text


def test_a_writer_that_raises_leaves_nothing_behind(tmp_path):
    def half(path):
        path.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomic(tmp_path / "new.txt", half)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_raises_keeps_the_old_content(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")

    def half(temporary):
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomic(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left")]
)
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path, error):
    def fill(temporary):
        temporary.write_text("half")
        raise error

    path = tmp_path / "model.safetensors"
    with pytest.raises(WriteError, match=r"model\.safetensors: expected to write here, got: .*No space left"):
        write_atomic(path, fill)
    assert list(tmp_path.iterdir()) == []


def test_a_good_writer_replaces_the_old_content_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "old")
    write_text(path, "new\n线")
    assert path.read_bytes() == "new\n线".encode()
    assert list(path.parent.iterdir()) == [path]


def test_json_round_trip(tmp_path):
    value = {"名": [1, 2.5, None, True], "b": {"c": "\u2028"}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


def test_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"\x00\r\n")
    assert sha256_of_file(tmp_path / "x") == hashlib.sha256(b"\x00\r\n").hexdigest()


def test_hash_of_json_depends_on_content_and_not_on_the_order_of_keys():
    assert sha256_of_json({"a": 1, "b": {"c": 2, "d": 3}}) == sha256_of_json({"b": {"d": 3, "c": 2}, "a": 1})
    assert sha256_of_json({"a": 1}) != sha256_of_json({"a": 2})
    assert sha256_of_json([1, 2]) != sha256_of_json([2, 1])
