"""An estimate of how long many requests take, from how long a few of them took.

Two effects are allowed for. Where a request has several answers it ends with its longest, so that one of sixteen
takes longer than one of two, though not eight times as long. And a short call has a beginning and an end at which less
is in flight than in the middle, of which a long one mostly consists.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

AT_ONCE = 0.05
"""Share of the first answer's time within which other answers count as simultaneous with it."""


class AnsweredRequest(NamedTuple):
    """A request that was answered; times by `time.monotonic`."""

    sent: float
    done: float
    choices: int = 1


@dataclass(frozen=True)
class Throughput:
    """The throughput of one call.

    Args:
        answered: its requests; at least one.
        at_once: requests that were allowed in flight.

    A server of two slots, asked for four answers, by as many requests as it has slots and by four at once. It takes
    400 s for two hundred either way, of which the second call tells less:

    >>> two = [AnsweredRequest(0, 4), AnsweredRequest(0, 4), AnsweredRequest(4, 8), AnsweredRequest(4, 8)]
    >>> round(Throughput(two, 2).seconds(200, 1, 2))
    401
    >>> four = [AnsweredRequest(0, 4), AnsweredRequest(0, 4), AnsweredRequest(0, 8), AnsweredRequest(0, 8)]
    >>> round(Throughput(four, 4).seconds(200, 1, 4))
    349
    """

    answered: Sequence[AnsweredRequest]
    at_once: int

    def seconds(self, requests: int, choices: int, at_once: int) -> float:
        """Estimate how long requests will take, in seconds.

        Args:
            requests: how many.
            choices: of each.
            at_once: how many of them will be in flight.
        """
        times = choices / self.choices
        longest = _longest(sorted(one.done - one.sent for one in self.answered), max(1.0, times))
        # By those that are in flight beside it (Little's law), unless the server works on fewer and lets others wait:
        # then the time between two answers says more. It is also long where answers are of very different lengths,
        # and which of the two it is cannot be told from so few: between them, neither is far off.
        each = longest / min(at_once, max(1, requests))
        between = self._between() if self.at_once > 1 else 0.0
        if between > each:
            each = math.sqrt(each * between)
        if requests <= at_once:
            return max(longest, requests * each)
        return requests * each + longest * (1 - 1 / at_once) / 2  # at the end, half are done before the last on average

    @property
    def choices(self) -> float:
        """The mean number of answers of a request."""
        return sum(one.choices for one in self.answered) / len(self.answered)

    @property
    def seconds_an_answer(self) -> float:
        """Seconds of an answer when many more are asked for in the same way, with as many in flight as here."""
        in_flight = min(self.at_once, self.most_in_flight)
        many = 1000 * in_flight
        return self.seconds(many, max(1, round(self.choices)), in_flight) / (many * self.choices)

    @property
    def most_in_flight(self) -> int:
        """The most requests that were in flight at the same time; a call of few requests has fewer than it may."""
        # of an end and a beginning at the same moment the end comes first
        changes = sorted([(one.sent, 1) for one in self.answered] + [(one.done, -1) for one in self.answered])
        return max(1, *itertools.accumulate(change for _, change in changes))

    def _between(self) -> float:
        """Return the time between two answers, once the first have come; 0 where too few came to estimate it."""
        ends = sorted(one.done for one in self.answered)
        begin = min(one.sent for one in self.answered)
        later = [end for end in ends if end > ends[0] + AT_ONCE * (ends[0] - begin)]
        if len(ends) < max(3, self.at_once):
            return 0.0
        # an outlier at the end would stand for all
        cut = len(later) // 8
        later = later[: len(later) - cut]
        if not later:
            return 0.0
        between, first = (later[-1] - ends[0]) / len(later), len(ends) - len(later) - cut
        # the last round may be of a few only; the first is full, and tells as much where several come at the same time
        return min(between, (ends[0] - begin) / first) if first > 1 else between


def _longest(times: Sequence[float], of: float) -> float:
    """Return the expected maximum of ``of`` times that are drawn from measured ones.

    >>> _longest([1.0, 2.0, 3.0], 1), round(_longest([1.0, 2.0, 3.0], 8), 2)
    (2.0, 2.96)
    """
    count = len(times)
    share = [math.pow(i / count, of) for i in range(count + 1)]
    return math.fsum(time * (share[i + 1] - share[i]) for i, time in enumerate(times))
