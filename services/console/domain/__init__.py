"""Pure rules of the projection: a story's order, a facility's stage, words for events, what needs attention."""
