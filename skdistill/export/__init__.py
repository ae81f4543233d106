"""A fitted student as one file that scores anywhere, compared with the student first.

`student_content` reads the plain arrays of a student, `parity_sample` makes the rows on which an
export is compared, `certificate` compares, and writes file and certificate; `onnx`, `c` and `sql`
make the files, `verify` compares them again, `student_file` saves and loads students, `lean` makes
the lean scorer. The functions are in `skdistill`; the classes of what they return are here.
"""

from skdistill.export.certificate import Certificate, Export

__all__ = ["Certificate", "Export"]
