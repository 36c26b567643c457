#!/usr/bin/env bash
# Makes a folder with the sidecar in it that runs wherever it is unpacked: build.sh FOLDER
#   PYTHON       the interpreter to build for; its version must be there at run time too (default python3)
#   EXTRAS       extras of biot-sidecar to take along: redis for SIDECAR_TOKEN_STORE
#   COMPILED     1: with the forwarding path compiled, by the C compiler of this machine, which has to be Lambda's kind
#   PYTHON_HOME  instead of PYTHON: a whole interpreter to take along, for runtimes without Python (Node, Java, Go)
set -euo pipefail
out=${1:?"usage: build.sh FOLDER"}
here=$(dirname "$(readlink -f "$0")")
repo=$(readlink -f "$here/../..")
python=${PYTHON_HOME:+$PYTHON_HOME/bin/python3}
python=${python:-${PYTHON:-python3}}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wheels=$work/wheels
# Wheels for Lambda's Linux, whatever machine builds; each is checked against the hash in the lock.
lambda=(--only-binary :all: --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux_2_28_x86_64)
installer=$python
if ! "$python" -m pip --version > /dev/null 2>&1; then # Debian's, for one, comes without
  "$python" -m venv "$work/venv"
  installer=$work/venv/bin/python
fi
pip=("$installer" -m pip --disable-pip-version-check --quiet)

locks=(--requirement "$repo/requirements.lock")
if [ "${COMPILED-}" = 1 ]; then
  locks+=(--requirement "$repo/requirements-compile.lock")
  lambda+=(--platform linux_x86_64) # our own wheel
fi
"${pip[@]}" download "${lambda[@]}" --require-hashes --no-deps --dest "$wheels" "${locks[@]}"
BIOT_SIDECAR_COMPILED=${COMPILED-} "${pip[@]}" wheel --no-index --find-links "$wheels" --no-deps --wheel-dir "$wheels" "$repo"

rm -rf "$out"
mkdir -p "$out"
into=(install "${lambda[@]}" --no-index --find-links "$wheels" --no-compile --target "$out/lib")
"${pip[@]}" "${into[@]}" "biot-sidecar${EXTRAS:+[$EXTRAS]}"
rm -rf "$out/lib/bin"
echo 'from biot_sidecar.__main__ import main; raise SystemExit(main())' > "$out/lib/__main__.py"
# The folder is read-only on Lambda and its time stamps are lost on the way: byte code that is trusted as it is.
"$python" -m compileall -q --invalidation-mode unchecked-hash "$out/lib"

cp -r "$here/bin" "$here/extension.py" "$here/start.py" "$here/start.mjs" "$repo/config/routes.yaml" "$out/"
# `import biot_sidecar.start` is about this folder, also where a plugin has the package biot_sidecar installed.
echo '"""The sidecar beside a plugin on AWS Lambda: import biot_sidecar.start"""' > "$out/__init__.py"
sed -i "s/^version=.*/version=$version/" "$out/bin/python"
if [ -n "${PYTHON_HOME-}" ]; then cp -r "$PYTHON_HOME" "$out/python"; fi
