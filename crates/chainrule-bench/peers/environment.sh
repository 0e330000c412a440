#!/usr/bin/env bash
# Makes the Python environment in which the peers are measured:
#
#     environment.sh DIR
#
# A virtual environment in DIR with the versions below, by pip, from whatever index pip is configured for
# (PIP_INDEX_URL, pip.conf). Run again, it brings an environment to these versions. Refuses to touch a folder
# that is something else, and to install anything outside DIR.
#
# On x86-64 Linux the package of PyTorch on PyPI brings the libraries of its GPU build along: several
# gigabytes, which the scripts do not use. Where PyTorch's own index of CPU builds may be used, this saves them:
#
#     PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu environment.sh DIR
set -euo pipefail

packages=(numpy==2.4.6 torch==2.15.0 jax==0.10.2 jaxlib==0.10.2)

fail() {
    printf 'environment.sh: %s\n' "$@" >&2
    exit 2
}

if [ $# -ne 1 ] || [ -z "$1" ] || [ "${1#-}" != "$1" ]; then
    fail "usage: environment.sh DIR" "makes a Python environment in DIR with ${packages[*]}"
fi
folder=$1
base=${PYTHON:-python3}

command -v "$base" >/dev/null || fail "there is no $base; install Python 3.11 or later, or name it: PYTHON=/path/to/python3"
"$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$base is $("$base" --version 2>&1); these versions need Python 3.11 or later: PYTHON=/path/to/python3"
"$base" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$base has no module venv or ensurepip; install them (on Debian and Ubuntu: the package python3-venv)"
if [ -e "$folder" ] && [ ! -e "$folder/pyvenv.cfg" ] && [ -n "$(ls -A "$folder" 2>&1)" ]; then
    fail "$folder is there already and is no Python environment; name another folder"
fi

if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "making a Python environment in $folder with $("$base" --version 2>&1)"
    "$base" -m venv "$folder" || fail "the environment could not be made; the lines above say why"
fi
echo "installing ${packages[*]}"
"$folder/bin/python" -m pip install "${packages[@]}" ||
    fail "pip did not install them; the lines above say why (pip config list shows which index it asks)"

"$folder/bin/python" - <<'END' || fail "what was installed cannot be used; the lines above say why"
import numpy, torch, jax
print("numpy", numpy.__version__, " torch", torch.__version__, " jax", jax.__version__)
END
echo "done; now: cargo run --release -p chainrule-bench -- compare --peers $folder"
