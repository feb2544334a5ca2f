"""The contract that every provider keeps. Someone who adds a provider reads this file first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from providers.errors import ContractBroken
from providers.types import GenerationRequest, KnownTask, ModelSpec, Submission, TaskStatus

#: awaited once, when nothing is left to do but to send what may start a video; what it raises keeps that from leaving
BeforeSending = Callable[[], Awaitable[None]]


async def at_once() -> None:
    """Nothing has to be seen to before."""


class Provider(ABC):
    """One vendor, reached with one key.

    Every method raises only the classes of ``providers.errors``, and each means the same everywhere:
    ``Unavailable`` says that nothing was started, so ``submit`` may raise it only when the request
    surely never reached the vendor, or when the vendor said 429.
    """

    #: the part of a model id before the slash, and the prefix of the provider's settings
    name: ClassVar[str]
    #: as people write it
    title: ClassVar[str]
    #: whether ``cancel`` can stop a running task
    can_cancel: ClassVar[bool] = False
    #: whether ``recent_tasks`` can tell what became of a submission without an answer
    can_list: ClassVar[bool] = False
    #: whether results are files of this machine rather than links
    is_local: ClassVar[bool] = False
    #: how many requests a minute the vendor allows, submits and polls together; None: no limit
    requests_per_minute: int | None = None
    #: the host names, without ports, on which a result may live although the address is private
    trusted_hosts: frozenset[str] = frozenset()

    @abstractmethod
    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        """Start one video. Called once for a job: no vendor has an idempotency key.

        Until ``before_sending`` is awaited nothing has been started, whatever happens: pictures may be uploaded
        before, and the vendor's budget waited for. After it the request leaves at once.

        Raises ``Unavailable``, ``Refused``, ``AuthFailed``, or ``OutcomeUnknown`` for everything
        after which the vendor may be at work: a time-out, a 5xx, an answer without a task id.
        """

    @abstractmethod
    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        """Look at a task. Safe to repeat.

        Raises ``Unavailable``, ``AuthFailed``, or ``ContractBroken`` for an answer that isn't as
        documented, an unknown task included. A status word that nobody has seen is ``Pending``.
        """

    @abstractmethod
    async def check(self) -> None:
        """Make one call that costs nothing and needs the key; raise what is wrong."""

    def offers(self, spec: ModelSpec) -> bool:
        """Whether this model of the provider can be used as it is configured now."""
        del spec
        return True

    async def cancel(self, task_id: str) -> bool:
        """Stop a task; true only when the vendor confirms that it will not be charged."""
        del task_id
        return False

    async def forget(self, task_id: str) -> None:  # noqa: B027 - vendors delete by rules of their own
        """Delete what this machine keeps of a task that has ended; nothing if there is no such task."""

    async def tidy(self) -> None:  # noqa: B027 - most providers keep nothing here
        """Delete what this machine has kept of tasks for long enough. Called now and then."""

    async def recent_tasks(self, *, since: datetime) -> Sequence[KnownTask]:
        """List the tasks that the vendor has taken since then, for a submission without an answer."""
        del since
        message = f"{self.name} can't list its tasks"
        raise ContractBroken(message)

    async def disagreements(self, models: Sequence[ModelSpec]) -> Sequence[str]:
        """Where the vendor's own list of models and our catalogue differ, a line each, for the operator.

        Raises as ``status``. Empty also where the vendor has no such list.
        """
        del models
        return ()

    async def balance(self) -> Decimal | None:
        """Tell what is left at the vendor, in its own unit; None where it can't be asked."""
        return None

    async def close(self) -> None:  # noqa: B027 - most providers open nothing of their own
        """Close what was opened."""
