#!/bin/sh
# One database and one role per service, so that no service can read another's tables. Run once, by the PostgreSQL
# image at the first start; the passwords come from the environment (<SERVICE>_DATABASE_PASSWORD).
set -eu
for service in catalog advisor checkout storefront insight sandbox; do
    variable="$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')_DATABASE_PASSWORD"
    eval "password=\${$variable:?}"
    # psql quotes the values itself: a password with a quote in it cannot become SQL.
    psql -v ON_ERROR_STOP=1 -v role="$service" -v password="$password" \
        --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-postgres}" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE CONNECT ON DATABASE :"role" FROM PUBLIC;
SQL
done
