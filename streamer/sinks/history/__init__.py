"""The history of events in one SQLite file, and the outbox of what MQTT has not acknowledged."""
