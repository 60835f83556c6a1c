"""The floor that the API's answers are measured against: FastAPI's empty routes, under uvicorn.

`python -m benchmarks.api_floor PORT` serves `/async`, which runs in the event loop, and `/thread`,
which runs in a thread as the API's own routes do.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/async")
async def empty() -> dict[str, str]:
    """Answer nothing."""
    return {}


@app.get("/thread")
def empty_in_a_thread() -> dict[str, str]:
    """Answer nothing, from a thread."""
    return {}


if __name__ == "__main__":
    # As `stupid_dagster.api.server` configures it.
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)
