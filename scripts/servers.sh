#!/usr/bin/env bash
# Brings real redis and valkey servers, unpacked into a folder. Nothing is installed in the system.
#
#   scripts/servers.sh [PREFIX] [NAME ...]   servers of the test matrix (default: all of them)
#   scripts/servers.sh [PREFIX] --one        any one server, with the least download
#   scripts/servers.sh [PREFIX] --list       what is there
#
# PREFIX  a path with a slash in it; default .servers beside this script's folder
# NAME    redis-7.0  redis-8.0  redis-8.6  valkey-8.1  valkey-9.1; or nft, with which the tests rewrite addresses as
#         Docker does, and which is brought by name only: PREFIX/nft/bin/nft
#
# Each server is PREFIX/NAME/bin/{server,cli,benchmark}, which run on the libraries unpacked with them,
# and PREFIX/NAME/VERSION. The packages come from the mirror that this machine's apt is set up with;
# RCLUSTER_DEBIAN_MIRROR=URL names another one. Needs no root. What is there already is left alone,
# and a second run at the same time waits for the first. Exit status: 0 all there, 1 something is missing.
set -uo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

# name : Debian suite : family
MATRIX='redis-7.0:bookworm:redis redis-8.0:trixie:redis redis-8.6:experimental:redis
  valkey-8.1:trixie:valkey valkey-9.1:forky:valkey'
TOOLS='nft:bookworm:nft'

say() { printf '%s\n' "$*"; }
fail() {
  say "$@" >&2
  return 1
}

works() {
  local tool
  for tool in $(tools_of "${1##*/}"); do "$1/bin/$tool" --version >/dev/null 2>&1 || return; done
  [[ -s $1/VERSION ]]
}

# What NAME, or a folder of that name that is being filled, has in bin/ of its own.
tools_of() { if [[ $1 == *nft ]]; then say nft; else say server cli; fi; }

# "Redis server v=7.0.15 sha=…", "Valkey server v=8.1.1 …" or "nftables v1.0.6 (…)" -> 7.0.15
version_of() { "$1" --version 2>/dev/null | sed -n 's/.* v=\{0,1\}\([0-9.][^ ]*\).*/\1/p'; }

# --- where apt gets Debian from ------------------------------------------------------------------

# "URL KEYRING" of the first apt source that serves a whole Debian suite; KEYRING may be empty.
debian_source() {
  if [[ -n ${RCLUSTER_DEBIAN_MIRROR:-} ]]; then
    say "$RCLUSTER_DEBIAN_MIRROR"
    return
  fi
  local suites='bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable'
  {
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v suites="^($suites)\$" '
      function flush(    i, n, words) {
        n = split(field["suites"], words, " ")
        for (i = 1; i <= n; i++) if (words[i] ~ suites && field["enabled"] != "no") {
          split(field["uris"], words, " "); print words[1], field["signed-by"]; break
        }
        delete field
      }
      /^[ \t]*$/ { flush(); next }
      /^[A-Za-z-]+:/ { name = tolower(substr($0, 1, index($0, ":") - 1)); sub(/^[^:]*:[ \t]*/, ""); field[name] = $0 }
      END { flush() }'
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk -v suites="^($suites)\$" '
      $1 == "deb" {
        key = ""
        if (match($0, /signed-by=[^] ]+/)) key = substr($0, RSTART + 10, RLENGTH - 10)
        sub(/\[[^]]*\]/, "")
        if ($3 ~ suites) print $2, key
      }'
    true # there need not be files of both kinds
  } | head -n 1 | grep .
}

# --- apt, kept inside one folder -----------------------------------------------------------------

# Folder $1 gets an apt.conf with which apt neither reads nor writes the system's state. What the machine needs
# to reach its mirror (proxies, credentials) stays in force: apt reads this file after its own.
write_apt_conf() {
  local dir=$1
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/state" "$dir/log" || return
  : >"$dir/status"
  cat >"$dir/apt.conf" <<END
quiet "2";
Dir::State "$dir/state";
Dir::State::status "$dir/status";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Log "$dir/log";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
END
}

# The package lists of Debian suite $2, in folder $1.
read_suite() {
  local dir=$1 suite=$2 url key trust='' source
  source=$(debian_source) ||
    fail "apt has no Debian mirror on this machine: RCLUSTER_DEBIAN_MIRROR=URL can name one" || return
  read -r url key <<<"$source"
  [[ -f $key ]] || key=/usr/share/keyrings/debian-archive-keyring.gpg
  [[ -f $key ]] && trust="signed-by=$key"
  [[ ${RCLUSTER_TRUST_MIRROR:-} == 1 ]] && trust='trusted=yes'
  write_apt_conf "$dir" || return
  say "deb [target=Packages $trust] $url $suite main" >"$dir/sources.list"
  # experimental holds only what differs from unstable
  [[ $suite == experimental ]] && say "deb [target=Packages $trust] $url sid main" >>"$dir/sources.list"
  cat >>"$dir/apt.conf" <<END
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
APT::Default-Release "$suite";
END
  apt-get -c "$dir/apt.conf" update >"$dir/update.log" 2>&1 && return
  # apt downloads lists that it cannot verify, and then refuses them
  tail -n 4 "$dir/update.log" >&2
  grep -q NO_PUBKEY "$dir/update.log" &&
    say "The keyring does not know the key of $suite: update debian-archive-keyring, or set RCLUSTER_TRUST_MIRROR=1." >&2
  return 1
}

# The package lists of this machine's own distribution, in folder $1.
fetch_own_lists() {
  say "reading this machine's package lists"
  write_apt_conf "$1" && apt-get -c "$1/apt.conf" update >"$1/update.log" 2>&1 && return
  tail -n 4 "$1/update.log" >&2 # one broken source of several does no harm yet
}

# The same without a download, where apt has been here before. They may be too old to fetch from.
borrow_own_lists() {
  compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null && write_apt_conf "$1" &&
    say 'Dir::State::lists "/var/lib/apt/lists";' >>"$1/apt.conf"
}

own_family() {
  local family
  for family in redis valkey; do
    [[ -n $(apt-cache -c "$1/apt.conf" show "$family-tools" 2>/dev/null) ]] && say "$family" && return
  done
}

# --- one server ----------------------------------------------------------------------------------

# The tools and server packages of family $2 and all libraries they need, one a line. What else they depend on
# (adduser, init scripts) serves an installed system only.
package_closure() {
  local roots="$2-tools $2-server"
  [[ $2 == nft ]] && roots=nftables
  # shellcheck disable=SC2086 # package names hold no spaces
  apt-cache -c "$1/apt.conf" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances $roots 2>/dev/null |
    awk -v roots="$roots" '
      /^[^ <]/ { package = $1; next }
      /^ [ |](Pre)?Depends: lib/ { needs[package] = needs[package] " " $2 }
      END {
        count = split(roots, queue, " ")
        for (at = 1; at <= count; at++) {
          if (seen[queue[at]]++) continue
          print queue[at]
          n = split(needs[queue[at]], found, " ")
          for (i = 1; i <= n; i++) queue[++count] = found[i]
        }
      }'
}

# A script at $1/bin/$2 that runs $1/root/$3 on the loader and libraries in $1/root. It finds them from its own
# path, so that the folder can be moved.
write_wrapper() {
  local tree=$1 tool=$2 binary=$3 loader dirs
  [[ -x $tree/root/$binary ]] || fail "the packages hold no $binary" || return
  loader=$(cd "$tree/root" && find . -type f -name 'ld-linux*.so.*' | sed 's|^\./||' | head -n 1)
  [[ -n $loader ]] || fail 'the packages hold no dynamic loader' || return
  dirs=$(cd "$tree/root" && find . -name '*.so.*' | sed 's|^\./||; s|/[^/]*$||' | grep -E '(^|/)(lib|lib64|lib/[^/]*-linux-gnu[^/]*)$' | sort -u)
  cat >"$tree/bin/$tool" <<END
#!/bin/sh
root=\${0%/*}/../root
exec "\$root/$loader" --library-path "$(sed 's|^|$root/|' <<<"$dirs" | paste -sd: -)" "\$root/$binary" "\$@"
END
  chmod 755 "$tree/bin/$tool"
}

# Unpacks family $3 into PREFIX/$2, from the package lists in folder $1.
unpack_server() {
  local dir=$1 name=$2 family=$3 tree=$1/tree-$2 deb tool
  local packages
  mapfile -t packages < <(package_closure "$dir" "$family")
  ((${#packages[@]} > 2)) || fail "$name: the package lists have no $family-server" || return
  mkdir -p "$tree/debs" "$tree/root" "$tree/bin" || return
  (cd "$tree/debs" && apt-get -c "$dir/apt.conf" download "${packages[@]}" >"$dir/download.log" 2>&1) ||
    fail "$name: the download failed: $(tail -n 3 "$dir/download.log")" || return
  for deb in "$tree"/debs/*.deb; do
    dpkg-deb -x "$deb" "$tree/root" || fail "$name: $deb cannot be unpacked" || return
  done
  rm -rf "$tree/debs" "$tree"/root/usr/share "$tree"/root/usr/lib/*/gconv
  if [[ $family == nft ]]; then
    write_wrapper "$tree" nft usr/sbin/nft || return
  else
    for tool in server cli benchmark; do write_wrapper "$tree" "$tool" "usr/bin/$family-$tool" || return; done
  fi
  read -r tool _ <<<"$(tools_of "$name")"
  version_of "$tree/bin/$tool" >"$tree/VERSION"
  works "$tree" || fail "$name: it was unpacked but does not run: $("$tree/bin/$tool" --version 2>&1 | head -n 2)" || return
  rm -rf "${PREFIX:?}/$name"
  mv "$tree" "$PREFIX/$name" && say "$name: $(<"$PREFIX/$name/VERSION") unpacked in $PREFIX/$name"
}

require_apt() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && return
  if [[ $(uname -s) == Darwin ]]; then
    fail 'No server here. Run: brew install redis   (or: brew install valkey)' || true
  else
    fail 'No server here, and no apt to fetch one with. Install redis-server or valkey-server with your package manager,' \
      'or set RCLUSTER_SERVER to the path of one.' || true
  fi
  return 1
}

# One run at a time; what killed runs left is cleared away.
open_workshop() {
  mkdir -p "$PREFIX" && PREFIX=$(cd "$PREFIX" && pwd) || return
  if command -v flock >/dev/null; then
    exec 9>"$PREFIX/.lock" && flock -w 900 9 || fail "another run holds $PREFIX/.lock" || return
  fi
  rm -rf "$PREFIX"/.work.*
  WORK=$(mktemp -d "$PREFIX/.work.XXXXXX") || return
  trap 'rm -rf "$WORK"' EXIT
  trap 'exit 130' INT TERM
}

# --- the three jobs ------------------------------------------------------------------------------

list() {
  local entry name
  for entry in $MATRIX own::; do
    name=${entry%%:*}
    if works "$PREFIX/$name"; then
      say "$name: $(<"$PREFIX/$name/VERSION") in $PREFIX/$name"
    elif [[ $name != own ]]; then
      say "$name: not there"
    fi
  done
}

# Says where a server is that needs no download.
find_one() {
  local candidate tree
  for candidate in "${RCLUSTER_SERVER:-}" "${REDIS_SERVER:-}" redis-server valkey-server \
    /opt/homebrew/bin/redis-server /opt/homebrew/bin/valkey-server /usr/local/bin/redis-server /usr/local/bin/valkey-server; do
    [[ -n $candidate ]] && candidate=$(command -v "$candidate") && [[ -n $(version_of "$candidate") ]] || continue
    say "$(basename "$candidate") $(version_of "$candidate") is at $candidate"
    return
  done
  for tree in "$PREFIX"/*/; do
    [[ $tree == */nft/ ]] && continue
    works "${tree%/}" || continue
    say "$(basename "$tree"): $(<"$tree/VERSION") in ${tree%/}"
    return
  done
  return 1
}

bring_one() {
  find_one && return
  require_apt && open_workshop || return
  find_one && return
  borrow_own_lists "$WORK/borrowed" && unpack_own "$WORK/borrowed" 2>/dev/null && return
  fetch_own_lists "$WORK/fetched"
  unpack_own "$WORK/fetched"
}

unpack_own() {
  local family
  family=$(own_family "$1")
  [[ -n $family ]] || fail "this machine's package lists have neither redis nor valkey: install one, or set RCLUSTER_SERVER" || return
  say "fetching $family from this machine's package mirror"
  unpack_server "$1" own "$family"
}

# The servers of one suite, one after the other: they share its package lists.
bring_suite() {
  local suite=$1 dir=$WORK/$1 name status=0
  shift
  say "reading the package lists of $suite"
  read_suite "$dir" "$suite" || fail "no package lists of $suite, hence no $*" || return
  for name in "$@"; do unpack_server "$dir" "$name" "${name%-*}" || status=1; done
  return $status
}

bring_matrix() {
  local entry name suite wanted=" $* " status=0 missing='' job jobs=''
  for name in "$@"; do
    [[ " $(sed 's/:[^ ]*//g' <<<"$MATRIX $TOOLS" | tr '\n' ' ')" == *" $name "* ]] || fail "$name: not one of the names; see --help" || return
  done
  select_missing() {
    missing=''
    for entry in $MATRIX $TOOLS; do
      name=${entry%%:*}
      [[ $wanted == '  ' && $entry != "$TOOLS" || $wanted == *" $name "* ]] || continue
      if works "$PREFIX/$name"; then
        [[ ${1:-} == aloud ]] && say "$name: $(<"$PREFIX/$name/VERSION") in $PREFIX/$name"
      else
        missing+=" $entry"
      fi
    done
    [[ -n $missing ]]
  }
  if select_missing; then
    require_apt && open_workshop || return
  fi
  select_missing aloud || return 0
  for suite in $(tr ' ' '\n' <<<"$missing" | cut -s -d: -f2 | sort -u); do
    # shellcheck disable=SC2046 # names hold no spaces
    bring_suite "$suite" $(tr ' ' '\n' <<<"$missing" | grep ":$suite:" | cut -d: -f1) &
    jobs+=" $!"
  done
  for job in $jobs; do wait "$job" || status=1; done
  return $status
}

PREFIX=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.servers
[[ ${1:-} == */* ]] && PREFIX=${1%/} && shift
case ${1:-} in
  -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
  --one) bring_one ;;
  --list) list ;;
  -*) fail "$1: not an option; see --help" ;;
  *) bring_matrix "$@" ;;
esac
