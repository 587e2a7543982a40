"""A provider on the loopback interface: real sockets, both protocols, answers that a test scripts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from tierwise.testing.answers import Answer, ProviderRequest, estimated_tokens
from tierwise.testing.delivery import response_headers, send, send_error
from tierwise.testing.exchange import Exchange, UnspeakableAnswer, json_text
from tierwise.testing.faults import Fault, speaks_anthropic
from tierwise.testing.http_server import HttpRequest, LoopbackServer, Reply
from tierwise.testing.jobs import Jobs
from tierwise.testing.multipart import read_form
from tierwise.testing.openai_responses_wire import RESPONSES
from tierwise.testing.routes import BATCHED, LATER, WIRES, later_id, provider_request

AnswerFunction = Callable[[ProviderRequest], "Answer | str | Fault"]

_DEFAULT_MODELS: Final = ("gpt-4o", "gpt-4o-mini", "claude-opus-4-7", "claude-haiku-4-5")


def echo(request: ProviderRequest) -> Answer:
    """Answers with the last user message."""
    return Answer(request.user_text)


class LoopbackProvider:
    """An HTTP server on 127.0.0.1 that answers as OpenAI, Azure OpenAI and Anthropic do.

    It speaks `/v1/chat/completions`, `/v1/responses` with those in the background, `/v1/completions`, `/v1/embeddings`,
    `/v1/images/…`, `/v1/audio/…`, `/v1/videos`, `/v1/decisions`, `/v1/moderations`, `/v1/batches` with their files,
    `/v1/models`, `/v1/messages` with their batches, `/v1/messages/count_tokens`, and the paths of Azure, Bedrock (not
    its streams) and Vertex, as JSON and as server-sent events. Without a script it echoes the last user message. What
    nobody is billed for never uses the script: counting tokens, moderations, files, lists of models.

    Args:
        models: the models that exist; a request for another one gets the provider's 404. None: every model exists,
            and `/v1/models` lists a few.
        port: 0 takes a free one.
        max_recorded: how many requests are kept; older ones go.
        clock: nanoseconds since the epoch, UTC; dates requests and responses.
    """

    def __init__(
        self,
        *,
        models: Sequence[str] | None = None,
        port: int = 0,
        max_recorded: int = 10_000,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._models = None if models is None else tuple(models)
        self._clock = clock
        self._changed = threading.Condition()
        self._requests: deque[ProviderRequest] = deque(maxlen=max_recorded)
        self._received_count = 0
        self._script: deque[Answer | str | Fault] = deque()
        self._script_was_set = False
        self._answer_function: AnswerFunction | None = None
        self._jobs = Jobs()
        self._server = LoopbackServer(self._handle, port)

    # --- running ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen. `with LoopbackProvider() as provider:` does it for you."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Close every connection and end every thread, within a second."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def openai_base_url(self) -> str:
        """For `OpenAI(base_url=…)`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """For `Anthropic(base_url=…)`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def azure_endpoint(self) -> str:
        """For `AzureOpenAI(azure_endpoint=…)`."""
        return f"http://127.0.0.1:{self.port}"

    # --- scripting ----------------------------------------------------------------------------------------------------

    def answer(self, function: AnswerFunction) -> None:
        """Answer every request with `function(request)`; a str is an Answer with that text.

        It runs on the connection's thread, so calls come at the same time. When it raises, the client gets a 500 that
        says so and is told not to retry.
        """
        with self._changed:
            self._answer_function = function

    def script(self, answers: Iterable[Answer | str | Fault]) -> None:
        """Queue answers, one a request, served before the answer function.

        A request after the last of them gets the answer function's answer; without one, a 500 that says so.
        """
        with self._changed:
            self._script.extend(answers)
            self._script_was_set = True

    # --- what it received ---------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[ProviderRequest]:
        """The requests received, oldest first, at most `max_recorded`."""
        with self._changed:
            return list(self._requests)

    def wait_for_requests(self, count: int, timeout_s: float = 5.0) -> list[ProviderRequest]:
        """The requests, once at least `count` have arrived since the start or the last `clear`.

        For calls made in the background.

        Raises:
            TimeoutError: fewer arrived in `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._received_count >= count, timeout_s):
                raise TimeoutError(f"{self._received_count} of {count} requests arrived within {timeout_s} s")
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests received, work ordered and what is left of the script; the answer function stays."""
        with self._changed:
            self._jobs = Jobs()
            self._requests.clear()
            self._received_count = 0
            self._script.clear()
            self._script_was_set = False

    # --- serving ------------------------------------------------------------------------------------------------------

    def _handle(self, http: HttpRequest, reply: Reply) -> None:
        request = provider_request(http, self._clock())
        with self._changed:
            self._requests.append(request)
            self._received_count += 1
            number = self._received_count
            self._changed.notify_all()
        wire = WIRES.get(request.protocol)
        if wire is None:
            if request.protocol in LATER:
                self._send_later(http, request, number, reply)
            else:
                self._send_free(request, number, reply)
            return
        answer = self._next_answer(request)
        fault = answer if isinstance(answer, Fault) else None
        exchange = Exchange(
            request=request,
            answer=answer.answer if isinstance(answer, Fault) else answer,
            number=number,
            created_s=request.received_at // 1_000_000_000,
        )
        try:
            if request.protocol == "responses" and request.body.get("background") is True and fault is None:
                # What streams one may leave: it goes on without.
                queued = self._jobs.order_response(exchange)
                if not request.stream:
                    _send_json(queued, exchange, reply)
                    return
            send(wire, exchange, fault, reply)
        except UnspeakableAnswer as error:
            send_error(_fault_of_the_test(str(error)), exchange, reply)

    def _send_later(self, http: HttpRequest, request: ProviderRequest, number: int, reply: Reply) -> None:
        """Work that is ordered, asked for, or fetched."""
        exchange = Exchange(request, Answer(), number, request.received_at // 1_000_000_000)
        path, _, query = request.path.partition("?")
        work_id = later_id(path)
        found: Mapping[str, Any] | bytes | None
        if request.method == "POST":
            found = self._order(http, exchange)
        elif request.protocol == "background":
            streamed = self._jobs.response_exchange(work_id) if "stream=true" in query else None
            if streamed is not None:
                send(RESPONSES, replace(streamed, request=replace(streamed.request, stream=True)), None, reply)
                return
            found = self._jobs.response(work_id)
        elif request.protocol == "batches":
            found = self._jobs.batch(work_id)
        elif request.protocol == "files":
            found = self._jobs.file(work_id)
        elif path.endswith("/results"):
            found = self._jobs.message_results(work_id)
        else:
            found = self._jobs.message_batch(work_id, self.anthropic_base_url)
        if found is None:
            send_error(Fault.http_status(404, f"No such work: {work_id}"), exchange, reply)
        elif isinstance(found, bytes):
            reply.send(200, response_headers(exchange, "application/octet-stream"), found)
        else:
            _send_json(found, exchange, reply)

    def _order(self, http: HttpRequest, exchange: Exchange) -> Mapping[str, Any] | None:
        request = exchange.request
        if request.protocol == "files":
            form = read_form(request.headers.get("content-type", ""), http.body)
            content = b"" if form is None else form.files.get("file", b"")
            return self._jobs.upload(exchange.id("file-"), content, exchange.created_s)
        if request.protocol == "batches":
            return self._jobs.order_batch(exchange, BATCHED, self._next_answer)
        return self._jobs.order_message_batch(exchange, self._next_answer)

    def _send_free(self, request: ProviderRequest, number: int, reply: Reply) -> None:
        """Answers what no provider bills: model lists, token counts, and paths that do not exist."""
        exchange = Exchange(request, Answer(), number, request.received_at // 1_000_000_000)
        path = request.path.partition("?")[0]
        if request.protocol == "count_tokens":
            body: Mapping[str, Any] = {"input_tokens": estimated_tokens(request.prompt_text)}
        elif request.protocol == "moderations":
            body = {"id": exchange.id("modr-"), "model": request.model or "omni-moderation-latest", "results": []}
        elif request.protocol == "models":
            known, wanted = self._models or _DEFAULT_MODELS, path.partition("/models")[2].lstrip("/")
            if wanted and self._models is not None and wanted not in known:
                send_error(Fault.unknown_model(wanted), exchange, reply)
                return
            entries = [_model_entry(model, exchange) for model in ((wanted,) if wanted else known)]
            body = entries[0] if wanted else _model_list(entries, request)
        else:
            send_error(Fault.http_status(404, f"Invalid URL ({request.method} {path})"), exchange, reply)
            return
        _send_json(body, exchange, reply)

    def _next_answer(self, request: ProviderRequest) -> Answer | Fault:
        is_form = request.headers.get("content-type", "").startswith("multipart/form-data")
        if request.method != "POST" or not (request.body or is_form):
            return Fault.http_status(400, "The body of your request is not a JSON object.")
        if self._models is not None and request.model not in self._models:
            return Fault.unknown_model(request.model)
        with self._changed:
            scripted = self._script.popleft() if self._script else None
            function = self._answer_function
            exhausted = scripted is None and function is None and self._script_was_set
        if exhausted:
            return _fault_of_the_test("the script has no answer left for this request")
        if scripted is None:
            try:
                scripted = (function or echo)(request)
            except Exception as error:  # noqa: BLE001 - the author of a test function reads it in the client's exception
                return _fault_of_the_test(f"the answer function raised {error!r}")
        return Answer(scripted) if isinstance(scripted, str) else scripted


def _send_json(body: Mapping[str, Any], exchange: Exchange, reply: Reply) -> None:
    reply.send(200, response_headers(exchange, "application/json"), json_text(body).encode())


def _fault_of_the_test(message: str) -> Fault:
    """A 500 that no SDK retries: the scripted side is at fault, and trying again would only hide it."""
    return Fault.http_status(500, f"LoopbackProvider: {message}", headers={"x-should-retry": "false"})


def _model_entry(model: str, exchange: Exchange) -> dict[str, Any]:
    if speaks_anthropic(exchange.request):
        created_at = datetime.fromtimestamp(exchange.created_s, UTC).isoformat()
        return {"type": "model", "id": model, "display_name": model, "created_at": created_at, "lifecycle": "active"}
    return {"id": model, "object": "model", "created": exchange.created_s, "owned_by": "tierwise"}


def _model_list(entries: list[dict[str, Any]], request: ProviderRequest) -> dict[str, Any]:
    if speaks_anthropic(request):
        return {"data": entries, "has_more": False, "first_id": entries[0]["id"], "last_id": entries[-1]["id"]}
    return {"object": "list", "data": entries}
