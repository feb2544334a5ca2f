"""From what a member asks to an accepted job: checked, priced, paid for, stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.clock import Clock
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.communities.rules import Community, Place
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, period_at
from bot.credits.balances import Statement
from bot.credits.pricing import PriceUnknown, Pricing
from bot.database.engine import Connection, Database
from bot.delivery.words import credits_text, relative_time
from bot.errors import AlreadyAccepted, Refusal
from bot.jobs import lifecycle, policy, store
from bot.jobs.alternatives import Alternative, able_models, nearest
from bot.jobs.choosing import Chooser
from bot.jobs.job import Job, Request, State, StoredMedia, new_id
from bot.jobs.leases import Leases
from bot.languages import CATALOGUES, _
from bot.members.presets import PresetUse, explained
from providers.options import Options, OptionsRefused, Wish, check_options, mode_of
from providers.types import ModelSpec


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
    #: which options come from a preset
    preset: PresetUse | None = None
    #: a job of the same member that gives way to this one, since its provider can't be reached
    instead_of: Job | None = None
    #: the member has asked for it just now
    is_of_member: bool = True
    #: the community's language
    locale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be had: only the credits, and the pictures, are still to be seen."""

    job_id: str
    ask: Ask
    spec: ModelSpec
    options: Options
    quote: int
    #: it costs so much that the member is asked first
    is_dear: bool


class Requests:
    """Accepts jobs. ``prepare`` decides from memory, ``accept`` is one transaction."""

    def __init__(
        self,
        *,
        database: Database,
        leases: Leases,
        communities: Communities,
        accounts: Accounts,
        member_keys: MemberKeys,
        chooser: Chooser,
        pricing: Pricing,
        clock: Clock,
        chance: Callable[[], int],
    ) -> None:
        self._database = database
        self._leases = leases
        self._communities = communities
        self._accounts = accounts
        self._member_keys = member_keys
        self._chooser = chooser
        self._pricing = pricing
        self._clock = clock
        self._chance = chance

    async def prepare(self, ask: Ask) -> Prepared:
        """Check the rules, choose the model, check every option, quote the price. Raises ``Refusal``."""
        community = await self._communities.of(ask.guild_id)
        self._check_asker(community, ask)
        limits = community.limits
        spec = await self._model(ask, community)
        try:
            options = check_options(spec, ask.wish, max_resolution=limits.resolution, max_duration=limits.duration)
        except OptionsRefused as error:
            raise self._explained(error, spec, ask, community) from error
        quote = self._quote(community, spec, options)
        return Prepared(
            job_id=new_id(self._clock(), self._chance()),
            ask=ask,
            spec=spec,
            options=options,
            quote=quote,
            is_dear=limits.confirm_above is not None and quote > limits.confirm_above,
        )

    async def accept(self, prepared: Prepared, media: Mapping[str, StoredMedia]) -> Job:
        """Hold the credits and store the job. Raises ``Refusal`` and ``AlreadyAccepted``."""
        return await self._database.write(partial(self._accept, prepared=prepared, media=media))

    def check_funds(self, statement: Statement, price: int) -> None:
        """Whether an account can pay a price. Raises ``Refusal``."""
        if statement.account.available < price:
            error = ledger.InsufficientCredits(price=price, available=statement.account.available)
            raise Refusal(_too_dear(error, held=statement.account.held, rule=statement.rule, now=self._clock()))

    def _explained(self, error: OptionsRefused, spec: ModelSpec, ask: Ask, community: Community) -> Refusal:
        """What can't be had from a model; which others can start from what is attached; what comes from a preset."""
        text = explained(Refusal.of(error.problems).text, ask.preset, [problem.option for problem in error.problems])
        try:
            mode = mode_of(ask.wish)
        except OptionsRefused:
            # what is attached goes with no model
            return Refusal(text)
        others = "" if mode in spec.modes else self._chooser.who_can(mode, community, ask.place)
        return Refusal(f"{text}\n{others}".strip())

    async def _model(self, ask: Ask, community: Community) -> ModelSpec:
        """The model that was named, or that suits. Raises ``Refusal``."""
        try:
            if ask.model is not None:
                return self._chooser.named(ask.model, community, ask.place)
            mode = mode_of(ask.wish)
            last = await self._database.read(partial(store.last_model, guild_id=ask.guild_id, user_id=ask.user_id))
            return self._chooser.suiting(mode, community, ask.place, last=last)
        except OptionsRefused as error:
            raise Refusal.of(error.problems) from error
        except Refusal as refusal:
            raise refusal.saying(explained(refusal.text, ask.preset, ["model"])) from refusal

    async def alternative(self, ask: Ask, *, model: str, price: int | None = None) -> Alternative | None:
        """What comes nearest to a wish, and to a price in credits, elsewhere than at the provider of this model."""
        down = self._chooser.registry.every.get(model)
        if down is None:
            return None
        try:
            mode = mode_of(ask.wish)
        except OptionsRefused:
            return None
        community = await self._communities.of(ask.guild_id)
        able = able_models(
            self._chooser.registry.models.values(),
            mode=mode,
            community=community,
            place=ask.place,
            is_paused=lambda provider: provider == down.provider or self._chooser.is_paused(provider),
        )
        return nearest(
            able, ask.wish, limits=community.limits, price=price, price_of=partial(self._price_if_known, community)
        )

    def _check_asker(self, community: Community, ask: Ask) -> None:
        member_key = self._member_keys.of(ask.guild_id, ask.user_id)
        policy.check_asker(community, ask.place, member_key=member_key, prompt=ask.wish.prompt)

    def _quote(self, community: Community, spec: ModelSpec, options: Options) -> int:
        rule = community.prices.get(spec.id)
        try:
            return self._pricing.credits(spec, resolution=options.resolution, duration=options.duration, rule=rule)
        except PriceUnknown as error:
            text = _("**model**: the price of `{model}` isn't known, so it can't be used yet.")
            raise Refusal(text.format(model=spec.id)) from error

    def _price_if_known(self, community: Community, spec: ModelSpec, options: Options) -> int | None:
        try:
            return self._quote(community, spec, options)
        except Refusal:
            return None

    def _accept(self, connection: Connection, *, prepared: Prepared, media: Mapping[str, StoredMedia]) -> Job:
        ask, now = prepared.ask, self._clock()
        community = self._communities.locked(connection, ask.guild_id)
        claimed = store.by_interaction(connection, ask.interaction_id)
        if claimed is not None:
            raise AlreadyAccepted(claimed)
        if ask.instead_of is not None:
            # first its hold is released: never are there two for one video
            _give_way(connection, ask.instead_of, by_member=ask.is_of_member, now=now)
        self._check_rules(connection, community, prepared, now=now)
        account = self._accounts.refilled(
            connection, community, user_id=ask.user_id, role_ids=ask.place.role_ids, now=now
        )
        job = _job(prepared, media, account.id, owner=self._leases.name, now=now)
        if not store.add(connection, job):
            raise RuntimeError(f"the id {job.id} is taken")  # one in a million; nothing is charged
        try:
            ledger.hold(connection, account, prepared.quote, job_id=job.id, now=now)
        except ledger.InsufficientCredits as error:
            rule = community.allowance_for(ask.place.role_ids)
            raise Refusal(_too_dear(error, held=account.held, rule=rule, now=now)) from error
        if ask.instead_of is not None:
            # its button has done its work; after the account is locked, as everywhere
            store.withdraw_offer(connection, ask.instead_of.id)
        return job

    def _check_rules(self, connection: Connection, community: Community, prepared: Prepared, *, now: datetime) -> None:
        """Everything that may have changed since ``prepare``, and what only the database knows."""
        ask, limits = prepared.ask, community.limits
        self._check_asker(community, ask)
        if not community.allows(prepared.spec, ask.place):
            raise Refusal(_("**model**: `{model}` isn't allowed here any more.").format(model=prepared.spec.id))
        policy.check_limits(limits, prepared.spec, prepared.options)
        policy.check_waiting(store.count_waiting(connection, ask.guild_id, ask.user_id))
        if limits.counts_periods:
            period = period_at(now, community.allowance.length)
            use = store.use_since(connection, ask.guild_id, ask.user_id, since=period.start)
            policy.check_period(limits, use, price=prepared.quote, period=period)


def _too_dear(error: ledger.InsufficientCredits, *, held: int, rule: AllowanceRule, now: datetime) -> str:
    text = _("This costs {price}; you have {available}.")
    if held:
        text = _("This costs {price}; you have {available}, and {held} held for videos under way.")
    have = text.format(price=credits_text(error.price), available=f"{error.available:,}", held=f"{held:,}")
    if not rule.amount:
        return have + _(" Ask a moderator for more.")
    return have + _(" More come {when}.").format(when=relative_time(period_at(now, rule.length).end))


def _job(
    prepared: Prepared, media: Mapping[str, StoredMedia], account_id: int, *, owner: str | None, now: datetime
) -> Job:
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
            # English is what is spoken without any
            locale=ask.locale if ask.locale in CATALOGUES else None,
        ),
        quote=prepared.quote,
        upload_limit=ask.upload_limit,
        created_at=now,
        replaces=None if ask.instead_of is None else ask.instead_of.id,
        owner=owner,
    )


def _give_way(connection: Connection, job: Job, *, by_member: bool, now: datetime) -> None:
    """End a job that another one goes on in place of. Raises ``Refusal`` when it went on itself, or did so before."""
    if store.replacement_of(connection, job.id) is not None:
        raise Refusal(_("It goes on with another model already, on a card of its own."))
    # what the member has asked for may be seen by now; what we do by ourselves we saw in this state
    current = store.load(connection, job.id) if by_member else job
    went_on = _("It went on in this very moment; nothing was changed.")
    if current is None or (by_member and not current.offers_another):
        is_ended = current is not None and not current.state.is_open
        raise Refusal(_("It has ended already.") if is_ended else went_on)
    if not current.state.is_open:
        return
    try:
        store.move(connection, current, lifecycle.gives_way(current, by_member=by_member), now=now)
    except store.JobMoved as error:
        raise Refusal(went_on) from error
