"""`section FILE HEADING`: a part of a file of the repository, so that it stands in one place."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from snnlens_docs.repository import moved, section


class Section(SphinxDirective):
    """What stands below a heading of a Markdown file, its links bent."""

    required_arguments = 2
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Parse it where the directive stands."""
        name, heading = self.arguments
        root = Path(self.env.srcdir).parent
        self.env.note_dependency(str(root / name))
        try:
            text = section((root / name).read_text(encoding="utf-8"), heading)
        except KeyError:
            raise self.error(f"{name} has no heading {heading!r}") from None
        at = PurePosixPath("docs", self.env.docname).parent
        bent = moved(text, str(PurePosixPath(name).parent), str(at))
        return self.parse_text_to_nodes(bent)
