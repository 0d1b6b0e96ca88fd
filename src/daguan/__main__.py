"""python -m daguan COMMAND …"""

from __future__ import annotations

import importlib
import sys

from daguan.core.errors import ConfigError, DaguanError, ended, exit_code_of
from daguan.core.processes import settle_environment

COMMANDS = {
    "prepare": "[CONFIG.yaml] [key=value …]   build the built-in contest, report on the data, fix folds and ids",
    "conflicts": "[CONFIG.yaml] [key=value …]   equal train lines with different labels, test lines found in train",
    "pretrain": "[CONFIG.yaml] [key=value …]   pretrain an encoder on all the text",
    "train": "[CONFIG.yaml] [key=value …]   train every member through the folds, on all cores",
    "tune": "[CONFIG.yaml] [key=value …]      search a space of settings by trials, several at a time",
    "baseline": "[CONFIG.yaml] [key=value …]   the official baseline alone: an n-gram CRF through the same folds",
    "blend": "[CONFIG.yaml] [key=value …]   one answer of all members', by blend.method",
    "distil": "[CONFIG.yaml] [key=value …]   the blend taught to one small model, to ship in its place",
    "submit": "[CONFIG.yaml] [key=value …]   write the checked submission, its manifest and leaderboard row",
    "runs": "[CONFIG.yaml] [key=value …]   the trained runs, by what may be blended together",
    "plan": "[CONFIG.yaml] [key=value …]   what to send today; or record NAME SCORE: what the leaderboard said",
    "rehearse": "[CONFIG.yaml] [key=value …]   play the contest on hidden training lines: what would `plan` have won?",
    "score": "PRED GOLD [--json]            both metrics; or [CONFIG.yaml] [key=value …]: the final table",
    "check": "SUBMISSION TEST [labels=a,b]  may this file be sent? exit 0 or 2, naming FILE:LINE",
    "settings": "[CONFIG.yaml] [key=value …]   print all settings with what each means, as a configuration file",
    "predict": "MODEL INPUT OUTPUT            label a new file with what was trained",
    "reproduce": "TASK [key=value …] [--json]   convex-hull, delaunay or tsp by a pointer network, beside the paper",
}
COMPUTING = (
    "prepare", "pretrain", "train", "tune", "baseline", "runs", "blend", "distil", "predict", "rehearse", "reproduce",
)  # fmt: skip


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    try:
        if words[0] not in COMMANDS:
            raise ConfigError(f"{words[0]}: no such command; known: {', '.join(COMMANDS)}")
        command = importlib.import_module(f"daguan.cli.{words[0]}")
        if {"-h", "--help"} & set(words[1:]):
            print(command.__doc__)
        else:
            command.main(words[1:])
    except DaguanError as error:
        return ended(f"daguan: {error}", error.exit_code)
    except OSError as error:
        return ended(f"daguan: {error}", exit_code_of(error))
    except KeyboardInterrupt:
        return ended("daguan: interrupted; the same command continues", 130)
    return 0


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: python -m daguan COMMAND …", "", *lines, "", "Without CONFIG.yaml: configs/small.yaml."])


if __name__ == "__main__":
    if set(sys.argv[1:2]) & set(COMPUTING):
        settle_environment()
    sys.exit(main(sys.argv[1:]))
