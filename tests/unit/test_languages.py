"""Every text is in every catalogue: the command of ``make texts``, and what the bot says with them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from bot import languages
from bot.delivery.cards import WORDS
from bot.errors import Refusal
from bot.jobs.job import State
from bot.languages import CATALOGUES, ENGLISH, in_every_language, name_in, ngettext, say, speaking, spoken, text_in
from providers.catalogue import DEMO
from providers.options import OptionProblem, OptionsRefused, Wish, check_options
from providers.texts import Text

ROOT: Final = Path(__file__).parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCALE: Final = ROOT / "bot" / "locale"
PO: Final = Path("zh_CN", "LC_MESSAGES", "wanbot.po")

_said = languages._


def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run what the Makefile runs."""
    (recipe,) = re.findall(r"^texts: setup ##.*\n\t\$\(RUN\) (\S+)$", MAKEFILE, re.MULTILINE)
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(  # noqa: S603 - our own command
        [ROOT / recipe, *map(str, options)],
        cwd=ROOT,
        env={**os.environ, "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The catalogues, to be spoilt."""
    return shutil.copytree(LOCALE, tmp_path / "locale")


def spoil(copies: Path, old: str, new: str) -> None:
    path = copies / PO
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def told(checked: subprocess.CompletedProcess[str]) -> list[str]:
    """What was found, without the last line, which counts."""
    *found, _count = checked.stderr.splitlines()
    return [line.removeprefix("texts: ") for line in found]


@pytest.fixture(scope="module")
def before() -> frozenset[str]:
    """What is to be done already, which the first test shows."""
    return frozenset(told(run("--check")))


def test_every_text_is_said_in_every_language_and_none_is_left_over() -> None:
    checked = run("--check")
    assert (checked.returncode, told(checked)) == (0, [])


def test_a_text_that_is_not_in_a_catalogue_is_found(copies: Path) -> None:
    spoil(copies, 'msgid "Stopped; nothing was charged."', 'msgid "Stopped; nothing at all was charged."')
    checked = run("--check", "--catalogues", copies)
    assert checked.returncode == 1
    assert "zh_CN: missing: 'Stopped; nothing was charged.'" in told(checked)
    assert "zh_CN: unused: 'Stopped; nothing at all was charged.'" in told(checked)


def test_a_name_of_an_option_that_is_not_in_a_catalogue_is_found(copies: Path) -> None:
    spoil(copies, 'msgctxt "name"\nmsgid "aspect_ratio"', 'msgctxt "name"\nmsgid "shape"')
    assert "zh_CN: missing: (name) 'aspect_ratio'" in told(run("--check", "--catalogues", copies))


def test_an_untranslated_text_is_found(copies: Path) -> None:
    spoil(copies, 'msgid "Queued"\nmsgstr "排队中"', 'msgid "Queued"\nmsgstr ""')
    assert "zh_CN: untranslated: 'Queued'" in told(run("--check", "--catalogues", copies))


def test_a_placeholder_and_a_code_that_a_translation_has_lost_are_found(copies: Path) -> None:
    spoil(copies, 'msgstr "任务 {job}"', 'msgstr "任务 {jobs}"')
    spoil(copies, 'msgstr "有尾帧图片就要有首图：请同时附上 `image`。"', 'msgstr "有尾帧图片就要有首图：请同时附上。"')
    found = told(run("--check", "--catalogues", copies))
    assert {each for each in found if "lost" in each or "invented" in each} == {
        "zh_CN: lost {job}: 'Job {job}'",
        "zh_CN: invented {jobs}: 'Job {job}'",
        "zh_CN: lost `image`: 'A last image needs a first one: attach `image` too.'",
    }


def test_a_catalogue_that_was_not_compiled_again_is_found(copies: Path, before: frozenset[str]) -> None:
    spoil(copies, 'msgstr "排队中"', 'msgstr "正在排队"')
    found = set(told(run("--check", "--catalogues", copies)))
    assert found - before == {"zh_CN: wanbot.mo isn't what wanbot.po gives"}


def test_what_people_are_told_without_a_mark_is_found(tmp_path: Path, before: frozenset[str]) -> None:
    for package in ("bot", "cogs", "providers"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.pyc"))
    (tmp_path / "cogs" / "new.py").write_text(
        'raise Refusal(f"There is no {name} here.")\n'
        'await interaction.response.send_message("Done." if done else "Not done.")\n'
        'embed.add_field(name=_("Model"), value=f"`{model}`")\n',
        encoding="utf-8",
    )
    assert set(told(run("--check", "--code", tmp_path))) - before == {
        "cogs/new.py:1 unmarked: 'There is no  here.'",
        "cogs/new.py:2 unmarked: 'Done.Not done.'",
    }


def test_gathering_twice_changes_nothing_and_keeps_what_is_translated(copies: Path) -> None:
    assert run("--catalogues", copies).returncode == 0
    gathered = {path.name: path.read_bytes() for path in (copies / PO).parent.iterdir()}
    assert 'msgid "Queued"\nmsgstr "排队中"' in gathered["wanbot.po"].decode()
    assert run("--catalogues", copies).returncode == 0
    assert {path.name: path.read_bytes() for path in (copies / PO).parent.iterdir()} == gathered


def test_gathering_drops_what_is_unused_and_adds_what_is_new_untranslated(copies: Path) -> None:
    spoil(copies, 'msgid "Queued"\nmsgstr "排队中"', 'msgid "Waiting"\nmsgstr "排队中"')
    assert "zh_CN: untranslated: 'Queued'" in told(run("--catalogues", copies))
    text = (copies / PO).read_text(encoding="utf-8")
    assert 'msgid "Queued"\nmsgstr ""' in text
    assert "Waiting" not in text


def test_a_language_without_a_catalogue_reads_english() -> None:
    for locale in ("de", "en-GB", "zh-TW", "nonsense"):
        with speaking(locale):
            assert _said("Queued") == "Queued"
            assert ngettext("{n} credit", "{n} credits", 1) == "{n} credit"


def test_a_language_holds_within_its_block_and_its_task_alone() -> None:
    async def chinese() -> str:
        with speaking("zh-CN"):
            await asyncio.sleep(0)
            return _said("Queued")

    async def both() -> list[str]:
        first = asyncio.create_task(chinese())
        await asyncio.sleep(0)
        return [_said("Queued"), await first, _said("Queued")]

    assert asyncio.run(both()) == ["Queued", "排队中", "Queued"]
    assert spoken() == ENGLISH


def test_an_empty_text_stays_empty() -> None:
    with speaking("zh-CN"):
        assert _said("") == ""


def test_a_text_of_a_provider_is_said_with_all_its_parts() -> None:
    text = Text("{model} takes no seed; leave it out.", model=Text("a first image"))
    assert text == "a first image takes no seed; leave it out."
    with speaking("zh-CN"):
        assert say(text) == "首图 不接受种子；请不要填。"
        assert say("Attach the picture again.") == "请重新附上图片。"
        assert say("No text of ours.") == "No text of ours."


def test_a_refused_option_is_named_as_the_menus_name_it() -> None:
    with pytest.raises(OptionsRefused) as caught:
        check_options(DEMO, Wish(prompt="A cat", aspect_ratio="7:3", duration=99))
    assert "**duration**: 99 seconds isn't offered by Demo here" in Refusal.of(caught.value.problems).text
    with speaking("zh-CN"):
        text = Refusal.of(caught.value.problems).text
    assert text == (
        "**时长**：Demo 在这里不提供 99 秒；请选 2 到 10 秒。\n"
        "**画面比例**：Demo 在这里不提供 7:3；请选 16:9、9:16、1:1、4:3 或 3:4。"
    )


def test_what_a_member_wrote_is_no_template() -> None:
    problem = OptionProblem("settings", Text("`{key}` is given twice; give it once.", key="{0} {key}"))
    with speaking("zh-CN"):
        assert Refusal.of([problem]).text == "**设置**：`{0} {key}` 填了两次；请只填一次。"


def test_a_text_of_ours_is_known_again_in_every_language() -> None:
    assert in_every_language("Done") == {"Done", "已完成"}


def test_no_state_is_taken_for_another_one_in_any_language() -> None:
    words = [word for state in State for word in in_every_language(WORDS[state])]
    assert len(words) == len(set(words)) == len(State) * (len(CATALOGUES) + 1)


def test_names_and_texts_are_looked_up_apart() -> None:
    for locale in CATALOGUES:
        assert name_in(locale, "prompt") == "提示词"
        assert text_in(locale, "prompt") is None
        assert name_in(locale, "wan") is None, "the commands themselves are called the same everywhere"
    assert name_in("de", "prompt") is None
