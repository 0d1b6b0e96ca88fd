"""Which locks hold between machines follows from the kind and the options of the mount."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from daguan.core import shared_disks
from daguan.core.errors import CheckpointError
from daguan.core.runs import folder_lock
from daguan.core.shared_disks import lock_doubt, mount_of

MOUNTS = r"""/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1 0 0
server:/old /home/old nfs rw,vers=3,nolock,local_lock=all 0 0
server:/posix /posix nfs rw,vers=3,local_lock=posix 0 0
server:/flock /flock nfs rw,vers=3,local_lock=flock 0 0
//server/share /my\040share cifs rw,nobrl 0 0
mds@tcp:/scratch /scratch lustre rw,flock 0 0
mds@tcp:/local /local lustre rw,localflock 0 0
mds@tcp:/none /none lustre rw 0 0
me@host: /remote fuse.sshfs rw,user_id=0 0 0
gpfs /gpfs gpfs rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mounts"
    path.write_text(MOUNTS, "utf-8")
    return path


@pytest.mark.parametrize(
    ("folder", "kind", "doubtful"),
    [
        ("/data/work", "ext4", False),
        ("/homes/work", "ext4", False),  # no part of /home
        ("/home/me/work", "nfs4", False),
        ("/home/old/work", "nfs", True),
        ("/posix/work", "nfs", False),
        ("/flock/work", "nfs", True),
        ("/my share/work", "cifs", True),
        ("/scratch/work", "lustre", False),
        ("/local/work", "lustre", True),
        ("/none/work", "lustre", True),
        ("/remote/work", "fuse.sshfs", True),
        ("/gpfs/work", "gpfs", False),
    ],
)
def test_the_longest_mount_decides(mounts: Path, folder: str, kind: str, doubtful: bool) -> None:
    mount = mount_of(Path(folder), mounts)
    assert mount is not None
    assert mount.kind == kind
    doubt = lock_doubt(Path(folder), mounts)
    assert bool(doubt) == doubtful
    assert not doubt or doubt.startswith(f"{mount.point} is {kind} and mounted so that locks hold on one machine only")


def test_a_system_that_names_no_mounts_raises_no_doubt(tmp_path: Path) -> None:
    assert mount_of(tmp_path, tmp_path / "none") is None
    assert lock_doubt(tmp_path, tmp_path / "none") == ""


def test_who_takes_a_lock_is_warned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_disks, "lock_doubt", lambda folder: f"{folder} is doubtful")
    for _ in range(2):
        for name in ("one", "other"):
            with folder_lock(tmp_path / name, wait=True):
                pass
    assert capsys.readouterr().err.splitlines() == [f"locks: {tmp_path} is doubtful"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO])
def test_a_disk_without_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(CheckpointError, match=r"expected a disk with locks, got: .*refused; .*data\.work=FOLDER"):
        folder_lock(tmp_path / "run", wait=True).__enter__()
