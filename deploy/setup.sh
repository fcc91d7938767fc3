#!/bin/sh
# Find a Python that can run Vitrine and hand over to deploy/setup.py; name what is missing otherwise.
# The words are for a person who has just cloned the repository on a fresh machine.

cd "$(dirname "$0")/.." || exit 1

# An existing environment was made by a Python that was good enough.
if [ -x .venv/bin/python ] && .venv/bin/python -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec .venv/bin/python -S -m deploy.setup "$@"
fi

seen=""
for python in ${VITRINE_PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    command -v "$python" >/dev/null 2>&1 || continue
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" -m deploy.setup "$@"
    fi
    seen="$python is $("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null)"
done

if [ -n "$seen" ]; then
    echo "Vitrine needs Python 3.11 or newer, but $seen." >&2
else
    echo "Vitrine needs Python 3.11 or newer, and there is no python3 here." >&2
fi
echo "On Debian 12 or Ubuntu 24.04:  sudo apt-get install -y python3 python3-venv" >&2
exit 1
