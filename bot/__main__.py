"""The command line: ``wanbot run | playground | demo | check | migrate | backup | jobs | credits``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from bot import logs
from bot.clock import system_clock
from bot.database.backup import BackupFailed, backup
from bot.database.migrate import HEAD, CannotMove, NewerDatabase, migrate
from bot.settings import Settings, SettingsError
from bot.support.arguments import add_credits, add_jobs
from bot.support.errors import CannotBeDone

_T = TypeVar("_T")

OK: Final = 0
FAILED: Final = 1
BAD_CONFIGURATION: Final = 2

#: seconds; Python's own are ten times as many, which a database's thread would wait for its turn after each statement
#: while the event loop is busy
_TURN: Final = 0.0005
#: so many new objects are looked through at once: some 5 ms
_OBJECTS: Final = 50_000

_Command = Callable[[Settings, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run one command; gives the exit code: 0, 1 (it failed) or 2 (the settings are wrong)."""
    # until a command has its own way to stop: a stop during the start is no failure
    signal.signal(signal.SIGTERM, _end)
    chosen = _parser().parse_args(arguments)
    command: _Command = chosen.command
    try:
        reread = partial(Settings.load, os.environ if environment is None else environment, Path(".env"))
        settings = reread()
        chosen.reread = reread
        logs.configure(settings, is_quiet=command in {_demo, _playground})
        return command(settings, chosen)
    except SettingsError as error:
        _say("\n".join(error.lines))
        return BAD_CONFIGURATION
    except (BackupFailed, CannotBeDone, CannotMove, NewerDatabase, OSError) as error:
        _say(str(error))
        return FAILED
    except DBAPIError as error:
        # the driver's own words; the statement and its values are nobody's business here
        _say(f"the database can't be used: {' '.join(str(error.orig).split())}")
        return FAILED


def _run(settings: Settings, chosen: argparse.Namespace) -> int:
    # what it asks for is just being done
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    import aiohttp  # noqa: PLC0415 - only here, so that `wanbot check` is quick
    import discord  # noqa: PLC0415

    from bot.running import run  # noqa: PLC0415

    # what is loaded stays, so it is never looked through again
    gc.freeze()
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
    sys.setswitchinterval(_TURN)

    if settings.discord_token is None:
        raise SettingsError(["DISCORD_TOKEN: is missing; the README says how to get one"])
    try:
        asyncio.run(run(settings, chosen.reread))
    except discord.LoginFailure as error:
        raise SettingsError(
            ["DISCORD_TOKEN: Discord doesn't accept it; copy it anew from the developer portal"]
        ) from error
    except discord.PrivilegedIntentsRequired:
        _say("Discord refuses this bot's intents, although none of them needs to be allowed: start again in a while")
        return FAILED
    except (discord.HTTPException, discord.GatewayNotFound, aiohttp.ClientError, TimeoutError) as error:
        _say(f"Discord doesn't answer as it should; start again in a while: {str(error) or type(error).__name__}")
        return FAILED
    return OK


def _playground(settings: Settings, chosen: argparse.Namespace) -> int:
    _need_simulation()
    from bot.playground import playground  # noqa: PLC0415

    async def serve(local: Settings) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await playground(local, port=chosen.port, stopped=stopped)

    if chosen.port and not _is_free(chosen.port):
        _say(f"port {chosen.port} is taken; choose another with --port")
        return FAILED

    _in_a_world_of_its_own(settings, lambda local: asyncio.run(serve(local)))
    return OK


def _demo(settings: Settings, chosen: argparse.Namespace) -> int:
    _need_simulation()
    from bot.demo import demo  # noqa: PLC0415

    given = [path for path in (chosen.image, chosen.last_image, chosen.video) if path is not None]
    for path in given:
        if not path.is_file():
            _say(f"there is no file {path}")
            return FAILED
    if not chosen.out.absolute().parent.is_dir():
        _say(f"--out: there is no folder {chosen.out.parent}")
        return FAILED

    def make(local: Settings) -> bool:
        return asyncio.run(demo(local, options=_command_options(chosen), out=chosen.out))

    return OK if _in_a_world_of_its_own(settings, make) else FAILED


def _command_options(chosen: argparse.Namespace) -> dict[str, object]:
    """What was given on the command line, as options of ``/wan video``."""
    names = ("prompt", "model", "resolution", "aspect_ratio", "duration", "seed", "negative_prompt", "settings")
    options: dict[str, object] = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    for name in ("image", "last_image", "video"):
        path: Path | None = getattr(chosen, name)
        if path is not None:
            options[name] = (path.name, path.read_bytes())
    return options


def _migrate(settings: Settings, chosen: argparse.Namespace) -> int:
    if chosen.source is not None or chosen.target is not None:
        return _move(chosen)
    backup = migrate(settings.database_url, now=system_clock())
    kept = "" if backup is None else f" What it was before is in {backup}."
    print(f"The database is at version {HEAD}.{kept}")  # noqa: T201
    return OK


def _move(chosen: argparse.Namespace) -> int:
    from bot.database.moving import move  # noqa: PLC0415
    from bot.support.moving import addresses, moved_text  # noqa: PLC0415

    source, target = addresses(chosen.source, chosen.target)
    print(moved_text(move(source, target, now=system_clock())))  # noqa: T201 - it is what the command is for
    return OK


def _check(settings: Settings, chosen: argparse.Namespace) -> int:
    from bot.check import check  # noqa: PLC0415

    return OK if asyncio.run(check(settings, live=chosen.live)) else FAILED


def _support(settings: Settings, chosen: argparse.Namespace) -> int:
    from bot.support.commands import carry_out  # noqa: PLC0415

    print(carry_out(settings, chosen))  # noqa: T201 - it is what the command is for
    return OK


def _backup(settings: Settings, chosen: argparse.Namespace) -> int:
    url, now = settings.database_url, system_clock()
    if make_url(url).get_backend_name() == "sqlite":
        copy = backup(url, chosen.to, now=now)
    else:
        from bot.database.snapshot import snapshot  # noqa: PLC0415

        copy = snapshot(url, chosen.to, now=now)
    print(f"A verified copy is in {copy}.")  # noqa: T201
    return OK


def _in_a_world_of_its_own(settings: Settings, work: Callable[[Settings], _T]) -> _T:
    """Leave the operator's data alone: the simulated world has a folder that ends with it."""
    with tempfile.TemporaryDirectory(prefix="wanbot-") as folder:
        return work(settings.model_copy(update={"data_dir": Path(folder), "given_database_url": None}))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as servers do: what another one has just left counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _end(_number: int, _frame: object) -> None:
    sys.exit(OK)


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - read by the one who started the command


def _need_simulation() -> None:
    if importlib.util.find_spec("simcord") is None:
        raise SettingsError(["this needs the playground extra: pip install 'wanbot[playground]'"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wanbot", description="A Discord bot with which a community makes videos.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: _Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(command=command, name=name)
        return added

    add("run", _run, "serve Discord")
    playground = add("playground", _playground, "the whole bot in a local browser, no token needed")
    playground.add_argument("--port", type=int, default=8765, help="of the page (default: %(default)s)")
    _add_options(add("demo", _demo, "make one video in the terminal, no token needed"))
    check = add("check", _check, "say what is configured and whether the books are right")
    check.add_argument("--live", action="store_true", help="also ask each provider whether its key works")
    migrate = add("migrate", _migrate, "bring the database up to date, or move everything to another one")
    migrate.add_argument("--from", dest="source", metavar="URL", help="move from this database, whose bot is stopped,")
    migrate.add_argument("--to", dest="target", metavar="URL", help="to this one: empty, or an untouched earlier copy")
    backup = add("backup", _backup, "copy the database while it is in use, and verify the copy")
    backup.add_argument("--to", type=Path, help="the file to write or replace (default: a new one beside the database)")
    add_jobs(add("jobs", _support, "look at jobs, and put right those that are stuck"))
    add_credits(add("credits", _support, "look at what members have, give it and take it"))
    return parser


def _add_options(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--prompt", default="A lighthouse in a storm at dusk", help="what the video should show")
    demo.add_argument("--image", type=Path, help="the first frame")
    demo.add_argument("--last-image", type=Path, help="the last frame")
    demo.add_argument("--video", type=Path, help="a clip to continue")
    demo.add_argument("--out", type=Path, default=Path("video.mp4"), help="the file to write (default: %(default)s)")
    demo.add_argument("--duration", type=int, help="in seconds")
    demo.add_argument("--seed", type=int)
    for name in ("--model", "--resolution", "--aspect-ratio", "--negative-prompt", "--settings"):
        demo.add_argument(name)


if __name__ == "__main__":
    sys.exit(main())
