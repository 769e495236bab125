# Each target sets up all that it needs, in a virtual environment in .venv, and does so once.
#
#     make demo                     watch hfp lose nothing
#     make test                     all tests;  TESTS=hfp.test.test_options for some
#     make lint                     ruff and mypy
#     make fuzz                     ten minutes of made-up input;  FUZZ=60 for one
#     make bench                    measure hfp beside haproxy;  BENCH=--quick for a short run
#     make docs                     HTML of the documentation and of the docstrings, in docs/_build
#     make clean                    remove all that these have made
#
# With another Python: make clean, then make test PYTHON=python3.13

PYTHON = python3
VENV = .venv
TESTS = hfp bench
BENCH =
FUZZ = 600

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
METADATA = setup.cfg pyproject.toml

# $(call debian,COMMAND,PACKAGES): install Debian packages unless the command succeeds, or say how.
define debian
	@$(1) >/dev/null 2>&1 || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "installing $(2)"; \
	        apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(2) >/dev/null; \
	    else \
	        echo "make: this needs $(2); as root: apt-get install $(2)" >&2; exit 1; \
	    fi; }
endef

.PHONY: demo test fuzz lint bench docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/python -m demo

test: $(VENV)/.testing
	$(BIN)/trial $(TESTS)

fuzz: $(VENV)/.testing
	$(BIN)/python -m hfp.test.fuzz --seconds $(FUZZ)

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/mypy --strict hfp

bench: $(VENV)/.benching
	$(call debian,command -v cc,gcc libc6-dev)
	$(call debian,test -e /usr/include/openssl/ssl.h,libssl-dev)
	$(call debian,PATH="$$PATH:/usr/sbin" command -v haproxy,haproxy)
	$(BIN)/python -m bench $(BENCH)

docs: $(VENV)/.developing
	set -e; for page in README.rst docs/*.rst docs/*/*.rst; do \
	    html="docs/_build/$${page#docs/}"; html="$${html%.rst}.html"; mkdir -p "$$(dirname "$$html")"; \
	    $(BIN)/docutils --halt=warning --writer=html5 "$$page" "$$html"; \
	done
	$(BIN)/pydoctor --quiet hfp

clean:
	rm -rf $(VENV) build dist hfp.egg-info .mypy_cache .ruff_cache .hypothesis .tox _trial_temp* docs/_build bench/bin
	rm -f twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The virtual environment.  Debian's Python cannot make one until its package for that is there.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "make: $(PYTHON) is not Python 3.10 or newer; name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(call debian,$(PYTHON) -c "import venv; from ensurepip import version",python3-venv)
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(METADATA)
	$(PIP) --editable .
	@touch $@

$(VENV)/.benching: $(VENV)/.made $(METADATA)
	$(PIP) --editable '.[tls]'
	@touch $@ $(VENV)/.installed

$(VENV)/.testing: $(VENV)/.made $(METADATA)
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.developing: $(VENV)/.made $(METADATA)
	$(PIP) --editable '.[test,dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.testing
