"""Run one read-only SQL statement on the store (DuckDB's dialect) and print its rows.

Tables: llm_calls, spans, evaluations, policies, recommendations, audit_log.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tierwise.cli.options import add_json, add_store, opened_store, positive
from tierwise.cli.terminal import print_json, print_table

EXAMPLES = """\
  tierwise sql "SELECT request_model, count(*), sum(cost_usd) FROM llm_calls GROUP BY ALL ORDER BY 3 DESC"
  tierwise sql "DESCRIBE llm_calls"
  tierwise sql --json "FROM evaluations LIMIT 10"
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("statement", metavar="SQL", help="one statement that only reads")
    parser.add_argument("--max-rows", type=int, default=1000, metavar="N", help="refuse more rows (default: 1000)")
    parser.add_argument("--timeout", type=positive, default=30.0, metavar="S", help="seconds it may take (default: 30)")
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    with opened_store(options) as store:
        table = store.sql(options.statement, max_rows=options.max_rows, timeout_s=options.timeout)
    rows = table.to_pylist()
    if options.json:
        print_json(rows)
        return 0
    numeric = {field.name for field in table.schema if _is_number(str(field.type))}
    columns = [f">{name}" if name in numeric else name for name in table.column_names]
    print_table(columns, [["" if value is None else str(value) for value in row.values()] for row in rows])
    return 0


def _is_number(arrow_type: str) -> bool:
    return arrow_type.startswith(("int", "uint", "float", "double", "decimal", "half"))
