#!/bin/sh
# Runs a script with Python 3.11, or says in one line what this machine lacks.
# PYTHON=/path/to/python chooses one by hand.

is_python_311() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1
}

system="$(uname -s) $(uname -m)"
if [ "$system" != "Linux x86_64" ]; then
    echo "Fairlead needs Linux on x86_64; this machine is $system." >&2
    exit 1
fi

for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python; do
    if is_python_311 "$candidate"; then
        exec "$candidate" "$@"
    fi
done
echo "Fairlead needs Python 3.11, and none was found on PATH; install it, or name it: make PYTHON=/path/to/python3.11" >&2
exit 1
