"""What is compiled: sums of curves, for every student that encodes its columns, and training steps.

`library` compiles ``curves.c`` and ``network_steps.c``; `curves` and `steps` call them.
"""
