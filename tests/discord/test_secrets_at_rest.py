"""What a copy of the bot's folder, or of its log, gives away: no token, and no key of a vendor."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.discord.worlds import World, picture
from tests.imitations.pixeldojo import PixelDojoImitation, error_fault
from tests.imitations.vendor import Route

WAN_22 = "pixeldojo/wan-2.2-standard"
KEY = "pd_test"


async def test_no_token_and_no_key_is_kept_or_logged(
    dojo: World,
    vendor: PixelDojoImitation,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    await dojo.video(prompt="A made cat", model=WAN_22, image=("cat.png", picture()))
    vendor.finish(vendor.submissions[-1].job_id)
    await dojo.finish()
    # a vendor that repeats our key in its refusal
    vendor.fault_next(Route.SUBMIT, error_fault(400, "invalid_request", f"Your key {KEY} is known here"))
    await dojo.video(prompt="A refused cat", model=WAN_22)
    await dojo.finish()
    await dojo.mona.slash(dojo.channel, "wan-admin credits grant", member=dojo.bob, amount=1)

    tokens = {record.token for record in dojo.env.backend.interactions.values()}
    assert len(tokens) >= 3
    secrets = [KEY, str(dojo.app.bot.http.token), *tokens]
    kept = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(b"A refused cat" in content for content in kept.values()), "they are in there as they are"
    printed = "".join(capsys.readouterr())
    assert "invalid_request" in printed, "the refusal was told"
    assert "cat" not in printed, "prompts are none of the log's business"
    logged = caplog.text + printed
    assert [(name, secret) for secret in secrets for name, content in kept.items() if secret.encode() in content] == []
    assert [secret for secret in secrets if secret in logged] == []
