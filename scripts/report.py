"""Write results/REPORT.md and results/report.html."""

from _start import draw

if __name__ == "__main__":
    draw("report")
