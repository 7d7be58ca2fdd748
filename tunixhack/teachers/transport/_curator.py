"""Curator's LLM class, with the private methods that are replaced; those of its processors are in the files beside.

Curator's private parts are touched in the files whose names begin with ``_curator`` alone. They are pinned to
bespokelabs-curator 0.1.31; tests/teachers/transport/test_curator.py holds each hook to what is assumed of it. Here
these are hooked, and what would happen otherwise (measured with 0.1.31):

==================================  =====================================================================
hook                                why
==================================  =====================================================================
LLM.__init__ (not called)           its factory builds a processor whose constructor POSTs without a timeout
LLM._request_processor (made late)  its module imports litellm, which takes seconds that an import of a domain need not
_hash_fingerprint                   system prompt, URL, helpers and prompts of installed packages are not in it
==================================  =====================================================================
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tunixhack._util.ids import digest
from tunixhack.errors import TeacherFailed, UserError, missing_curator
from tunixhack.teachers.transport._curator_environment import close_log_files
from tunixhack.teachers.transport.threads import in_thread

try:
    from bespokelabs.curator import LLM
    from bespokelabs.curator.llm.prompt_formatter import PromptFormatter
    from bespokelabs.curator.request_processor.config import OnlineRequestProcessorConfig
    from datasets import Dataset
    from pydantic import ValidationError
except ImportError as error:
    raise missing_curator(error) from error

if TYPE_CHECKING:
    from tunixhack.teachers.transport._curator_online import OnlineProcessor

NO_LIMIT = 10**9
"""Requests and tokens a minute: Curator's own defaults would allow twelve long answers a minute."""
LOG = logging.getLogger("tunixhack")
# after the import, which sets it; the caller reports once why requests failed
logging.getLogger("curator").setLevel(logging.CRITICAL)


class HardenedLLM(LLM):  # type: ignore[misc]  # Curator is untyped
    """A ``curator.LLM`` that keeps paid answers, never serves stale ones, and can be stopped.

    Args:
        model_name: the model as the server knows it.
        backend_params: Curator's own, for example ``base_url``, ``api_key``, ``max_concurrent_requests`` and
            ``request_timeout``. The mapping is copied; Curator would write into it.
        generation_params: goes into every request's body.
        backend: only ``"openai"``: any OpenAI-compatible server, by its ``base_url``.

    Raises:
        UserError: another backend, or parameters that Curator does not know.
    """

    return_completions_object = True  # the trace stands beside the content, which is all that Curator reads otherwise

    def __init__(
        self,
        model_name: str,
        *,
        backend: str = "openai",
        backend_params: Mapping[str, Any] | None = None,
        generation_params: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare the calls; nothing is sent yet."""
        if backend != "openai":
            raise UserError(f'backend={backend!r} is not supported: use "openai" and a base_url, or a litellm proxy')
        params = {
            "require_all_responses": False,
            "invalid_finish_reasons": [],  # what was paid is kept; Curator would buy it again up to eleven times
            "max_retries": 0,  # `call_single_request` below retries by itself, at once and not after everything else
            "request_timeout": 1800,
            "max_concurrent_requests": 8,
            "max_requests_per_minute": NO_LIMIT,
            "max_tokens_per_minute": NO_LIMIT,
        } | dict(backend_params or {})
        sampling = dict(generation_params or {})
        try:
            self._config = OnlineRequestProcessorConfig(
                **params, model=model_name, generation_params=sampling, return_completions_object=True
            )
        except ValidationError as error:
            # not the error's own text, which quotes the values: one of them can be a key under a mistyped name
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise UserError(f"backend_params do not fit Curator's: {wrong}") from None
        self._fingerprint = ""
        self.model_name = model_name
        self.batch_mode = False
        self.prompt_formatter = PromptFormatter(
            model_name=model_name,
            prompt_func=self.render,
            parse_func=self.parse,
            response_format=None,
            generation_params=sampling,
        )

    @cached_property
    def _request_processor(self) -> OnlineProcessor:
        from tunixhack.teachers.transport._curator_online import OnlineProcessor

        return OnlineProcessor(self._config)

    def render(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Turn a row into the messages that are sent."""
        raise NotImplementedError

    def request_keys(self, rows: Dataset) -> list[str]:
        """Return the request key of each row (contract 5)."""
        raise NotImplementedError

    def __call__(self, dataset: Any, working_dir: str | None = None) -> Any:
        """Ask once for each row and return Curator's response; its ``.dataset`` has one row per choice.

        Runs in a thread of its own, since Curator's event loop breaks the one of a notebook (curator A8).

        Args:
            dataset: a `datasets.Dataset`, or a list of rows.
            working_dir: where Curator keeps its files; a second call with the same rows goes on there.

        Raises:
            UserError: there are no rows.
            TeacherFailed: no row was answered, or the server was away for too long; what it answered is kept. Rows
                that went unanswered beside others are logged as a warning and asked for again by the next call.
        """
        rows = dataset if isinstance(dataset, Dataset) else Dataset.from_list(list(dataset))
        if not rows.num_rows:
            raise UserError("there are no rows to ask for: the dataset is empty")
        processor = self._request_processor
        processor.state = processor.new_state()
        self._fingerprint = digest(self.request_keys(rows))[:32]
        try:
            response = in_thread(
                lambda: super(HardenedLLM, self).__call__(rows, working_dir=working_dir), processor.state
            )
        except asyncio.CancelledError as error:
            if processor.state.write_error:
                why = processor.state.write_error.strerror
                raise UserError(f"an answer could not be kept: {why}; make room, and the same call goes on") from error
            raise TeacherFailed(processor.state.gave_up or "the call was stopped") from error
        finally:
            close_log_files()
        if processor.state.failures:
            missing = processor.state.failures.total()
            LOG.warning("%d of %d rows were not answered: %s", missing, rows.num_rows, processor.state.reasons())
        return response

    def _hash_fingerprint(self, dataset_hash: str = "", disable_cache: bool = False) -> str:
        # Replaced, not extended: Curator's lacks the system prompt, the URL and everything that a prompt() of an
        # installed package calls, and so returns the old release's answers after an upgrade (curator A4).
        return self._fingerprint
