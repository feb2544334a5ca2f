"""Where a vendor's links may lead, from the command to the end of the job: nowhere inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from bot.jobs import store
from bot.jobs.job import Job, Reason, State
from tests.discord.conftest import SimulatedLinks
from tests.discord.steps import decide
from tests.discord.traces import files_below
from tests.discord.worlds import World, all_text, open_world
from tests.imitations import vendor as vendors
from tests.imitations.pixeldojo import PixelDojoImitation, Route

WAN_22: Final = "pixeldojo/wan-2.2-standard"


class LyingVendor(PixelDojoImitation):
    """Says where videos are that it never made."""

    def __init__(self, *, fetch: vendors.Fetch) -> None:
        super().__init__(key="pd_test", fetch=fetch)
        #: by job
        self.links: dict[str, str] = {}
        #: how often it sent somebody elsewhere
        self.redirects = 0

    def _app(self) -> web.Application:
        app = super()._app()
        app.router.add_get("/elsewhere", self._elsewhere)
        return app

    def _video_link(self, job: vendors.Job) -> str:
        return self.links[job.id]

    def detour(self, link: str) -> str:
        """A link to the vendor's own server, which leads on to another."""
        return f"http://127.0.0.1:{self.port}/elsewhere?{urlencode({'to': link})}"

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.redirects += 1
        return web.Response(status=302, headers={"Location": request.query["to"]})


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A server on a private address, which nobody is to talk to: on Linux all of 127/8 is this machine."""

    port: int
    visits: list[object]

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncGenerator[Neighbour]:
        visits = list[object]()

        async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visits.append(writer.get_extra_info("peername"))
            writer.close()

        server = await asyncio.start_server(visited, "127.0.0.2", 0)
        async with server:
            yield cls(server.sockets[0].getsockname()[1], visits)


#: ``{there}`` is the neighbour's port, ``{own}`` the vendor's, which is trusted by its address
INSIDE: Final = (
    *(
        "http://127.0.0.2:{there}/v.mp4",
        "http://127.2:{there}/",
        "http://2130706434:{there}/",
        "http://0x7f000002:{there}/",
    ),
    *(
        "http://0x7f.2:{there}/",
        "http://0177.0.0.2:{there}/",
        "http://0177.0.0.02:{there}/",
        "http://017700000002:{there}/",
    ),
    *("http://[::ffff:127.0.0.2]:{there}/", "http://[::ffff:7f00:2]:{there}/", "http://[::127.0.0.2]:{there}/"),
    *("http://[64:ff9b::7f00:2]:{there}/", "http://[2002:7f00:2::]:{there}/", "http://127.0.0.2.:{there}/"),
    *("http://①②⑦.⓪.⓪.②:{there}/", "http://１２７.０.０.２:{there}/", "http://127。0。0。2:{there}/"),  # noqa: RUF001 - digits of another look
    *("http://127.0.0.1@127.0.0.2:{there}/", "http://127.0.0.1:{own}@127.0.0.2:{there}/", "http://@127.0.0.2:{there}/"),
    *("http://user:password@127.0.0.1:{own}/files/", "http://127.0.0.2:{there}#@127.0.0.1:{own}/"),
    *("http://127.0.0.2:{there}\\@127.0.0.1:{own}/", "http://127.0.0.2:{there}?@127.0.0.1:{own}/"),
    *("http://localhost:{own}/files/", "http://localhost:{there}/", "http://LOCALHOST.:{own}/files/"),
    *("http://0:{own}/files/", "http://0.0.0.0:{own}/files/", "http://[::1]:{own}/files/", "http://[::]:{there}/"),
    *("http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://[fd00::1]/", "http://[fe80::1]/"),
    *("http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/", "http://[fe80::1%25lo]/"),
    *("https://127.0.0.2:{there}/", "http://127.0.0.2:{there}\t/", "HTTP://127.0.0.2:{there}/"),
)
#: schemes that are none of a video's
FOREIGN: Final = ("file:///etc/passwd", "ftp://127.0.0.2:{there}/", "gopher://127.0.0.2:{there}/_x", "data:video/mp4,x")


async def test_no_link_of_a_vendors_leads_inside(tmp_path: Path, links: SimulatedLinks) -> None:
    async with Neighbour.open() as neighbour, LyingVendor(fetch=links) as vendor:
        environment = {
            "PIXELDOJO_API_KEY": "pd_test",
            "PIXELDOJO_BASE_URL": vendor.base_url,
            "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        }
        async with open_world(tmp_path, environment) as world:
            ports = {"there": neighbour.port, "own": vendor.port}
            direct = [link.format(**ports) for link in (*INSIDE, *FOREIGN)]
            refused = [link.format(**ports) for link in (*INSIDE[::6], *FOREIGN)]
            detours = [vendor.detour(link) for link in refused]
            detours.append(vendor.detour(vendor.detour(direct[0])))
            jobs = await _made(world, vendor, [*direct, *detours])
            assert {job.state for job in jobs.values()} == {State.FAILED, State.EXPIRED}
            for link, job in jobs.items():
                # what is no link to a video at all is waited for until it is too late
                is_link = link.lower().startswith("http") and link.isprintable()
                assert job.reason == (Reason.LINK_DEAD if is_link else Reason.TOO_LATE), link
            assert neighbour.visits == []
            assert vendor.count(Route.FILE) == 0
            assert vendor.redirects >= len(detours)
            assert world.posted() == []
            assert files_below(world.app.services.videos_folder) == []
            account = await world.account()
            assert (account.available, account.held) == (10_000 + 100, 0)
            for message in world.channel.history():
                assert not [link for link in direct if link in all_text(message)]


async def _made(world: World, vendor: LyingVendor, links: Sequence[str]) -> dict[str, Job]:
    """What becomes of jobs whose videos are said to be there, by link."""
    await decide(world, "limits set", member_jobs=200, guild_jobs=200)
    await decide(world, "credits grant", member=world.alice, amount=10_000)
    for _ in links:
        await world.alice.slash(world.channel, "wan video", prompt="A cat", model=WAN_22)
        await world.work()
    for submission, link in zip(vendor.submissions, links, strict=True):
        vendor.links[submission.job_id] = link
        vendor.finish(submission.job_id)
    by_task = {submission.job_id: link for submission, link in zip(vendor.submissions, links, strict=True)}
    for _ in range(25):
        await world.advance(60)
    assert await world.open_jobs() == []
    read = partial(store.latest_of, guild_id=world.guild.id, user_id=world.alice.id, most=len(links))
    return {by_task[job.task_id or ""]: job for job in await world.app.services.database.read(read)}
