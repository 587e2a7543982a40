"""Import logs that you have into the store: what calls cost and what they were for, without a change to your code.

Takes OpenTelemetry's file exports, OpenAI and Anthropic requests with their answers (batch files, too), LiteLLM spend
logs, Langfuse, Helicone and Phoenix exports, and tables of your own; plain, gzip or zstd. Each row tells its format.
Prompts are read to tell tasks and use cases apart, and not kept unless you ask. Importing a file again adds nothing.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tierwise.cli.importing import add_logs, exit_code, import_logs, print_totals, totals_dict
from tierwise.cli.options import add_json, add_store, opened_store
from tierwise.cli.terminal import print_json

EXAMPLES = """\
  tierwise import calls.jsonl
  tierwise import exports/ 'logs/2026-11-*.jsonl.gz'      # folders and patterns
  tierwise import batch_input.jsonl batch_output.jsonl    # the requests first: they say what the answers are for
  tierwise import calls.csv --map input_tokens=prompt_tok,output_tokens=answer_tok,time=at
  kubectl logs gateway | tierwise import - --errors refused.jsonl
"""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, folders or patterns; - for standard input")
    add_logs(parser)
    add_store(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    with opened_store(options, writing=True) as store:
        totals = import_logs(store, options, options.files)
    if options.json:
        print_json(totals_dict(totals))
    else:
        print_totals(totals)
    return exit_code(totals)
