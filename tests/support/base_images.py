"""Build the base images of the Dockerfile and the compose file from Debian packages, if no registry can be reached.

`python -m tests.support.base_images`, as root, with podman and debootstrap; two minutes. Existing images stay.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.containers import (
    Podman,
    UnavailableError,
    images_of_the_compose_file,
    images_of_the_dockerfile,
    working_podman,
)

SUITE = "trixie"
"""The Debian release with Python 3.13, PostgreSQL 17 and Valkey 8."""
_PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
_IMAGES = Path(__file__).with_name("images")


def main() -> int:
    """Build the missing images; the exit code is 1 if one could not be built."""
    if missing := [name for name in ("podman", "debootstrap") if shutil.which(name) is None]:
        return _failed(f"{' and '.join(missing)}: not installed")
    # Not in /tmp, which may be small or in memory.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="sp500tui-images-") as folder:
        try:
            for name in images_of_the_dockerfile():
                _import_python(name, Path(folder))
            podman = working_podman(Path(folder), images_of_the_dockerfile())
            for name in images_of_the_compose_file():
                _build_service(podman, name, images_of_the_dockerfile()[0])
        except UnavailableError as reason:
            return _failed(str(reason))
        except subprocess.CalledProcessError as error:
            return _failed(f"{error.cmd[0]} ended with {error.returncode}")
    return 0


def _import_python(name: str, folder: Path) -> None:
    if Podman({}).has(name):
        return
    root = folder / "root"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", SUITE, str(root)], check=True
    )
    # The official image has no such file, and a command of this name.
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (root / "usr/bin/python").symlink_to("python3")
    if (ours := "/" / _CERTIFICATES).exists():
        shutil.copyfile(ours, root / _CERTIFICATES)  # may include an authority of this network
    for cache in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / cache)
        (root / cache / "partial").mkdir(parents=True)
    reader = folder / "root.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(reader), "."], check=True)
    subprocess.run(["podman", "import", "--quiet", str(reader), name], check=True)
    reader.unlink()
    shutil.rmtree(root)


def _build_service(podman: Podman, name: str, base: str) -> None:
    if podman.has(name):
        return
    source = _IMAGES / name.rpartition("/")[2].partition(":")[0]
    done = podman(
        "build", "--network=host", f"--build-arg=BASE={base}", f"--tag={name}", str(source), timeout=600
    )
    if done.returncode:
        raise UnavailableError(f"{name} could not be built: {(done.stdout + done.stderr)[-2000:]}")


def _failed(reason: str) -> int:
    sys.stderr.write(f"base_images: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
