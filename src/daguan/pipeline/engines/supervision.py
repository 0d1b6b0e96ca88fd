"""The interface that running jobs ask whether to continue, and to which failures are reported."""

from __future__ import annotations

from collections.abc import Sequence

from daguan.core.errors import DaguanError
from daguan.families.fold import FoldJob


class Supervisor:
    """Lets every member be trained to its end; an error ends them all. It may be called from any thread."""

    def keeps(self, member: str) -> bool:
        """Whether the member still takes part."""
        return True

    def starts(self, job: FoldJob, jobs: Sequence[FoldJob]) -> bool:
        """Whether to start a job; called before each job that was not done."""
        return self.keeps(job.member)

    def goes_on(self, member: str) -> bool:
        """Whether a member's job continues; called at each of its reports."""
        return self.keeps(member)

    def is_worth_making(self, members: Sequence[str]) -> bool:
        """Whether to continue making the start of these members; called at each step."""
        return any(map(self.keeps, members))

    def failed(self, error: DaguanError, *members: str) -> None:
        """Report the failure of a job of these members, or of what they start from. Raises the error: nothing continues
        without them."""
        raise error


UNSUPERVISED = Supervisor()
