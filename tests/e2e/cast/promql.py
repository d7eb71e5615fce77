# SPDX-License-Identifier: MIT
"""Which metrics and labels a PromQL expression names."""

import re

TOKEN = re.compile(r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
                       |(?P<name>[A-Za-z_:][\w:]*)
                       |(?P<other>\d\w*|\S)""", re.X)
WITH_LABELS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
AFTER_FUNCTION = {"(", "by", "without"}
KEYWORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "atan2"}


def read(expression):
    """Returns {metric: labels that select it}, and the labels by which
    something is grouped or matched."""
    tokens = [(match.lastgroup, match.group())
              for match in TOKEN.finditer(expression)]
    metrics, grouping = {}, set()
    labels = None  # the set to which a name belongs
    metric = None
    for (kind, text), (_, after) in zip(tokens, tokens[1:] + [("", "")]):
        if text == "{":
            labels = metrics[metric]
        elif text in ")}":
            labels = None
        elif kind != "name":
            continue
        elif labels is not None:
            labels.add(text)
        elif text in WITH_LABELS:
            labels = grouping
        elif text not in KEYWORDS and after not in AFTER_FUNCTION:
            metric = text
            metrics.setdefault(metric, set())
    return metrics, grouping
