"""Calls that never were, as plausible as they need be for trying reports and volumes: `calendar` says when calls come,
`kinds` to which queues, `people` who takes them, `story` what becomes of each, `campaign` who was called; `calls` makes
them in their order, and `bulk` brings it all into a database that nobody uses.
"""
