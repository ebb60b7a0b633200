"""The routes about prints that a request brings: nothing of them is kept."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ifvit.service.access import MATCH
from ifvit.service.forms import EVIDENCE, Form, PrintField
from ifvit.service.pair_work import matched
from ifvit.service.routing import answered, described

router = APIRouter(prefix="/api")

MATCH_FORM = Form(
    (PrintField("probe", "The print in question."), PrintField("candidate", "Compared.", True)),
    (EVIDENCE,),
)


@router.post("/match", **described(MATCH, MATCH_FORM))
async def match(request: Request) -> Response:
    """Match a print with another, or with each of several, the best first."""
    return await answered(request, MATCH_FORM, matched)
