# shellcheck shell=bash
# Creates the virtual environments of the tests that run Python programs. To be sourced.

# Sets `environment` to a virtual environment with the packages of FOLDER/requirements.txt, and creates it if necessary:
# python_environment FOLDER. The caller defines `skip REASON`, which ends the script.
python_environment() {
    local folder=$1 python='' candidate
    environment=${CARGO_TARGET_DIR:-target}/$(basename "$folder")
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || skip "install Python 3.11 or later to run it"
    # The copy of the requirements is written last, so it exists only in a complete environment.
    if [ -x "$environment/bin/python" ] && cmp -s "$folder/requirements.txt" "$environment/requirements.txt"; then
        return
    fi
    rm -rf "$environment"
    if ! "$python" -m venv "$environment" 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -qq --yes --no-install-recommends python3-venv
        fi
        "$python" -m venv --clear "$environment" || skip "install python3-venv to run it"
    fi
    "$environment/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        --requirement "$folder/requirements.txt" || skip "its packages cannot be installed, see above"
    cp "$folder/requirements.txt" "$environment/requirements.txt"
}
