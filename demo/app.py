"""The demo, in a browser: ``streamlit run demo/app.py -- --runs=runs``."""

from pixelprior.demo.page import show_page

show_page()
