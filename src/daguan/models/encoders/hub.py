"""Checkpoints on the Hugging Face Hub, `hub:OWNER/NAME[@REVISION]`: where their files are here, and how they come here.

huggingface_hub fetches them into its cache, which other programs share. Its environment variables apply: HF_ENDPOINT,
HF_HUB_OFFLINE, HF_HOME, HF_TOKEN; and so do HTTPS_PROXY, ALL_PROXY and NO_PROXY.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

from daguan.core.errors import DISK_FULL, CheckpointError, ConfigError, DaguanError, MissingStageError, WriteError
from daguan.core.files import read_json
from daguan.core.progress import say

PREFIX = "hub:"
PLACE = re.compile(r"hub:(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
BY_HAND = Path("data/checkpoints")  # files put into OWNER/NAME[@REVISION] below it are taken before all others
INDEX = "model.safetensors.index.json"  # names the shards of weights in several files
NEEDED = (("config.json",), ("model.safetensors", INDEX), ("tokenizer.json", "vocab.txt", "vocab.json"))
FILES = (
    *(name for names in NEEDED for name in names),
    "model-*-of-*.safetensors",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
)  # what is fetched and read: no pickled weights, no code
SECONDS = 10.0  # until a silent server counts as none
WHAT = "config.json, model.safetensors and tokenizer.json or vocab.txt"
SNAPSHOT = re.compile(r"[0-9a-f]{40}")


def is_on_hub(checkpoint: str) -> bool:
    return checkpoint.startswith(PREFIX)


def is_absent(checkpoint: str) -> bool:
    """Returns whether a checkpoint is one on the hub whose files are not all here. Raises as `found`."""
    return is_on_hub(checkpoint) and not found(checkpoint)


def is_read(name: str) -> bool:
    """Returns whether a file is one of a checkpoint's that are fetched."""
    return any(fnmatch(name, pattern) for pattern in FILES)


def commit_of(folder: str) -> str:
    """Returns the commit of a folder in huggingface_hub's cache, which is its name; empty for other folders."""
    path = Path(folder)
    return path.name if path.parent.name == "snapshots" and SNAPSHOT.fullmatch(path.name) else ""


def here(checkpoint: str) -> str:
    """Returns the folder with the files of a checkpoint on the hub.

    Raises:
        ConfigError: no name of a checkpoint on the hub.
        CheckpointError: the files that were put by hand are not all.
        MissingStageError: they are not fetched yet, which `prepare` does.
    """
    if folder := found(checkpoint):
        return str(folder)
    raise MissingStageError(
        f"{checkpoint}: expected its files in {_by_hand(checkpoint)} or fetched, got none", "prepare"
    )


def found(checkpoint: str) -> Path | None:
    """Returns the folder with the files of a checkpoint on the hub, None unless they are all here. It asks no server.

    Raises as `here` does, but for MissingStageError.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name, revision = _parts(checkpoint)
    if (by_hand := _by_hand(checkpoint)).is_dir():
        if lacking := _lacking_in(by_hand):
            raise CheckpointError(f"{by_hand}: expected {WHAT}, got no {lacking}")
        return by_hand
    try:
        folder = Path(
            snapshot_download(
                name, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"], local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise ConfigError(f"encoder.checkpoint: expected a name on the hub, got: {_in_one_line(error)}") from None
    return None if _lacking_in(folder) else folder


def fetch(checkpoint: str) -> None:
    """Fetch the files of a checkpoint on the hub unless they are here; of any other checkpoint nothing.

    What an interrupted download leaves is no checkpoint; the next one fetches what is missing.

    Raises:
        ConfigError, CheckpointError: as `here`; or no server answers; or the repository has no safetensors.
        WriteError: the cache cannot be written.
    """
    if not is_absent(checkpoint):
        return
    import httpx2
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    name, revision = _parts(checkpoint)
    try:
        about = HfApi().model_info(name, revision=revision, timeout=SECONDS)
        _require_none(checkpoint, _lacking([file.rfilename for file in about.siblings or ()]))
        say(f"fetching {checkpoint} from {constants.ENDPOINT}")
        if not sys.stderr.isatty():
            disable_progress_bars()
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"]))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, ImportError, RuntimeError) as error:
        raise _explained(checkpoint, error) from None
    _require_none(checkpoint, _lacking_in(folder))
    say(f"fetched {checkpoint}, commit {folder.name}")


def _parts(checkpoint: str) -> tuple[str, str]:
    """Returns the repository's name and the revision."""
    if not (parts := PLACE.fullmatch(checkpoint)):
        raise ConfigError(f"encoder.checkpoint: expected hub:OWNER/NAME or hub:OWNER/NAME@REVISION, got {checkpoint!r}")
    return parts["name"], parts["revision"] or "main"


def _require_none(checkpoint: str, lacking: str) -> None:
    """Raises CheckpointError: the repository lacks something."""
    if lacking:
        raise CheckpointError(
            f"{checkpoint}: expected {WHAT}, got no {lacking}; weights are read as safetensors only: another revision "
            "may have them (hub:OWNER/NAME@refs/pr/NUMBER)"
        )


def _by_hand(checkpoint: str) -> Path:
    return BY_HAND / checkpoint.removeprefix(PREFIX)


def _lacking_in(folder: Path) -> str:
    """Returns what a folder lacks of a checkpoint, shards included; empty for nothing."""
    names = {path.name for path in folder.iterdir() if path.is_file()}
    if lacking := _lacking(names):
        return lacking
    shards = {} if NEEDED[1][0] in names else read_json(folder / INDEX).get("weight_map", {})
    return min({*shards.values()} - names, default="")


def _lacking(names: Collection[str]) -> str:
    return next((" or ".join(wanted) for wanted in NEEDED if not set(wanted) & set(names)), "")


def _explained(checkpoint: str, error: Exception) -> DaguanError:
    """Returns the error to raise where a checkpoint could not be fetched: what happened, and what to do next."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    by_hand = f"put {WHAT} into {_by_hand(checkpoint)} by hand"
    if isinstance(error, OSError) and error.errno in (*DISK_FULL, errno.EACCES, errno.EPERM, errno.EROFS):
        return WriteError(f"{error.filename or constants.HF_HUB_CACHE}: expected to write here, got: {error.strerror}")
    if isinstance(error, OfflineModeIsEnabled):
        return CheckpointError(
            f"{checkpoint}: expected its files in {_by_hand(checkpoint)} or in the cache {constants.HF_HUB_CACHE}, as "
            f"HF_HUB_OFFLINE is set, got none; {by_hand}, or unset it"
        )
    if isinstance(error, GatedRepoError | RepositoryNotFoundError | RevisionNotFoundError):
        kind = "such a revision" if isinstance(error, RevisionNotFoundError) else "such a repository"
        return CheckpointError(
            f"{checkpoint}: expected {kind} at {constants.ENDPOINT}, got HTTP {error.response.status_code}; one with "
            f"restricted access needs HF_TOKEN"
        )
    return CheckpointError(
        f"{checkpoint}: expected an answer of {constants.ENDPOINT}, got {type(error).__name__}: {_in_one_line(error)}; "
        "set HTTPS_PROXY or ALL_PROXY to a proxy (http://HOST:PORT, socks5h://HOST:PORT) or HF_ENDPOINT to a mirror, "
        f"or {by_hand} (docs/network.md)"
    )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
