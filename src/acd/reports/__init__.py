"""The reports a call centre is run by: questions to the records, answered by the database, for people and programs.

`catalogue` has the reports, `ask` what can be asked of one, `database` opens the records for reading, `formats` writes
them down. docs/reports.md has the formulas. Knows the domain's words and the store's tables, and no service.
"""
