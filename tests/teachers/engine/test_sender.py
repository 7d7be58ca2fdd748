"""The engine plans and a sender carries: what a sender is handed, and what becomes of what it notes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.teachers.engine.test_engine import engine_of, requests
from tests.teachers.odd_server import GOOD, completion
from tunixhack.errors import TeacherFailed
from tunixhack.runs.answer_store import AnswerStore
from tunixhack.runs.journal import FIELDS
from tunixhack.teachers.engine.batch_mode import BatchSender
from tunixhack.teachers.engine.engine import Engine
from tunixhack.teachers.engine.online_mode import OnlineSender
from tunixhack.teachers.engine.sender import AnswerCollector, RequestRow, Sender
from tunixhack.teachers.transport.throughput import AnsweredRequest, Throughput
from tunixhack.testing import ScriptedTeacher


class Recorded:
    """A sender that stores answers itself and records what it is handed; some requests bring nothing."""

    def __init__(self, store: AnswerStore, passes: int = 3, silent: Collection[str] = ()) -> None:
        self.store, self.passes, self.silent = store, passes, silent
        self.calls: list[str] = []
        self.sent: list[list[str]] = []
        self.final = False

    def prepare(self) -> None:
        self.calls.append("prepare")

    def send(self, rows: Iterable[RequestRow], wanted: Collection[str], collector: AnswerCollector) -> None:
        self.calls.append("send")
        batch = list(rows)
        self.sent.append([row["question_id"] for row in batch])
        assert {row["request_key"] for row in batch} <= set(wanted)
        new: list[dict[str, Any]] = []
        for row in batch:
            if row["question_id"] not in self.silent:
                new += collector.receive(row, completion(*[GOOD] * row["count"]), finished_at="now")
            else:
                collector.failures["no answer"] += 1
                if self.final:
                    collector.unanswered.add(row["request_key"])
        self.store.add(pl.DataFrame(new, schema=FIELDS, orient="row"))
        collector.throughputs.append((Throughput([AnsweredRequest(0.0, 2.0)], 1), collector.answers))


@pytest.fixture
def asking(teacher: ScriptedTeacher, tmp_path: Path) -> Engine:
    return engine_of(teacher, tmp_path)


def with_sender(asking: Engine, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Recorded:
    sender = Recorded(asking.store, **options)
    monkeypatch.setattr(Engine, "_senders", lambda self, endpoint, capabilities: [sender])
    return sender


IDS = [f"{number:016x}" for number in range(4)]


def test_a_sender_gets_what_is_missing_once_it_is_prepared(asking: Engine, monkeypatch: pytest.MonkeyPatch):
    sender = with_sender(asking, monkeypatch)
    assert asking.ask(requests(2, 3), "sample").height == 6
    assert asking.ask(requests(4, 3), "sample").height == 12
    assert sender.calls == ["prepare", "send"] * 2
    assert sender.sent == [IDS[:2], IDS[2:]]


def test_what_a_sender_left_out_is_sent_again_as_often_as_it_says(asking: Engine, monkeypatch: pytest.MonkeyPatch):
    first, *others = IDS
    sender = with_sender(asking, monkeypatch, passes=1, silent=others[:1])
    asking.ask(requests(2, 1), "sample")
    assert sender.sent == [[first, others[0]]]
    sender = with_sender(asking, monkeypatch, passes=3, silent=others[:2])
    asking.ask(requests(4, 1), "sample")
    assert sender.sent == [others, others[:2]], "a pass that brings nothing is the last one"
    assert asking.failures == {"no answer": 5}


def test_a_request_that_a_sender_gives_up_is_not_sent_again(asking: Engine, monkeypatch: pytest.MonkeyPatch):
    sender = with_sender(asking, monkeypatch, silent=IDS[:1])
    sender.final = True
    asking.ask(requests(2, 1), "sample")
    assert sender.sent == [IDS[:2]]


def test_what_a_sender_notes_counts_even_where_it_fails(asking: Engine, monkeypatch: pytest.MonkeyPatch):
    sender = with_sender(asking, monkeypatch, silent=IDS[:1])
    send = sender.send

    def failing(*given: Any) -> None:
        send(*given)
        raise TeacherFailed("it is gone")

    monkeypatch.setattr(sender, "send", failing)
    with pytest.raises(TeacherFailed, match="it is gone"):
        asking.ask(requests(2, 1), "sample")
    assert asking.failures == {"no answer": 1}
    assert asking.seconds_an_answer("sample", 1, 1) == 2.0
    assert asking.store.answers().height == 1


def test_a_pilot_is_sent_one_by_one_in_a_build_of_batches(asking: Engine):
    asking.batch = True
    with asking.teacher.connect() as endpoint:
        senders: list[Sender] = asking._senders(endpoint, asking._connect(requests(1, 1))[1])
    assert [type(sender) for sender in senders] == [OnlineSender, BatchSender]
    assert asking.ask(requests(2, 2), "sample", at_once=True).height == 4
    assert asking.store.batches.open() == []
