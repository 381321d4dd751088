"""Runs schemathesis against a node's OpenAPI document: generates requests from it and checks the
responses against it.

    openapi.py REGISTRY_URL SEED

Prints one `output` event, {seed, status}: the exit status of schemathesis, 0 without findings. Findings
are printed to stderr with requests that reproduce them.
"""

import subprocess
import sys
import tempfile

from wire import emit

# No server errors, no undocumented responses, no bodies that do not match their schema.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# Random requests per operation and content type.
EXAMPLES = 3
# Responses take milliseconds, except requests that wait up to 30 s for a change.
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
        # Random wait_ms values would make the run wait for changes that never happen.
        "--exclude-path": "/v1/changes",
    }
    # A backup writes a directory that the request names.
    flags = ["--exclude-path", "/v1/backups", "--continue-on-failure", "--no-color", "--no-shrink"]
    for option, value in options.items():
        command += [option, str(value)]
    # schemathesis creates a folder in its working directory.
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(command + flags, cwd=folder, stdout=sys.stderr, check=False)
    emit("output", seed=int(seed), status=run.returncode)


main(*sys.argv[1:])
