"""Data inside of an HTML page that the browser reads only when it is shown: compressed blocks that are no markup."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

LEVEL = 4
"""Of the compression: twice as fast as the usual 6, and 5 % larger."""


def data_block(name: str, content: Any) -> str:
    """Return a block of data, which a browser neither runs nor takes for text.

    Base64 has no character that ends the block, whatever the content says.

    Args:
        name: the block's id, of our own making.
        content: JSON-able.

    >>> data_block("rows-0", ["</script>"]).startswith('<script type="application/json" id="rows-0">')
    True
    """
    # half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=str).encode(errors="replace")
    packed = base64.b64encode(gzip.compress(text, LEVEL, mtime=0)).decode("ascii")
    return f'<script type="application/json" id="{name}">{packed}</script>\n'
