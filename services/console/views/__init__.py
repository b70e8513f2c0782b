"""What the console shows: words for events, the story and the lists as plain data, and the pages rendered from them."""
