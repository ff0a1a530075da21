#!/bin/sh
# Builds what the image holds into a folder: PREFIX/venv (pinned, hashed, compiled) and PREFIX/app. Needs Python 3.11+ and
# a package index, no Docker. The folder must stay where it was built.
#
#   deploy/build.sh /opt/footnote
set -eu

prefix=${1:?usage: deploy/build.sh PREFIX}
source=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
uv_version=$(sed -n 's/^UV_VERSION := //p' "$source/Makefile")

mkdir -p "$prefix/app/deploy"
"$python" -m venv "$prefix/tools"
"$prefix/tools/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
"$prefix/tools/bin/uv" venv --quiet --clear --python "$python" "$prefix/venv"
"$prefix/tools/bin/uv" pip sync --quiet --python "$prefix/venv/bin/python" --require-hashes --compile-bytecode \
  "$source/deploy/requirements.lock"
rm -rf "$prefix/tools"

# What no line of ours or of LanceDB's loads: Arrow's Flight, headers and tests (about 70 MB).
packages=$("$prefix/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
(cd "$packages/pyarrow" && rm -rf include includes tests src ./*flight* ./*_cpp_tests*)
find "$packages" -type d -name tests -path '*/numpy/*' -prune -exec rm -rf {} +

for part in backend bot prompts docs README.md; do
  cp -R "$source/$part" "$prefix/app/"
done
cp -R "$source/deploy/config" "$source/deploy/slack" "$prefix/app/deploy/"
find "$prefix/app" -name __pycache__ -type d -prune -exec rm -rf {} +
"$prefix/venv/bin/python" -m compileall -q "$prefix/app"
echo "built $prefix: $(du -sm "$prefix" | cut -f1) MB"
