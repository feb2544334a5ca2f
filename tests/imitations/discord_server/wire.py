"""What goes over the wire: JSON payloads and Discord's way to say no."""

from __future__ import annotations

from enum import Enum
from typing import Any

Payload = dict[str, Any]


def rows(payload: Payload, key: str) -> list[Payload]:
    """Return a list of objects; one that is absent or null is empty."""
    return payload.get(key) or []


class Problem(Enum):
    """Status, code and message, as Discord's documents list them."""

    UNAUTHORIZED = 401, 0, "401: Unauthorized"
    NOT_FOUND = 404, 0, "404: Not Found"
    UNKNOWN_APPLICATION = 404, 10002, "Unknown Application"
    UNKNOWN_CHANNEL = 404, 10003, "Unknown Channel"
    UNKNOWN_GUILD = 404, 10004, "Unknown Guild"
    UNKNOWN_MEMBER = 404, 10007, "Unknown Member"
    UNKNOWN_MESSAGE = 404, 10008, "Unknown Message"
    UNKNOWN_USER = 404, 10013, "Unknown User"
    UNKNOWN_WEBHOOK = 404, 10015, "Unknown Webhook"
    UNKNOWN_INTERACTION = 404, 10062, "Unknown interaction"
    TOO_LARGE = 413, 40005, "Request entity too large"
    ALREADY_ACKNOWLEDGED = 400, 40060, "Interaction has already been acknowledged."
    MISSING_ACCESS = 403, 50001, "Missing Access"
    NOT_THE_AUTHOR = 403, 50005, "Cannot edit a message authored by another user"
    EMPTY_MESSAGE = 400, 50006, "Cannot send an empty message"
    CANNOT_SEND_TO_USER = 403, 50007, "Cannot send messages to this user"
    MISSING_PERMISSIONS = 403, 50013, "Missing Permissions"
    TOKEN_EXPIRED = 401, 50027, "Invalid Webhook Token"
    INVALID_FORM = 400, 50035, "Invalid Form Body"
    THREAD_ARCHIVED = 400, 50083, "Thread is archived"
    INVALID_JSON = 400, 50109, "The request body contains invalid JSON."
    NO_REPLY_WITHOUT_HISTORY = 400, 160002, "Cannot reply without permission to read message history"


class ApiError(Exception):
    """A refusal, turned into a JSON answer at the edge."""

    def __init__(self, problem: Problem, errors: Payload | None = None) -> None:
        self.status, self.code, message = problem.value
        self.body: Payload = {"message": message, "code": self.code}
        if errors:
            self.body["errors"] = errors
        super().__init__(f"{self.status}/{self.code}: {message} {errors or ''}".rstrip())


class Form:
    """Collects what is wrong with a body, in the nested shape that Discord answers with."""

    def __init__(self) -> None:
        self.errors: Payload = {}

    def add(self, path: str, code: str, message: str) -> None:
        node = self.errors
        for part in path.split("."):
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def require(self, path: str, *, that: bool, message: str, code: str = "BASE_TYPE_INVALID") -> None:
        if not that:
            self.add(path, code, message)

    def text(self, path: str, value: Any, *, most: int, least: int = 0) -> None:
        if value is None and least == 0:
            return
        if not isinstance(value, str):
            self.add(path, "BASE_TYPE_REQUIRED", "This field is required and must be a string.")
        elif not least <= len(value) <= most:
            self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")

    def count(self, path: str, values: list[Any], *, most: int) -> None:
        if len(values) > most:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")

    def done(self) -> None:
        if self.errors:
            raise ApiError(Problem.INVALID_FORM, self.errors)


def invalid(path: str, message: str, code: str = "BASE_TYPE_INVALID") -> ApiError:
    """Build the refusal of one field."""
    form = Form()
    form.add(path, code, message)
    return ApiError(Problem.INVALID_FORM, form.errors)
