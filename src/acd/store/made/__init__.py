"""Calls that never were, as plausible as they need be for trying reports and volumes: `calendar` says when calls come,
`people` who takes them, `calls` what becomes of them, `bulk` brings it all into a database that nobody uses.
"""
