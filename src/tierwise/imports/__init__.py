"""Logs that a team already has, as calls in the store: what `tierwise import` and `tierwise audit FILE` read.

sources   files, globs, standard input; gzip and zstd undone
rows      objects out of JSON lines, JSON, CSV or Parquet, each with the line it stands on
formats   one file a format: which rows are its, and the call each describes
records   a call with task, use case, price and a stable id, ready to land
importer  all of it together, with totals
"""

from __future__ import annotations
