"""Install the Debian packages that the tests need and that are missing.

Standard library only. Nothing of the system is stopped or used: the tests start their own
PostgreSQL, PgBouncer, Prometheus, Alertmanager and nginx on free ports, from these packages'
programs.

    python -m deploy.debian
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Debian keeps PostgreSQL's server programs, and for users other than root nginx, off the PATH.
FURTHER_FOLDERS = ("/usr/sbin", "/usr/local/bin")
POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")

PACKAGE_OF = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "nginx": "nginx",
    "postgres": "postgresql",
    "pgbouncer": "pgbouncer",
    "docker-compose": "docker-compose",
    "sqlite3": "sqlite3",
}


def present(program: str) -> bool:
    """Whether a program is on the PATH or where Debian puts servers."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *FURTHER_FOLDERS])
    if program == "postgres":
        return any(POSTGRES_PROGRAMS.glob("*/bin/postgres")) or bool(shutil.which(program))
    if program == "prometheus-alertmanager" and shutil.which("alertmanager", path=folders):
        return True
    return shutil.which(program, path=folders) is not None


def missing_packages() -> list[str]:
    return sorted({package for program, package in PACKAGE_OF.items() if not present(program)})


def main() -> int:
    """Install what is missing, with sudo when needed; name the line where that cannot be done."""
    packages = missing_packages()
    if not packages:
        return 0
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    apt = shutil.which("apt-get")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if apt is None or (sudo and shutil.which("sudo") is None):
        sys.stderr.write(
            f"The tests need programs of these Debian packages: {' '.join(packages)}.\n"
            f"As root:  {line}\n"
        )
        return 1
    sys.stdout.write(f"  Installing Debian packages for the tests: {' '.join(packages)} ...\n")
    sys.stdout.flush()
    environment = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", apt]
    # A failing update (one mirror down) need not matter; the installation decides.
    subprocess.run([*environment, "update", "-q"], check=False, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        [*environment, "install", "-y", "-q", "--no-install-recommends", *packages],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        sys.stderr.write(f"{done.stdout}\nThis failed; try it by hand, as root:  {line}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
