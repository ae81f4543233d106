"""Serve a student over HTTP: scores in microseconds, reasons in milliseconds.

    python examples/serve.py
    python examples/serve.py --student student.skd --background usual_rows.parquet

Without ``--student`` it simulates loan applications, distils a forest, and serves that student.
``POST /score`` takes one row by column and checks it against the model's own columns;
``/score?reasons=3`` names what pushed the score up; ``/version``, ``/health`` and ``/docs`` tell
the rest. Reasons need ``--background``, some rows as they usually are, and scikit-learn; scores do
not. Needs the ``examples`` extra.

    curl localhost:8000/score -H 'Content-Type: application/json' -d '{"age": 40, ...}'
"""

import argparse
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model

import skdistill
from skdistill.scorer import load

#: JSON has neither NaN nor infinity, and a string is no number.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None
Category = Annotated[str, Field(strict=True)] | None

MAX_REASONS = 20


def row_schema(scorer):
    """Make the model of a row that FastAPI checks and documents: null where missing."""
    fields = {}
    for j, name in enumerate(scorer.columns):
        levels = scorer.levels.get(name, (0.0,))
        kind = Category if all(isinstance(level, str) for level in levels) else Number
        known = f"one of {list(levels)}" if name in scorer.levels else "a number"
        fields[f"column_{j}"] = (kind, Field(alias=name, description=known))
    return create_model("Row", __config__=ConfigDict(extra="forbid"), **fields)


class ReasonOut(BaseModel):
    """A column that pushed the score up."""

    column: str
    value: float | str | None
    contribution: float


class Answer(BaseModel):
    """What the service answers."""

    probabilities: dict[str, float] | None = None
    prediction: float | None = None
    reasons: list[ReasonOut] | None = None


def make_app(path, background=None):
    """Make the service.

    Parameters
    ----------
    path : path-like
        A student as `skdistill.save` writes it.
    background : data frame or None, default=None
        Rows that reasons compare with; without them there are no reasons.

    Returns
    -------
    app : FastAPI
        The service.
    """
    scorer = load(path)
    explainer = None if background is None else make_explainer(path, background)
    app = FastAPI(title="Student", version=skdistill.__version__)
    row_model = row_schema(scorer)
    example = dict.fromkeys(scorer.columns)

    @app.exception_handler(RequestValidationError)
    async def refuse(request, error):  # without the input, which JSON may not be able to hold
        told = [{key: each[key] for key in ("loc", "msg", "type")} for each in error.errors()]
        return JSONResponse({"detail": told}, 422)

    @app.get("/health")
    async def health():
        scorer.batch([example])
        return {"status": "ok"}

    @app.get("/version")
    async def version():
        return {
            "skdistill": skdistill.__version__,
            "model_sha256": scorer.sha256,
            "engine": scorer.engine,
            "columns": scorer.columns,
            "classes": scorer.classes,
        }

    @app.post("/score", response_model=Answer, response_model_exclude_none=True)
    async def score(row: row_model, reasons: Annotated[int, Query(ge=0, le=MAX_REASONS)] = 0):
        cells = list(row.__dict__.values())
        answer = as_answer(scorer, scorer(cells))
        if reasons and explainer is None:
            raise HTTPException(400, "There are no reasons: the service was started without rows.")
        if reasons:
            answer["reasons"] = await run_in_threadpool(explainer, cells, reasons)
        return answer

    return app


def as_answer(scorer, answer):
    """Put names on what a scorer answers."""
    if scorer.classes is None:
        return {"prediction": answer}
    return {"probabilities": dict(zip(map(str, scorer.classes), answer, strict=True))}


def make_explainer(path, background):
    """Return a function from cells to reasons, of the very student that is served."""
    import pandas as pd

    student = skdistill.load(path)
    levels = load(path, engine="numpy").levels

    def typed(frame, row):
        """Give columns of numbers, strings and categories that are numbers their types."""
        types = dict.fromkeys(frame.columns, float)
        for name, known in levels.items():
            types[name] = object
            if known and not isinstance(known[0], str):
                seen = {*known, *background[name].dropna(), *row[name].dropna()}
                types[name] = pd.CategoricalDtype(sorted(seen))
        return frame.astype(types)

    def explain(cells, top):
        row = pd.DataFrame([cells], columns=background.columns)
        [reasons] = skdistill.reason_codes(
            student, typed(row, row), typed(background, row), top=top, random_state=0
        )
        return [
            {"column": each.column, "value": plain(each.value), "contribution": each.contribution}
            for each in reasons
        ]

    return explain


def plain(value):
    """Turn a cell into what JSON can hold."""
    if value is None or isinstance(value, str):
        return value
    return None if value != value else float(value)


def demo(folder):
    """Distil a student from simulated loan applications; return its file and usual rows."""
    from loan_report import make_teacher, simulate

    X, y, _ = simulate(6_000, seed=0)
    model = skdistill.DistilledClassifier(
        make_teacher(0), skdistill.LinearStudentClassifier(), random_state=0
    )
    model.fit(X, y)
    path = folder / "loan_student.skd"
    skdistill.save(model, path)
    print(f"Distilled a student into {path}")
    return path, X.sample(100, random_state=0)


def main():
    """Run the service."""
    parser = argparse.ArgumentParser(description="Serve a student over HTTP.")
    parser.add_argument("--student", type=Path, help="file written by skdistill.save")
    parser.add_argument("--background", type=Path, help="parquet file of usual rows, for reasons")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    if args.student is None:
        path, background = demo(Path())
    else:
        path, background = args.student, None
        if args.background:
            import pandas as pd

            background = pd.read_parquet(args.background)
    uvicorn.run(make_app(path, background), host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
