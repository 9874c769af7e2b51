"""Processes that watch each other: one that hangs is noticed, and healthy ones are left alone."""

import threading

import pytest

from pixelprior.system.watch import Watch

BEAT, LIMIT = 0.02, 0.5
FOREVER = 60  # what would otherwise wait for ever is to fail


class Memory:
    """A board in memory. It may block or fail, as the service of a lost host does."""

    def __init__(self):
        self.beats, self.blocked, self.fails = {}, threading.Event(), False

    def write(self, number, beat):
        while self.blocked.is_set():
            threading.Event().wait(BEAT)
        if self.fails:
            raise ConnectionError("gone")
        self.beats[number] = beat

    def read(self):
        return dict(self.beats)


class Job:
    """Three processes as three watches of one process, each with what it has noticed."""

    def __init__(self):
        self.board, self.noticed = Memory(), {}
        self.watches, self.ended = [], [threading.Event() for _ in range(3)]
        for number in range(3):

            def on_silence(hung, number=number):
                self.noticed[number] = hung
                self.ended[number].set()

            watch = Watch(self.board, number, 3, on_silence, limit=LIMIT, beat=BEAT)
            self.watches.append(watch)
            watch.start()

    def wait_for_beats(self, number, more):
        beat = self.board.beats.get(number, 0)
        for _ in range(int(FOREVER / BEAT)):
            if self.board.beats.get(number, 0) >= beat + more:
                return
            threading.Event().wait(BEAT)
        raise AssertionError("no sign of life")


@pytest.fixture
def job():
    job = Job()
    yield job
    job.board.blocked.clear()
    for watch in job.watches:
        watch.stop()


def test_healthy_processes_go_on(job):
    for number in range(3):
        job.wait_for_beats(number, int(2 * LIMIT / BEAT))
    assert job.noticed == {}
    assert all(watch.silent(LIMIT) is None for watch in job.watches)


@pytest.mark.parametrize("hung", [0, 2])
def test_one_that_falls_silent_is_named(job, hung):
    job.wait_for_beats(hung, 3)
    job.watches[hung].stop()
    others = {0, 1, 2} - {hung}
    for number in others:
        assert job.ended[number].wait(FOREVER)
        assert job.noticed[number] == hung == job.watches[number].silent(LIMIT)


@pytest.mark.parametrize("fault", ["blocks", "fails"])
def test_a_board_that_does_not_answer_is_the_first_process(job, fault):
    job.wait_for_beats(1, 3)
    if fault == "blocks":
        job.board.blocked.set()
    else:
        job.board.fails = True
    for number in (1, 2):
        assert job.ended[number].wait(FOREVER)
        assert job.noticed[number] == 0


def test_one_that_never_begins_is_named_too():
    board, noticed, ended = Memory(), [], threading.Event()

    def on_silence(hung):
        noticed.append(hung)
        ended.set()

    watch = Watch(board, 0, 2, on_silence, limit=LIMIT, beat=BEAT)
    watch.start()
    assert ended.wait(FOREVER) and noticed == [1]


def test_after_the_end_nobody_is_missed(job):
    job.wait_for_beats(0, 3)
    for watch in job.watches:
        watch.stop()
    assert not any(event.wait(2 * LIMIT) for event in job.ended)


def test_the_others_are_not_blamed_for_a_board_that_does_not_answer():
    watch = Watch(Memory(), 2, 3, print, limit=30, beat=3)
    # The last sign of life of process 1 is a little older than the last answer of the board.
    watch._now, watch._board_answered = 130.0, 101.0
    watch._heard = {0: 101.0, 1: 99.0}
    assert watch.silent(30) == 0
    # The board answers, so process 1 alone is silent.
    watch._board_answered = watch._heard[0] = 128.0
    assert watch.silent(30) == 1
    # It has not answered for a moment only.
    watch._board_answered = watch._heard[0] = watch._heard[1] = 120.0
    assert watch.silent(30) is None
