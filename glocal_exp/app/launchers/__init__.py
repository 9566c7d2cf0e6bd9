"""Where and how the jobs of a sweep are run; configs/launcher has a file for each.

launcher.py   a task, and what every launcher does with many
started.py    those that start a process for each: one loop, one command line, one log
"""
