"""From what a member asks to an accepted job: checked, priced, paid for, stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.clock import Clock
from bot.communities import store as communities_store
from bot.communities.memory import Communities
from bot.communities.rules import MAX_WAITING, Community, Place
from bot.credits import ledger
from bot.credits.accounts import refilled
from bot.credits.allowance import period_at
from bot.credits.pricing import PriceUnknown, Pricing
from bot.database.engine import Connection, Database
from bot.delivery.words import credits_text, relative_time
from bot.errors import AlreadyAccepted, Refusal
from bot.jobs import store
from bot.jobs.alternatives import able_models
from bot.jobs.job import Job, Request, State, StoredMedia, new_id
from bot.jobs.pauses import Pauses
from providers.options import OptionProblem, Options, OptionsRefused, Wish, check_options, mode_of
from providers.registry import Registry
from providers.types import Mode, ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A command for a video, as it arrived."""

    interaction_id: int
    guild_id: int
    user_id: int
    place: Place
    wish: Wish
    #: None: the member named none
    model: str | None
    #: bytes; what Discord says may be uploaded in answer
    upload_limit: int
    spoiler: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be had: only the credits, and the pictures, are still to be seen."""

    job_id: str
    ask: Ask
    spec: ModelSpec
    options: Options
    quote: int


class Requests:
    """Accepts jobs. ``prepare`` decides from memory, ``accept`` is one transaction."""

    def __init__(
        self,
        *,
        database: Database,
        communities: Communities,
        registry: Registry,
        pricing: Pricing,
        pauses: Pauses,
        clock: Clock,
        chance: Callable[[], int],
    ) -> None:
        self._database = database
        self._communities = communities
        self._registry = registry
        self._pricing = pricing
        self._pauses = pauses
        self._clock = clock
        self._chance = chance

    async def prepare(self, ask: Ask) -> Prepared:
        """Choose the model, check every option, quote the price. Raises ``Refusal``."""
        community = await self._communities.of(ask.guild_id)
        try:
            spec = await self._model(ask, community)
            options = check_options(spec, ask.wish)
        except OptionsRefused as error:
            raise Refusal.of(error.problems) from error
        return Prepared(
            job_id=new_id(self._clock(), self._chance()),
            ask=ask,
            spec=spec,
            options=options,
            quote=self._quote(spec, options),
        )

    async def accept(self, prepared: Prepared, media: Mapping[str, StoredMedia]) -> Job:
        """Hold the credits and store the job. Raises ``Refusal`` and ``AlreadyAccepted``."""
        return await self._database.write(partial(self._accept, prepared=prepared, media=media))

    def usable(self, community: Community, place: Place) -> list[ModelSpec]:
        """The models that may be used here, in the order of the catalogue."""
        return [spec for spec in self._registry.models.values() if community.allows(spec.id, place)]

    def price_from(self, spec: ModelSpec) -> int | None:
        """The lowest price of a model, in credits; None: unknown."""
        prices: list[int] = []
        for resolution in spec.resolutions:
            try:
                prices.append(self._pricing.credits(spec, resolution=resolution, duration=spec.durations[0]))
            except PriceUnknown:
                continue
        return min(prices, default=None)

    async def _model(self, ask: Ask, community: Community) -> ModelSpec:
        mode = mode_of(ask.wish)
        usable = {spec.id: spec for spec in self.usable(community, ask.place)}
        if ask.model is not None:
            return self._chosen(ask.model, usable)
        last = await self._database.read(partial(store.last_model, guild_id=ask.guild_id, user_id=ask.user_id))
        able = able_models(
            usable.values(), mode=mode, community=community, place=ask.place, is_paused=self._pauses.is_paused
        )
        if last in {spec.id for spec in able}:
            return usable[last]
        if community.default_model in usable:
            return self._chosen(community.default_model, usable)
        if able:
            return able[0]
        if not usable:
            raise Refusal("No model may be used here. Ask a moderator to allow one with `/wan-admin models allow`.")
        raise OptionsRefused([_why_none_can(mode)])

    def _chosen(self, model: str, usable: Mapping[str, ModelSpec]) -> ModelSpec:
        spec = usable.get(model)
        names = ", ".join(f"`{each}`" for each in usable) or "none"
        if spec is None:
            raise Refusal(f"**model**: `{_shown(model)}` {self._what_is_wrong(model)}. You can use: {names}.")
        if self._pauses.is_paused(spec.provider):
            others = ", ".join(f"`{each.id}`" for each in usable.values() if not self._pauses.is_paused(each.provider))
            hint = f" Meanwhile you can use: {others}." if others else ""
            text = f"`{spec.id}` can't be used at the moment; the people who run this bot have been told."
            raise Refusal(f"**model**: {text}{hint}")
        return spec

    def _what_is_wrong(self, model: str) -> str:
        """Why a model can't be used, in words that follow its name."""
        if model in self._registry.models:
            return "isn't allowed here"
        retired = self._registry.every.get(model)
        if retired is not None and retired.successor is not None:
            return f"isn't offered any more; its successor is `{retired.successor}`"
        return "isn't a model that I know"

    def _quote(self, spec: ModelSpec, options: Options) -> int:
        try:
            return self._pricing.credits(spec, resolution=options.resolution, duration=options.duration)
        except PriceUnknown as error:
            raise Refusal(f"**model**: the price of `{spec.id}` isn't known, so it can't be used yet.") from error

    def _accept(self, connection: Connection, *, prepared: Prepared, media: Mapping[str, StoredMedia]) -> Job:
        ask, now = prepared.ask, self._clock()
        communities_store.lock_guild(connection, ask.guild_id)
        community = communities_store.community(connection, ask.guild_id, default=self._communities.default_allowance)
        claimed = store.by_interaction(connection, ask.interaction_id)
        if claimed is not None:
            raise AlreadyAccepted(claimed)
        if not community.allows(prepared.spec.id, ask.place):
            raise Refusal(f"**model**: `{prepared.spec.id}` isn't allowed here any more.")
        if store.count_waiting(connection, ask.guild_id, ask.user_id) >= MAX_WAITING:
            raise Refusal(f"You have {MAX_WAITING} videos waiting already. Wait for one, or `/wan cancel` one.")
        rule = community.allowance
        account = refilled(connection, guild_id=ask.guild_id, user_id=ask.user_id, rule=rule, now=now)
        job = _job(prepared, media, account.id, now=now)
        if not store.add(connection, job):
            raise RuntimeError(f"the id {job.id} is taken")  # one in a million; nothing is charged
        try:
            ledger.hold(connection, account, prepared.quote, job_id=job.id, now=now)
        except ledger.InsufficientCredits as error:
            more = "Ask a moderator for more."
            if rule.amount:
                more = f"More come {relative_time(period_at(now, rule.length).end)}."
            held = f", and {account.held:,} held for videos under way" if account.held else ""
            text = f"This costs {credits_text(error.price)}; you have {error.available:,}{held}. {more}"
            raise Refusal(text) from error
        return job


def _job(prepared: Prepared, media: Mapping[str, StoredMedia], account_id: int, *, now: datetime) -> Job:
    ask, options = prepared.ask, prepared.options
    return Job(
        id=prepared.job_id,
        interaction_id=ask.interaction_id,
        guild_id=ask.guild_id,
        channel_id=ask.place.channel_id,
        user_id=ask.user_id,
        account_id=account_id,
        state=State.QUEUED,
        version=0,
        model=prepared.spec.id,
        request=Request(
            prompt=options.prompt,
            mode=options.mode,
            resolution=options.resolution,
            duration=options.duration,
            aspect_ratio=options.aspect_ratio,
            negative_prompt=options.negative_prompt,
            seed=options.seed,
            enhance_prompt=options.enhance_prompt,
            parameters=dict(options.parameters),
            image=media.get("image"),
            last_image=media.get("last_image"),
            video=media.get("video"),
            spoiler=ask.spoiler,
        ),
        quote=prepared.quote,
        upload_limit=ask.upload_limit,
        created_at=now,
    )


def _why_none_can(mode: Mode) -> OptionProblem:
    """No model that may be used here can start from what is attached."""
    option, what = {
        Mode.TEXT: ("image", "makes a video from text alone: attach a first image"),
        Mode.IMAGE: ("image", "starts from an image: leave it out"),
        Mode.FIRST_LAST: ("last_image", "takes a last image: leave it out"),
        Mode.EXTEND: ("video", "continues a clip: leave it out"),
    }[mode]
    return OptionProblem(option, f"No model here {what}. `/wan models` shows what each can start from.")


def _shown(text: str) -> str:
    return text[:60].replace("`", "'")
