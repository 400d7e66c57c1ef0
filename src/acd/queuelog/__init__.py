"""The records in the format of Asterisk's queue_log, for programs that read that: QueueMetrics, Asternic, scripts.

`story` and `people` say what happened to a call and to an agent, `sweep` puts it in the order of time and knows who waited
where, `source` reads the database, `follow` keeps up with it, `target` is the file. docs/records.md has the format and
where it differs from app_queue's.
"""
