"""Pictures and tables of students: a tree's rules, curves, a table of points, training losses."""
