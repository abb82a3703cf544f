"""Whose answers a watch has judged: what Cloud Run said of what serves, from its beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from verification.watch.samples import Sample
from verification.watch.sources.serving import SERVING

_MOST_MISSING = 0.2


@dataclass(slots=True)
class Witness:
    """What was seen of the revision under watch. `present`: Cloud Run is asked at all; `changed`: what came instead."""

    revision: str
    present: bool
    changed: str = ""
    _looks: list[bool] = field(default_factory=list)  # whether each one told something
    _why: str = "nobody could look"

    def add_sample(self, sample: Sample) -> None:
        """Note it, if it is about what serves."""
        if sample.stream != SERVING:
            return
        self._looks.append(not sample.missing)
        if sample.missing:
            self._why = sample.text
        elif self.revision and sample.key != self.revision and not self.changed:
            self.changed = (
                f"somebody else changed what serves at {sample.at:%H:%M:%S} UTC: it is {sample.text} now, "
                f"and {self.revision} was to be judged"
            )

    @property
    def unknown(self) -> str:
        """Why nobody can say that the revision served all the time, and serves at last; empty where Cloud Run says so.

        Then a good answer is nobody's: a release that never got any traffic would pass by those of the one before.
        """
        if not self.present:
            return ""
        if not self.revision:
            return f"which revision was watched is not known: {self._why}"
        unseen = self._looks.count(False)
        if self._looks and self._looks[-1] and unseen <= _MOST_MISSING * len(self._looks):
            return ""
        looks = f"{unseen} of {len(self._looks)} times nobody could tell what serves"
        return f"whether {self.revision} was watched is not known: {looks} ({self._why})"
