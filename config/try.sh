#!/usr/bin/env bash
# From a clean clone to a cited answer about real files: installs what is missing, builds, starts a
# throw-away daemon, indexes FOLDER and asks one question about it. Leaves nothing behind but the build.
#
#   bash config/try.sh [FOLDER]
#
#   FAMILIAR_QUESTION   the question to ask; needed only when you want another than the default
#   FAMILIAR_PROFILE    release (default) or dev, which builds faster and answers slower
#   CARGO_TARGET_DIR    where to build, instead of ./target
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
profile=${FAMILIAR_PROFILE:-release}
docs=/usr/share/doc

step() { printf '\n==> %s\n' "$*" >&2; }
die() {
    printf 'try.sh: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Which Debian packages are missing, judged by what they are needed for.
missing_packages() {
    have c++ && have make || echo build-essential
    have cmake || echo cmake
    have clang || echo clang
    have pkg-config || echo pkg-config
    have curl || echo curl
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    have_libclang || echo libclang-dev
}

# bindgen loads it when the build runs.
have_libclang() {
    local file
    for file in "${LIBCLANG_PATH:-/nowhere}"/libclang*.so* /usr/lib/llvm-*/lib/libclang*.so* \
        /usr/lib*/libclang*.so* /usr/lib/*/libclang*.so*; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif have sudo; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        die "run this as root: $*"
    fi
}

install_packages() {
    have apt-get || die "install these first, by whatever your system has for apt-get: $*"
    step "Installing $*"
    as_root apt-get update -q >&2
    as_root apt-get install -y -q --no-install-recommends "$@" >&2
}

install_rust() {
    step "Installing the Rust toolchain"
    if ! have rustup && have apt-get && apt-cache show rustup >/dev/null 2>&1; then
        install_packages rustup
    fi
    have rustup || die "there is no Rust toolchain; this one command installs it:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
then open a new shell and run this again"
    rustup default stable >&2
}

install_missing() {
    local packages
    mapfile -t packages < <(missing_packages)
    [ "${#packages[@]}" -eq 0 ] || install_packages "${packages[@]}"
    if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    # A cargo that rustup left without a toolchain is there and does not work.
    cargo --version >/dev/null 2>&1 || install_rust
}

build() {
    step "Building ($profile); the first time takes some minutes"
    cargo build --manifest-path "$repository/Cargo.toml" --locked --profile "$profile" --bin familiar >&2
    local folder=$profile
    [ "$profile" != dev ] || folder=debug
    familiar=${CARGO_TARGET_DIR:-$repository/target}/$folder/familiar
    [ -x "$familiar" ] || die "the build left no program at $familiar"
}

# Real documents that are on any machine; a container image may have stripped them.
default_folder() {
    local enough=20 found
    # `find` is cut off when there are enough, which is no failure.
    found=$( (find -L "$docs" -type f 2>/dev/null || true) | head -n "$enough" | wc -l)
    if [ "$found" -ge "$enough" ]; then echo "$docs"; else echo "$repository"; fi
}

# A question that one of the folder's own files answers.
question_about() {
    if [ -n "${FAMILIAR_QUESTION:-}" ]; then
        echo "$FAMILIAR_QUESTION"
    elif [ "$1" -ef "$docs" ] && [ -e "$docs/bash/RBASH" ]; then
        echo "How do I start bash so that it is a restricted shell?"
    elif [ "$1" -ef "$docs" ] && [ -e "$docs/base-files/copyright" ]; then
        echo "Who wrote base-files?"
    elif [ "$1" -ef "$repository" ]; then
        echo "What is Familiar?"
    else
        question_from_title
    fi
}

# The title of the document that says most about the folder's most usual words.
question_from_title() {
    local word title
    for word in introduction overview readme install guide notes the a; do
        # Lines of a hit: "path:line  title", then its indented snippet.
        title=$("$familiar" search -k 1 "$word" | sed -n '1s/^.*:[0-9][0-9]*\( (page [0-9]*)\)\{0,1\}  //p')
        if [ -n "$title" ]; then
            echo "What does \"$title\" say?"
            return
        fi
    done
    die "search finds nothing in the folder; set FAMILIAR_QUESTION to a question of your own"
}

stop_and_clean() {
    local status=$?
    trap - EXIT
    if [ -n "${familiar:-}" ] && [ -S "$FAMILIAR_HOME/run/familiar.sock" ]; then
        "$familiar" stop >/dev/null 2>&1 || true
    fi
    if [ "$status" -ne 0 ] && [ -s "$FAMILIAR_HOME/state/daemon.log" ]; then
        printf 'try.sh: the last words of the daemon:\n' >&2
        tail -n 20 "$FAMILIAR_HOME/state/daemon.log" >&2
    fi
    rm -rf -- "$FAMILIAR_HOME"
    exit "$status"
}

main() {
    [ "$#" -le 1 ] || die "usage: bash config/try.sh [FOLDER]"
    local folder question
    if [ "$#" -eq 1 ]; then
        [ -d "$1" ] || die "$1 is not a folder"
        folder=$(cd -- "$1" && pwd)
    else
        folder=$(default_folder)
    fi

    install_missing
    build

    # Short, since a socket's path may have no more than 107 bytes.
    FAMILIAR_HOME=$(mktemp -d /tmp/familiar-try.XXXXXX)
    export FAMILIAR_HOME
    trap stop_and_clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    step "Indexing $folder"
    "$familiar" index add --wait "$folder"

    question=$(question_about "$folder")
    step "Asking: $question"
    "$familiar" ask "$question" | tee "$FAMILIAR_HOME/answer"
    # Citations follow the answer, as: [1] /path/of/the/file:LINE  "quote"
    grep -Eq '^\[[0-9]+\] /.*:[0-9]+' "$FAMILIAR_HOME/answer" || die "the answer cites no file"

    cat <<NEXT

Next:
  $familiar index add ~/Documents     your own files, watched from then on
  $familiar ask "..."                 a question about them; familiar chat for several
  $familiar model import FILE.gguf    a bigger model; then familiar model use NAME
  $familiar doctor                    what this machine could do better
NEXT
}

main "$@"
