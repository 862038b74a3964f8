"""How far an answer may be trusted: certified beforehand, watched and revoked while serving."""
