# Two commands: `make demo` shows it, `make test` proves it. Everything lands in .venv.
PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check --quiet
