import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from safetensors import SafetensorError

from daguan.core.errors import WriteError
from daguan.core.files import (
    read_json,
    real_path,
    require_writable,
    sha256_of_file,
    sha256_of_json,
    write_atomic,
    write_json,
    write_text,
)
from daguan.core.runs import folder_lock


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


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_target_is_written(tmp_path, there):
    target, link, second = (tmp_path / name for name in ("folder/target.txt", "link.txt", "second.txt"))
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to("folder/target.txt")
    second.symlink_to(link)
    write_text(second, "new")
    assert (link.is_symlink(), second.is_symlink(), target.read_text()) == (True, True, "new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "link.txt", "second.txt", "target.txt"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(mode)
    write_text(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_pipe_gets_the_bytes_and_stays(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "line\n")
    reader.join()
    assert (read, stat.S_ISFIFO(pipe.stat().st_mode)) == (["line\n"], True)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_stays_a_device(tmp_path, device):
    before = os.stat(device)
    (tmp_path / "link").symlink_to(device)
    for path in (tmp_path / "link", Path(device)):
        write_text(path, "line")
    assert (os.stat(device).st_ino, stat.S_ISCHR(os.stat(device).st_mode)) == (before.st_ino, True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_device_is_named():
    with pytest.raises(WriteError, match=r"/dev/full: expected to write here, got: .*No space left"):
        write_text(Path("/dev/full"), "line")


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("mode", ["w", "a"])
def test_the_standard_output_is_written_in_order_and_not_replaced(tmp_path, path, mode):
    words = "import sys; from pathlib import Path; from daguan.core.files import write_text\n"
    words += "print('first', flush=True); write_text(Path(sys.argv[1]), 'second\\n'); print('third')"
    (tmp_path / "out").write_text("zeroth\n")
    with (tmp_path / "out").open(mode) as out:
        subprocess.run([sys.executable, "-c", words, path], stdout=out, check=True)
    expected = ["zeroth"] * (mode == "a") + ["first", "second", "third"]
    assert (tmp_path / "out").read_text().split() == expected
    piped = subprocess.run([sys.executable, "-c", words, path], capture_output=True, text=True, check=True)
    assert piped.stdout.split() == ["first", "second", "third"]


def test_only_our_own_temporaries_are_ever_removed(tmp_path):
    theirs = [".mine.tmp", ".x.123.tmp", "notes.tmp", ".daguan.tmp.swp", "x.daguan.tmp"]
    for name in theirs:
        (tmp_path / name).write_text("mine")

    def killed(temporary):
        temporary.write_text("half")
        os.link(temporary, tmp_path / "left")  # what a kill leaves has the same name
        os.rename(tmp_path / "left", temporary.with_name(".0" + temporary.name[2:]))

    write_atomic(tmp_path / "a", killed)
    assert len(list(tmp_path.glob(".*.daguan.tmp"))) == 1
    with folder_lock(tmp_path, wait=False):
        pass
    names = {path.name for path in tmp_path.iterdir()} - {".lock"}
    assert names == {*theirs, "a"}


def test_a_name_as_long_as_a_file_system_allows_is_written(tmp_path):
    write_text(tmp_path / ("n" * 255), "text")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_a_folder_and_a_file_in_a_folders_place_are_refused(tmp_path):
    with pytest.raises(WriteError, match=r"expected to write here, got: .*directory"):
        write_text(tmp_path, "text")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x", tmp_path / "file"):
        with pytest.raises(WriteError, match="expected a folder, got a file at"):
            require_writable(path)
    require_writable(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["a", "a/file", "to_a"])
def test_a_loop_of_links_is_refused(tmp_path, name):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "to_a").symlink_to("a")
    with pytest.raises(WriteError, match=r"expected to write here, got: .*Too many levels of symbolic links"):
        write_text(tmp_path / name, "text")
    assert real_path(tmp_path / "a").parent == tmp_path.resolve()
