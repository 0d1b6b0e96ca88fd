"""submit [CONFIG] [key=value …]: the blend through the gate into submissions/, with manifest and leaderboard row."""

from __future__ import annotations

from daguan.pipeline import submit


def main(words: list[str]) -> None:
    submit.make(words)
