"""Whether a student deserves its teacher's trust: numbers, reasons, pictures and one page.

`fidelity` compares answers, `reasons` explains them, `displays` draws students that people can
read, and `page` puts all of it together. They share `html`, `plotting`, `tables` and `estimate`.
"""
