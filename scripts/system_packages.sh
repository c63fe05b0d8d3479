#!/bin/sh
# system_packages.sh [PACKAGE...]: install Debian packages; by default Java 17, Chromium and PostgreSQL, where missing.
set -eu

java_ok() {
    command -v java >/dev/null 2>&1 || return 1
    major=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ]
}

if [ $# -eq 0 ]; then
    java_ok || set -- "$@" openjdk-17-jre-headless
    [ -d /usr/lib/postgresql ] || set -- "$@" postgresql
    command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || set -- "$@" chromium
fi
[ $# -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then as_root=""; elif command -v sudo >/dev/null 2>&1; then as_root="sudo"; else as_root=none; fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "please install: $* (as root: apt-get install $*)" >&2
    exit 2
fi
echo "installing $*"
$as_root apt-get update -qq
# Debian 13 has Java 21 instead of 17, which Spark 4 takes as well.
case " $* " in *" openjdk-17-jre-headless "*)
    apt-cache show openjdk-17-jre-headless >/dev/null 2>&1 || set -- $(echo "$*" | sed 's/openjdk-17-jre-headless/default-jre-headless/') ;;
esac
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
