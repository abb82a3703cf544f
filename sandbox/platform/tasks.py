"""Tasks that run beside what started them, and are cancelled with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class TaskSet(set[asyncio.Task[None]]):
    """The tasks that have not ended."""

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` in a task of the running loop."""
        task = asyncio.create_task(work)
        self.hold(task)
        return task

    def hold(self, task: asyncio.Task[None]) -> None:
        """Take in a task that runs already."""
        self.add(task)
        task.add_done_callback(self.discard)

    async def cancel(self) -> None:
        """Cancel all, and return when they have ended."""
        tasks = list(self)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
