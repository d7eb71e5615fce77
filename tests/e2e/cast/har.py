# SPDX-License-Identifier: MIT
"""HTTP Archives, held against their schema by somebody else's validator,
Debian's node-har-validator."""

import json
import subprocess

from cast.program import NODE_PATH
from cast.proxy import plain_environment

SCRIPT = """
const validator = require("har-validator");
const text = require("fs").readFileSync(0, "utf8");
validator.har(JSON.parse(text)).catch(error => {
    console.error(JSON.stringify(error.errors || String(error)));
    process.exit(1);
});
"""


def read(text):
    """Returns the entries of an archive that is as HAR 1.2 wants it."""
    done = subprocess.run(["node", "-e", SCRIPT], input=text.encode(),
                          capture_output=True, timeout=30,
                          env=plain_environment(NODE_PATH=NODE_PATH))
    assert done.returncode == 0, done.stderr.decode()
    log = json.loads(text)["log"]
    assert log["version"] == "1.2"
    assert log["creator"]["name"] == "leakproxy"
    return log["entries"]


def values(message, name):
    return [field["value"] for field in message["headers"]
            if field["name"].lower() == name.lower()]
