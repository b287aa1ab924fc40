"""Runs on mixed tables: the likelihood of each column, rows as text, and how faithful synthetic rows are.

`choices` picks a likelihood and a scaling for each column. To give a kind of column another likelihood by default,
change its entry in `SUITABLE_MEMBERS` there.
"""
