"""What docs/scaling.md tells to type fits together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bot.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_instances_of_the_unit_have_every_shard_once() -> None:
    (count,) = re.findall(r"SHARD_COUNT=(\d+)", PAGE)
    (started,) = re.findall(r"systemctl enable --now (.*)", PAGE)
    (restarted,) = re.findall(r"for shards in (.*?);", PAGE)
    instances = [each.removeprefix("wanbot@") for each in started.split()]
    assert instances == restarted.split()
    shards: list[int] = []
    for instance in instances:
        loaded = Settings.load({"SHARD_COUNT": count, "SHARD_IDS": instance})
        assert loaded.shard_ids is not None
        shards += loaded.shard_ids
    assert sorted(shards) == list(range(int(count)))
