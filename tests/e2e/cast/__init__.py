# SPDX-License-Identifier: MIT
"""The cast: Origin answers, Proxy is tested, Caller asks by raw sockets,
Program asks as real clients do."""
