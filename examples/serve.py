"""Serve a student over HTTP: scores in microseconds, and reasons for those who ask.

    python examples/serve.py
    python examples/serve.py --student student.skd --background usual_rows.parquet

Without ``--student`` it simulates loan applications, distils a forest into an additive model,
writes it to ``loan_student.skd`` in the current folder, and serves that. Ctrl-C ends the service.
``POST /score`` takes one row by column and checks it against the model's own columns;
``/score?reasons=3`` names what pushed the score up; ``/version``, ``/health`` and ``/docs`` tell
the rest. Reasons need ``--background``, some rows as they usually are, and scikit-learn; scores do
not. They take milliseconds of an additive student, and up to a second of an MLP. Bad options end
it with exit code 2. Needs the ``examples`` extra.

    curl localhost:8000/score -H 'Content-Type: application/json' -d '{"age": 40, ...}'
"""

import json
import shlex
import socket
from pathlib import Path
from typing import Annotated

import uvicorn
from command_line import (
    as_numbers_and_categories,
    bad_input,
    check_columns,
    make_parser,
    not_negative,
    read_frame,
)
from fastapi import FastAPI, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model

import skdistill
from skdistill.scorer import load_scorer

#: JSON has neither NaN nor infinity, and a string is no number.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)] | None
Category = Annotated[str, Field(strict=True)] | None

MAX_REASONS = 20

#: Rows that reasons compare with; more of them take more time for each answer.
BACKGROUND_ROWS = 100


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
    scorer = load_scorer(path)
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
    levels = load_scorer(path, engine="numpy").levels

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

    explain(background.iloc[0].tolist(), 1)  # so that the first who asks does not wait for imports
    return explain


def plain(value):
    """Turn a cell into what JSON can hold."""
    if value is None or isinstance(value, str):
        return value
    return None if value != value else float(value)


def demo(folder, seed):
    """Distil a student from simulated loan applications; return its file and usual rows."""
    from loan_report import make_teacher, simulate

    X, y, _ = simulate(6_000, seed)
    model = skdistill.DistilledClassifier(
        make_teacher(seed), skdistill.LinearStudentClassifier(), random_state=seed, verbose=1
    )
    model.fit(X, y)
    path = folder / "loan_student.skd"
    skdistill.save(model, path)
    print(f"Distilled a student into {path}")
    return path, X.sample(BACKGROUND_ROWS, random_state=seed)


def check_student(path):
    """Return the columns of a student's file."""
    if not path.is_file():
        raise bad_input(f"--student: there is no file {path}")
    try:
        return load_scorer(path).columns
    except (ValueError, OSError) as error:
        raise bad_input(f"--student: {path}: {error}") from None


def read_background(path, columns, seed):
    """Read usual rows, some if there are many, with the columns of the student."""
    frame = read_frame(path, "--background")
    check_columns(frame, columns, "--background", path)
    if len(frame) > BACKGROUND_ROWS:
        frame = frame.sample(BACKGROUND_ROWS, random_state=seed)
    return as_numbers_and_categories(frame[columns], "--background")


def main():
    """Run the service."""
    parser = make_parser(__doc__, table=False)
    parser.add_argument("--student", type=Path, help="file written by skdistill.save")
    parser.add_argument(
        "--background",
        type=Path,
        help="parquet file of usual rows, for reasons; at most 100 are drawn",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=not_negative, default=8000, help="where to listen")
    args = parser.parse_args()
    if args.port > 65_535:
        raise bad_input(f"--port: {args.port} is above 65535")
    check_address(args.host, args.port)
    if args.background and args.student is None:
        raise bad_input("--background: pass --student as well, whose rows these are")
    if args.student is None:
        path, background = demo(Path(), args.seed)
    else:
        path, columns = args.student, check_student(args.student)
        background = None
        if args.background:
            background = read_background(args.background, columns, args.seed)
    try:
        app = make_app(path, background)
    except (TypeError, ValueError) as error:  # the background is none of this student
        raise bad_input(f"--background: {error}") from None
    print_first_steps(args, path, background)
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning")


def check_address(host, port):
    """Check before long work that the service can listen where it is to."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise bad_input(f"--host, --port: {host}:{port} cannot be listened on: {error}") from None


def print_first_steps(args, path, background):
    """Say where the service is, and how to ask it."""
    address = f"http://{args.host}:{args.port}"
    print(f"Serving {path} at {address}, described at {address}/docs. Ctrl-C ends it.")
    if background is not None:
        row = json.dumps({name: plain(cell) for name, cell in background.iloc[0].items()})
        print("Ask for a score with its reasons:")
        header = "-H 'Content-Type: application/json'"
        print(f"  curl '{address}/score?reasons=3' {header} -d {shlex.quote(row)}")


if __name__ == "__main__":
    main()
