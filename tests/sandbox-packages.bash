# shellcheck shell=bash
# Builds the packages of the sandbox. To be sourced.

. tests/python-environment.bash

# Sets `artefacts` to a folder with the wheel and the npm packages of this platform, and `python` to an interpreter, and prints
# their sizes. The caller defines `skip REASON`, which ends the script.
sandbox_packages() {
    local folder=crates/highlevel-sandbox/packages environment program=${SANDBOX_PROGRAM:-}
    command -v npm >/dev/null || skip "install npm to run it"
    python_environment "$folder"
    python=$PWD/$environment/bin/python
    [[ $environment != /* ]] || python=$environment/bin/python
    if [ -z "$program" ]; then
        # The release profile is for releases.
        cargo build --quiet --locked --package highlevel-sandbox
        program=${CARGO_TARGET_DIR:-target}/debug/highlevel-sandbox
    fi
    artefacts=${CARGO_TARGET_DIR:-target}/sandbox-packages
    [[ $artefacts = /* ]] || artefacts=$PWD/$artefacts
    # One build for all tests of the same program and the same files.
    local inputs
    inputs=$(find "$folder" "$program" -type f ! -path '*/__pycache__/*' -exec sha256sum {} + | sort)
    if [ "$inputs" != "$(cat "$artefacts.inputs" 2>/dev/null)" ]; then
        rm -rf "$artefacts" "$artefacts.inputs"
        "$python" "$folder/build.py" --binary "$program" --out "$artefacts" >"$artefacts.sizes"
        printf '%s\n' "$inputs" >"$artefacts.inputs"
    fi
    cat "$artefacts.sizes"
}
