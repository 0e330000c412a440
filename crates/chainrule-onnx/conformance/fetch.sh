#!/usr/bin/env bash
# Fetches the conformance suite of ONNX (the data of its backend tests, from the wheel of the release) by pip, and
# unpacks it into the folder that is given. Prints the variable to set for `cargo test -p chainrule-onnx`.
set -euo pipefail
to=${1:?usage: fetch.sh FOLDER}
mkdir -p "$to"
cat > "$to/requirements.txt" <<REQUIREMENTS
onnx==1.22.0 --hash=sha256:1d0a2bdb15eb2b3cb65c438f3423d9620d14fdce32f92380e6bb1b2e09568ef5
REQUIREMENTS
python3 -m pip download --no-deps --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
    --platform manylinux_2_27_x86_64 --require-hashes -r "$to/requirements.txt" -d "$to"
python3 -m zipfile -e "$to"/onnx-1.22.0-*.whl "$to/wheel"
echo "CHAINRULE_ONNX_DATA=$(cd "$to/wheel/onnx/backend/test/data" && pwd)"
