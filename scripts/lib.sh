# Shared by the scripts in this folder: the checkout's root, progress lines, content stamps. To be sourced.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
logs=$root/.cache/logs
program=$(basename "$0")

say() { printf '%s: %s\n' "$program" "$*" >&2; }

# die CODE LINE...: the first line says what is wrong, further ones what to do.
die() {
  local code=$1
  shift
  printf "$program: %s\n" "$@" >&2
  exit "$code"
}

usage() { sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; }

# run_logged NAME WHAT COMMAND...: runs quietly, output in .cache/logs/NAME.log, one line with the time it took.
# A failure shows the log's end and returns the command's exit code.
run_logged() {
  local name=$1 what=$2 start=$SECONDS code=0
  shift 2
  mkdir -p "$logs"
  say "$what ..."
  "$@" >"$logs/$name.log" 2>&1 </dev/null || code=$?
  if ((code != 0)); then
    tail -n 30 "$logs/$name.log" >&2
    say "$what failed (exit $code); the whole output is in ${logs#"$root/"}/$name.log"
    return "$code"
  fi
  say "$what: done in $((SECONDS - start)) s"
}

# fingerprint FILE...: one hash of the files' contents.
fingerprint() { cat -- "$@" | sha256sum | cut -d ' ' -f 1; }

# stamped FILE HASH: whether the stamp FILE holds HASH.
stamped() { [[ -f $1 && $(<"$1") == "$2" ]]; }
write_stamp() {
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "$2" >"$1"
}

# The lines of a package or requirements list, comments left out.
list_lines() { sed 's/#.*//' "$@" | awk 'NF {print $1}'; }

# install_system_packages LIST...: what is missing of these lists, as root or where sudo asks no password; otherwise it
# names the packages and ends the script with exit code 2.
install_system_packages() {
  local missing=() elevate=()
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here; needed are: $(list_lines "$@" | tr '\n' ' ')"
    return 0
  fi
  mapfile -t missing < <(comm -23 <(list_lines "$@" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 == "ii" {print $2}' | sort -u))
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      die 2 "system packages are missing: ${missing[*]}" \
        "install them, then run this again:" "  sudo apt-get update && sudo apt-get install --yes ${missing[*]}"
    fi
    elevate=(sudo -n)
  fi
  run_logged apt-update "package lists" "${elevate[@]}" apt-get update --quiet || exit 2
  run_logged apt-install "system packages: ${missing[*]}" "${elevate[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}" || exit 2
}

# install_requirements FILE [PIP OPTION...]: into the virtual environment, unless this very list is installed.
install_requirements() {
  local list=$1 stamp hash
  shift
  stamp=$venv/.ddro-train/$(basename "$list" .txt)
  hash=$(fingerprint "$list")
  stamped "$stamp" "$hash" && return 0
  run_logged "pip-$(basename "$list" .txt)" "Python packages of third_party/$(basename "$list")" \
    "$venv/bin/python" -m pip install --no-input --no-cache-dir --disable-pip-version-check "$@" -r "$list" || return
  write_stamp "$stamp" "$hash"
}

# How many compilers may run at once: one a core, but 1.5 GiB each (LibTorch's headers need that much).
build_jobs() {
  local cores gibibytes
  cores=$(nproc)
  gibibytes=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
  local by_memory=$((gibibytes * 2 / 3))
  echo $((by_memory < 1 ? 1 : by_memory < cores ? by_memory : cores))
}

# build PRESET [TARGET...]: configures and builds.
build() {
  local preset=$1
  shift
  run_logged "configure-$preset" "configuring build/$preset" cmake -S "$root" --preset "$preset" || return
  local command=(cmake --build "$root/build/$preset" --parallel "$(build_jobs)")
  if (($#)); then command+=(--target "$@"); fi
  run_logged "build-$preset" "building build/$preset" "${command[@]}"
}
