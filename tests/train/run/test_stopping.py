"""Signals, as a training hears them."""

from __future__ import annotations

import os
import pty
import signal
import threading

import pytest

from tunixhack.train.run.stopping import NOTICES, REQUESTS, StopRequest, leave_dead_terminal

BOTH = (*REQUESTS, *NOTICES)


@pytest.fixture(autouse=True)
def usual():
    """Signals that raise what they are outside of a training, and are put back."""

    class Usual(Exception):
        pass

    def handle(number, frame):
        raise Usual

    before = {one: signal.signal(one, handle) for one in BOTH}
    yield Usual
    for one, was in before.items():
        signal.signal(one, was)


@pytest.mark.parametrize("one", BOTH)
def test_between_steps_it_is_obeyed_at_once(one, usual):
    stop = StopRequest()
    with pytest.raises(KeyboardInterrupt), stop.listening():
        signal.raise_signal(one)
    with pytest.raises(usual):
        signal.raise_signal(one)


@pytest.mark.parametrize("one", BOTH)
def test_during_a_step_it_is_noted_and_told(one):
    stop, said = StopRequest(), []
    with stop.listening(), stop.deferred(said.append):
        assert not stop.received
        signal.raise_signal(one)
        assert stop.received
    (sentence,) = said
    assert sentence.startswith("stopping behind" if one == signal.SIGINT else f"{one.name}: stopping behind")
    assert ("once more stops at once" in sentence) == (one in REQUESTS)


@pytest.mark.parametrize("second", REQUESTS)
@pytest.mark.parametrize("first", REQUESTS)
def test_the_second_request_is_as_everywhere(first, second, usual):
    stop = StopRequest()
    with stop.listening(), stop.deferred(lambda sentence: None):
        signal.raise_signal(first)
        with pytest.raises(usual):
            signal.raise_signal(second)


def test_notices_do_not_add_up_to_a_second_request(usual):
    stop, said = StopRequest(), []
    with stop.listening(), stop.deferred(said.append):
        for one in (*NOTICES, *NOTICES, signal.SIGTERM, *NOTICES):
            signal.raise_signal(one)
        with pytest.raises(usual):
            signal.raise_signal(signal.SIGTERM)
    assert len(said) == 2


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    stop = StopRequest()
    with stop.listening():
        signal.raise_signal(signal.SIGHUP)
    assert not stop.received
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_in_another_thread_nothing_is_changed(usual):
    found = []

    def work():
        with StopRequest().listening():
            found.append([signal.getsignal(one) for one in BOTH])

    before = [signal.getsignal(one) for one in BOTH]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_that_it_cannot_be_told_right_now_is_no_error():
    def busy(sentence):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    stop = StopRequest()
    with stop.listening(), stop.deferred(busy):
        signal.raise_signal(signal.SIGTERM)
    assert stop.received


def test_a_terminal_that_is_gone_is_written_to_no_more(tmp_path):
    keeper, terminal = pty.openpty()
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    try:
        leave_dead_terminal((terminal, file))
        assert os.isatty(terminal), "it is there"
        os.close(keeper)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(terminal, b"lost")
        leave_dead_terminal((terminal, file))
        assert os.write(terminal, b"nowhere") == 7
        os.write(file, b"kept")
        assert (tmp_path / "log").read_bytes() == b"kept"
    finally:
        os.close(terminal)
        os.close(file)
