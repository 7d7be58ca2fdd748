"""The one reader of what models write: messages, traces, markers and control tokens."""
