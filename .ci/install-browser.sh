#!/bin/sh
# The UI tests drive Debian's Chromium. Without it, and without the right to install it, those
# tests are skipped and say so.
set -eu
if command -v chromium >/dev/null 2>&1; then exit 0; fi
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing chromium for the UI tests ..."
    apt-get -qq update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null
else
    echo "chromium is not installed; the UI tests will be skipped" >&2
fi
