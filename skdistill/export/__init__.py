"""A fitted student as one file that scores anywhere, proven to be the same model.

`content.py` reads the plain arrays off a student, `sample.py` makes the rows that an export is
tried on, `certificate.py` compares, and writes file and certificate; `onnx`, `c.py` and `sql`
make the files, `verify.py` tries them again, `student_file.py` saves and loads students, `lean.py`
makes the lean scorer.
"""
