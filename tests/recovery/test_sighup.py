"""A running process is told to read its settings again: it takes them over, or says why not, and goes on."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path

from bot.jobs.job import State
from tests.imitations.pixeldojo import Route
from tests.recovery.processes import Stage, until

READ = "the settings were read again"
WRONG = "the settings are wrong, so nothing has changed"


def write(stage: Stage, **settings: str) -> None:
    """What the process reads; only a file can change while it runs."""
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (stage.folder / ".env").write_text("".join(lines))


async def test_a_new_key_and_a_new_price_are_taken_over_in_the_midst_of_a_job(tmp_path: Path) -> None:
    async with Stage.open(tmp_path) as stage:
        key, prices = stage.settings.pop("PIXELDOJO_API_KEY"), tmp_path / "prices.toml"
        prices.write_text("demo = 0.01")
        stage.settings["PRICES_FILE"] = str(prices)
        write(stage, PIXELDOJO_API_KEY=key)
        async with stage.serving() as bot:
            run = await stage.ask_vendor("a cat")
            await stage.reached(run, State.RUNNING)
            stage.vendor.key = "pd_new"
            write(stage, PIXELDOJO_API_KEY="pd_new", LOG_LEVEL="ERROR")
            prices.write_text("demo = 0.03")
            bot.send(signal.SIGHUP)
            # nothing else is heard any more: below ERROR it is silent now
            await until(lambda: stage.vendor.count(Route.STATUS) > 0 or None, lambda: bot.lines)
            stage.vendor.polls = 0
            for submission in stage.vendor.submissions:
                stage.vendor.finish(submission.job_id)
            await stage.done(run)
            dear = await stage.done(await stage.ask_demo("a dog"))
            assert dear.quote == 3
            assert bot.said("job moved") != []
            assert not [event for event in bot.said("job moved") if event["job"] == dear.id]
            write(stage, PIXELDOJO_API_KEY="pd_new")
            bot.send(signal.SIGHUP)
            await bot.hears(READ)
            assert bot.said(READ)[0]["changed"] == "LOG_LEVEL"
            assert bot.errors == []
            assert (await bot.terminate())[0] == 0
        assert len(stage.vendor.submissions) == 1
        stage.books.check()


async def test_wrong_settings_are_named_line_by_line_without_their_values_and_change_nothing(tmp_path: Path) -> None:
    async with Stage.open(tmp_path) as stage:
        write(stage, DEFAULT_ALLOWANCE="40")
        async with stage.serving() as bot:
            write(stage, DEFAULT_ALLOWANCE="much-secret", VTRIX_API_KEY="two secret words", WANBOT_KEEP_DAYS="3")
            bot.send(signal.SIGHUP)
            await bot.hears(WRONG, times=2)
            told = [event["what"].partition(":")[0] for event in bot.said(WRONG)]
            assert told == ["VTRIX_API_KEY", "DEFAULT_ALLOWANCE"]
            assert "secret" not in "".join(bot.lines)
            write(stage, WANBOT_KEEP_DAYS="3", DEFAULT_ALLOWANCE="50")
            bot.send(signal.SIGHUP)
            await bot.hears("this setting needs a restart")
            assert [event["name"] for event in bot.said("this setting needs a restart")] == ["WANBOT_KEEP_DAYS"]
            assert bot.said(READ)[0]["changed"] == "DEFAULT_ALLOWANCE"
            await stage.done(await stage.ask_demo("a dog"))
            assert (await bot.terminate())[0] == 0


async def test_a_terminal_that_hangs_up_ends_the_process_as_a_stop_does(tmp_path: Path) -> None:
    async with Stage.open(tmp_path) as stage:
        master, terminal = pty.openpty()
        bot = stage.bot()
        bot.stdin = terminal
        async with bot:
            os.close(terminal)
            await stage.discord.wait_synced(timeout=40)
            bot.send(signal.SIGHUP)
            await bot.hears(READ)
            os.close(master)
            bot.send(signal.SIGHUP)
            assert await bot.exit_code() == 0
