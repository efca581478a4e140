"""Packages the program for people who do not write Rust, for one platform at a time.

    python crates/highlevel-sandbox/packages/build.py                   a release build for this machine
    python crates/highlevel-sandbox/packages/build.py --target TRIPLE   a release build for another platform
    python crates/highlevel-sandbox/packages/build.py --binary PATH     a program that is already built

It writes a wheel, the npm packages, an archive with the program, its manual pages and completion scripts, and SHA256SUMS. The npm
package `highlevel-sandbox` depends on the packages of the platforms that are in the output folder: to release several, run `--part
platform` on each of them, copy all files into one folder, and run `--part main` there.

Requires Python 3.11 or later with requirements.txt, and npm.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRATE = HERE.parent
ROOT = CRATE.parent.parent
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]

# The platform of the wheel; `process.platform` and `process.arch` of Node.js.
PLATFORMS = {
    "aarch64-apple-darwin": ("macosx_11_0_arm64", "darwin", "arm64"),
    "aarch64-unknown-linux-gnu": ("manylinux_{glibc}_aarch64", "linux", "arm64"),
    "aarch64-unknown-linux-musl": ("manylinux_2_17_aarch64.musllinux_1_1_aarch64", "linux", "arm64"),
    "x86_64-apple-darwin": ("macosx_10_12_x86_64", "darwin", "x64"),
    "x86_64-pc-windows-msvc": ("win_amd64", "win32", "x64"),
    "x86_64-unknown-linux-gnu": ("manylinux_{glibc}_x86_64", "linux", "x64"),
    # Static: it runs with any libc.
    "x86_64-unknown-linux-musl": ("manylinux_2_17_x86_64.musllinux_1_1_x86_64", "linux", "x64"),
}
SHELLS = {"bash": "highlevel-sandbox.bash", "fish": "highlevel-sandbox.fish", "zsh": "_highlevel-sandbox"}


def run(*command, **options):
    return subprocess.run(command, check=True, **options)


def host():
    """Returns the target of this machine's compiler."""
    described = run("rustc", "-vV", stdout=subprocess.PIPE, text=True).stdout
    return re.search("^host: (.*)$", described, re.MULTILINE)[1]


def compile_program(target):
    """Builds the program with the release profile, without symbols. Returns its path."""
    environment = {"CARGO_PROFILE_RELEASE_STRIP": "symbols", **os.environ}
    options = ["--release", "--locked", "--package", "highlevel-sandbox", "--target", target]
    run("cargo", "build", *options, cwd=ROOT, env=environment)
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return folder / target / "release" / program_name(target)


def program_name(target):
    return "highlevel-sandbox.exe" if "windows" in target else "highlevel-sandbox"


def wheel_platform(program, target):
    """Returns the platform tag: for glibc, with the oldest version that has all symbols that the program uses."""
    platform = PLATFORMS[target][0]
    if "{glibc}" not in platform:
        return platform
    versions = [int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)(?=[.\0])", program.read_bytes())]
    if not versions:
        sys.exit(f"{program} uses no symbol of glibc; pass --target if it was built for another target than {target}")
    return platform.format(glibc=f"2_{max(versions)}")


def stage(source, folder):
    """Copies a package and the licences into a folder."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for licence in CRATE.glob("LICENSE-*"):
        shutil.copy(licence, folder)


def build_wheel(program, target, folder, out):
    stage(HERE / "python", folder)
    environment = {
        **os.environ,
        "HIGHLEVEL_SANDBOX_BINARY": str(program),
        "HIGHLEVEL_SANDBOX_PLATFORM": wheel_platform(program, target),
        "HIGHLEVEL_SANDBOX_VERSION": VERSION,
    }
    command = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out))
    run(*command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def npm_pack(folder, manifest, out):
    (folder / "package.json").write_text(json.dumps(manifest, indent=2) + "\n")
    # On Windows, npm is a batch file, which needs its full name.
    npm = shutil.which("npm") or sys.exit("install npm")
    run(npm, "pack", "--loglevel=error", f"--pack-destination={out}", cwd=folder, stdout=subprocess.DEVNULL)


def build_npm_platform(program, target, folder, out):
    _, platform, arch = PLATFORMS[target]
    name = f"highlevel-sandbox-{platform}-{arch}"
    stage(HERE / "npm" / "platform", folder)
    readme = folder / "README.md"
    readme.write_text(readme.read_text().replace("@NAME@", name))
    (folder / "bin").mkdir()
    shutil.copy(program, folder / "bin")
    manifest = {
        "name": name,
        "version": VERSION,
        "description": f"The program of highlevel-sandbox for {platform} {arch}",
        "license": "MIT OR Apache-2.0",
        "os": [platform],
        "cpu": [arch],
        **({"libc": ["glibc"]} if target.endswith("-gnu") else {}),
        "files": ["LICENSE-*", "bin"],
    }
    npm_pack(folder, manifest, out)


def build_npm_main(folder, out):
    """Builds the package with the API, which depends on the platform packages in the output folder."""
    stage(HERE / "npm" / "main", folder)
    # One name for each pair, although two targets of Linux have the same.
    names = sorted({f"highlevel-sandbox-{platform}-{arch}" for _, platform, arch in PLATFORMS.values()})
    built = [name for name in names if (out / f"{name}-{VERSION}.tgz").is_file()]
    if not built:
        sys.exit(f"{out} has no package of a platform with the version {VERSION}")
    manifest = json.loads((folder / "package.json").read_text())
    manifest["version"] = VERSION
    manifest["optionalDependencies"] = dict.fromkeys(built, VERSION)
    npm_pack(folder, manifest, out)


def build_archive(program, target, out):
    """Builds an archive of the program, its manual pages and its completion scripts, with equal bytes for equal input."""
    name = f"highlevel-sandbox-{VERSION}-{target}"

    def output(*arguments):
        return run(str(program), *arguments, stdout=subprocess.PIPE).stdout

    files = {program.name: program.read_bytes()}
    for licence in sorted(CRATE.glob("LICENSE-*")):
        files[licence.name] = licence.read_bytes()
    files["man/highlevel-sandbox.1"] = output("man")
    # The help is wrapped.
    commands = re.search(r"possible values: ([a-z,\s-]+)", output("man", "--help").decode())[1]
    for command in re.split(r",\s*", commands):
        files[f"man/highlevel-sandbox-{command}.1"] = output("man", command)
    for shell, file in SHELLS.items():
        files[f"completions/{file}"] = output("completions", shell)
    with (
        open(out / f"{name}.tar.gz", "wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            entry.mode = 0o755 if path == program.name else 0o644
            archive.addfile(entry, io.BytesIO(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, help="program that is already built")
    parser.add_argument("--target", choices=PLATFORMS, help="target of the program [default: this machine]")
    parser.add_argument("--part", choices=["all", "platform", "main"], default="all")
    parser.add_argument("--out", type=Path, help="output folder [default: target/sandbox-packages]")
    options = parser.parse_args()
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    out = (options.out or folder / "sandbox-packages").resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        if options.part != "main":
            target = options.target or host()
            if target not in PLATFORMS:
                sys.exit(f"{target} has no packages; add it to PLATFORMS in {Path(__file__).name}")
            program = work / program_name(target)
            shutil.copy(options.binary or compile_program(target), program)
            build_wheel(program, target, work / "wheel", out)
            build_npm_platform(program, target, work / "platform", out)
            build_archive(program, target, out)
        if options.part != "platform":
            build_npm_main(work / "main", out)
    artefacts = sorted(path for path in out.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in artefacts]
    (out / "SHA256SUMS").write_text("".join(sums))
    for path in artefacts:
        print(f"{path.stat().st_size:>12,} bytes  {path.name}")


if __name__ == "__main__":
    main()
