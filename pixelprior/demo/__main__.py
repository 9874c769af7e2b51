"""Script that Streamlit runs for ``pixelprior demo``."""

from pixelprior.demo.page import show_page

show_page()
