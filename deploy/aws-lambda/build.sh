#!/usr/bin/env bash
# Makes a folder with the sidecar in it that runs wherever it is unpacked: build.sh FOLDER
#   PYTHON       the interpreter to build for; its version must be there at run time too (default python3)
#   ARCH         x86_64 (the default) or arm64: the architecture of the function, whatever machine builds
#   EXTRAS       extras of biot-sidecar to take along: redis for SIDECAR_TOKEN_STORE
#   COMPILED     1: with the forwarding path compiled, by the C compiler of this machine, which has to be Linux of that ARCH
#   PYTHON_HOME  a whole interpreter to take along, for runtimes without Python (Node, Java, Go). It builds, too; one of
#                another architecture than this machine's needs a PYTHON of its version to do that
# Runs in bash 3.2 and with the tools of macOS, too.
set -euo pipefail
out=${1:?"usage: build.sh FOLDER"}
here=$(cd -P "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
case ${ARCH:-x86_64} in
  x86_64) arch=x86_64 ;;
  arm64 | aarch64) arch=aarch64 ;;
  *) echo "ARCH=$ARCH: Lambda has x86_64 and arm64" >&2; exit 2 ;;
esac
machine=$(uname -m | sed 's/^arm64$/aarch64/')
if [ "${COMPILED-}" = 1 ] && [ "$(uname -s) $machine" != "Linux $arch" ]; then
  echo "COMPILED=1 compiles for this machine, $(uname -s) on $machine, and ARCH asks for Linux on $arch" >&2
  exit 2
fi
python=${PYTHON:-python3}
if [ -n "${PYTHON_HOME-}" ] && [ "$machine" = "$arch" ]; then python=$PYTHON_HOME/bin/python3; fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ -n "${PYTHON_HOME-}" ] && [ ! -d "$PYTHON_HOME/lib/python$version" ]; then
  echo "$PYTHON_HOME has no lib/python$version; PYTHON must be of its version to build for $arch here" >&2
  exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wheels=$work/wheels
# Wheels for Lambda's Linux, whatever machine builds; each is checked against the hash in the lock.
lambda=(--only-binary :all: --platform "manylinux2014_$arch" --platform "manylinux_2_17_$arch" --platform "manylinux_2_28_$arch")
installer=$python
if ! "$python" -m pip --version > /dev/null 2>&1; then # Debian's, for one, comes without
  "$python" -m venv "$work/venv"
  installer=$work/venv/bin/python
fi
pip=("$installer" -m pip --disable-pip-version-check --quiet)

locks=(--requirement "$repo/requirements.lock")
if [ "${COMPILED-}" = 1 ]; then
  locks+=(--requirement "$repo/requirements-compile.lock")
  lambda+=(--platform "linux_$arch") # our own wheel
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

if [ "$(uname -s) $machine" = "Linux $arch" ]; then # what it compiles is for whatever machine, but it imports the rest
  PYTHONPATH=$out/lib "$python" -s -S -P "$repo/deploy/prepare_start.py"
fi

# Lambda's Linux keeps no folder of CAs; lib/biot_sidecar/http/system_cas.py says how these are used.
"$installer" "$repo/deploy/ca_folders.py" "$out/lib/biot_sidecar/data/ca"

cp -r "$here/bin" "$here/launch.py" "$here/start.py" "$here/start.mjs" "$repo/config/routes.yaml" "$out/"
# `import biot_sidecar.start` is about this folder, also where a plugin has the package biot_sidecar installed.
echo '"""The sidecar beside a plugin on AWS Lambda: import biot_sidecar.start"""' > "$out/__init__.py"
sed "s/^version=.*/version=$version/" "$here/bin/python" > "$out/bin/python"
if [ -n "${PYTHON_HOME-}" ]; then cp -r "$PYTHON_HOME" "$out/python"; fi
