# The two commands a newcomer needs are `make demo` and `make test`; both need only python3.11 with pip, and make.

UV := $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
RUN := $(UV) run --frozen --no-sync
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: demo test check unit unit-clickhouse unit-oldest unit-sdks fix up install browser-packages clean

demo: $(UV)  ## run the whole loop on real prompts and answers, then keep collector and dashboard up (ARGS=--exit stops)
	$(UV) sync --frozen --inexact --no-dev --extra demo --quiet
	$(RUN) tierwise demo $(ARGS)

test: install check unit unit-oldest  ## install what the tests need and run all of them

install: $(UV) browser-packages
	$(UV) sync --frozen --quiet

check:  ## style, types, and who may import whom
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) lint-imports
	$(RUN) pyright

unit:  ## every test; TESTS=tests/routing narrows it
	$(RUN) pytest $(TESTS)

# Tests of what an SDK's version can change, and the export that needs a package of its own.
SDK_TESTS := $(patsubst %,tests/instrumentation/test_%.py,_wrap bodies calls calls_routing complaints_calls complaints_streams complaints_usage request sdk_support shadow_call streams) \
  tests/instrumentation/test_export.py::test_grpc

unit-oldest: $(UV)  ## the tests that call the SDKs, with the oldest SDKs and OpenTelemetry that are supported
	$(UV) venv --quiet --allow-existing .venv-oldest
	$(UV) pip install --quiet --python .venv-oldest --requirement tests/oldest-sdks.txt
	$(UV) pip install --quiet --python .venv-oldest --no-deps --editable .
	.venv-oldest/bin/python -m pytest $(SDK_TESTS)

unit-sdks: $(UV)  ## the same with any versions: make unit-sdks OPENAI=2.0.0 ANTHROPIC=1.0.0
	$(UV) venv --quiet --clear .venv-sdks
	$(UV) pip install --quiet --python .venv-sdks --editable . openai==$(OPENAI) anthropic==$(ANTHROPIC) \
	  hypothesis opentelemetry-exporter-otlp-proto-grpc pytest pytest-timeout
	.venv-sdks/bin/python -m pytest $(SDK_TESTS)

unit-clickhouse: $(UV)  ## the ClickHouse store on chdb, an embedded ClickHouse of half a gigabyte
	$(UV) venv --quiet --allow-existing .venv-clickhouse
	$(UV) pip install --quiet --python .venv-clickhouse --editable '.[demo]' chdb==4.4.0 hypothesis pytest pytest-timeout
	.venv-clickhouse/bin/python -m pytest tests/store/test_clickhouse.py

fix:  ## format, and mend what the linter can mend
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

up: $(UV)  ## collector and dashboard on the default store
	$(UV) sync --frozen --inexact --no-dev --extra dashboard --quiet
	$(RUN) tierwise up $(ARGS)

# uv from PyPI into a folder of ours: works where the system's Python is externally managed and has no venv module.
.tools/uv/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target .tools/uv uv

# Chromium, and a library that Playwright's driver needs and a small Debian lacks.
browser-packages:
	@{ command -v chromium || command -v chromium-browser; } >/dev/null && /sbin/ldconfig -p | grep -q libatomic.so.1 || \
	{ $(SUDO) apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -qq -y --no-install-recommends chromium libatomic1; }

clean:
	rm -rf .venv .venv-oldest .venv-sdks .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
