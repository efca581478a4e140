# shellcheck shell=bash
# Installs the packages of the tests that run programs of the npm registry. To be sourced.

# Sets `packages` to a folder with the packages of FOLDER/package-lock.json, and installs them if necessary:
# node_packages FOLDER. The caller defines `skip REASON`, which ends the script.
node_packages() {
    local folder=$1 missing=()
    packages=${CARGO_TARGET_DIR:-target}/$(basename "$folder")
    [[ $packages = /* ]] || packages=$PWD/$packages
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null ||
            skip "apt-get cannot install ${missing[*]}, see above"
        missing=()
    fi
    [ ${#missing[@]} -eq 0 ] || skip "install ${missing[*]} to run it"
    node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 18 || (major == 18 && minor >= 19) ? 0 : 1)' ||
        skip "it needs Node.js 18.19 or later, and this is $(node --version)"
    # The copy of the lock file is written last, so it exists only in a complete folder.
    if cmp -s "$folder/package-lock.json" "$packages/installed-lock.json"; then
        return
    fi
    rm -rf "$packages"
    mkdir -p "$packages"
    cp "$folder"/{package.json,package-lock.json,.npmrc} "$packages/"
    (cd "$packages" && npm ci --ignore-scripts --loglevel=error) || skip "its packages cannot be installed, see above"
    cp "$folder/package-lock.json" "$packages/installed-lock.json"
}
