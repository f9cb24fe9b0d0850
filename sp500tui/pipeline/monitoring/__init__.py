"""Values derived from the running pipeline: latest prices, diagnostics and the market clock."""
