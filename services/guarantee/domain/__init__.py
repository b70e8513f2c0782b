"""The rules of cover: who bears which part of a loss, when a cover binds, what it costs, when it pays."""
