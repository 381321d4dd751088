"""schemathesis over the document that a node serves of itself: requests made from it, answers held
against it.

    openapi.py REGISTRY_URL SEED

One `told` event, {seed, status}: schemathesis' exit status, 0 when it found nothing. What it found
goes to stderr, with requests that show it.
"""

import subprocess
import sys
import tempfile

from wire import say

# No failure of the server, no answer that the document does not know, no body of another shape.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# Requests made at random for an operation and each content type of it.
EXAMPLES = 3
# An answer takes milliseconds; the longest that the document knows waits for a change.
REQUEST_TIMEOUT_S = 40


def main(url, seed):
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
    options = {
        "--url": url,
        "--seed": seed,
        "--checks": ",".join(CHECKS),
        "--phases": "fuzzing",
        "--max-examples": EXAMPLES,
        "--request-timeout": REQUEST_TIMEOUT_S,
        "--generation-database": "none",
        "--warnings": "off",
        # A change is waited for as long as a request asks.
        "--exclude-path": "/v1/changes",
    }
    flags = ["--continue-on-failure", "--no-color", "--no-shrink"]
    for option, value in options.items():
        command += [option, str(value)]
    # It leaves a folder of its own where it runs.
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(command + flags, cwd=folder, stdout=sys.stderr, check=False)
    say("told", seed=int(seed), status=run.returncode)


main(*sys.argv[1:])
