#!/bin/sh
# Checks what a build needs, and gets libtorch. If something is missing, the script says what, and how to get it. Takes
# milliseconds if everything is present.
set -u
project=$(cd "$(dirname "$0")/.." && pwd)
setup="$project/.setup"

fail() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# Whether `.libtorch` was made from the current lock, and is the requested flavour if there is one.
libtorch_is_ready() {
  [ -f "$project/.libtorch/build-version" ] || return 1
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-amd64) machine=linux-x86_64 ;;
    Linux-aarch64 | Linux-arm64) machine=linux-aarch64 ;;
    Darwin-arm64) machine=macos-arm64 ;;
    *) return 1 ;;
  esac
  case "$(readlink "$project/.libtorch")" in
    .libtorch-cpu) flavour=cpu ;;
    .libtorch-cuda/torch) flavour=cuda ;;
    *) return 1 ;;
  esac
  [ "${TORCH:-$flavour}" = "$flavour" ] || return 1
  cmp -s "$setup/locks/$machine-$flavour.txt" "$project/.libtorch-$flavour/lock.txt"
}

# True if version $1 (as in 1.95.0) is at least $2 (as in 1.92).
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$2" ]
}

check_rust() {
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$project/Cargo.toml")
  command -v cargo >/dev/null 2>&1 ||
    fail "cargo is missing" "install Rust $wanted or later with rustup, and make sure that cargo is on the PATH"
  found=$(cargo --version 2>/dev/null | sed 's/^cargo \([0-9.]*\).*/\1/')
  [ -n "$found" ] || fail "cargo does not start: $(cargo --version 2>&1 | head -n 1)" "make sure that \`cargo --version\` works in a shell"
  at_least "$found" "$wanted" ||
    fail "Rust is too old: $wanted or later is required, cargo is $found" "run \`rustup update stable\`"
}

check_compiler() {
  work=$(mktemp -d) || fail "cannot create a temporary folder" "free some disk space, or set TMPDIR"
  printf '#include <string>\nint main() { return std::string("x").size() == 1 ? 0 : 1; }\n' >"$work/probe.cpp"
  # shellcheck disable=SC2086  # CXX may hold options
  output=$(${CXX:-c++} -std=c++17 -o "$work/probe" "$work/probe.cpp" 2>&1 && "$work/probe" 2>&1)
  code=$?
  rm -rf "$work"
  [ "$code" -eq 0 ] || fail \
    "a C++ compiler is missing: \`${CXX:-c++}\` cannot build a one-line C++17 program ($(printf '%s' "$output" | tail -n 1))" \
    "install one (Debian and Ubuntu: \`apt-get install g++\`; macOS: \`xcode-select --install\`), or set CXX to yours"
}

check_python() {
  command -v python3 >/dev/null 2>&1 ||
    fail "python3 is missing: its pip downloads libtorch" "install Python 3.8 or later with pip (Debian and Ubuntu: \`apt-get install python3-pip\`), or set LIBTORCH to your own libtorch 2.13.0"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null ||
    fail "python3 is too old: 3.8 or later is required, found $(python3 --version 2>&1 | sed 's/^Python //')" "install a newer Python 3 and put it first on the PATH"
}

if [ -n "${LIBTORCH:-}" ] || [ -n "${LIBTORCH_USE_PYTORCH:-}" ]; then
  # The user's own libtorch. Nothing is downloaded.
  case "${LIBTORCH:-/}" in
    /*) ;;
    *) fail "LIBTORCH should be an absolute path, found $LIBTORCH" "set LIBTORCH to the absolute path of the folder" ;;
  esac
  [ -n "${LIBTORCH_USE_PYTORCH:-}" ] || [ -e "$LIBTORCH/lib" ] ||
    fail "LIBTORCH is $LIBTORCH, which has no folder \`lib\`" "correct LIBTORCH, or unset it to download libtorch"
  [ "${1:-}" = built ] && exit 0
  check_rust
  check_compiler
  exit 0
fi
libtorch_is_ready && [ "${1:-}" = built ] && exit 0
check_rust
check_compiler
libtorch_is_ready && exit 0
check_python
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$setup/libtorch.py"
