"""Who may call, as whom, and how much: tokens, certificates, scopes, quotas, and what bounds a message."""
