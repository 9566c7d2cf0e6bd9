"""One report from one source: REPORT.md, and report.html with figures that answer the reader."""
