"""The main job's input: what the world knows about each loan, read from a public file or generated from a seed."""
