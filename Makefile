# The two commands a newcomer needs are `make demo` and `make test`; both need only python3.11 with pip, and make.

UV := $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
RUN := $(UV) run --frozen --no-sync
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: demo test check unit browser fix up install browser-packages clean

demo: $(UV)  ## run the whole loop on real prompts and answers, then keep collector and dashboard up (ARGS=--exit stops)
	$(UV) sync --frozen --inexact --no-dev --extra demo --quiet
	$(RUN) tierwise demo $(ARGS)

test: install check unit  ## install what the tests need and run all of them

install: $(UV) browser-packages
	$(UV) sync --frozen --quiet

check:  ## style, types, and who may import whom
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) lint-imports
	$(RUN) pyright

unit:  ## every test; TESTS=tests/routing narrows it
	$(RUN) pytest $(TESTS)

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
	rm -rf .venv .tools .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
