#!/bin/sh
# Starts the gateway in its container: the configuration beside this file, copied to the folder $1, with proxies.conf made of
# VITRINE_GATEWAY_PROXIES. That is: whose X-Forwarded-For is believed, addresses or networks by commas; empty = nobody's.
set -eu
mkdir -p "$1"
cp "$(dirname "$0")"/* "$1"
for proxy in $(echo "${VITRINE_GATEWAY_PROXIES:-}" | tr ',' ' '); do
    echo "set_real_ip_from $proxy;"
done > "$1/proxies.conf"
exec nginx -p /tmp/ -c "$1/nginx.conf" -g "daemon off;"
