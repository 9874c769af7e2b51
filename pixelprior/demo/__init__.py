"""The demo: runs to play with, in a browser. Only this package imports Streamlit.

Streamlit runs `page.show_page` from its start whenever anything is touched. It ends an earlier
run of that function at its next call of Streamlit, which is how a long sampling stops.
"""
