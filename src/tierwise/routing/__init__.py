"""Which model answers a call: the policy a person approved, decided in the app, before the request leaves."""
