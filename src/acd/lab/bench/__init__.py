"""``make bench``: bare Dial, app_queue and acd in turn on the same Asterisk, the same phones and the same callers.

``python -m acd.lab.bench --out build/bench`` measures, prints a table and writes ``results.json`` and plots. It is no
test: figures depend on the machine, so contenders are compared within one run, as medians over rounds.
"""
