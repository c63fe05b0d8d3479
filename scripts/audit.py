"""Run pip-audit and fail where it knows a vulnerability; say how many packages its advisory service could not tell of.

    python scripts/audit.py PIP_AUDIT

A registry mirror may carry packages without the advisory service: those packages are counted aloud, not passed over.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main(tool: str) -> int:
    """The exit code: 1 where there is a known vulnerability or pip-audit itself failed."""
    asked = [tool, "--progress-spinner", "off", "--skip-editable", "--format", "json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"pip-audit gave no answer (exit {done.returncode}): {done.stderr.strip()[-500:]}", file=sys.stderr)
        return 1
    bad = [(p["name"], p["version"], v["id"]) for p in packages for v in p.get("vulns", ())]
    unknown = [p["name"] for p in packages if "skip_reason" in p]
    for name, version, advisory in bad:
        print(f"{name} {version}: {advisory}")
    print(
        f"{len(packages)} packages, {len(bad)} known vulnerabilities, {len(unknown)} not known to the advisory service"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
