"""The contract of every engine: order, bounded work, retries, and errors as outcomes."""

import threading
import time

import pytest

from overlens.engines import ENGINES, Engine, make_engine
from overlens.errors import ConfigError, DatasetError, EngineError


@pytest.fixture(params=ENGINES.names())
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(request.param)


def slow_square(number: int) -> int:
    time.sleep(0.02 if number % 2 else 0.0)
    return number * number


def test_outcomes_come_in_task_order(engine: Engine):
    assert [outcome.unwrap() for outcome in engine.map(slow_square, range(9))] == [n * n for n in range(9)]


def test_no_tasks_give_no_outcomes(engine: Engine):
    assert list(engine.map(slow_square, [])) == []


def test_work_in_flight_is_bounded(engine: Engine):
    started: list[int] = []
    outcomes = engine.map(lambda task: started.append(task) or task + 1, range(1000))
    next(outcomes)
    time.sleep(0.1)
    assert len(started) < 20
    outcomes.close()


def test_a_task_that_fails_once_is_tried_again(engine: Engine):
    lock, tries = threading.Lock(), {}

    def fail_first(task: int) -> int:
        with lock:
            tries[task] = tries.get(task, 0) + 1
        if tries[task] == 1:
            raise OSError("once")
        return task + 1

    assert [outcome.unwrap() for outcome in engine.map(fail_first, range(5))] == [1, 2, 3, 4, 5]
    assert set(tries.values()) == {2}


def test_a_task_that_always_fails_keeps_its_cause(engine: Engine):
    def fail(task: int) -> int:
        raise OSError(f"disk {task}")

    outcome = next(iter(engine.map(fail, [7])))
    with pytest.raises(EngineError, match="disk 7") as caught:
        outcome.unwrap()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_verdict_on_the_input_is_not_tried_again(engine: Engine):
    tries: list[int] = []

    def refuse(task: int) -> int:
        tries.append(task)
        raise DatasetError("no")

    assert isinstance(next(iter(engine.map(refuse, [1]))).error, DatasetError)
    assert tries == [1]


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown engine 'spark'; known: local"):
        make_engine("spark")
