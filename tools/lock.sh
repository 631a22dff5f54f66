#!/bin/sh
# Pins every requirement with the hashes of its files, and no download address. Needs the package index.
# `sh tools/lock.sh --upgrade` takes the newest versions that fit; without it, pins that still fit are kept.
set -eu
cd "$(dirname "$0")/.."
lock() {
    .venv/bin/uv pip compile --quiet --no-config --no-header --generate-hashes --no-emit-index-url --no-emit-find-links \
        --only-binary :all: --python-version 3.11 --python-platform x86_64-manylinux_2_28 "$@"
}
lock "$@" pyproject.toml --output-file requirements/runtime.txt
lock "$@" --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
for program in requirements/programs/*.in; do
    lock "$@" "$program" --output-file "${program%.in}.txt"
done
