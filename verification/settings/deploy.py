"""`[deploy]`: how the deployment itself is followed."""

from __future__ import annotations

from pydantic import Field

from verification.settings.tables import Table, Text
from verification.settings.units import Seconds


class Deploy(Table):
    """`[deploy]`: a deploy workflow that is under way is waited for, `within` at most.

    `started` and `connected` are texts of the log, by which a new revision is known to have started and to have reached
    its database; without `connected` nobody asks for the latter. They are looked for during `logged_within`, since a
    line of a log takes a while to be found. What is logged as an error up to `startup` after the revision was created
    belongs to its start.
    """

    within: Seconds = Field(default=1200, gt=0)
    started: Text = "Application startup complete"
    connected: Text | None = None
    startup: Seconds = Field(default=120, gt=0)
    logged_within: Seconds = Field(default=120, gt=0)
