"""Work over many rows: blocks, groups, threads, and linear algebra of rows."""
