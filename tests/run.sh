#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Needs a Debian-like system, cargo, and the
# package registries; nothing else. Arguments go to the test programs (a name filters the tests).
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
export CARGO_TERM_COLOR=never RUST_BACKTRACE="${RUST_BACKTRACE:-0}"

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

# What the build needs, and what the tests use as real counterparts.
install_packages() {
    local missing=() package
    for package in build-essential cmake clang libclang-dev lld pkg-config python3 python3-venv strace tmux dbus systemd dunst xvfb xdg-utils; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The stock OpenAI client, and PyTorch with PEFT, in a virtual environment that lives beside the build.
install_python() {
    local venv="$CARGO_TARGET_DIR/python" made_of=(tests/python/{requirements.txt,torch.txt,no_cuda.py})
    if ! [ -x "$venv/bin/python" ] || ! cat "${made_of[@]}" | cmp -s - "$venv/made-of"; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --requirement tests/python/requirements.txt
        # What torch asks for besides are 3 GB of libraries for GPUs.
        "$venv/bin/pip" install --quiet --no-cache-dir --no-compile --no-deps --requirement tests/python/torch.txt
        "$venv/bin/python" tests/python/no_cuda.py
        cat "${made_of[@]}" >"$venv/made-of"
    fi
    export FAMILIAR_PYTHON="$venv/bin/python"
}

# Plugins are WebAssembly components; this target of Rust's makes them.
install_target() {
    rustc --print target-libdir --target wasm32-wasip2 2>/dev/null | xargs -r test -d || rustup target add wasm32-wasip2
}

step "packages"
command -v apt-get >/dev/null && install_packages
install_python
install_target
step "format"
cargo fmt --all --check
step "build and tests"
cargo test --no-fail-fast -- "$@"
step "plugins and their SDK"
# No default members, so that their features are not the daemon's.
guests=(familiar-sdk familiar-sdk-macros conformance)
for manifest in plugins/*/Cargo.toml; do guests+=("$(basename "$(dirname "$manifest")")"); done
cargo test "${guests[@]/#/--package=}"
familiar="$CARGO_TARGET_DIR/debug/familiar"
try_plugins() {
    local folder home
    home="$(mktemp -d)"
    for folder in plugins/*/ sdk/conformance/{rust,c,python}/; do
        printf -- '-- %s\n' "$folder"
        FAMILIAR_HOME="$home" PATH="$CARGO_TARGET_DIR/python/bin:$PATH" "$familiar" plugin test "$folder" || return
    done
    rm -rf "$home"
}
try_plugins
python3 tests/guide.py "$familiar"
step "the report, looked at"
python3 tests/report/look.py
step "lints"
# After the tests, so that a failing one is seen first.
cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets "${guests[@]/#/--package=}" -- -D warnings
step "licences and advisories"
# deny.toml. Advisories come from a database on the network; what cannot be reached is said, not hidden.
if command -v cargo-deny >/dev/null; then
    cargo deny --offline check licenses bans sources
    cargo deny check advisories || echo "advisories were not checked"
else
    echo "not checked: cargo install cargo-deny"
fi
step "a newcomer's first minute"
FAMILIAR_PROFILE=dev bash config/try.sh
step "done"
