"""Who is asked while jobs run, and told what failed."""

from __future__ import annotations

from collections.abc import Sequence

from daguan.core.errors import DaguanError
from daguan.families.fold import FoldJob


class Supervisor:
    """Lets every member be trained to its end; an error ends them all. Asked from any thread."""

    def keeps(self, member: str) -> bool:
        """Does the member take part still?"""
        return True

    def starts(self, job: FoldJob, jobs: Sequence[FoldJob]) -> bool:
        """Before a job, which is one of those that were not done."""
        return self.keeps(job.member)

    def goes_on(self, member: str) -> bool:
        """At each report of one of its jobs."""
        return self.keeps(member)

    def is_worth_making(self, members: Sequence[str]) -> bool:
        """At each step towards what these members start from."""
        return any(map(self.keeps, members))

    def failed(self, error: DaguanError, *members: str) -> None:
        """Of a job of theirs, or of what they start from. Raises the error: nothing goes on without them."""
        raise error


UNSUPERVISED = Supervisor()
