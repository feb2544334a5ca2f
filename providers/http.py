"""The one way in which a vendor is asked: what was sent, what came back, and what that means.

    what happened                         submit            ask
    no connection, no name, no slot       Unavailable       Unavailable
    cut, time-out, any other transport    OutcomeUnknown    Unavailable
    2xx as documented                     the answer        the answer
    2xx not as documented, 3xx            OutcomeUnknown    ContractBroken
    401, 402, 403, or an ``auth_codes``   AuthFailed        AuthFailed
    404                                   Refused           UnknownTask (a ContractBroken)
    429                                   Unavailable       Unavailable
    other 4xx                             Refused           ContractBroken
    5xx                                   OutcomeUnknown    Unavailable

Headers carry the key, so nothing that holds a header leaves this module: transport errors are copied
without their request and traceback, and texts are searched for the key before they are passed on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from providers.addresses import Resolve, is_public, system_resolve, url_of
from providers.budget import CannotCount, NoSlotSoon, Priority, RequestBudget, Tally
from providers.contract import BeforeSending, at_once
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.observing import UNOBSERVED, Observer, observed
from providers.statuses import Answer, ask_error, auth_failed, submit_error, upload_error, wait_named
from providers.texts import Text
from providers.transport import AiohttpTransport, trusted_certificates
from providers.vendor_words import MAX_MESSAGE, VendorWords, vendor_words, words_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

#: seconds; a submission may take long, since some vendors fetch the pictures before they answer
SUBMIT_TIMEOUT = httpx.Timeout(60.0, connect=10.0, write=30.0, pool=10.0)
#: seconds; for the whole of a submission, whose parts are bounded above but not their number
SUBMIT_TOTAL = 110.0
#: seconds; for each part of a repeatable question, and for its whole
ASK_TIMEOUT = httpx.Timeout(30.0)
ASK_TOTAL = 30.0
#: seconds; for each part of an upload, and for its whole
UPLOAD_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
UPLOAD_TOTAL = 120.0
#: seconds; a submission that would wait longer for its slot is better queued, where it can be cancelled
SUBMIT_PATIENCE = 10.0
#: bytes of an answer; the longest documented one is a list of 137 models, well under this
MAX_ANSWER_BYTES = 1024 * 1024
_HTTPS_PORT = 443
#: characters; a shorter header value is a word, not a key
_SHORTEST_SECRET = 4

# httpcore looks for it a dozen times in each request, through every folder of the path when it isn't there
if importlib.util.find_spec("sniffio") is None:
    _modules: dict[str, Any] = sys.modules
    _modules["sniffio"] = None

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


class VendorAnswer(BaseModel):
    """What an answer is parsed into: unknown fields pass.

    A vendor may repeat our key in any of them, so neither a fault nor a repr shows what stands there.
    """

    # built when the first answer comes: a start has none to parse
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, defer_build=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return ()


M = TypeVar("M", bound=VendorAnswer)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """Where a file may be put, and what is to stand before it. Who has it can write there, so no repr shows it."""

    url: str = field(repr=False)
    #: in the order in which they are sent
    fields: Mapping[str, str] = field(repr=False)


class VendorHttp:
    """Requests to one vendor, within its budget, with every outcome turned into an answer or one error.

    Every call makes at most one request and repeats none. Redirects aren't followed: a key goes to no
    other host than the configured one.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        requests_per_minute: int | None = None,
        concurrency: int = 4,
        tally: Tally | None = None,
        budget: RequestBudget | None = None,
        client: httpx.AsyncClient | None = None,
        auth_codes: frozenset[str] = frozenset(),
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resolve: Resolve = system_resolve,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Set up; nothing is sent yet.

        Args:
            name: the vendor's, for our messages.
            base_url: its own path is kept, a request's path is appended.
            headers: sent with every request; their values are treated as secrets.
            requests_per_minute: submits and asks together; None: no limit.
            concurrency: requests at the same time.
            tally: counts what other processes ask of the vendor; None: there are none.
            budget: instead of the three before.
            client: instead of an own one; it isn't closed here.
            auth_codes: the vendor's codes that mean "key or funds" whatever the HTTP status says.
            max_answer_bytes: of a body; a longer one counts as not as documented.
            now: the wall clock, for a ``Retry-After`` that is a date.
            resolve: the addresses of a host that the vendor chose.
            observer: is told how each request went.

        Raises:
            ValueError: the base URL or a header can't be used. The message holds neither.
        """
        self.name = name
        self._base = _checked_base(name, base_url)
        self._headers = _checked_headers(name, headers)
        self._secrets = _secrets_in(self._headers)
        self.budget = budget or RequestBudget(
            requests_per_minute=requests_per_minute, concurrency=concurrency, tally=tally
        )
        self._given_client = client
        #: for submissions (true) and for everything else
        self._own_clients: dict[bool, httpx.AsyncClient] = {}
        self._auth_codes = auth_codes
        self._max_answer_bytes = max_answer_bytes
        self._now = now
        self._resolve = resolve
        self._observer = observer

    def __repr__(self) -> str:
        return f"<VendorHttp {self.name}>"

    @property
    def trusted_host(self) -> str:
        """The host of the base URL, without its port."""
        return httpx.URL(self._base).host

    async def submit(
        self, path: str, *, json: Mapping[str, object], answer: type[M], before_sending: BeforeSending
    ) -> M:
        """POST what costs money, once, as soon as there is a slot and ``before_sending`` has returned.

        Raises ``Unavailable`` (nothing was started), ``Refused``, ``AuthFailed``, or ``OutcomeUnknown``.
        """
        with observed(self._observer, self.name, "submit"):
            got = await self._exchange("POST", path, json=json, submit=True, before_sending=before_sending)
            if isinstance(got, Answer):
                return self._parsed(got, answer, submit=True)
            if isinstance(got, _NEVER_LEFT):
                raise Unavailable(f"{self.name} can't be reached ({got})") from got
            raise OutcomeUnknown(f"{self.name} gave no answer to a submission ({got})") from got

    async def ask(
        self,
        path: str,
        *,
        answer: type[M],
        method: str = "GET",
        json: Mapping[str, object] | None = None,
        urgent: bool = False,
    ) -> M:
        """Ask what can be asked again.

        ``urgent`` is for what a submission waits for: it goes first and, like that, fails rather than waits long.

        Raises ``Unavailable``, ``AuthFailed``, or ``ContractBroken`` (``UnknownTask`` for a 404).
        """
        with observed(self._observer, self.name, "ask"):
            got = await self._exchange(method, path, json=json, submit=False, urgent=urgent)
            if isinstance(got, Answer):
                return self._parsed(got, answer, submit=False)
            raise Unavailable(f"{self.name} gave no answer ({got})") from got

    async def upload(self, form: UploadForm, *, path: Path, filename: str, content_type: str) -> None:
        """POST a file to the store of the vendor's choice, as the last part of its form.

        The file is read while it is sent. The store is another's: none of our headers go there, nothing of
        its answer is passed on, and it doesn't count in the budget.

        Raises ``Unavailable``, or ``Refused`` for an address or a file that can't be used, and for a 4xx.
        """
        if not self._is_safe_store(form.url) or await self._leads_inside(form.url):
            raise Refused(f"{self.name} names an address for uploads that is not safe to use")
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except OSError as error:
            reason = f"{self.name}: the file to upload can't be read ({type(error).__name__})"
            raise Refused(reason, advice=Text("Attach the picture again.")) from None
        with file, observed(self._observer, self.name, "upload"):
            got = await self._uploaded(form, (filename, file, content_type))
            if not isinstance(got, Answer):
                raise Unavailable(f"{self.name}'s store gave no answer to an upload ({got})") from got
            if not got.is_success:
                raise upload_error(self.name, got)

    def redact(self, text: str) -> str:
        """Take our own key out of a vendor's text, should it repeat it."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text

    def words_in(self, content: object) -> VendorWords:
        """Find code and message in what is parsed already, without our own key."""
        return words_in(content, self.redact)

    async def close(self) -> None:
        """Close the connections, unless the client was passed in."""
        for client in self._own_clients.values():
            await client.aclose()

    def _client(self, *, submit: bool) -> httpx.AsyncClient:
        """An own one is made for the first request: a start has better things to do."""
        if self._given_client is not None:
            return self._given_client
        if submit not in self._own_clients:
            self._own_clients[submit] = _new_client(submit=submit)
        return self._own_clients[submit]

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None,
        submit: bool,
        urgent: bool = False,
        before_sending: BeforeSending = at_once,
    ) -> Answer | httpx.RequestError:
        """Make one request in its slot. A transport error is returned, so that its context ends here."""
        priority, patience = (Priority.SUBMIT, SUBMIT_PATIENCE) if submit or urgent else (Priority.POLL, math.inf)
        try:
            async with self.budget.slot(priority, patience=patience, lasts=SUBMIT_TOTAL if submit else ASK_TOTAL):
                await before_sending()
                got = await self._send(method, path, json=json, submit=submit)
                if isinstance(got, Answer) and got.retry_after is not None:
                    # inside the slot: nobody may slip in between
                    self.budget.hold_for(got.retry_after)
                return got
        except NoSlotSoon as error:
            reason = f"{self.name} takes no request for {error.seconds:.0f} s"
            raise Unavailable(reason, retry_after=error.seconds) from error
        except CannotCount as error:
            raise Unavailable(f"{self.name} isn't asked: {error}") from error

    async def _send(
        self, method: str, path: str, *, json: Mapping[str, object] | None, submit: bool
    ) -> Answer | httpx.RequestError:
        try:
            async with asyncio.timeout(SUBMIT_TOTAL if submit else ASK_TOTAL):
                request = self._request(method, path, json=json, submit=submit)
                return await self._answer_to(request, self._client(submit=submit))
        except TimeoutError:
            return httpx.ReadTimeout("the answer took too long")
        except httpx.RequestError as error:
            return self._bare(error)

    def _request(self, method: str, path: str, *, json: Mapping[str, object] | None, submit: bool) -> httpx.Request:
        return self._client(submit=submit).build_request(
            method,
            f"{self._base}{path}",
            # an answer that isn't compressed can't grow while it is read
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **self._headers},
            json=json,
            timeout=SUBMIT_TIMEOUT if submit else ASK_TIMEOUT,
        )

    async def _uploaded(self, form: UploadForm, file: tuple[str, BinaryIO, str]) -> Answer | httpx.RequestError:
        client = self._client(submit=True)
        request = client.build_request(
            "POST",
            form.url,
            headers={"Accept-Encoding": "identity"},
            data=form.fields,
            # read in blocks of 64 KiB, each a moment too short to be worth a thread
            files={"file": file},
            timeout=UPLOAD_TIMEOUT,
        )
        try:
            async with asyncio.timeout(UPLOAD_TOTAL):
                return await self._answer_to(request, client)
        except TimeoutError:
            return httpx.WriteTimeout("the upload took too long")
        except httpx.RequestError as error:
            return self._bare(error)

    def _is_safe_store(self, address: str) -> bool:
        """Let a vendor choose any store that is reached with TLS; without it only its own host, which we chose."""
        url, own = url_of(address), httpx.URL(self._base)
        if url is None or not url.host or url.userinfo:
            return False
        return url.scheme == "https" or (url.scheme == "http" and url.host == own.host)

    async def _leads_inside(self, address: str) -> bool:
        """Whether a store is in a private network, where it may only be on the host that we chose.

        A name that resolves differently a moment later gains nothing: whoever is there then has no certificate for it.
        """
        url = httpx.URL(address)
        if url.host == self.trusted_host:
            return False
        try:
            addresses = await self._resolve(url.raw_host.decode("ascii"), url.port or _HTTPS_PORT)
        except (OSError, UnicodeError):
            # nobody is there, which the request will say
            return False
        return not all(is_public(each) for each in addresses)

    async def _answer_to(self, request: httpx.Request, client: httpx.AsyncClient) -> Answer:
        try:
            response = await client.send(request, stream=True, follow_redirects=False)
        except (httpx.InvalidURL, UnicodeError):
            # httpx reads where a redirect leads to also when it doesn't go there
            raise httpx.RemoteProtocolError("the redirect can't be read") from None
        try:
            body = await self._body(response)
        finally:
            await response.aclose()
        wait = wait_named(response.status_code, response.headers.get("Retry-After"), self._now())
        return Answer(response.status_code, body, wait)

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_answer_bytes:
                return b""
        return bytes(body)

    def _bare(self, error: httpx.RequestError) -> httpx.RequestError:
        """Copy an error without its request, its traceback and its context: all of them hold our headers."""
        if isinstance(error, httpx.LocalProtocolError):
            # h11 quotes the header that it dislikes
            return httpx.LocalProtocolError("the request could not be written")
        words = self.redact(str(error))[:MAX_MESSAGE]
        return type(error)(f"{type(error).__name__}: {words}" if words else type(error).__name__)

    def _parsed(self, got: Answer, answer: type[M], *, submit: bool) -> M:
        words = vendor_words(got.body, self.redact)
        if words.code in self._auth_codes and not got.is_success:
            raise auth_failed(self.name, got, words)
        if not got.is_success:
            raise (submit_error if submit else ask_error)(self.name, got, words)
        try:
            return answer.model_validate_json(got.body)
        except ValidationError as error:
            # the traceback would keep the whole body
            raise self._not_as_documented(error, words, submit=submit) from error.with_traceback(None)

    def _not_as_documented(self, error: ValidationError, words: VendorWords, *, submit: bool) -> ProviderError:
        reason = f"{self.name} answered not as documented ({_faults(error)})"
        kind = OutcomeUnknown if submit else ContractBroken
        if words.code in self._auth_codes:
            kind = AuthFailed
        return kind(reason, vendor_message=words.message, vendor_code=words.code)


def _faults(error: ValidationError) -> str:
    """Name the first fields at fault, without what stood in them."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    places = (".".join(str(part) for part in fault["loc"]) or "body" for fault in faults[:3])
    return ", ".join(f"{place}: {fault['type']}" for place, fault in zip(places, faults, strict=False))


def _checked_base(name: str, base_url: str) -> str:
    url = url_of(base_url)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{name}: the base URL must read http(s)://host[:port][/path]")
    if url.userinfo or url.query or url.fragment:
        # they would stand in httpx's own log lines
        raise ValueError(f"{name}: the base URL must hold no user name, password, query or fragment")
    return str(url).rstrip("/")


def _checked_headers(name: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Refuse early what would fail later with the key in the error's text."""
    if not all(_is_sendable(value) for value in headers.values()):
        raise ValueError(f"{name}: the key is empty or holds characters that no header can carry")
    return dict(headers)


def _is_sendable(value: str) -> bool:
    return value != "" and value.isascii() and value.isprintable() and value.strip() == value


def _secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The values and, where a scheme such as Bearer stands before it, the key alone; longest first."""
    values = {part for value in headers.values() for part in (value, value.split(" ")[-1])}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))


def _new_client(*, submit: bool) -> httpx.AsyncClient:
    """A client that keeps connections for questions, but none for submissions.

    A kept one that the vendor closes in the instant in which we use it looks like a lost submission. What can be asked
    again is asked again.
    """
    if not submit:
        return httpx.AsyncClient(transport=AiohttpTransport(trust_env=True))
    return httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0), verify=trusted_certificates())


def warm_up() -> None:
    """Load in a thread what the first request would keep the event loop waiting for."""
    httpx.AsyncHTTPTransport(verify=trusted_certificates(), trust_env=False)
