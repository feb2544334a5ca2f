"""What the HTTP status of an answer means, as ``providers.http`` lists it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

import httpx

from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.texts import Text
from providers.vendor_words import VendorWords, retry_after_seconds

#: seconds after a 429 that names none
DEFAULT_RETRY_AFTER = 30.0

#: a store's refusals that are about the moment
_TRY_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class UnknownTask(ContractBroken):
    """The vendor answered 404: it knows no such task (or not any more)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that came in whole."""

    status: int
    #: empty when it was longer than allowed; a vendor may repeat our key in it
    body: bytes = field(repr=False)
    #: seconds, where the vendor named a wait
    retry_after: float | None

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return httpx.codes.is_success(self.status)


def submit_error(name: str, got: Answer, words: VendorWords) -> ProviderError:
    """Tell what an HTTP status says about a submission. Only a 4xx is sure to have started nothing."""
    kind = Refused if httpx.codes.is_client_error(got.status) else OutcomeUnknown
    return _common_error(name, got, words) or kind(
        f"{name} answered {got.status} to a submission", vendor_message=words.message, vendor_code=words.code
    )


def ask_error(name: str, got: Answer, words: VendorWords) -> ProviderError:
    """Tell what an HTTP status says about a question that can be asked again."""
    if common := _common_error(name, got, words):
        return common
    reason = f"{name} answered {got.status}"
    if httpx.codes.is_server_error(got.status):
        return Unavailable(reason, retry_after=got.retry_after, vendor_message=words.message, vendor_code=words.code)
    if got.status == HTTPStatus.NOT_FOUND:
        reason = f"{reason}: the task is unknown there"
        return UnknownTask(reason, vendor_message=words.message, vendor_code=words.code)
    return ContractBroken(reason, vendor_message=words.message, vendor_code=words.code)


def upload_error(name: str, got: Answer) -> ProviderError:
    """Tell what a store's status says. What it refuses once it refuses again, unless it is out of breath."""
    reason = f"{name}'s store answered {got.status} to an upload"
    is_final = httpx.codes.is_client_error(got.status) and got.status not in _TRY_AGAIN
    if is_final:
        return Refused(
            reason, advice=Text("The vendor didn't take the file. Attach another one, or choose another model.")
        )
    return Unavailable(reason, retry_after=got.retry_after)


def _common_error(name: str, got: Answer, words: VendorWords) -> ProviderError | None:
    """Tell the statuses that mean the same everywhere."""
    if got.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN):
        return auth_failed(name, got, words)
    if got.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(
            f"{name} wants fewer requests",
            retry_after=got.retry_after,
            vendor_message=words.message,
            vendor_code=words.code,
        )
    return None


def auth_failed(name: str, got: Answer, words: VendorWords) -> AuthFailed:
    """Tell that key or funds are what is wrong."""
    reason = f"{name} doesn't accept the key, or has no funds left ({got.status})"
    return AuthFailed(reason, vendor_message=words.message, vendor_code=words.code)


def wait_named(status: int, header: str | None, now: datetime) -> float | None:
    """Seconds that the vendor wants to be left alone, by its ``Retry-After``; a 429 always wants some."""
    named = retry_after_seconds(header, now)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return DEFAULT_RETRY_AFTER if named is None else named
    return named if httpx.codes.is_server_error(status) else None
