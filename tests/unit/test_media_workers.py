"""The children of media work: started late, limited, replaced, and always ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import TypeAdapter

from bot.media.errors import MediaFailed, MediaLimit, NotMedia
from bot.media.workers import MediaWorkers, Task

NUMBER = TypeAdapter(int)

#: a child like the real one, with tasks that misbehave
SCRIPT = """
import os, sys, time
from bot.media import worker_process
from bot.media.errors import MediaLimit, NotMedia

def refuse(arguments):
    raise {"NotMedia": NotMedia, "MediaLimit": MediaLimit}[arguments["kind"]]("A sentence.")

def fail(arguments):
    raise RuntimeError("odd")

def eat(arguments):
    held = []
    while True:
        held.append(bytearray(16 * 2**20))

def chatter(arguments):
    print("from a library", flush=True)
    os.write(2, b"and more")
    return 1

def burn(arguments):
    while True:
        pass

def environment(arguments):
    return sorted(os.environ)

def garbage(arguments):
    os.write(GARBAGE, arguments["text"].encode() + b"\\n")
    return 1

GARBAGE = os.dup(1)
TASKS = {
    "pid": lambda arguments: os.getpid(),
    "sleep": lambda arguments: time.sleep(arguments["seconds"]) or os.getpid(),
    "nice": lambda arguments: os.nice(0),
    "policy": lambda arguments: os.sched_getscheduler(0),
    "exit": lambda arguments: os._exit(arguments["code"]),
    "text": lambda arguments: "a text",
    "refuse": refuse, "fail": fail, "eat": eat, "chatter": chatter, "burn": burn,
    "environment": environment, "garbage": garbage,
}
worker_process.serve(TASKS, sys.argv[1:])
"""

Make = Callable[..., MediaWorkers]


def task(name: str, **arguments: Any) -> Task[int]:
    return Task(name=name, arguments=arguments, answer=NUMBER)


@pytest_asyncio.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(SCRIPT))
    made: list[MediaWorkers] = []

    def make(**options: Any) -> MediaWorkers:
        made.append(MediaWorkers(command=(sys.executable, "-P", str(script)), **options))
        return made[-1]

    yield make
    for workers in made:
        await workers.close()


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: int) -> bool:
    """Whether a process ends within a few seconds."""
    for _ in range(100):
        if not exists(pid):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_no_child_is_started_before_the_first_task(make: Make) -> None:
    workers = make()
    assert workers.pids == ()
    assert await workers.run(task("pid")) == workers.pids[0]


async def test_a_child_is_used_again(make: Make) -> None:
    workers = make()
    assert len({await workers.run(task("pid")) for _ in range(5)}) == 1


async def test_no_more_children_than_count_work_at_once(make: Make) -> None:
    workers = make(count=2)
    pids = await asyncio.gather(*(workers.run(task("sleep", seconds=0.1)) for _ in range(6)))
    assert len(set(pids)) == 2


async def test_a_child_is_nice_to_the_bot(make: Make) -> None:
    assert await make().run(task("nice")) == os.nice(0) + 5


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has it")
async def test_a_child_that_gets_a_task_does_not_push_the_bot_aside(make: Make) -> None:
    assert await make().run(task("policy")) == os.SCHED_BATCH


async def test_a_child_knows_none_of_the_secrets(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    names = await make().run(Task(name="environment", arguments={}, answer=TypeAdapter(list[str])))
    assert "DISCORD_TOKEN" not in names
    assert "PATH" in names


@pytest.mark.parametrize("kind", [NotMedia, MediaLimit])
async def test_a_refusal_comes_through_and_keeps_the_child(make: Make, kind: type[Exception]) -> None:
    workers = make()
    first = await workers.run(task("pid"))
    with pytest.raises(kind, match="A sentence"):
        await workers.run(task("refuse", kind=kind.__name__))
    assert await workers.run(task("pid")) == first


async def test_an_unexpected_error_replaces_the_child(make: Make) -> None:
    workers = make()
    first = await workers.run(task("pid"))
    with pytest.raises(MediaFailed, match="RuntimeError: odd"):
        await workers.run(task("fail"))
    assert await workers.run(task("pid")) != first
    assert await gone(first)


async def test_a_task_that_takes_too_long_is_killed(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    workers = make(time_limit=1.5)
    first = await workers.run(task("pid"))
    with pytest.raises(MediaFailed, match=r"longer than 1\.5 seconds"):
        await workers.run(task("sleep", seconds=60))
    assert await gone(first)
    assert "is replaced; its task sleep ended with: took longer" in caplog.text
    assert await workers.run(task("pid")) != first


async def test_a_child_killed_in_the_middle_is_replaced(make: Make) -> None:
    workers = make()
    first = await workers.run(task("pid"))
    running = asyncio.create_task(workers.run(task("sleep", seconds=60)))
    await asyncio.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(MediaFailed, match="SIGKILL"):
        await running
    assert await workers.run(task("pid")) != first


async def test_a_child_that_exits_is_replaced(make: Make) -> None:
    workers = make()
    with pytest.raises(MediaFailed, match="exit code 7"):
        await workers.run(task("exit", code=7))
    assert await workers.run(task("pid")) > 0


async def test_a_child_that_died_while_idle_is_not_asked(make: Make) -> None:
    workers = make()
    first = await workers.run(task("pid"))
    os.kill(first, signal.SIGKILL)
    assert await gone(first)
    # the loop hears of it a moment after the system has forgotten it
    await asyncio.sleep(0.5)
    assert await workers.run(task("pid")) != first


async def test_memory_is_limited(make: Make) -> None:
    workers = make(memory_limit=256 * 2**20)
    with pytest.raises(MediaFailed, match="out of memory"):
        await workers.run(task("eat"))
    assert await workers.run(task("pid")) > 0


async def test_cpu_time_is_limited_should_the_bot_be_gone(make: Make) -> None:
    # The bot is stopped here by asking only once and never looking at its own clock again.
    workers = make(time_limit=0.25)
    workers._time_limit = 60  # pyright: ignore[reportPrivateUsage] - the child's own limit is looked at
    with pytest.raises(MediaFailed, match=r"SIGXCPU|SIGKILL"):
        await workers.run(task("burn"))


async def test_what_libraries_print_is_no_answer(make: Make) -> None:
    assert await make().run(task("chatter")) == 1


@pytest.mark.parametrize(
    "text",
    ["no json", "{}", '{"id": 99}', '{"id": 1, "error": "Unheard"}', '{"id": 1, "result": "no number"}', "x" * 100_000],
)
async def test_a_senseless_answer_replaces_the_child(make: Make, text: str) -> None:
    workers = make()
    with pytest.raises(MediaFailed):
        await workers.run(task("garbage", text=text))
    assert workers.pids == ()
    assert await workers.run(task("pid")) > 0


async def test_an_answer_of_the_wrong_kind_replaces_the_child(make: Make) -> None:
    workers = make()
    with pytest.raises(MediaFailed, match="senseless"):
        await workers.run(task("text"))


async def test_cancelling_the_caller_ends_the_work(make: Make) -> None:
    workers = make(count=1)
    first = await workers.run(task("pid"))
    running = asyncio.create_task(workers.run(task("sleep", seconds=60)))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await gone(first)
    assert await workers.run(task("pid")) != first


async def test_cancelling_one_that_waits_harms_nobody(make: Make) -> None:
    workers = make(count=1)
    working = asyncio.create_task(workers.run(task("sleep", seconds=0.5)))
    waiting = asyncio.create_task(workers.run(task("pid")))
    await asyncio.sleep(0.1)
    waiting.cancel()
    assert await working == workers.pids[0]


async def test_an_idle_child_is_ended(make: Make) -> None:
    workers = make(idle=0.1)
    assert await gone(await workers.run(task("pid")))
    assert workers.pids == ()
    assert await workers.run(task("pid")) > 0


async def test_a_child_is_replaced_after_its_share_of_tasks(make: Make) -> None:
    workers = make(tasks_per_child=3)
    pids = [await workers.run(task("pid")) for _ in range(6)]
    assert len(set(pids[:3])) == len(set(pids[3:])) == 1
    assert pids[0] != pids[3]


async def test_closing_ends_those_that_work_and_those_that_wait(make: Make) -> None:
    workers = make(count=1)
    pid = await workers.run(task("pid"))
    callers = [asyncio.create_task(workers.run(task("sleep", seconds=60))) for _ in range(3)]
    await asyncio.sleep(0.1)
    await workers.close()
    assert not exists(pid)
    for caller in callers:
        with pytest.raises(MediaFailed):
            await caller
    with pytest.raises(MediaFailed, match="closed"):
        await workers.run(task("pid"))


async def test_closing_while_a_child_is_being_started_leaves_none(make: Make) -> None:
    workers = make()
    caller = asyncio.create_task(workers.run(task("pid")))
    await asyncio.sleep(0)
    await workers.close()
    with pytest.raises(MediaFailed):
        await caller
    await workers.close()
    assert workers.pids == ()


async def test_a_command_that_is_not_there_is_a_failure() -> None:
    workers = MediaWorkers(command=("/no/such/program",))
    with pytest.raises(MediaFailed, match="can't be started"):
        await workers.run(task("pid"))
    await workers.close()


async def test_a_child_ends_with_its_bot() -> None:
    workers = MediaWorkers()
    with pytest.raises(NotMedia):
        await workers.run(task("check_video", path="/no/such/file"))
    (pid,) = workers.pids
    child = next(iter(workers._children))  # pyright: ignore[reportPrivateUsage] - as if the bot had died
    stdin = child._process.stdin  # pyright: ignore[reportPrivateUsage]
    assert stdin is not None
    stdin.close()
    assert await gone(pid)
    await workers.close()


def test_the_bots_process_imports_neither_pillow_nor_pyav() -> None:
    code = "import sys, bot.media.images, bot.media.videos; sys.exit(bool({'PIL', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code
