"""Errors in the replies of servers: the sentence, and the HTTP status that it amounts to.

OpenAI's form is ``{"error": {"message", "type", "code"}}`` under an HTTP status. Gateways send the same under HTTP 200
where the trouble began after the answer had, with the status as ``code``
(https://openrouter.ai/docs/api/reference/errors-and-debugging), and an error can stand inside a choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ACCOUNT = """
insufficient_quota insufficient_balance insufficient_credits insufficient_funds insufficient_user_quota
exceeded_current_quota_error billing_error billing_hard_limit_reached billing_limit_reached billing_not_active
quota_exceeded credit_balance_too_low payment_required account_deactivated account_suspended account_disabled
organization_usage_limit_exceeded organization_spend_limit_exceeded project_spend_limit_exceeded
"""
ACCOUNT = frozenset(_ACCOUNT.split())
"""Codes and types of an account that is empty or closed, under whatever status; ``insufficient_quota`` comes with 429,
which else asks for patience."""
_SAID = re.compile(r"(credit|account) balance is too low|insufficient (account )?(balance|credits?|funds|quota)", re.I)
"""The same where only the sentence says so, as Anthropic's HTTP 400 does."""
_WORDS = {
    429: "rate_limit rate_limit_error rate_limit_exceeded rate_limit_reached_error too_many_requests throttled "
    "throttling resource_exhausted requests tokens",
    503: "overloaded overloaded_error engine_overloaded engine_overloaded_error server_overloaded model_overloaded "
    "service_unavailable service_unavailable_error unavailable",
    500: "server_error internal_error internal_server_error internal api_error upstream_error provider_error "
    "bad_gateway gateway_timeout timeout timeout_error",
    401: "invalid_api_key authentication_error invalid_authentication_error unauthenticated unauthorized",
    403: "permission_error permission_denied access_denied forbidden",
    404: "model_not_found not_found not_found_error",
    400: "invalid_request_error invalid_request invalid_argument bad_request bad_request_error "
    "context_length_exceeded content_filter content_policy_violation invalid_prompt",
}
_STATUS_OF = {word: status for status, words in _WORDS.items() for word in words.split()}


@dataclass(frozen=True, kw_only=True)
class ServerError:
    """An error as a server reports it."""

    message: str
    """Its sentence, of whatever length; secrets are not taken out of it yet."""
    status: int | None
    """The HTTP status that its code or type amounts to; None where neither says."""
    words: frozenset[str]
    """Its code, type and status as words, in small letters."""
    flagged: bool = False
    """True if it is about what was asked, by a moderator's judgement (OpenRouter: HTTP 403)."""

    @property
    def account(self) -> bool:
        """Return whether it is about the account or its money, so that the next request would meet it as well."""
        return bool(self.words & ACCOUNT) or bool(_SAID.search(self.message))


def error_in(answer: Any) -> ServerError | None:
    """Read the error of a reply, or of a choice; None where there is none.

    >>> error_in({"error": {"message": "Rate limit exceeded", "code": 429}}).status
    429
    >>> error_in([{"error": {"message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}]).status
    429
    >>> error_in({"choices": []}) is None
    True
    """
    if isinstance(answer, list) and len(answer) == 1:  # as Gemini wraps it
        answer = answer[0]
    if not isinstance(answer, Mapping):
        return None
    error = answer.get("error")
    if not error and answer.get("object") == "error":  # as vLLM and Mistral have it
        error = answer
    if not error and isinstance(answer.get("errors"), list):
        error = next((one for one in answer["errors"] if one), None)
    return _read(error) if error else None


def _read(error: Any) -> ServerError:
    if not isinstance(error, Mapping):
        return ServerError(message=str(error), status=None, words=frozenset())
    if isinstance(error.get("error"), Mapping | str):  # wrapped once more by a gateway
        return _read(error["error"])
    names = [error.get(name) for name in ("code", "type", "status")]
    words = frozenset(re.sub(r"[\s-]+", "_", name.strip().lower()) for name in names if isinstance(name, str))
    statuses = [*filter(None, map(_status, names)), *(_STATUS_OF[word] for word in words if word in _STATUS_OF)]
    metadata = error.get("metadata")
    flagged = isinstance(metadata, Mapping) and ("flagged_input" in metadata or bool(metadata.get("reasons")))
    message = ": ".join(_sentences(error, metadata)) or str(dict(error))
    # a type such as invalid_request_error says least of several
    status = next((one for one in statuses if one != 400), statuses[0] if statuses else None)
    return ServerError(message=message, status=status, words=words, flagged=flagged)


def _sentences(error: Mapping[str, Any], metadata: Any) -> Iterator[str]:
    """Yield what is said, by the server and by the provider behind it, and of which parameter."""
    for name in ("message", "msg", "detail"):
        if isinstance(error.get(name), str) and error[name].strip():
            yield error[name].strip()
            break
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    yield from (one.strip() for one in (raw, error.get("param")) if isinstance(one, str) and one.strip())


def _status(name: Any) -> int | None:
    """Read an HTTP status out of a code, which can be a number or its digits."""
    if isinstance(name, str) and re.fullmatch(r"[45]\d\d", name.strip()):
        return int(name)
    return name if isinstance(name, int) and 400 <= name < 600 else None
