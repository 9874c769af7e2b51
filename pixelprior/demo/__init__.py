"""Browser demo of trained runs. Only this package imports Streamlit.

Streamlit runs `page.show_page` from its start after every action of the user. It ends an earlier
run of that function at its next call of Streamlit. A long sampling stops in this way.
"""
