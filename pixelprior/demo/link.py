"""Settings in the address of the page, so that a link restores them."""

from typing import Final

LINKED: Final = "query-params"
"""Binding of a widget to the query parameter with the name of its key.

Streamlit ignores a value that the widget does not have.
"""
