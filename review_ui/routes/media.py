"""The clip of an item, by sample id; the path on disk is never the browser's to choose."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from review_ui.deps import RefusedError, TheDesk, TheReviewer
from review_ui.routes.items import check_entry, sample_of
from review_ui.showing import CLIP_NAME

router = APIRouter()


class ClipResponse(FileResponse):
    """Streams in small blocks, and answers one byte range at a time."""

    max_ranges = 1


@router.get("/media/{sample_id}")
def clip(sample_id: str, desk: TheDesk, reviewer: TheReviewer) -> Response:
    # A player asks for many ranges of one clip: none of them looks at the whole queue.
    ref = sample_of(desk, check_entry(desk, desk.queue.find_known(sample_id), reviewer)).clip
    try:
        if ref is None:
            raise FileNotFoundError
        path = desk.artifacts.local(ref.key, CLIP_NAME)
    except FileNotFoundError as error:
        raise RefusedError(404, f"The clip is not in the cache: run: {desk.run_command}") from error
    return ClipResponse(path, media_type=ref.mime_type)
