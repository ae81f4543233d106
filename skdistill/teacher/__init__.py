"""A fitted ensemble in, margins out, with honest labels for the rows it was fitted on."""
