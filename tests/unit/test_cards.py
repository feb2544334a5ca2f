from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.cards import WORDS, Card, card, options_text, progress_bar
from bot.jobs.job import Job, Reason, Request, State, StoredMedia
from bot.jobs.presenting import NOTHING_MORE, Sight
from providers.catalogue import MODELS, PIXELDOJO_WAN_22_STANDARD
from providers.types import Mode, ModelSpec
from tests.clocks import NOON

OPEN = [state for state in State if state.is_open]
ENDED = [state for state in State if not state.is_open]
#: with their beginnings, as they could stand in a sentence
ENDINGS = re.compile(r"done|succe(ss|ed)|fail|expire|cancel|lost", re.IGNORECASE)

REQUEST = Request(prompt="a fox in the snow", mode=Mode.TEXT, resolution="480p", duration=5)
JOB = Job(
    id="0123456789ab",
    interaction_id=1,
    guild_id=2,
    channel_id=3,
    user_id=4,
    account_id=5,
    state=State.QUEUED,
    version=0,
    model=PIXELDOJO_WAN_22_STANDARD.id,
    request=REQUEST,
    quote=15,
    upload_limit=1,
    created_at=NOON,
)


def media(name: str, *, note: str | None = None) -> StoredMedia:
    return StoredMedia(path=f"job/{name}", content_type="image/png", filename=name, note=note)


def card_of(
    job: Job, *, sight: Sight = NOTHING_MORE, can_cancel_running: bool = False, is_model_known: bool = True
) -> Card:
    spec = PIXELDOJO_WAN_22_STANDARD if is_model_known else None
    return card(job, spec=spec, sight=sight, can_cancel_running=can_cancel_running)


def text_of(shown: Card) -> str:
    """Everything that people read on it."""
    return "\n".join(
        [shown.title, shown.description, *(f"{name}\n{value}" for name, value in shown.fields), shown.footer]
    )


def in_state(state: State, *, reason: Reason | None = None, request: Request = REQUEST) -> Job:
    """A job as the database has it in this state."""
    is_failure = not state.is_open and state is not State.SUCCEEDED
    return replace(
        JOB,
        state=state,
        request=request,
        reason=reason or (Reason.REFUSED if is_failure else None),
        result_message_id=99 if state is State.SUCCEEDED else None,
    )


def assert_within_discords_limits(shown: Card) -> None:
    assert 0 < len(shown.title) <= 256
    assert 0 < len(shown.description) <= 4096
    assert len(shown.fields) <= 25
    for name, value in shown.fields:
        assert 0 < len(name) <= 256
        assert 0 < len(value) <= 1024
        assert value.strip()
    assert 0 < len(shown.footer) <= 2048
    names_and_values = sum(len(name) + len(value) for name, value in shown.fields)
    assert len(shown.title) + len(shown.description) + names_and_values + len(shown.footer) <= 6000


# --- the state's word -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", State)
def test_a_card_shows_the_word_of_the_state_capitalised_and_done_for_succeeded(state: State) -> None:
    word = "Done" if state is State.SUCCEEDED else state.value.capitalize()
    assert WORDS[state] == word
    assert re.search(rf"\b{word}\b", text_of(card_of(in_state(state))))


def test_no_two_states_share_a_word() -> None:
    assert len(set(WORDS.values())) == len(State)


@pytest.mark.parametrize("state", State)
def test_a_card_shows_the_word_of_no_other_state(state: State) -> None:
    others = {word for each, word in WORDS.items() if each is not state}
    assert not {word for word in others if re.search(rf"\b{word}\b", text_of(card_of(in_state(state))))}


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("can_cancel_running", [True, False])
@pytest.mark.parametrize("is_model_known", [True, False])
def test_until_the_end_a_card_carries_no_word_of_an_ending(
    *,
    state: State,
    can_cancel_running: bool,
    is_model_known: bool,
) -> None:
    for sight in (
        NOTHING_MORE,
        Sight(progress=0.0),
        Sight(progress=1.0, expected_at=NOON),
        Sight(expected_at=NOON - timedelta(days=1)),
        Sight(place=1),
    ):
        shown = card_of(
            in_state(state), sight=sight, can_cancel_running=can_cancel_running, is_model_known=is_model_known
        )
        assert not ENDINGS.search(text_of(shown))


_media = st.none() | st.builds(
    media,
    st.sampled_from(["image.png", "last_image.jpg", "video.mp4"]),
    note=st.sampled_from([None, "converted to fit the model"]),
)
_requests = st.builds(
    Request,
    prompt=st.sampled_from(["a fox", "", "雪"]),
    mode=st.sampled_from(Mode),
    resolution=st.sampled_from(["480p", "1080p"]),
    duration=st.integers(2, 15),
    aspect_ratio=st.sampled_from([None, "16:9", "1:1"]),
    negative_prompt=st.sampled_from([None, "rain"]),
    seed=st.none() | st.integers(0, 2**31 - 1),
    enhance_prompt=st.none() | st.booleans(),
    parameters=st.dictionaries(
        st.sampled_from([parameter.key for spec in MODELS for parameter in spec.parameters]),
        st.integers(0, 100) | st.floats(0, 20) | st.booleans(),
    ),
    image=_media,
    last_image=_media,
    video=_media,
    spoiler=st.booleans(),
)
_sights = st.builds(
    Sight,
    progress=st.none() | st.floats(allow_nan=True),
    expected_at=st.none() | st.just(NOON),
    expected_by=st.none() | st.just(NOON + timedelta(seconds=30)),
    is_slow=st.booleans(),
    place=st.none() | st.integers(1, 20),
)


@given(state=st.sampled_from(OPEN), request=_requests, sight=_sights, spec=st.sampled_from(MODELS))
def test_whatever_the_options_an_open_card_carries_no_word_of_an_ending(
    state: State, request: Request, sight: Sight, spec: ModelSpec
) -> None:
    shown = card(in_state(state, request=request), spec=spec, sight=sight, can_cancel_running=True)
    assert not ENDINGS.search(text_of(shown))
    assert WORDS[state] in text_of(shown)


# --- cancelling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ENDED)
def test_after_the_end_nothing_can_be_cancelled_and_the_card_does_not_offer_it(state: State) -> None:
    for reason in Reason:
        shown = card_of(in_state(state, reason=reason), can_cancel_running=True)
        assert not shown.can_cancel
        assert "Cancel" not in text_of(shown).replace(WORDS[State.CANCELLED], "")


@pytest.mark.parametrize(
    ("state", "where_the_provider_can", "where_it_cannot"),
    [
        (State.QUEUED, True, True),
        (State.SUBMITTING, False, False),
        (State.RUNNING, True, False),
        (State.DELIVERING, False, False),
    ],
)
def test_a_queued_job_can_be_cancelled_and_a_running_one_where_the_provider_can(
    *,
    state: State,
    where_the_provider_can: bool,
    where_it_cannot: bool,
) -> None:
    assert card_of(in_state(state), can_cancel_running=True).can_cancel is where_the_provider_can
    assert card_of(in_state(state), can_cancel_running=False).can_cancel is where_it_cannot


# --- what it says -----------------------------------------------------------------------------------


def test_an_estimate_is_one_that_every_client_counts_down_by_itself() -> None:
    shown = card_of(in_state(State.RUNNING), sight=Sight(expected_at=NOON))
    assert f"Expected <t:{int(NOON.timestamp())}:R>" in text_of(shown)


def test_a_range_reads_from_its_first_to_its_last_time() -> None:
    sight = Sight(expected_at=NOON, expected_by=NOON + timedelta(seconds=30))
    at = int(NOON.timestamp())
    assert f"Expected <t:{at}:R> to <t:{at + 30}:R>" in text_of(card_of(in_state(State.RUNNING), sight=sight))


def test_what_is_slower_than_usual_says_so_in_place_of_a_time_that_has_passed() -> None:
    text = text_of(card_of(in_state(State.RUNNING), sight=Sight(progress=0.5, is_slow=True)))
    assert "50 %\nThis takes longer than usual." in text
    assert "Expected" not in text


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_only_a_running_job_is_expected(state: State) -> None:
    assert "Expected" not in text_of(card_of(in_state(state), sight=Sight(expected_at=NOON, progress=0.5)))


def test_progress_is_shown_while_it_runs_and_without_it_no_bar() -> None:
    assert "▰▰▰▱▱▱▱▱▱▱▱▱ 25 %" in text_of(card_of(in_state(State.RUNNING), sight=Sight(progress=0.25)))
    assert "▰" not in text_of(card_of(in_state(State.RUNNING)))
    assert "▱" not in text_of(card_of(in_state(State.SUCCEEDED), sight=Sight(progress=0.25)))


@pytest.mark.parametrize(
    ("progress", "bar"),
    [
        (0.0, "▱" * 12 + " 0 %"),
        (0.999, "▰" * 11 + "▱ 99 %"),
        (1.0, "▰" * 12 + " 100 %"),
        (-3.0, "▱" * 12 + " 0 %"),
        (17.0, "▰" * 12 + " 100 %"),
        (float("nan"), "▱" * 12 + " 0 %"),
    ],
)
def test_a_bar_is_full_when_all_is_made_and_not_before(progress: float, bar: str) -> None:
    assert progress_bar(progress) == bar


def test_a_place_in_the_queue_is_shown_while_it_waits() -> None:
    assert "Place 3 in the queue" in text_of(card_of(in_state(State.QUEUED), sight=Sight(place=3)))
    assert "queue" not in text_of(card_of(in_state(State.RUNNING), sight=Sight(place=3)))


def test_the_end_of_a_good_job_leads_to_the_video() -> None:
    assert "https://discord.com/channels/2/3/99" in text_of(card_of(in_state(State.SUCCEEDED)))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_of_its_own(reason: Reason) -> None:
    lines = {each: set(text_of(card_of(in_state(State.FAILED, reason=each))).splitlines()) for each in Reason}
    others = set[str]().union(*(lines[each] for each in Reason if each is not reason))
    (sentence,) = lines[reason] - others
    assert re.fullmatch(r"[A-Z].*[.]", sentence)
    assert "_" not in sentence


def test_our_sentence_comes_first_then_the_vendors_words_cut_and_disarmed() -> None:
    job = replace(in_state(State.FAILED), vendor_message="@everyone **look** <@1> " + "x" * 500)
    text = text_of(card_of(job))
    before, _, vendor = text.partition("The provider says: ")
    assert "won't make this" in before
    words = vendor.partition("\n")[0]
    assert words.startswith("@\u200beveryone \\*\\*look\\*\\* \\<@\u200b1\\> xxx")
    assert words.endswith("x…")
    assert len(words.replace("\\", "").replace("\u200b", "")) == 200


def test_better_advice_takes_the_place_of_our_usual_sentence() -> None:
    job = replace(in_state(State.FAILED), advice="Attach a PNG or a JPEG.", vendor_message="bad file")
    text = text_of(card_of(job))
    assert "Attach a PNG or a JPEG.\nThe provider says: bad file" in text
    assert "won't make this" not in text


def test_models_that_can_do_the_same_are_named() -> None:
    job = replace(in_state(State.FAILED), alternatives="pixwith/wan-2.2-lite demo")
    assert "These can do the same: `pixwith/wan-2.2-lite`, `demo`." in text_of(card_of(job))


def test_the_price_is_taken_when_the_video_is_posted_and_goes_back_otherwise() -> None:
    assert "15 credits, taken when the video is posted" in text_of(card_of(in_state(State.RUNNING)))
    assert "went back" not in text_of(card_of(in_state(State.SUCCEEDED)))
    for state in (State.FAILED, State.EXPIRED, State.CANCELLED, State.LOST):
        assert "Nothing; 15 credits went back" in text_of(card_of(in_state(state)))


def test_a_card_names_its_job_and_its_model_also_one_that_is_offered_no_more() -> None:
    assert JOB.id in card_of(JOB).footer
    assert "Wan 2.2 Standard" in text_of(card_of(JOB))
    assert JOB.model in text_of(card_of(JOB, is_model_known=False))


def test_the_prompt_is_shown_disarmed_and_an_empty_one_explained() -> None:
    tricky = REQUEST.model_copy(update={"prompt": "@everyone\n\u202e# big"})
    assert "@\u200beveryone \\# big" in card_of(in_state(State.QUEUED, request=tricky)).description
    empty = REQUEST.model_copy(update={"prompt": "  "})
    assert "No prompt" in card_of(in_state(State.QUEUED, request=empty)).description


def test_every_option_is_shown_as_it_is_sent() -> None:
    request = Request(
        prompt="p",
        mode=Mode.FIRST_LAST,
        resolution="720p",
        duration=10,
        aspect_ratio="9:16",
        negative_prompt="rain *heavy*",
        seed=2147483647,
        enhance_prompt=False,
        parameters={"steps": 40, "shift": 12.0, "frames": 2147483647, "fine": 0.1234567, "interpolate": True},
    )
    assert options_text(request).split(" · ") == [
        "720p",
        "9:16",
        "10 s",
        "first and last image",
        "seed 2147483647",
        "prompt as written",
        "steps=40",
        "shift=12",
        "frames=2147483647",
        "fine=0.1234567",
        "interpolate=true",
        r"without: rain \*heavy\*",
    ]


def test_options_that_nobody_set_are_left_out() -> None:
    assert options_text(REQUEST) == "480p · 5 s · seed random"
    assert "seed 0" in options_text(REQUEST.model_copy(update={"seed": 0}))
    assert "prompt enhanced" in options_text(REQUEST.model_copy(update={"enhance_prompt": True}))


def test_what_was_done_to_pictures_is_said() -> None:
    note = "scaled from 4000 x 3000 to 2000 x 1500 to fit the model"
    request = REQUEST.model_copy(update={"image": media("image.png", note=note), "last_image": media("last_image.png")})
    text = text_of(card_of(in_state(State.QUEUED, request=request)))
    assert f"image.png: {note}" in text
    assert "last_image.png" not in text


# --- Discord's limits -------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["x", "*", "@", "🦊", "\u202e", "\n", " "])
@pytest.mark.parametrize("state", State)
def test_a_card_keeps_to_discords_limits_however_long_everything_is(character: str, state: State) -> None:
    long = character * 6000
    request = Request(
        prompt=long,
        mode=Mode.FIRST_LAST,
        resolution="1080p",
        duration=15,
        negative_prompt=long,
        parameters={f"parameter_{number:02}": number for number in range(80)},
        image=media("image.png", note="x" * 3000),
        last_image=media("last_image.png", note="\n".join(f"note {number}" for number in range(25))),
        video=media("video.mp4", note="*" * 900),
    )
    job = replace(
        in_state(state, request=request),
        vendor_message=long,
        quote=10**9,
        advice="Attach a PNG or a JPEG. " * 10,
        alternatives=" ".join(spec.id for spec in MODELS),
    )
    assert_within_discords_limits(card_of(job, sight=Sight(progress=0.5, expected_at=NOON, place=20)))


@given(
    prompt=st.text(max_size=50),
    vendor=st.none() | st.text(max_size=50),
    state=st.sampled_from(State),
    request=_requests,
    sight=_sights,
    reason=st.sampled_from(Reason),
)
def test_any_card_keeps_to_discords_limits(
    *, prompt: str, vendor: str | None, state: State, request: Request, sight: Sight, reason: Reason
) -> None:
    request = request.model_copy(update={"prompt": prompt, "negative_prompt": prompt})
    job = replace(in_state(state, reason=reason, request=request), vendor_message=vendor)
    assert_within_discords_limits(card_of(job, sight=sight))
