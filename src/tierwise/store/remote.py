"""The store behind a collector, over its HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import pyarrow as pa

from tierwise.errors import CollectorUnavailable, Conflict, PolicyError, QueryError, StoreError, TierwiseError
from tierwise.store import PolicyRecord, RecommendationKind, named, wire

if TYPE_CHECKING:
    from tierwise.call import Evaluation
    from tierwise.store.reviews import ReviewRecord
    from tierwise.store.rows import CallRecord, SpanRecord

_CONNECT_TIMEOUT_S: Final = 5.0
_ANSWER_TIMEOUT_S: Final = 60.0
_ERRORS: Final[dict[str, type[TierwiseError]]] = {
    kind.__name__: kind for kind in (CollectorUnavailable, Conflict, PolicyError, QueryError, StoreError)
}


class RemoteStore:
    """A `Store` whose every method is one request to a collector. Holds no connection, so there is none to lose."""

    def __init__(self, url: str, *, token: str | None, ssl_context: ssl.SSLContext | None = None) -> None:
        address = urlsplit(url)
        if not address.hostname:
            raise StoreError(f"store URL {url!r} names no host")
        self._url = url.rstrip("/")
        self._prefix = address.path.rstrip("/")
        self._host = address.hostname
        self._port = address.port
        self._encrypted = address.scheme == "https"
        self._ssl_context = ssl_context
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def connect(cls, url: str, *, token: str | None = None, ssl_context: ssl.SSLContext | None = None) -> Self:
        """The store at `url`, after one look whether it is there.

        Args:
            ssl_context: whom to trust at an https URL; None: whom the system trusts.

        Raises:
            CollectorUnavailable: nobody answers, or the token is refused.
        """
        store = cls(url, token=token, ssl_context=ssl_context)
        store.current_policy()
        return store

    @property
    def url(self) -> str:
        return self._url

    def query(self, name: str, /, **parameters: Any) -> pa.Table:
        values = {key: named.portable(key, value) for key, value in parameters.items()}
        return self._table({"name": name, "parameters": values})

    def sql(self, text: str, *, max_rows: int = 100_000, timeout_s: float = 30.0) -> pa.Table:
        arguments = {"sql": text, "max_rows": max_rows, "timeout_s": timeout_s}
        return self._table(arguments, timeout_s=timeout_s + _CONNECT_TIMEOUT_S)

    def current_policy(self) -> PolicyRecord | None:
        item = self._operate("current_policy")
        return None if item is None else wire.policy_from_json(item)

    def policy_history(self) -> list[PolicyRecord]:
        return [wire.policy_from_json(item) for item in self._operate("policy_history")]

    def put_policy(
        self, text: str, *, who: str, why: str, action: str = "apply", based_on: int | None = None
    ) -> PolicyRecord:
        item = self._operate("put_policy", text=text, who=who, why=why, action=action, based_on=based_on)
        return wire.policy_from_json(item)

    def recommendations(self, kind: RecommendationKind = "model") -> list[dict[str, Any]]:
        return [_with_moments(item, "created_at", "updated_at") for item in self._operate("recommendations", kind=kind)]

    def save_recommendations(self, items: Sequence[Mapping[str, Any]], kind: RecommendationKind = "model") -> None:
        self._operate("save_recommendations", items=[dict(item) for item in items], kind=kind)

    def set_recommendation_state(
        self, recommendation_id: str, state: str, *, who: str, why: str, expected: str | None = None
    ) -> None:
        self._operate(
            "set_recommendation_state",
            recommendation_id=recommendation_id,
            state=state,
            who=who,
            why=why,
            expected=expected,
        )

    def audit(self, action: str, detail: Mapping[str, Any], *, who: str, why: str) -> None:
        self._operate("audit", action=action, detail=dict(detail), who=who, why=why)

    def audit_log(self) -> list[dict[str, Any]]:
        return [_with_moments(item, "time") for item in self._operate("audit_log")]

    def edit_use_case(
        self, kind: str, use_case_id: str, value: str, *, who: str, why: str, based_on: int | None = None
    ) -> int:
        return self._operate(
            "edit_use_case", kind=kind, use_case_id=use_case_id, value=value, who=who, why=why, based_on=based_on
        )

    def undo_use_case_edit(self, number: int, *, who: str, why: str) -> None:
        self._operate("undo_use_case_edit", number=number, who=who, why=why)

    def put_budget(
        self, scope: str, value: str, monthly_usd: Decimal, *, who: str, why: str, based_on: int | None = None
    ) -> int:
        return self._operate(
            "put_budget", scope=scope, value=value, monthly_usd=str(monthly_usd), who=who, why=why, based_on=based_on
        )

    def remove_budget(self, budget_id: str, *, who: str, why: str, based_on: int) -> None:
        self._operate("remove_budget", budget_id=budget_id, who=who, why=why, based_on=based_on)

    def add_alerts(self, items: Sequence[Mapping[str, Any]]) -> list[str]:
        return self._operate("add_alerts", items=[dict(item) for item in items])

    def add_calls(self, calls: Sequence[CallRecord], spans: Sequence[SpanRecord] = ()) -> int:
        added: int = self._operate(
            "add_calls",
            calls=[wire.call_to_json(record) for record in calls],
            spans=[wire.span_to_json(record) for record in spans],
        )
        return added

    def add_evaluations(self, evaluations: Sequence[Evaluation]) -> None:
        self._operate("add_evaluations", evaluations=[wire.evaluation_to_json(item) for item in evaluations])

    def add_reviews(self, reviews: Sequence[ReviewRecord]) -> int:
        return int(self._operate("add_reviews", reviews=[asdict(item) for item in reviews]))

    def undo_review(self, review_id: str, *, who: str) -> None:
        self._operate("undo_review", review_id=review_id, who=who)

    def close(self) -> None:
        """Nothing is held, so nothing is let go."""

    def _table(self, arguments: Mapping[str, Any], *, timeout_s: float = _ANSWER_TIMEOUT_S) -> pa.Table:
        content = self._post("/v1/query", arguments, timeout_s=timeout_s)
        return pa.ipc.open_stream(content).read_all()

    def _operate(self, operation: str, **arguments: Any) -> Any:
        return json.loads(self._post(f"/v1/store/{operation}", arguments, timeout_s=_ANSWER_TIMEOUT_S))["result"]

    def _post(self, path: str, arguments: Mapping[str, Any], *, timeout_s: float) -> bytes:
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=_CONNECT_TIMEOUT_S, context=self._ssl_context)
            if self._encrypted
            else http.client.HTTPConnection(self._host, self._port, timeout=_CONNECT_TIMEOUT_S)
        )
        try:
            connection.connect()
            connection.sock.settimeout(timeout_s)
            connection.request("POST", self._prefix + path, json.dumps(arguments, default=str), self._headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise CollectorUnavailable(
                f"no collector answers at {self._url} ({error}); start one with: tierwise collect"
            ) from error
        finally:
            connection.close()
        if response.status == 200:
            return content
        raise _error_in(content, response.status, self._url)


def _error_in(content: bytes, status: int, url: str) -> TierwiseError:
    try:
        answer = json.loads(content)
        kind, message = _ERRORS[answer["error"]], str(answer["message"])
    except (ValueError, LookupError, TypeError):
        return CollectorUnavailable(f"{url} answers {status}, which is not what a tierwise collector says")
    return kind(f"{url}: {message}" if kind is CollectorUnavailable else message)


def _with_moments(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**item, **{name: datetime.fromisoformat(item[name]) for name in names}}
