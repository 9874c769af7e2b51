"""Hook of MkDocs that documents public names as users write them: ``::: pp.sample``."""

import re

DIRECTIVE = re.compile(r"^::: pp\.(\w+)$", flags=re.MULTILINE)
"""Line of a page that stands for the description of one public name."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """Turn each name into a directive of mkdocstrings, with the user's name as the heading."""
    return DIRECTIVE.sub(
        r"::: pixelprior.\1\n    options:\n      heading: pp.\1\n      toc_label: pp.\1", markdown
    )
