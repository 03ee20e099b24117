#!/bin/sh
# Make one of the two environments exactly what its lock says; the Makefile calls it when a lock is
# newer than the environment. Writes to the clone and to uv's cache only, asks nothing.
#
#   setup.sh application    .venv         from requirements/dev.txt, and the project itself, editable
#   setup.sh engine         .venv-engine  from requirements/engine.txt
set -eu
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# uv trusts a list of its own; where the system has one, a company's proxy is usually only in that.
[ ! -r /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"

main() {
    started=$(date +%s)
    log=$(mktemp)
    job=
    trap 'stop_job; rm -f "$log"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    case "${1:-}" in
        application) set_up_application ;;
        engine) set_up_engine ;;
        *) fail "usage: scripts/setup.sh application|engine" ;;
    esac
}

set_up_application() {
    python=$(find_python) || fail "no Python from 3.11 to 3.13 found (looked for python3.11, python3," \
        "python3.12, python3.13). On Debian 12: apt-get install python3"
    say "Python: $("$python" -c 'import platform, sys; print(platform.python_version(), sys.executable)')"
    install_missing_system_packages
    if ! { .venv/bin/python --version && .venv/bin/uv --version; } >"$log" 2>&1; then
        step "making .venv" .venv "$python" -m venv --clear .venv
        locked_entry uv >.venv/uv.txt
        step "installing uv" .venv \
            .venv/bin/python -m pip install --no-deps --require-hashes --requirement .venv/uv.txt
    fi
    step "installing $(locked_count requirements/dev.txt) packages (the first time takes a minute)" .venv \
        .venv/bin/uv pip sync --python .venv/bin/python --require-hashes requirements/dev.txt
    step "installing carimbo itself, editable" .venv \
        .venv/bin/uv pip install --python .venv/bin/python --no-build-isolation --no-deps --editable .
}

set_up_engine() {
    if ! .venv-engine/bin/python --version >"$log" 2>&1; then
        step "making .venv-engine" .venv-engine \
            .venv/bin/uv venv --clear --python .venv/bin/python .venv-engine
    fi
    step "installing the local AWS engine's $(locked_count requirements/engine.txt) packages" .venv-engine \
        .venv/bin/uv pip sync --python .venv-engine/bin/python --require-hashes requirements/engine.txt
}

find_python() {
    for candidate in python3.11 python3 python3.12 python3.13; do
        found=$(command -v "$candidate") || continue
        if "$found" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >"$log" 2>&1; then
            echo "$found"
            return 0
        fi
    done
    return 1
}

# Debian leaves venv out of python3, and LightGBM's wheel needs the system's OpenMP runtime.
install_missing_system_packages() {
    missing=
    "$python" -c 'import ensurepip, venv' >"$log" 2>&1 \
        || missing="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    if [ "$(uname)" = Linux ]; then
        "$python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' >"$log" 2>&1 || missing="$missing libgomp1"
    fi
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >"$log"; then
        fail "the system lacks:$(printf ' %s' $missing). Run this, then make again:" \
            "sudo apt-get install -y$(printf ' %s' $missing)"
    fi
    step "reading the list of system packages" . apt-get update
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive \
        step "installing$(printf ' %s' $missing)" . apt-get install -y --no-install-recommends $missing
}

# One entry of the lock, with its hashes: the installer's version is pinned where all others are.
locked_entry() {
    awk -v name="$1==" 'index($0, name) == 1 { on = 1 } on && /# via/ { exit } on' requirements/dev.txt
}

locked_count() {
    grep -c '^[a-z0-9].*==' "$1"
}

# step DESCRIPTION FOLDER COMMAND...: run it silently, say that it still lives, show its log if it fails.
step() {
    description=$1 folder=$2
    shift 2
    began=$(date +%s)
    say "$description ..."
    "$@" >"$log" 2>&1 </dev/null &
    job=$!
    ticks=0
    while kill -0 "$job" 2>/dev/null; do
        sleep 0.1
        ticks=$((ticks + 1))
        if [ $((ticks % 100)) = 0 ] && [ "$folder" != . ]; then
            say "    $(($(date +%s) - began)) s, $(du -sm "$folder" 2>/dev/null | cut -f1) MB so far"
        fi
    done
    if wait "$job"; then
        job=
        say "    done in $(($(date +%s) - began)) s"
    else
        job=
        tail -n 25 "$log" >&2
        fail "$description: failed, see above. When it was the network, run the same command again."
    fi
}

# A shell's background job ignores Ctrl-C, so it is told.
stop_job() {
    [ -z "$job" ] || kill "$job" 2>/dev/null || true
}

say() {
    printf '[setup %3d s] %s\n' "$(($(date +%s) - started))" "$*"
}

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

main "$@"
