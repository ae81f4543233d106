"""Watch a deployed student: drift of its rows and scores, and its distance to the teacher."""
