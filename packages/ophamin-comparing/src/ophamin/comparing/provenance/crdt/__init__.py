"""State that several machines change and merge without a server: a replicated document of maps and texts.

``replica`` chooses a library, ``notes`` and ``merging`` say what stands in the document. Two libraries speak the same
updates, so machines need not have the same one.

Source: Nicolaescu et al., Near Real-Time Peer-to-Peer Shared Editing on Extensible Data Types (YATA), GROUP 2016; the
update format is version 1 of Yjs (https://docs.yjs.dev).
"""

from __future__ import annotations

__all__: list[str] = []
