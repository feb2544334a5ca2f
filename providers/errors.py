"""What can go wrong with a provider: one class for each way to react.

ProviderError
├── Unavailable      nothing was started; try again later
├── Refused          the vendor won't do this request; tell the member
├── OutcomeUnknown   a submission may have been accepted; never repeat it blindly
├── AuthFailed       key or funds; tell the operator and pause the provider
└── ContractBroken   the answer is not as documented; keep looking, tell the operator
"""

from __future__ import annotations


class ProviderError(Exception):
    """The root of all errors that a provider raises.

    ``vendor_message`` is the vendor's own text, if it gave one. It is not trusted: whoever shows it
    shortens it and disarms its mentions. It never holds a secret of ours.
    """

    def __init__(self, reason: str, *, vendor_message: str | None = None, vendor_code: str | None = None) -> None:
        """Keep our own words for the log (``reason``) apart from the vendor's."""
        super().__init__(reason)
        self.reason = reason
        self.vendor_message = vendor_message
        self.vendor_code = vendor_code

    def __str__(self) -> str:
        """Our reason, then the vendor's code and words."""
        parts = [self.reason, self.vendor_code, self.vendor_message]
        return ": ".join(part for part in parts if part)


class Unavailable(ProviderError):  # noqa: N818 - the reaction is the name, as in the list above
    """Nothing was started. ``retry_after`` is what the vendor asked for, in seconds."""

    def __init__(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        vendor_message: str | None = None,
        vendor_code: str | None = None,
    ) -> None:
        """Add the vendor's wish to the usual fields."""
        super().__init__(reason, vendor_message=vendor_message, vendor_code=vendor_code)
        self.retry_after = retry_after


class Refused(ProviderError):  # noqa: N818
    """The vendor read the request and won't do it. Asking again gives the same answer.

    ``advice`` is our own sentence for the member, saying what to do; None: nothing more is known.
    """

    def __init__(
        self,
        reason: str,
        *,
        vendor_message: str | None = None,
        vendor_code: str | None = None,
        advice: str | None = None,
    ) -> None:
        """Add our own advice to the usual fields."""
        super().__init__(reason, vendor_message=vendor_message, vendor_code=vendor_code)
        self.advice = advice


class OutcomeUnknown(ProviderError):  # noqa: N818
    """The submission left, and what became of it is not known."""


class AuthFailed(ProviderError):  # noqa: N818
    """The key isn't accepted, or the vendor's account has no funds (HTTP 401, 402, 403)."""


class ContractBroken(ProviderError):  # noqa: N818
    """The answer isn't what the vendor documents: not JSON, a field missing, a task forgotten."""
