"""The whole loop on bundled real data: `tierwise demo`."""
