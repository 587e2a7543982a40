"""The store over HTTP: what `tierwise.store.remote` calls. Bodies are JSON, tables come back as Arrow IPC streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, cast

import pyarrow as pa
from starlette.responses import JSONResponse, Response

from tierwise.errors import Conflict, PolicyError, QueryError, StoreError, TierwiseError
from tierwise.store import PolicyRecord, Store, budgets, wire
from tierwise.store.reviews import ReviewRecord

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"

_STATUSES: Final[dict[type[TierwiseError], int]] = {Conflict: 409, PolicyError: 422, QueryError: 400}


def query(store: Store, content: bytes) -> Response:
    """Rows of a named query (`name`, `parameters`) or of one statement (`sql`, `max_rows`, `timeout_s`)."""

    def run(arguments: Mapping[str, Any]) -> pa.Table:
        if "sql" in arguments:
            limits = {name: arguments[name] for name in ("max_rows", "timeout_s") if name in arguments}
            return store.sql(_text(arguments, "sql"), **limits)
        return store.query(_text(arguments, "name"), **arguments.get("parameters", {}))

    return _answer(run, content, _arrow)


def operate(store: Store, operation: str, content: bytes) -> Response:
    """Run a method of the store by name, with the arguments of a JSON object."""
    run = _OPERATIONS.get(operation)
    if run is None:
        return JSONResponse({"error": "StoreError", "message": f"the store has no operation {operation!r}"}, 404)
    return _answer(lambda arguments: run(store, arguments), content, _json)


def _put_policy(store: Store, arguments: Mapping[str, Any]) -> Any:
    record = store.put_policy(
        _text(arguments, "text"),
        who=_text(arguments, "who"),
        why=_text(arguments, "why"),
        action=_text(arguments, "action"),
        based_on=arguments.get("based_on"),
    )
    return _policy(record)


def _current_policy(store: Store, arguments: Mapping[str, Any]) -> Any:
    record = store.current_policy()
    return None if record is None else _policy(record)


def _set_recommendation_state(store: Store, arguments: Mapping[str, Any]) -> None:
    store.set_recommendation_state(
        _text(arguments, "recommendation_id"),
        _text(arguments, "state"),
        who=_text(arguments, "who"),
        why=_text(arguments, "why"),
        expected=arguments.get("expected"),
    )


def _audit(store: Store, arguments: Mapping[str, Any]) -> None:
    store.audit(
        _text(arguments, "action"), arguments["detail"], who=_text(arguments, "who"), why=_text(arguments, "why")
    )


def _edit_use_case(store: Store, arguments: Mapping[str, Any]) -> int:
    return store.edit_use_case(
        _text(arguments, "kind"),
        _text(arguments, "use_case_id"),
        _text(arguments, "value"),
        who=_text(arguments, "who"),
        why=_text(arguments, "why"),
        based_on=arguments.get("based_on"),
    )


def _put_budget(store: Store, arguments: Mapping[str, Any]) -> int:
    return store.put_budget(
        _text(arguments, "scope"),
        _text(arguments, "value"),
        budgets.decimal(arguments["monthly_usd"]),
        who=_text(arguments, "who"),
        why=_text(arguments, "why"),
        based_on=arguments.get("based_on"),
    )


_OPERATIONS: Final[dict[str, Callable[[Store, Mapping[str, Any]], Any]]] = {
    "current_policy": _current_policy,
    "policy_history": lambda store, arguments: [_policy(record) for record in store.policy_history()],
    "put_policy": _put_policy,
    "recommendations": lambda store, arguments: store.recommendations(arguments.get("kind", "model")),
    "save_recommendations": lambda store, arguments: store.save_recommendations(
        arguments["items"], arguments.get("kind", "model")
    ),
    "set_recommendation_state": _set_recommendation_state,
    "audit": _audit,
    "audit_log": lambda store, arguments: store.audit_log(),
    "edit_use_case": _edit_use_case,
    "undo_use_case_edit": lambda store, arguments: store.undo_use_case_edit(
        int(arguments["number"]), who=_text(arguments, "who"), why=_text(arguments, "why")
    ),
    "put_budget": _put_budget,
    "remove_budget": lambda store, arguments: store.remove_budget(
        _text(arguments, "budget_id"),
        who=_text(arguments, "who"),
        why=_text(arguments, "why"),
        based_on=int(arguments["based_on"]),
    ),
    "add_alerts": lambda store, arguments: store.add_alerts(arguments["items"]),
    "add_calls": lambda store, arguments: store.add_calls(
        [wire.call_from_json(item) for item in arguments["calls"]],
        [wire.span_from_json(item) for item in arguments["spans"]],
    ),
    "add_evaluations": lambda store, arguments: store.add_evaluations(
        [wire.evaluation_from_json(item) for item in arguments["evaluations"]]
    ),
    "add_reviews": lambda store, arguments: store.add_reviews([ReviewRecord(**item) for item in arguments["reviews"]]),
    "undo_review": lambda store, arguments: store.undo_review(
        _text(arguments, "review_id"), who=_text(arguments, "who")
    ),
}


def _answer(run: Callable[[Mapping[str, Any]], Any], content: bytes, render: Callable[[Any], Response]) -> Response:
    try:
        arguments: Any = json.loads(content or b"{}")
        if not isinstance(arguments, dict):
            raise StoreError("a JSON object is needed")
        return render(run(cast("dict[str, Any]", arguments)))
    except TierwiseError as error:
        status = _STATUSES.get(type(error), 400)
        return JSONResponse({"error": type(error).__name__, "message": str(error)}, status)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"arguments that do not fit: {type(error).__name__}: {error}"
        return JSONResponse({"error": "StoreError", "message": message}, 400)


def _arrow(table: pa.Table) -> Response:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), media_type=ARROW_STREAM)


def _json(result: Any) -> Response:
    return Response(json.dumps({"result": result}, default=str), media_type="application/json")


def _policy(record: PolicyRecord) -> dict[str, Any]:
    return {**asdict(record), "created_at": record.created_at.isoformat()}


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise StoreError(f"argument {name!r} is {value!r}; a text is needed")
    return value
