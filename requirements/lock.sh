#!/usr/bin/env bash
# Write requirements/ci.txt anew: needs uv. What it pins, constraints.txt and frameworks.txt decide;
# packages that build snnlens come in the newest release that pyproject.toml admits.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() {
  uv pip compile --quiet --generate-hashes --no-header --no-annotate \
    --python-version 3.11.9 --python-platform x86_64-manylinux_2_28 "$@"
}

# torch's CPU build and its CUDA build are files of one version with two hashes, and the one that
# CI takes is in no public index of packages: torch is installed by its version alone.
all=$(lock pyproject.toml --extra test --extra docs --extra adapters -c constraints.txt)
own=$(grep -oE '^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z-]+)==' <<<"$all" | tr -d =)
without=()
for name in $own; do without+=(--no-emit-package "$name"); done

{
  cat <<'HEAD'
# What CI installs, each file by its hash: pip install --no-deps --require-hashes -r requirements/ci.txt
# Made by requirements/lock.sh; for Python 3.11 on Linux, x86-64. The versions are those of constraints.txt.
# torch is not here: its CPU build has another hash than the CUDA build of the same version, and which of
# the two is installed is for the machine to say (Makefile, TORCH_ARGS). norse comes as source, and is
# built with the setuptools of the day: pip checks no hash of what it builds with.
HEAD
  echo
  echo "# core, test, docs, adapters, and what builds snnlens itself"
  printf 'hatchling>=1.27,<2\neditables\n' |
    lock pyproject.toml - --extra test --extra docs --extra adapters -c constraints.txt "${without[@]}"
  echo
  echo "# Triton, for make test-kernels: alone, it brings nothing along"
  grep '^triton==' constraints.txt | lock --no-deps -
  echo
  echo "# requirements/frameworks.txt: without what they declare"
  sed '/^snntorch\|^h5py\|^nir/d' requirements/frameworks.txt | lock --no-deps -
} >requirements/ci.new
mv requirements/ci.new requirements/ci.txt
