"""From OTLP bytes on a socket to rows in the store, without losing what was acknowledged."""
