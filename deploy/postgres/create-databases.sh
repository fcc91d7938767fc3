#!/bin/sh
# One database and one role per service, so that no service can read another's tables, and a role for the collector that
# reads numbers and no table. Run once, by the PostgreSQL image at the first start; the passwords come from the environment
# (<SERVICE>_DATABASE_PASSWORD).
set -eu
run() {
    # psql quotes the values itself: a password with a quote in it cannot become SQL.
    psql -v ON_ERROR_STOP=1 -v role="$1" -v password="$2" \
        --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-postgres}"
}
run collector "${COLLECTOR_DATABASE_PASSWORD:?}" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password' IN ROLE pg_monitor;
SQL
for service in catalog advisor checkout storefront insight sandbox; do
    variable="$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')_DATABASE_PASSWORD"
    eval "password=\${$variable:?}"
    run "$service" "$password" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE CONNECT ON DATABASE :"role" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"role" TO collector;
SQL
done
