"""Whether locks of a folder hold between machines, as the options of its mount say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from daguan.core.files import real_path
from daguan.core.progress import say

MOUNTS = Path("/proc/self/mounts")  # proc_pid_mounts(5); elsewhere nothing is known
Options = Mapping[str, str]


class Mount(NamedTuple):
    """A mounted file system: its point, its kind and its options, with the value of each, empty where it has none."""

    point: Path
    kind: str
    options: Options


def _nfs(options: Options) -> bool:
    """nfs(5): flock() goes to the server, but for `local_lock` and `nolock`."""
    return options.get("local_lock", "none") in ("none", "posix") and "nolock" not in options


# whether flock() of one machine is seen on another; kinds that are not named are disks of one machine
SHARED: dict[str, Callable[[Options], bool]] = {
    "nfs": _nfs,
    "nfs4": _nfs,
    "cifs": lambda options: "nobrl" not in options,  # mount.cifs(8)
    "smb3": lambda options: "nobrl" not in options,
    "lustre": lambda options: "flock" in options,  # mount.lustre(8): else there are none, or local ones
    "9p": lambda options: False,
    "virtiofs": lambda options: False,
    "vboxsf": lambda options: False,
    "beegfs": lambda options: False,  # by default; its own file of settings can say otherwise
    "fuse.sshfs": lambda options: False,
    "fuse.s3fs": lambda options: False,
    "fuse.rclone": lambda options: False,
    "fuse.gcsfuse": lambda options: False,
}


def mount_of(folder: Path, mounts: Path = MOUNTS) -> Mount | None:
    """Returns the mount that holds a folder, which need not be there yet; None where the system does not say."""
    if not mounts.is_file():
        return None
    lines = [line.split() for line in mounts.read_text("utf-8", errors="replace").splitlines()]
    there = [_mount(*words[1:4]) for words in lines if len(words) >= 4]
    path = real_path(folder)
    holding = [mount for mount in there if path.is_relative_to(mount.point)]
    return max(holding, key=lambda mount: len(mount.point.parts), default=None)


def _mount(point: str, kind: str, options: str) -> Mount:
    named = (option.partition("=") for option in options.split(","))
    whole = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)  # of spaces and the like
    return Mount(Path(whole), kind, {name: value for name, _, value in named})


def lock_doubt(folder: Path, mounts: Path = MOUNTS) -> str:
    """Returns why locks in a folder may not hold between machines; empty where they do, or where the disk is of one
    machine."""
    mount = mount_of(folder, mounts)
    if mount is None or mount.kind not in SHARED or SHARED[mount.kind](mount.options):
        return ""
    return (
        f"{mount.point} is {mount.kind} and mounted so that locks hold on one machine only: never start two commands "
        "on the same runs from two machines, or mount it with locks, as NFS 4 does by default"
    )


@cache
def say_lock_doubt(folder: Path) -> None:
    """Tells the user, once for each folder, where its locks may not hold between machines."""
    if doubt := lock_doubt(folder):
        say(f"locks: {doubt}")
