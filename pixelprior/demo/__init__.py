"""The demo: runs to play with, in a browser. Only here is Streamlit known.

Streamlit runs `page.show_page` from its start whenever anything is touched, and ends the run that
is still going at its next call of Streamlit: that is how a long sampling is stopped.
"""
