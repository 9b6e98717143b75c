#!/bin/sh
# fetch_onnxruntime_headers.sh FOLDER: put ONNX Runtime's C header (API 22, MIT licence) into FOLDER.
# The npm package @siteed/sherpa-onnx.rn carries the official one. Nothing is done where it is there already.
set -eu
folder=${1:?usage: fetch_onnxruntime_headers.sh FOLDER}
package=@siteed/sherpa-onnx.rn@1.3.1
header=onnxruntime_c_api.h
wanted=d683537d0fdc29e977b5520f7f15d87a0ac212ae6d94fa9be8893a52655621ae

is_right() {
    [ -f "$1" ] && printf '%s  %s\n' "$wanted" "$1" | sha256sum -c --status
}

if is_right "$folder/$header"; then
    exit 0
fi
command -v npm >/dev/null || {
    echo "ONNX Runtime's header comes from the npm package $package, and there is no npm here: install npm, or" \
        "configure with -DONNXRUNTIME_INCLUDE_DIR=FOLDER where you have the header." >&2
    exit 1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm pack --silent --pack-destination "$scratch" "$package" >/dev/null
tar -xzf "$scratch"/*.tgz -C "$scratch" "package/prebuilt/include/onnxruntime/$header"
is_right "$scratch/package/prebuilt/include/onnxruntime/$header" || {
    echo "$header in $package is not the one that was tested: its SHA-256 differs." >&2
    exit 1
}
mkdir -p "$folder"
mv "$scratch/package/prebuilt/include/onnxruntime/$header" "$folder/$header"
