from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.communities.rules import Community, ModelRule, Place
from bot.credits.allowance import AllowanceRule, PeriodLength

HERE, ELSEWHERE, THREAD = 11, 12, 13
VIP, MUTED = 21, 22
X = "vendor/x"


def community(*rules: ModelRule) -> Community:
    return Community(guild_id=1, allowance=AllowanceRule(amount=100, length=PeriodLength.DAY), model_rules=tuple(rules))


def allow(*, channel: int = 0, role: int = 0, model: str = X) -> ModelRule:
    return ModelRule(model=model, is_allowed=True, channel_id=channel, role_id=role)


def deny(*, channel: int = 0, role: int = 0, model: str = X) -> ModelRule:
    return ModelRule(model=model, is_allowed=False, channel_id=channel, role_id=role)


def place(*roles: int, channel: int = HERE, parent: int | None = None) -> Place:
    return Place(channel_id=channel, parent_id=parent, role_ids=roles)


def test_a_fresh_guild_allows_every_model_everywhere() -> None:
    fresh = community()
    assert fresh.permits(X, place())
    assert fresh.permits("demo", place(VIP, channel=ELSEWHERE))
    assert (fresh.limits.member_jobs, fresh.limits.guild_jobs) == (3, 20)


def test_a_rule_is_about_its_model_alone() -> None:
    ruled = community(deny())
    assert not ruled.permits(X, place())
    assert ruled.permits("vendor/y", place())


def test_vip_only_is_deny_for_all_then_allow_for_the_role() -> None:
    ruled = community(deny(), allow(role=VIP))
    assert not ruled.permits(X, place())
    assert not ruled.permits(X, place(MUTED))
    assert ruled.permits(X, place(VIP, MUTED))


def test_a_rule_of_a_channel_goes_before_that_of_the_guild() -> None:
    ruled = community(deny(), allow(channel=HERE))
    assert ruled.permits(X, place())
    assert not ruled.permits(X, place(channel=ELSEWHERE))


def test_a_rule_of_a_role_goes_before_that_of_a_channel() -> None:
    assert community(deny(channel=HERE), allow(role=VIP)).permits(X, place(VIP))
    assert not community(allow(channel=HERE), deny(role=VIP)).permits(X, place(VIP))


def test_a_rule_of_a_role_in_a_channel_goes_before_all_others() -> None:
    everything_else = (allow(), allow(channel=HERE), allow(role=VIP))
    ruled = community(*everything_else, deny(channel=HERE, role=VIP))
    assert not ruled.permits(X, place(VIP))
    assert ruled.permits(X, place(VIP, channel=ELSEWHERE))
    assert ruled.permits(X, place())


def test_among_a_members_roles_allow_beats_deny() -> None:
    for rules in ((deny(role=MUTED), allow(role=VIP)), (allow(role=VIP), deny(role=MUTED))):
        assert community(*rules).permits(X, place(MUTED, VIP))
        assert not community(*rules).permits(X, place(MUTED))


def test_a_role_that_is_denied_in_a_channel_is_so_although_another_role_is_allowed_everywhere() -> None:
    assert not community(allow(role=VIP), deny(channel=HERE, role=MUTED)).permits(X, place(VIP, MUTED))


def test_a_thread_follows_its_parent() -> None:
    ruled = community(deny(channel=HERE))
    assert not ruled.permits(X, place(channel=THREAD, parent=HERE))
    assert ruled.permits(X, place(channel=THREAD, parent=ELSEWHERE))
    in_the_channel_for_vips = community(deny(), allow(channel=HERE, role=VIP))
    assert in_the_channel_for_vips.permits(X, place(VIP, channel=THREAD, parent=HERE))


@pytest.mark.parametrize(
    ("rule", "specificity"),
    [(deny(), 0), (deny(channel=HERE), 1), (deny(role=VIP), 2), (deny(channel=HERE, role=VIP), 3)],
)
def test_channel_and_role_then_role_then_channel_then_guild(rule: ModelRule, specificity: int) -> None:
    assert rule.specificity == specificity


_rules = st.builds(
    ModelRule,
    model=st.sampled_from([X, "demo"]),
    is_allowed=st.booleans(),
    channel_id=st.sampled_from([0, HERE, ELSEWHERE]),
    role_id=st.sampled_from([0, VIP, MUTED]),
)


def _naive(rules: list[ModelRule], model: str, channel: int, roles: set[int]) -> bool:
    """Ask for each kind of rule in turn, the most specific first."""
    of_model = {(rule.channel_id, rule.role_id): rule.is_allowed for rule in rules if rule.model == model}
    for keys in (
        [(channel, role) for role in sorted(roles)],
        [(0, role) for role in sorted(roles)],
        [(channel, 0)],
        [(0, 0)],
    ):
        said = [of_model[key] for key in keys if key in of_model]
        if said:
            return any(said)
    return True


@given(
    rules=st.lists(_rules, max_size=10, unique_by=lambda rule: (rule.model, rule.channel_id, rule.role_id)),
    channel=st.sampled_from([HERE, ELSEWHERE, THREAD]),
    roles=st.sets(st.sampled_from([VIP, MUTED, 23])),
)
def test_any_set_of_rules_decides_as_asking_one_kind_after_the_other(
    rules: list[ModelRule], channel: int, roles: set[int]
) -> None:
    assert community(*rules).permits(X, place(*roles, channel=channel)) == _naive(rules, X, channel, roles)
