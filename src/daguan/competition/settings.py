"""The settings of planning submissions and of rehearsing a contest."""

from __future__ import annotations

from daguan.core.settings import Section, setting


class PlanSettings(Section):
    """The leaderboard that `plan` plays. Standard deviations are of scores as fractions."""

    submissions: int = setting(2, "Number of submissions allowed a day.", ge=1)
    public_share: float = setting(
        0.5, "Share of the test lines on the public board; the others decide at the end.", gt=0, lt=1
    )
    offset_sd: float = setting(
        0.03,
        "Standard deviation of the difference between a board's scores and those out of fold, the same for all "
        "candidates.",
        gt=0,
    )
    slope_sd: float = setting(
        0.25,
        "Standard deviation of how much more a better candidate gains on a board, for each point of difference out of "
        "fold.",
        ge=0,
    )
    noise_sd: float = setting(0.001, "Standard deviation of everything else, such as rounding.", gt=0)


class RehearseSettings(Section):
    """A contest played on training lines that are hidden for it."""

    share: float = setting(
        0.3, "Share of the distinct training texts, or documents, that are hidden as test lines.", gt=0, lt=1
    )
    days: int = setting(3, "Number of days played, with plan.submissions submissions each.", ge=1)
    deals: int = setting(
        100,
        "Number of ways to deal the hidden lines to the two boards: the first is shown in full, the means are of all.",
        ge=1,
    )
    configs: tuple[str, ...] = setting(
        (), "More configurations, with the same changes, whose members and blends are candidates too."
    )
